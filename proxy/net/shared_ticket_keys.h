/* Keys of session tickets that machines behind one name share, given from
 * outside: they never rotate by themselves. They belong to a TLS context and
 * are as immutable as it is, so a reload takes them or leaves them with all
 * else. */
#ifndef NET_SHARED_TICKET_KEYS_H
#define NET_SHARED_TICKET_KEYS_H

#include "config/mem.h"
#include "net/ticket_key.h"

#include <stddef.h>
#include <stdint.h>

enum {
    SHARED_TICKET_KEY_SIZE = 80
};

/* A key as its file holds it, in the order that nginx has: the name, the key of
 * HMAC-SHA256, the key of AES-256. */
struct shared_ticket_key {
    uint8_t name[SSL_TICKET_KEY_NAME_LEN];
    uint8_t mac[TICKET_MAC_KEY_SIZE];
    uint8_t secret[32];
};

struct shared_ticket_keys;

/* Copies count keys, 1 at least, no two of one name. The first seals. */
struct shared_ticket_keys *
shared_ticket_keys_new(const struct shared_ticket_key *keys, size_t count);
/* Wipes them. Accepts NULL inside. */
void shared_ticket_keys_free(struct shared_ticket_keys **keys);

/* What SSL_CTX_set_tlsext_ticket_key_cb wants of its callback. A ticket of any
 * key but the first is good and renewed; one of an unknown key is ignored. */
MUST_USE int shared_ticket_keys_apply(const struct shared_ticket_keys *keys,
                                      uint8_t *name, uint8_t *iv,
                                      EVP_CIPHER_CTX *cipher, HMAC_CTX *hmac,
                                      int is_sealing);

#endif
