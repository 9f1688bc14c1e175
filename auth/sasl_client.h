/* The SASL message that logs in at a backend. */
#ifndef AUTH_SASL_CLIENT_H
#define AUTH_SASL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/base64.h"
#include "auth/credentials.h"

#define SASL_CLIENT_PLAIN_MAX                                                  \
    (2 * CREDENTIALS_NAME_MAX + CREDENTIALS_SECRET_MAX + 2)
/* Room for the message in base64 and its terminator. */
#define SASL_CLIENT_BASE64_MAX (BASE64_LENGTH(SASL_CLIENT_PLAIN_MAX) + 1)

/* Writes the message of PLAIN (RFC 4616, 2) in base64 into `out`, of at least
 * SASL_CLIENT_BASE64_MAX octets, and its length into *len_out. `login_as`
 * (NULL: nobody else) replaces the user, or whom the user asks to act for,
 * where that is another. False when a name or the
 * secret holds a NUL, which would shift the fields, or login_as is too long.
 * The caller wipes `out`. */
AUTH_MUST_USE bool sasl_client_plain(const struct credentials *credentials,
                                     const char *login_as, uint8_t *out,
                                     size_t *len_out);

/* The same in the name of a master user (RFC 4616, 2: the authcid), to act as
 * the user whom the credentials name, or as login_as. For an identity that we
 * have verified ourselves, and for nothing else. */
AUTH_MUST_USE bool sasl_client_master(const struct credentials *credentials,
                                      const char *login_as, const char *master,
                                      const uint8_t *secret, size_t secret_len,
                                      uint8_t *out, size_t *len_out);

/* Writes the client's own first message (CREDENTIALS_MESSAGE) in base64. */
void sasl_client_message(const struct credentials *credentials, uint8_t *out,
                         size_t *len_out);

#endif
