#include "net/shared_ticket_keys.h"

#include <assert.h>
#include <openssl/cipher.h>
#include <openssl/mem.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct shared_ticket_key) == SHARED_TICKET_KEY_SIZE,
               "a key is copied as its file holds it");

struct shared_ticket_keys {
    size_t count;
    struct shared_ticket_key keys[];
};

static size_t size_of(size_t count)
{
    return sizeof(struct shared_ticket_keys) +
           count * sizeof(struct shared_ticket_key);
}

struct shared_ticket_keys *
shared_ticket_keys_new(const struct shared_ticket_key *keys, size_t count)
{
    struct shared_ticket_keys *mine;

    assert(count > 0);
    mine = mem_alloc(size_of(count));
    mine->count = count;
    memcpy(mine->keys, keys, count * sizeof(*keys));
    return mine;
}

void shared_ticket_keys_free(struct shared_ticket_keys **keys)
{
    struct shared_ticket_keys *mine = *keys;

    *keys = NULL;
    if (mine == NULL)
        return;
    OPENSSL_cleanse(mine, size_of(mine->count));
    free(mine);
}

static struct ticket_key_parts parts_of(const struct shared_ticket_key *key)
{
    return (struct ticket_key_parts){key->name, key->mac, key->secret,
                                     EVP_aes_256_cbc()};
}

static enum ticket_answer open_ticket(const struct shared_ticket_keys *keys,
                                      const uint8_t *name, const uint8_t *iv,
                                      EVP_CIPHER_CTX *cipher, HMAC_CTX *hmac)
{
    size_t i = 0;
    struct ticket_key_parts key;

    while (i < keys->count && !ticket_key_is_named(keys->keys[i].name, name))
        i++;
    if (i == keys->count)
        return TICKET_UNKNOWN;
    key = parts_of(&keys->keys[i]);
    return ticket_key_open(&key, iv, cipher, hmac,
                           i == 0 ? TICKET_GOOD : TICKET_RENEW);
}

int shared_ticket_keys_apply(const struct shared_ticket_keys *keys,
                             uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher,
                             HMAC_CTX *hmac, int is_sealing)
{
    const struct ticket_key_parts first = parts_of(&keys->keys[0]);

    return is_sealing ? ticket_key_seal(&first, name, iv, cipher, hmac)
                      : open_ticket(keys, name, iv, cipher, hmac);
}
