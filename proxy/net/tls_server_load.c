#include "net/tls_server_private.h"

#include "net/tls_profile.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/pool.h>
#include <string.h>

enum {
    /* As long as the keys that open a ticket surely live. */
    TICKET_LIFE_S = TICKET_KEYS_PERIOD_MS / 1000,
    /* What a flight holds beside certificates and signature: ServerHello,
     * extensions, key share, Finished, ticket, the records' headers. */
    FLIGHT_BASE = 2048,
    FLIGHT_PER_CERTIFICATE = 16
};

static void add_number(SHA256_CTX *hash, uint64_t number)
{
    SHA256_Update(hash, &number, sizeof(number));
}

static void add_file(SHA256_CTX *hash, const struct pem_file *file)
{
    add_number(hash, file->len);
    SHA256_Update(hash, file->bytes, file->len);
}

void tls_server_digest(const struct tls_server_config *config,
                       uint8_t digest_out[SHA256_DIGEST_LENGTH])
{
    SHA256_CTX hash;

    SHA256_Init(&hash);
    add_number(&hash, (uint64_t)config->policy);
    for (size_t i = 0; i < config->certificate_count; i++) {
        add_file(&hash, &config->certificates[i].chain);
        add_file(&hash, &config->certificates[i].key);
    }
    add_file(&hash, &config->client_ca);
    SHA256_Update(&hash, config->ticket_keys,
                  config->ticket_key_count * sizeof(*config->ticket_keys));
    SHA256_Final(digest_out, &hash);
    OPENSSL_cleanse(&hash, sizeof(hash)); /* it saw keys */
}

static int apply_ticket_keys(SSL *ssl, uint8_t *name, uint8_t *iv,
                             EVP_CIPHER_CTX *cipher, HMAC_CTX *hmac,
                             int is_sealing)
{
    const struct tls_server_context *context =
        SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    if (context->shared_keys != NULL)
        return shared_ticket_keys_apply(context->shared_keys, name, iv, cipher,
                                        hmac, is_sealing);
    return ticket_keys_apply(context->keys, name, iv, cipher, hmac, is_sealing);
}

static int select_protocol(SSL *ssl, const uint8_t **out, uint8_t *out_len,
                           const uint8_t *offered, unsigned offered_len,
                           void *owner)
{
    static const uint8_t wanted[] = {4, 'i', 'm', 'a', 'p'};
    const struct tls_server_context *context = owner;

    /* BoringSSL has checked that the list is well formed. */
    for (size_t at = 0; at < offered_len; at += 1u + offered[at]) {
        if (offered_len - at >= sizeof(wanted) &&
            memcmp(offered + at, wanted, sizeof(wanted)) == 0) {
            *out = wanted + 1;
            *out_len = wanted[0];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    if (context->alpn_refused != NULL)
        context->alpn_refused(ssl, offered, offered_len);
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *new_ctx(struct tls_server_context *context,
                        enum tls_policy policy)
{
    /* Without a buffer pool: its lock would be taken at every handshake, to
     * share what is one buffer anyway. */
    SSL_CTX *ctx = tls_profile_new(NULL);

    if (policy == TLS_POLICY_COMPATIBLE)
        tls_profile_add_cbc(ctx);
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_app_data(ctx, context);
    SSL_CTX_set_select_certificate_cb(ctx, tls_server_select);
    SSL_CTX_set_alpn_select_cb(ctx, select_protocol, context);
    SSL_CTX_set_tlsext_ticket_key_cb(ctx, apply_ticket_keys);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_timeout(ctx, TICKET_LIFE_S);
    SSL_CTX_set_session_psk_dhe_timeout(ctx, TICKET_LIFE_S);
    if (context->client_trust != NULL)
        client_trust_announce(context->client_trust, ctx);
    return ctx;
}

static void take_name(const char *name, void *owner)
{
    struct certificate *certificate = owner;

    certificate->names =
        mem_realloc_array(certificate->names, certificate->name_count + 1,
                          sizeof(*certificate->names));
    certificate->names[certificate->name_count++] = mem_strdup(name);
}

static void digest_session_context(const struct pem_chain *chain,
                                   enum tls_policy policy, uint8_t *digest_out)
{
    const CRYPTO_BUFFER *leaf = chain->certificates[0];
    SHA256_CTX hash;

    SHA256_Init(&hash);
    add_number(&hash, (uint64_t)policy);
    SHA256_Update(&hash, CRYPTO_BUFFER_data(leaf), CRYPTO_BUFFER_len(leaf));
    SHA256_Final(digest_out, &hash);
}

static size_t measure_flight(const struct tls_server_context *context,
                             const struct pem_chain *chain, const EVP_PKEY *key)
{
    size_t size = FLIGHT_BASE + (size_t)EVP_PKEY_size(key);

    if (context->client_trust != NULL)
        size += client_trust_announced_len(context->client_trust);

    for (size_t i = 0; i < chain->count; i++)
        size +=
            CRYPTO_BUFFER_len(chain->certificates[i]) + FLIGHT_PER_CERTIFICATE;
    /* A long chain is cut into records, each with its header and tag. */
    return size +
           size / SSL3_RT_MAX_PLAIN_LENGTH * SSL3_RT_MAX_ENCRYPTED_OVERHEAD;
}

static bool fill_certificate(struct tls_server_context *context,
                             const struct tls_server_config *config,
                             const struct pem_file *file,
                             const struct pem_chain *chain, EVP_PKEY *key,
                             struct reasons *reasons)
{
    struct certificate *certificate =
        &context->certificates[context->certificate_count++];
    size_t flight = measure_flight(context, chain, key);

    certificate->ctx = new_ctx(context, config->policy);
    certificate->kind = key_kind_of(key);
    certificate->ends = pem_chain_ends(chain);
    digest_session_context(chain, config->policy, certificate->session_context);
    if (flight > context->flight_max)
        context->flight_max = flight;
    if (certificate_each_name(chain->leaf, take_name, certificate) == 0)
        reasons_add(reasons, REASON_WARNING, file->name, NULL,
                    "a certificate that covers no host name",
                    "one with a dNSName among its alternative names");
    pem_warn_of_dates(file, chain, config->now, reasons);
    if (SSL_CTX_set_chain_and_key(certificate->ctx, chain->certificates,
                                  chain->count, key, NULL))
        return true;
    ERR_clear_error();
    reasons_add(reasons, REASON_ERROR, file->name, NULL,
                "a certificate that is not for signing",
                "one whose key usage allows digitalSignature");
    return false;
}

static bool load_certificate(struct tls_server_context *context,
                             const struct tls_server_config *config,
                             const struct tls_server_certificate *files,
                             struct reasons *reasons)
{
    struct pem_chain chain;
    bool has_chain = pem_read_chain(&files->chain, NULL, &chain, reasons);
    EVP_PKEY *key = pem_read_key(&files->key, reasons);
    bool is_good =
        has_chain && key != NULL &&
        pem_key_matches(&files->chain, &chain, &files->key, key, reasons) &&
        fill_certificate(context, config, &files->chain, &chain, key, reasons);

    pem_chain_deinit(&chain);
    EVP_PKEY_free(key);
    return is_good;
}

static bool load_client_trust(struct tls_server_context *context,
                              const struct tls_server_config *config,
                              struct reasons *reasons)
{
    if (config->client_ca.name == NULL)
        return true;
    context->client_trust = client_trust_new(&config->client_ca, reasons);
    return context->client_trust != NULL;
}

static bool load_certificates(struct tls_server_context *context,
                              const struct tls_server_config *config,
                              struct reasons *reasons)
{
    bool are_good = true;

    context->certificates = mem_realloc_array(NULL, config->certificate_count,
                                              sizeof(*context->certificates));
    memset(context->certificates, 0,
           config->certificate_count * sizeof(*context->certificates));
    /* All are read even after a fault, so that each fault is told. */
    for (size_t i = 0; i < config->certificate_count; i++)
        are_good &= load_certificate(context, config, &config->certificates[i],
                                     reasons);
    return are_good;
}

bool tls_server_load(struct tls_server_context *context,
                     const struct tls_server_config *config,
                     struct reasons *reasons)
{
    bool is_good = load_client_trust(context, config, reasons);

    return load_certificates(context, config, reasons) && is_good;
}
