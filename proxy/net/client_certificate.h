/* Who a client is by the certificate that it has shown. What a stranger's
 * certificate says is read only after the chain was verified. */
#ifndef NET_CLIENT_CERTIFICATE_H
#define NET_CLIENT_CERTIFICATE_H

#include "config/identity.h"
#include "config/mem.h"
#include "config/settings.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    CLIENT_CERTIFICATE_USER_MAX = IDENTITY_MAX
};

/* The user whom the certificate names, ended by NUL. False, with out empty,
 * unless there is exactly one name of the kind, as text without a control
 * character, of at most CLIENT_CERTIFICATE_USER_MAX bytes, that fits into
 * size: which of two names is meant nobody can tell, and what was cut short is
 * somebody else's. */
MUST_USE bool client_certificate_name(const X509 *certificate,
                                      enum certificate_user kind, char *out,
                                      size_t size);

/* The same for the client of a handshake that is done. False where it has
 * shown no certificate in this very handshake. */
MUST_USE bool client_certificate_user(const SSL *ssl,
                                      enum certificate_user kind, char *out,
                                      size_t size);

#endif
