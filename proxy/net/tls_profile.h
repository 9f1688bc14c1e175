/* What both sides speak: TLS 1.2 and 1.3, ECDHE with AEAD, no SHA-1
 * (RFC 9325). Each context gets it for itself; nothing is shared. */
#ifndef NET_TLS_PROFILE_H
#define NET_TLS_PROFILE_H

#include <openssl/ssl.h>

/* A context whose certificates are plain buffers (TLS_with_buffers_method),
 * without any session cache. pool may be NULL and must live until the last
 * SSL of the context is gone. */
SSL_CTX *tls_profile_new(CRYPTO_BUFFER_POOL *pool);

/* Adds ECDHE with CBC for TLS 1.2, behind the AEAD suites. */
void tls_profile_add_cbc(SSL_CTX *ctx);

#endif
