/* TLS contexts of the bench programs. Nothing here is meant to be safe: the
 * client trusts every certificate, since its own work is not what is
 * measured. */
#ifndef BENCH_TLS_SETUP_H
#define BENCH_TLS_SETUP_H

#include <openssl/ssl.h>
#include <stdint.h>

/* Offers TLS 1.2 up to `version_max` (TLS1_2_VERSION or TLS1_3_VERSION), a key
 * share of X25519 alone, no ALPN. Aborts when memory is out. */
SSL_CTX *tls_client_context(uint16_t version_max);

/* Returns NULL when a file is missing or the key does not fit. */
SSL_CTX *tls_server_context(const char *chain_file, const char *key_file);

/* The oldest error of this thread's queue as text, and empties the queue. */
const char *tls_error_text(void);

#endif
