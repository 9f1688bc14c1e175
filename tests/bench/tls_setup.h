/* TLS contexts of the bench programs. Nothing here is meant to be safe: the
 * client trusts every certificate, since its own work is not what is
 * measured. */
#ifndef BENCH_TLS_SETUP_H
#define BENCH_TLS_SETUP_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

/* Offers TLS 1.2 up to `version_max` (TLS1_2_VERSION or TLS1_3_VERSION), a key
 * share of X25519 alone (P-256 is named for certificates of TLS 1.2),
 * AES-128-GCM first and under TLS 1.2 alone (BoringSSL lets nobody choose
 * among the three ciphers of TLS 1.3), no ALPN. Aborts when memory is out. */
SSL_CTX *tls_client_context(uint16_t version_max);

/* NULL when what was negotiated is what all proxies are measured with: X25519,
 * unless any group will do, and AES-128-GCM. Otherwise the part that is not. */
const char *tls_policy_fault(const SSL *ssl, bool any_group);

/* "TLS_AES_128_GCM_SHA256", or under TLS 1.2 the name that OpenSSL uses. */
const char *tls_cipher_name(const SSL *ssl);

/* Returns NULL when a file is missing or the key does not fit. */
SSL_CTX *tls_server_context(const char *chain_file, const char *key_file);

/* The oldest error of this thread's queue as text, and empties the queue. */
const char *tls_error_text(void);

#endif
