#include "net/tls_server_context.h"

#include "net/certificate_check.h"
#include "net/client_hello.h"
#include "net/client_trust.h"
#include "net/tls_profile.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/pool.h>
#include <openssl/sha.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* As long as the keys that open a ticket surely live. */
    TICKET_LIFE_S = TICKET_KEYS_PERIOD_MS / 1000,
    /* What a flight holds beside certificates and signature: ServerHello,
     * extensions, key share, Finished, ticket, the records' headers. */
    FLIGHT_BASE = 2048,
    FLIGHT_PER_CERTIFICATE = 16,
    /* Of a client. No more than any client may send in one message of a
     * handshake: to be asked for a certificate makes nobody dearer. */
    CLIENT_CHAIN_BYTES_MAX = 16 * 1024,
    PATTERN_MAX = SERVER_NAME_MAX + 2
};

/* One certificate has one SSL_CTX, alike in all but the certificate: to swap
 * it in costs two reference counts, while setting a chain on an SSL would
 * parse the leaf at every handshake. */
struct certificate {
    SSL_CTX *ctx;
    enum key_kind kind;
    uint8_t session_context[SHA256_DIGEST_LENGTH];
    char **names;
    size_t name_count;
    int64_t ends; /* seconds since the epoch */
};

struct name_entry {
    const char *name; /* the certificate's own */
    size_t certificate;
};

struct tls_server_context {
    atomic_uint refs;
    struct certificate *certificates;
    size_t certificate_count;
    struct name_entry *index; /* by name, then in the config's order */
    size_t index_count;
    struct ticket_keys *keys;
    struct shared_ticket_keys *shared_keys; /* instead of keys; NULL: none */
    struct client_trust *client_trust;      /* NULL: no client is asked */
    tls_alpn_refused *alpn_refused;
    tls_client_refused *client_refused;
    size_t flight_max;
    uint8_t digest[SHA256_DIGEST_LENGTH];
};

static bool load_client_trust(struct tls_server_context *context,
                              const struct tls_server_config *config,
                              struct reasons *reasons);
static bool load_certificates(struct tls_server_context *context,
                              const struct tls_server_config *config,
                              struct reasons *reasons);
static void build_index(struct tls_server_context *context);
static enum ssl_select_cert_result_t
select_certificate(const SSL_CLIENT_HELLO *hello);

static void add_number(SHA256_CTX *hash, uint64_t number)
{
    SHA256_Update(hash, &number, sizeof(number));
}

static void add_file(SHA256_CTX *hash, const struct pem_file *file)
{
    add_number(hash, file->len);
    SHA256_Update(hash, file->bytes, file->len);
}

static void digest_config(const struct tls_server_config *config,
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

struct tls_server_context *
tls_server_context_new(const struct tls_server_config *config,
                       struct ticket_keys *keys, struct reasons *reasons)
{
    struct tls_server_context *context = mem_zalloc(sizeof(*context));
    bool is_good;

    assert(config->certificate_count > 0);
    atomic_init(&context->refs, 1);
    context->keys = ticket_keys_ref(keys);
    if (config->ticket_key_count > 0)
        context->shared_keys = shared_ticket_keys_new(config->ticket_keys,
                                                      config->ticket_key_count);
    context->alpn_refused = config->alpn_refused;
    context->client_refused = config->client_refused;
    digest_config(config, context->digest);
    is_good = load_client_trust(context, config, reasons);
    is_good &= load_certificates(context, config, reasons);
    if (!is_good) {
        tls_server_context_unref(&context);
        return NULL;
    }
    build_index(context);
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
    digest_config(config, digest);
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

/* Loading. */

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
    SSL_CTX_set_select_certificate_cb(ctx, select_certificate);
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

static int compare_entries(const void *left, const void *right)
{
    const struct name_entry *a = left;
    const struct name_entry *b = right;
    int order = strcmp(a->name, b->name);

    if (order != 0)
        return order;
    return (a->certificate > b->certificate) -
           (a->certificate < b->certificate);
}

static void build_index(struct tls_server_context *context)
{
    size_t count = 0;

    for (size_t i = 0; i < context->certificate_count; i++)
        count += context->certificates[i].name_count;
    context->index = mem_realloc_array(NULL, count, sizeof(*context->index));
    for (size_t i = 0; i < context->certificate_count; i++) {
        const struct certificate *certificate = &context->certificates[i];

        for (size_t n = 0; n < certificate->name_count; n++)
            context->index[context->index_count++] =
                (struct name_entry){certificate->names[n], i};
    }
    qsort(context->index, count, sizeof(*context->index), compare_entries);
}

/* Choosing, once per handshake. Nothing is allocated and nothing kept. */

static size_t find_first(const struct tls_server_context *context,
                         const char *name)
{
    size_t low = 0;
    size_t high = context->index_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(context->index[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first certificate of that name which the client can verify, RSA last
 * since signing with it costs most; NULL if there is none. fallback gets the
 * first of that name, unless it has one. */
static const struct certificate *
choose_named(const struct tls_server_context *context,
             const SSL_CLIENT_HELLO *hello, const char *name,
             const struct certificate **fallback)
{
    const struct certificate *rsa = NULL;

    for (size_t i = find_first(context, name);
         i < context->index_count && strcmp(context->index[i].name, name) == 0;
         i++) {
        const struct certificate *certificate =
            &context->certificates[context->index[i].certificate];

        if (*fallback == NULL)
            *fallback = certificate;
        if (!client_hello_verifies(hello, certificate->kind))
            continue;
        if (certificate->kind != KEY_RSA)
            return certificate;
        if (rsa == NULL)
            rsa = certificate;
    }
    return rsa;
}

/* A client that can verify none of a name's certificates gets the first, and
 * its own alert; never one of another name. */
static const struct certificate *
choose_for_host(const struct tls_server_context *context,
                const SSL_CLIENT_HELLO *hello, const char *host)
{
    const struct certificate *fallback = NULL;
    const struct certificate *chosen =
        choose_named(context, hello, host, &fallback);
    const char *rest = strchr(host, '.');
    char pattern[PATTERN_MAX + 1] = "*";

    if (chosen != NULL || rest == NULL)
        return chosen != NULL ? chosen : fallback;
    memcpy(pattern + 1, rest, strlen(rest) + 1);
    chosen = choose_named(context, hello, pattern, &fallback);
    return chosen != NULL ? chosen : fallback;
}

/* The first certificate, or one of the same name that the client can verify. */
static const struct certificate *
choose_default(const struct tls_server_context *context,
               const SSL_CLIENT_HELLO *hello)
{
    const struct certificate *first = &context->certificates[0];
    const struct certificate *fallback = first;
    const struct certificate *chosen = NULL;

    if (first->name_count > 0)
        chosen = choose_named(context, hello, first->names[0], &fallback);
    return chosen != NULL ? chosen : first;
}

static const struct certificate *
choose(const struct tls_server_context *context, const SSL_CLIENT_HELLO *hello)
{
    const char *asked =
        SSL_get_servername(hello->ssl, TLSEXT_NAMETYPE_host_name);
    const struct certificate *chosen = NULL;
    struct server_name name;

    if (asked != NULL && server_name_parse(asked, strlen(asked), &name) &&
        name.kind == SERVER_NAME_HOST)
        chosen = choose_for_host(context, hello, name.text);
    return chosen != NULL ? chosen : choose_default(context, hello);
}

static enum ssl_select_cert_result_t
select_certificate(const SSL_CLIENT_HELLO *hello)
{
    SSL *ssl = hello->ssl;
    const struct tls_server_context *context =
        SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const struct certificate *chosen = choose(context, hello);

    if (SSL_get_SSL_CTX(ssl) != chosen->ctx &&
        SSL_set_SSL_CTX(ssl, chosen->ctx) == NULL)
        return ssl_select_cert_error;
    /* A ticket resumes only under the policy and the certificate that it was
     * issued under (threats.md, B5). */
    if (!SSL_set_session_id_context(ssl, chosen->session_context,
                                    sizeof(chosen->session_context)))
        return ssl_select_cert_error;
    return ssl_select_cert_success;
}
