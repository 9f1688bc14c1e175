/* A session ticket in small: what BoringSSL makes with the callback that seals
 * and opens them. */
#ifndef SUPPORT_TICKET_CASE_H
#define SUPPORT_TICKET_CASE_H

#include <openssl/cipher.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <stdint.h>

struct ticket {
    uint8_t name[SSL_TICKET_KEY_NAME_LEN];
    uint8_t iv[EVP_MAX_IV_LENGTH];
    uint8_t sealed[64];
    int sealed_len;
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned mac_len;
};

/* The function under test, with the keys that it is about. */
typedef int ticket_apply(void *keys, uint8_t *name, uint8_t *iv,
                         EVP_CIPHER_CTX *cipher, HMAC_CTX *hmac,
                         int is_sealing);

void ticket_seal(ticket_apply *apply, void *keys, struct ticket *ticket);

/* What apply says; -2 if it says yes and gave a wrong key. */
int ticket_open(ticket_apply *apply, void *keys, const struct ticket *ticket);

#endif
