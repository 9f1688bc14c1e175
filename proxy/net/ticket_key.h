/* How one key seals session tickets and opens them: AES-CBC and HMAC-SHA256, as
 * SSL_CTX_set_tlsext_ticket_key_cb wants it of its callback. */
#ifndef NET_TICKET_KEY_H
#define NET_TICKET_KEY_H

#include "config/mem.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    TICKET_MAC_KEY_SIZE = 32,
    TICKET_IV_SIZE = 16
};

/* What the callback answers. */
enum ticket_answer {
    TICKET_BROKEN = -1,
    TICKET_UNKNOWN = 0, /* a full handshake, then */
    TICKET_GOOD = 1,
    TICKET_RENEW = 2 /* good, and the client gets another one */
};

/* A key's parts, lent by whoever keeps it. */
struct ticket_key_parts {
    const uint8_t *name; /* SSL_TICKET_KEY_NAME_LEN; public, on every ticket */
    const uint8_t *mac;  /* TICKET_MAC_KEY_SIZE */
    const uint8_t *secret;    /* as long as the cipher wants it */
    const EVP_CIPHER *cipher; /* in CBC mode */
};

/* Writes the key's name and a fresh iv. GOOD or BROKEN. */
MUST_USE enum ticket_answer ticket_key_seal(const struct ticket_key_parts *key,
                                            uint8_t *name, uint8_t *iv,
                                            EVP_CIPHER_CTX *cipher,
                                            HMAC_CTX *hmac);

/* answer, or BROKEN. */
MUST_USE enum ticket_answer ticket_key_open(const struct ticket_key_parts *key,
                                            const uint8_t *iv,
                                            EVP_CIPHER_CTX *cipher,
                                            HMAC_CTX *hmac,
                                            enum ticket_answer answer);

/* Whether a ticket of this name was sealed by the key that has the name mine.
 */
MUST_USE bool ticket_key_is_named(const uint8_t *mine, const uint8_t *name);

#endif
