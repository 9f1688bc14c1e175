/* A name is read out of a certificate whose owner has written most of it: the
 * authority signs, and may not have looked at every byte. The input is a
 * certificate in DER. */
#include "net/client_certificate.h"

#include <assert.h>
#include <openssl/pool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_text(const char *user, size_t len)
{
    assert(len > 0 && len <= CLIENT_CERTIFICATE_USER_MAX);
    for (size_t i = 0; i < len; i++)
        assert((uint8_t)user[i] >= 0x20 && user[i] != 0x7f);
}

/* What is found fits exactly or is not found. */
static void check_size(const X509 *certificate, enum certificate_user kind,
                       const char *user, size_t size, bool fits)
{
    char other[CLIENT_CERTIFICATE_USER_MAX + 2];

    memset(other, 'x', sizeof(other));
    assert(client_certificate_name(certificate, kind, other, size) == fits);
    assert(strcmp(other, fits ? user : "") == 0);
    assert(other[size] == 'x');
}

static void check(const X509 *certificate, enum certificate_user kind)
{
    char user[CLIENT_CERTIFICATE_USER_MAX + 1];
    size_t len;

    memset(user, 'x', sizeof(user));
    if (!client_certificate_name(certificate, kind, user, sizeof(user))) {
        assert(user[0] == '\0');
        return;
    }
    len = strnlen(user, sizeof(user));
    assert(len < sizeof(user));
    check_text(user, len);
    check_size(certificate, kind, user, len + 1, true);
    check_size(certificate, kind, user, len, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    CRYPTO_BUFFER *der = CRYPTO_BUFFER_new(bytes, len, NULL);
    X509 *certificate = X509_parse_from_buffer(der);

    if (certificate != NULL) {
        check(certificate, CERTIFICATE_USER_EMAIL);
        check(certificate, CERTIFICATE_USER_COMMON_NAME);
    }
    X509_free(certificate);
    CRYPTO_BUFFER_free(der);
    return 0;
}
