/* What the TLS contexts tell about a handshake that fails: counted for the
 * worker at hand, and put into words for the log. */
#ifndef SESSION_TLS_HOOKS_H
#define SESSION_TLS_HOOKS_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

/* A tls_alpn_refused: names what was offered (RFC 7301, 3.2). */
void tls_hooks_alpn_refused(SSL *ssl, const uint8_t *offered, size_t len);

/* A tls_verify_failed. */
void tls_hooks_verify_failed(SSL *ssl, const char *why);

#endif
