#include "ticket_case.h"

#include <openssl/digest.h>
#include <openssl/mem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t content[] = "what a session remembers";

void ticket_seal(ticket_apply *apply, void *keys, struct ticket *ticket)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    HMAC_CTX *hmac = HMAC_CTX_new();
    int tail = 0;

    memset(ticket, 0, sizeof(*ticket));
    assert_int_equal(apply(keys, ticket->name, ticket->iv, cipher, hmac, 1), 1);
    assert_true(EVP_EncryptUpdate(cipher, ticket->sealed, &ticket->sealed_len,
                                  content, sizeof(content)));
    assert_true(EVP_EncryptFinal_ex(cipher, ticket->sealed + ticket->sealed_len,
                                    &tail));
    ticket->sealed_len += tail;
    assert_true(HMAC_Update(hmac, ticket->sealed, (size_t)ticket->sealed_len));
    assert_true(HMAC_Final(hmac, ticket->mac, &ticket->mac_len));
    EVP_CIPHER_CTX_free(cipher);
    HMAC_CTX_free(hmac);
}

static bool opens_to_content(const struct ticket *ticket,
                             EVP_CIPHER_CTX *cipher, HMAC_CTX *hmac)
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    uint8_t plain[sizeof(ticket->sealed) + EVP_MAX_BLOCK_LENGTH];
    unsigned mac_len = 0;
    int len = 0;
    int tail = 0;

    return HMAC_Update(hmac, ticket->sealed, (size_t)ticket->sealed_len) &&
           HMAC_Final(hmac, mac, &mac_len) && mac_len == ticket->mac_len &&
           memcmp(mac, ticket->mac, mac_len) == 0 &&
           EVP_DecryptUpdate(cipher, plain, &len, ticket->sealed,
                             ticket->sealed_len) &&
           EVP_DecryptFinal_ex(cipher, plain + len, &tail) &&
           len + tail == (int)sizeof(content) &&
           memcmp(plain, content, sizeof(content)) == 0;
}

int ticket_open(ticket_apply *apply, void *keys, const struct ticket *ticket)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    HMAC_CTX *hmac = HMAC_CTX_new();
    struct ticket mine = *ticket;
    int result = apply(keys, mine.name, mine.iv, cipher, hmac, 0);

    if (result > 0 && !opens_to_content(&mine, cipher, hmac))
        result = -2;
    EVP_CIPHER_CTX_free(cipher);
    HMAC_CTX_free(hmac);
    return result;
}
