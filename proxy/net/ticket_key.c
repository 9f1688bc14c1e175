#include "net/ticket_key.h"

#include <openssl/cipher.h>
#include <openssl/digest.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

static bool start_mac(const struct ticket_key_parts *key, HMAC_CTX *hmac)
{
    return HMAC_Init_ex(hmac, key->mac, TICKET_MAC_KEY_SIZE, EVP_sha256(),
                        NULL);
}

enum ticket_answer ticket_key_seal(const struct ticket_key_parts *key,
                                   uint8_t *name, uint8_t *iv,
                                   EVP_CIPHER_CTX *cipher, HMAC_CTX *hmac)
{
    memcpy(name, key->name, SSL_TICKET_KEY_NAME_LEN);
    /* BoringSSL's generator aborts rather than fail. */
    if (RAND_bytes(iv, TICKET_IV_SIZE) != 1)
        abort();
    if (!EVP_EncryptInit_ex(cipher, key->cipher, NULL, key->secret, iv) ||
        !start_mac(key, hmac))
        return TICKET_BROKEN;
    return TICKET_GOOD;
}

enum ticket_answer ticket_key_open(const struct ticket_key_parts *key,
                                   const uint8_t *iv, EVP_CIPHER_CTX *cipher,
                                   HMAC_CTX *hmac, enum ticket_answer answer)
{
    if (!EVP_DecryptInit_ex(cipher, key->cipher, NULL, key->secret, iv) ||
        !start_mac(key, hmac))
        return TICKET_BROKEN;
    return answer;
}

bool ticket_key_is_named(const uint8_t *mine, const uint8_t *name)
{
    return memcmp(mine, name, SSL_TICKET_KEY_NAME_LEN) == 0;
}
