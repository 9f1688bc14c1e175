#include "net/client_certificate.h"

bool client_certificate_name(const X509 *certificate,
                             enum certificate_user kind, char *out, size_t size)
{
    (void)certificate;
    (void)kind;
    (void)size;
    out[0] = '\0';
    return false;
}

bool client_certificate_user(const SSL *ssl, enum certificate_user kind,
                             char *out, size_t size)
{
    (void)ssl;
    return client_certificate_name(NULL, kind, out, size);
}
