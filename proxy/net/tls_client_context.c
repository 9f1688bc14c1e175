#include "net/tls_client_context.h"

#include "net/resumption.h"
#include "net/tls_profile.h"
#include "net/verified_chain.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pool.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PEER_CHAIN_BYTES_MAX = 64 * 1024
};

struct tls_client_context {
    atomic_uint refs;
    SSL_CTX *ctx;
    struct resumption *resumption; /* of ctx */
    struct server_name name;
    bool verify;
    struct trust_anchors *anchors;
    struct verified_chain verified; /* against the name and the anchors */
    tls_verify_failed *verify_failed;
    uint8_t digest[SHA256_DIGEST_LENGTH]; /* of our certificate and key */
};

/* Every session of a backend keeps the chain that the backend sent; the pool
 * makes them one copy. It belongs to the process and is never freed: buffers
 * unlock it when they go, and an SSL may outlive every context. Its lock is
 * taken for moments at backend handshakes only. */
static CRYPTO_BUFFER_POOL *pool;
static pthread_once_t pool_once = PTHREAD_ONCE_INIT;

static void make_pool(void)
{
    pool = CRYPTO_BUFFER_POOL_new();
    if (pool == NULL)
        mem_exhausted();
}

static void digest_config(const struct tls_client_config *config,
                          uint8_t digest_out[SHA256_DIGEST_LENGTH])
{
    SHA256_CTX hash;
    uint64_t len = config->certificate.len;

    SHA256_Init(&hash);
    SHA256_Update(&hash, &len, sizeof(len));
    SHA256_Update(&hash, config->certificate.bytes, config->certificate.len);
    SHA256_Update(&hash, config->key.bytes, config->key.len);
    SHA256_Final(digest_out, &hash);
    OPENSSL_cleanse(&hash, sizeof(hash)); /* it saw a private key */
}

/* A chain that was verified once stays good for as long as its certificates
 * are valid, since neither name nor anchors ever change here. */
static bool believes(struct tls_client_context *context,
                     const STACK_OF(CRYPTO_BUFFER) * chain,
                     char why[CERTIFICATE_WHY_MAX])
{
    int64_t now = (int64_t)time(NULL);
    struct certificate_span span;

    if (verified_chain_has(&context->verified, chain, now))
        return true;
    if (!certificate_check(context->anchors, chain, &context->name, now, &span,
                           why))
        return false;
    verified_chain_keep(&context->verified, chain, &span);
    return true;
}

/* Called in a resumed handshake too, with the chain of the first one. */
static enum ssl_verify_result_t verify_peer(SSL *ssl, uint8_t *alert_out)
{
    struct tls_client_context *context =
        SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const STACK_OF(CRYPTO_BUFFER) *chain = SSL_get0_peer_certificates(ssl);
    char why[CERTIFICATE_WHY_MAX] = "no certificate";

    /* The SNI was sent and is needed no more; the connection may be idle for
     * days. */
    SSL_set_tlsext_host_name(ssl, NULL);
    if (!context->verify)
        return ssl_verify_ok;
    if (chain != NULL && believes(context, chain, why))
        return ssl_verify_ok;
    if (context->verify_failed != NULL)
        context->verify_failed(ssl, why);
    *alert_out = SSL_AD_BAD_CERTIFICATE;
    return ssl_verify_invalid;
}

static SSL_CTX *new_ctx(struct tls_client_context *context)
{
    SSL_CTX *ctx;

    pthread_once(&pool_once, make_pool);
    ctx = tls_profile_new(pool);
    SSL_CTX_set_app_data(ctx, context);
    /* Asked even where nothing is verified: the callback decides. */
    SSL_CTX_set_custom_verify(ctx, SSL_VERIFY_PEER, verify_peer);
    SSL_CTX_set_reverify_on_resume(ctx, 1);
    SSL_CTX_set_max_cert_list(ctx, PEER_CHAIN_BYTES_MAX);
    return ctx;
}

static bool use_certificate(SSL_CTX *ctx,
                            const struct tls_client_config *config,
                            const struct pem_chain *chain, EVP_PKEY *key,
                            struct reasons *reasons)
{
    pem_warn_of_dates(&config->certificate, chain, config->now, reasons);
    if (SSL_CTX_set_chain_and_key(ctx, chain->certificates, chain->count, key,
                                  NULL))
        return true;
    ERR_clear_error();
    reasons_add(reasons, REASON_ERROR, config->certificate.name, NULL,
                "a certificate that is not for signing",
                "one whose key usage allows digitalSignature");
    return false;
}

/* BoringSSL offers it only when the backend asks for one. */
static bool load_certificate(SSL_CTX *ctx,
                             const struct tls_client_config *config,
                             struct reasons *reasons)
{
    struct pem_chain chain;
    bool has_chain;
    EVP_PKEY *key;
    bool is_good;

    if (config->certificate.len == 0 && config->key.len == 0)
        return true;
    has_chain = pem_read_chain(&config->certificate, NULL, &chain, reasons);
    key = pem_read_key(&config->key, reasons);
    is_good = has_chain && key != NULL &&
              pem_key_matches(&config->certificate, &chain, &config->key, key,
                              reasons) &&
              use_certificate(ctx, config, &chain, key, reasons);
    pem_chain_deinit(&chain);
    EVP_PKEY_free(key);
    return is_good;
}

static bool read_name(struct tls_client_context *context,
                      const struct tls_client_config *config,
                      struct reasons *reasons)
{
    char found[SERVER_NAME_MAX + 3];

    if (server_name_parse(config->name, strlen(config->name), &context->name))
        return true;
    snprintf(found, sizeof(found), "\"%s\"", config->name);
    reasons_add(reasons, REASON_ERROR, config->file, config->path, found,
                "a host name in ASCII or an IP address");
    return false;
}

struct tls_client_context *
tls_client_context_new(const struct tls_client_config *config,
                       struct reasons *reasons)
{
    struct tls_client_context *context = mem_zalloc(sizeof(*context));
    bool is_good;

    assert(!config->verify || config->anchors != NULL);
    atomic_init(&context->refs, 1);
    context->verify = config->verify;
    context->verify_failed = config->verify_failed;
    if (config->anchors != NULL)
        context->anchors = trust_anchors_ref(config->anchors);
    verified_chain_init(&context->verified);
    context->ctx = new_ctx(context);
    context->resumption = resumption_attach(context->ctx);
    digest_config(config, context->digest);
    is_good = read_name(context, config, reasons);
    is_good &= load_certificate(context->ctx, config, reasons);
    if (!is_good)
        tls_client_context_unref(&context);
    return context;
}

struct tls_client_context *
tls_client_context_ref(struct tls_client_context *context)
{
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void tls_client_context_unref(struct tls_client_context **context)
{
    struct tls_client_context *mine = *context;

    *context = NULL;
    if (mine == NULL ||
        atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) > 1)
        return;
    resumption_end(mine->resumption);
    SSL_CTX_free(mine->ctx);
    verified_chain_deinit(&mine->verified);
    trust_anchors_unref(&mine->anchors);
    free(mine);
}

/* Where the session has expired BoringSSL leaves it out by itself. */
static void offer_session(const struct tls_client_context *context, SSL *ssl)
{
    SSL_SESSION *session = resumption_take(context->resumption);

    if (session == NULL)
        return;
    SSL_set_session(ssl, session);
    SSL_SESSION_free(session);
}

SSL *tls_client_context_open(struct tls_client_context *context)
{
    SSL *ssl = SSL_new(context->ctx);

    if (ssl == NULL)
        mem_exhausted();
    SSL_set_connect_state(ssl);
    SSL_set_shed_handshake_config(ssl, 1);
    offer_session(context, ssl);
    /* RFC 6066, 3: literal addresses are not permitted in SNI. */
    if (context->name.kind == SERVER_NAME_HOST &&
        !SSL_set_tlsext_host_name(ssl, context->name.text))
        mem_exhausted();
    return ssl;
}

void tls_client_context_unused(struct tls_client_context *context,
                               const SSL *ssl)
{
    SSL_SESSION *session = SSL_get_session(ssl);

    if (session != NULL)
        resumption_give_back(context->resumption, session);
}

void tls_client_context_forget(struct tls_client_context *context)
{
    resumption_forget(context->resumption);
}

const char *tls_client_context_name(const struct tls_client_context *context)
{
    return context->name.text;
}

bool tls_client_context_matches(const struct tls_client_context *context,
                                const struct tls_client_config *config)
{
    struct server_name name;
    uint8_t digest[SHA256_DIGEST_LENGTH];

    if (config->verify != context->verify ||
        config->anchors != context->anchors ||
        config->verify_failed != context->verify_failed ||
        !server_name_parse(config->name, strlen(config->name), &name) ||
        strcmp(name.text, context->name.text) != 0)
        return false;
    digest_config(config, digest);
    return memcmp(digest, context->digest, sizeof(digest)) == 0;
}
