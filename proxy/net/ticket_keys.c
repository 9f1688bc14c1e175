#include "net/ticket_keys.h"

#include "net/ticket_key.h"

#include <assert.h>
#include <openssl/cipher.h>
#include <openssl/mem.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct ticket_key {
    uint8_t name[SSL_TICKET_KEY_NAME_LEN];
    uint8_t secret[16];
    uint8_t mac[TICKET_MAC_KEY_SIZE];
};

/* Next is opened though nothing here seals with it yet: whoever shares these
 * keys may have rotated a moment earlier. */
struct key_set {
    struct ticket_key current;
    struct ticket_key previous;
    struct ticket_key next;
};

enum {
    SET_WORDS = sizeof(struct key_set) / sizeof(uint64_t)
};

_Static_assert(sizeof(struct key_set) % sizeof(uint64_t) == 0,
               "the set is copied in words");

_Static_assert(sizeof(struct key_set) == TICKET_KEYS_SIZE,
               "the set is copied as it is");

struct ticket_keys {
    atomic_uint refs;
    /* A sequence lock: the version is odd while a rotation writes the words,
     * and a reader that saw it change reads again. Words are stored with
     * release and loaded with acquire, so a reader that met a new word also
     * meets the new version. */
    atomic_uint_fast64_t version;
    _Atomic uint64_t words[SET_WORDS];
    pthread_mutex_t rotation; /* writers only; guards the time too */
    uint64_t rotated_ms;
};

static void store_set(struct ticket_keys *keys, const struct key_set *set)
{
    uint64_t words[SET_WORDS];
    uint64_t version =
        atomic_load_explicit(&keys->version, memory_order_relaxed);

    memcpy(words, set, sizeof(words));
    atomic_store_explicit(&keys->version, version + 1, memory_order_relaxed);
    for (size_t i = 0; i < SET_WORDS; i++)
        atomic_store_explicit(&keys->words[i], words[i], memory_order_release);
    atomic_store_explicit(&keys->version, version + 2, memory_order_release);
    OPENSSL_cleanse(words, sizeof(words));
}

static void load_set(struct ticket_keys *keys, struct key_set *set_out)
{
    uint64_t words[SET_WORDS];
    uint64_t before;
    uint64_t after;

    do {
        before = atomic_load_explicit(&keys->version, memory_order_acquire);
        for (size_t i = 0; i < SET_WORDS; i++)
            words[i] =
                atomic_load_explicit(&keys->words[i], memory_order_acquire);
        after = atomic_load_explicit(&keys->version, memory_order_relaxed);
    } while (before != after || before % 2 != 0);
    memcpy(set_out, words, sizeof(words));
    OPENSSL_cleanse(words, sizeof(words));
}

static void fill_random(void *bytes, size_t len)
{
    /* BoringSSL's generator aborts rather than fail. */
    if (RAND_bytes(bytes, len) != 1)
        abort();
}

struct ticket_keys *ticket_keys_new(uint64_t now_ms)
{
    struct ticket_keys *keys = mem_zalloc(sizeof(*keys));
    struct key_set set;

    atomic_init(&keys->refs, 1);
    pthread_mutex_init(&keys->rotation, NULL);
    keys->rotated_ms = now_ms;
    fill_random(&set, sizeof(set));
    store_set(keys, &set);
    OPENSSL_cleanse(&set, sizeof(set));
    return keys;
}

struct ticket_keys *ticket_keys_ref(struct ticket_keys *keys)
{
    atomic_fetch_add_explicit(&keys->refs, 1, memory_order_relaxed);
    return keys;
}

void ticket_keys_unref(struct ticket_keys **keys)
{
    struct ticket_keys *mine = *keys;

    *keys = NULL;
    if (mine == NULL ||
        atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) > 1)
        return;
    pthread_mutex_destroy(&mine->rotation);
    OPENSSL_cleanse(mine, sizeof(*mine));
    free(mine);
}

static void rotate(struct ticket_keys *keys)
{
    struct key_set set;

    load_set(keys, &set);
    set.previous = set.current;
    set.current = set.next;
    fill_random(&set.next, sizeof(set.next));
    store_set(keys, &set);
    OPENSSL_cleanse(&set, sizeof(set));
}

bool ticket_keys_rotate_if_due(struct ticket_keys *keys, uint64_t now_ms)
{
    uint64_t periods = 0;

    pthread_mutex_lock(&keys->rotation);
    if (now_ms > keys->rotated_ms)
        periods = (now_ms - keys->rotated_ms) / TICKET_KEYS_PERIOD_MS;
    keys->rotated_ms += periods * TICKET_KEYS_PERIOD_MS;
    /* Three replace the whole set; more would change nothing. */
    for (uint64_t i = 0; i < periods && i < 3; i++)
        rotate(keys);
    pthread_mutex_unlock(&keys->rotation);
    return periods > 0;
}

void ticket_keys_read(struct ticket_keys *keys, struct ticket_keys_copy *out)
{
    struct key_set set;

    pthread_mutex_lock(&keys->rotation);
    load_set(keys, &set);
    out->rotated_ms = keys->rotated_ms;
    pthread_mutex_unlock(&keys->rotation);
    memcpy(out->keys, &set, sizeof(set));
    OPENSSL_cleanse(&set, sizeof(set));
}

void ticket_keys_replace(struct ticket_keys *keys,
                         const struct ticket_keys_copy *copy)
{
    struct key_set set;

    memcpy(&set, copy->keys, sizeof(set));
    pthread_mutex_lock(&keys->rotation);
    store_set(keys, &set);
    keys->rotated_ms = copy->rotated_ms;
    pthread_mutex_unlock(&keys->rotation);
    OPENSSL_cleanse(&set, sizeof(set));
}

static struct ticket_key_parts parts_of(const struct ticket_key *key)
{
    return (struct ticket_key_parts){key->name, key->mac, key->secret,
                                     EVP_aes_128_cbc()};
}

static enum ticket_answer seal(const struct key_set *set, uint8_t *name,
                               uint8_t *iv, EVP_CIPHER_CTX *cipher,
                               HMAC_CTX *hmac)
{
    const struct ticket_key_parts current = parts_of(&set->current);

    return ticket_key_seal(&current, name, iv, cipher, hmac);
}

static enum ticket_answer open_by(const struct ticket_key *key,
                                  const uint8_t *iv, EVP_CIPHER_CTX *cipher,
                                  HMAC_CTX *hmac, enum ticket_answer answer)
{
    const struct ticket_key_parts parts = parts_of(key);

    return ticket_key_open(&parts, iv, cipher, hmac, answer);
}

static enum ticket_answer open_ticket(const struct key_set *set,
                                      const uint8_t *name, const uint8_t *iv,
                                      EVP_CIPHER_CTX *cipher, HMAC_CTX *hmac)
{
    if (ticket_key_is_named(set->current.name, name))
        return open_by(&set->current, iv, cipher, hmac, TICKET_GOOD);
    if (ticket_key_is_named(set->previous.name, name))
        return open_by(&set->previous, iv, cipher, hmac, TICKET_RENEW);
    if (ticket_key_is_named(set->next.name, name))
        return open_by(&set->next, iv, cipher, hmac, TICKET_GOOD);
    return TICKET_UNKNOWN;
}

int ticket_keys_apply(struct ticket_keys *keys, uint8_t *name, uint8_t *iv,
                      EVP_CIPHER_CTX *cipher, HMAC_CTX *hmac, int is_sealing)
{
    struct key_set set;
    int result;

    load_set(keys, &set);
    result = is_sealing ? seal(&set, name, iv, cipher, hmac)
                        : open_ticket(&set, name, iv, cipher, hmac);
    OPENSSL_cleanse(&set, sizeof(set));
    return result;
}
