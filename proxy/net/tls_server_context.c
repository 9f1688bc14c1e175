#include "net/tls_server_context.h"

#include "net/tls_server_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* Of a client. No more than any client may send in one message of a
     * handshake: to be asked for a certificate makes nobody dearer. */
    CLIENT_CHAIN_BYTES_MAX = 16 * 1024
};

struct tls_server_context *
tls_server_context_new(const struct tls_server_config *config,
                       struct ticket_keys *keys, struct reasons *reasons)
{
    struct tls_server_context *context = mem_zalloc(sizeof(*context));

    assert(config->certificate_count > 0);
    atomic_init(&context->refs, 1);
    context->keys = ticket_keys_ref(keys);
    if (config->ticket_key_count > 0)
        context->shared_keys = shared_ticket_keys_new(config->ticket_keys,
                                                      config->ticket_key_count);
    context->alpn_refused = config->alpn_refused;
    context->client_refused = config->client_refused;
    tls_server_digest(config, context->digest);
    if (!tls_server_load(context, config, reasons)) {
        tls_server_context_unref(&context);
        return NULL;
    }
    tls_server_index(context);
    return context;
}

struct tls_server_context *
tls_server_context_ref(struct tls_server_context *context)
{
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

static void deinit_certificate(struct certificate *certificate)
{
    SSL_CTX_free(certificate->ctx);
    for (size_t i = 0; i < certificate->name_count; i++)
        free(certificate->names[i]);
    free(certificate->names);
}

void tls_server_context_unref(struct tls_server_context **context)
{
    struct tls_server_context *mine = *context;

    *context = NULL;
    if (mine == NULL ||
        atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < mine->certificate_count; i++)
        deinit_certificate(&mine->certificates[i]);
    free(mine->certificates);
    free(mine->index);
    client_trust_free(&mine->client_trust);
    ticket_keys_unref(&mine->keys);
    shared_ticket_keys_free(&mine->shared_keys);
    free(mine);
}

/* Called while the handshake runs, in which the caller holds the context. */
static enum ssl_verify_result_t verify_client(SSL *ssl, uint8_t *alert_out)
{
    const struct tls_server_context *context =
        SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    char why[CERTIFICATE_WHY_MAX];

    if (client_trust_believes(context->client_trust, ssl, alert_out, why))
        return ssl_verify_ok;
    if (context->client_refused != NULL)
        context->client_refused(ssl, why);
    return ssl_verify_invalid;
}

/* Without tickets: one would vouch for its bearer after the certificate has
 * expired or its authority was dropped, and had to hold the chain, which makes
 * flights as long as clients like. */
static void ask_for_certificate(SSL *ssl)
{
    SSL_set_custom_verify(ssl, SSL_VERIFY_PEER, verify_client);
    SSL_set_max_cert_list(ssl, CLIENT_CHAIN_BYTES_MAX);
    SSL_set_options(ssl, SSL_OP_NO_TICKET);
}

SSL *tls_server_context_open(struct tls_server_context *context,
                             bool asks_client)
{
    SSL *ssl = SSL_new(context->certificates[0].ctx);

    if (ssl == NULL)
        mem_exhausted();
    SSL_set_accept_state(ssl);
    SSL_set_shed_handshake_config(ssl, 1);
    if (asks_client && context->client_trust != NULL)
        ask_for_certificate(ssl);
    return ssl;
}

bool tls_server_context_matches(const struct tls_server_context *context,
                                const struct tls_server_config *config)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];

    if (config->certificate_count != context->certificate_count ||
        config->alpn_refused != context->alpn_refused ||
        config->client_refused != context->client_refused)
        return false;
    tls_server_digest(config, digest);
    return memcmp(digest, context->digest, sizeof(digest)) == 0;
}

size_t tls_server_context_flight_max(const struct tls_server_context *context)
{
    return context->flight_max;
}

size_t tls_server_context_name_count(const struct tls_server_context *context,
                                     size_t certificate)
{
    assert(certificate < context->certificate_count);
    return context->certificates[certificate].name_count;
}

const char *tls_server_context_name(const struct tls_server_context *context,
                                    size_t certificate, size_t index)
{
    assert(index < tls_server_context_name_count(context, certificate));
    return context->certificates[certificate].names[index];
}

int64_t tls_server_context_ends(const struct tls_server_context *context,
                                size_t certificate)
{
    assert(certificate < context->certificate_count);
    return context->certificates[certificate].ends;
}
