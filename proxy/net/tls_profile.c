#include "net/tls_profile.h"

#include "config/mem.h"
#include "net/tls_memory.h"

#include <stddef.h>
#include <stdint.h>

/* For TLS 1.2; those of 1.3 are fixed and all of them AEAD. */
#define SUITES_AEAD                                                            \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"               \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"               \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define SUITES_CBC                                                             \
    "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:"                             \
    "ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA"
#define GROUPS "X25519:P-256:P-384"

/* Both for what we sign and for what we accept. SHA-1 is left out
 * (RFC 9155). */
static const uint16_t signature_algorithms[] = {
    SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA256,
    SSL_SIGN_RSA_PKCS1_SHA256,       SSL_SIGN_ED25519,
    SSL_SIGN_ECDSA_SECP384R1_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA384,
    SSL_SIGN_RSA_PKCS1_SHA384,       SSL_SIGN_ECDSA_SECP521R1_SHA512,
    SSL_SIGN_RSA_PSS_RSAE_SHA512,    SSL_SIGN_RSA_PKCS1_SHA512,
};

enum {
    SIGNATURE_ALGORITHM_COUNT =
        sizeof(signature_algorithms) / sizeof(signature_algorithms[0])
};

/* Constant input to a library that knows it: only memory can be missing. */
static void expect(int is_done)
{
    if (!is_done)
        mem_exhausted();
}

SSL_CTX *tls_profile_new(CRYPTO_BUFFER_POOL *pool)
{
    SSL_CTX *ctx;

    tls_memory_link();
    ctx = SSL_CTX_new(TLS_with_buffers_method());
    expect(ctx != NULL);
    if (pool != NULL)
        SSL_CTX_set0_buffer_pool(ctx, pool);
    expect(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION));
    expect(SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION));
    expect(SSL_CTX_set_strict_cipher_list(ctx, SUITES_AEAD));
    expect(SSL_CTX_set1_curves_list(ctx, GROUPS));
    expect(SSL_CTX_set_signing_algorithm_prefs(ctx, signature_algorithms,
                                               SIGNATURE_ALGORITHM_COUNT));
    expect(SSL_CTX_set_verify_algorithm_prefs(ctx, signature_algorithms,
                                              SIGNATURE_ALGORITHM_COUNT));
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    /* Early data can be replayed, and the first thing that a client sends
     * here is a login. Off is the default; it stays so if that changes. */
    SSL_CTX_set_early_data_enabled(ctx, 0);
    return ctx;
}

void tls_profile_add_cbc(SSL_CTX *ctx)
{
    expect(SSL_CTX_set_strict_cipher_list(ctx, SUITES_AEAD ":" SUITES_CBC));
}
