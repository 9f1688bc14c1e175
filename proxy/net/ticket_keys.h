/* The keys that session tickets are sealed with: current, previous and next.
 * They live outside the snapshot, so that a reload forgets no ticket, and are
 * shared by all workers, which read them without a lock. */
#ifndef NET_TICKET_KEYS_H
#define NET_TICKET_KEYS_H

#include "config/mem.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A key seals tickets for this long and opens them for as long again
 * (RFC 9325, 3.4; threats.md, B6). */
#define TICKET_KEYS_PERIOD_MS (UINT64_C(12) * 60 * 60 * 1000)

struct ticket_keys;

/* Fresh random keys, with one reference. Times are of a monotonic clock. */
struct ticket_keys *ticket_keys_new(uint64_t now_ms);
struct ticket_keys *ticket_keys_ref(struct ticket_keys *keys);
/* The last one wipes the keys. Accepts NULL inside. */
void ticket_keys_unref(struct ticket_keys **keys);

/* Rotates once for every period that has passed since the last rotation and
 * says whether any had. Call it every minute or so, from any thread. */
bool ticket_keys_rotate_if_due(struct ticket_keys *keys, uint64_t now_ms);

/* What SSL_CTX_set_tlsext_ticket_key_cb wants of its callback, for the given
 * keys: AES-128-CBC and HMAC-SHA256. Takes no lock. A ticket of the previous
 * key is good and renewed; one of an unknown key is ignored. */
MUST_USE int ticket_keys_apply(struct ticket_keys *keys, uint8_t *name,
                               uint8_t *iv, EVP_CIPHER_CTX *cipher,
                               HMAC_CTX *hmac, int is_sealing);

/* All of them, for a process that takes the place of this one; a secret. */
enum {
    TICKET_KEYS_SIZE = 3 * 64
};

struct ticket_keys_copy {
    uint8_t keys[TICKET_KEYS_SIZE];
    uint64_t rotated_ms;
};

/* Whoever has the copy wipes it. */
void ticket_keys_read(struct ticket_keys *keys, struct ticket_keys_copy *out);

/* Tickets are sealed and opened by these from now on. */
void ticket_keys_replace(struct ticket_keys *keys,
                         const struct ticket_keys_copy *copy);

#endif
