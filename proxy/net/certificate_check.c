#include "net/certificate_check.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pool.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    LABEL_MAX = 63, /* RFC 1035, 2.3.4 */
    DAY_S = 24 * 60 * 60,
    DEPTH_MAX = 8,
    CHAIN_MAX = PEM_CHAIN_MAX
};

static char to_lower(char c)
{
    return (char)OPENSSL_tolower((unsigned char)c);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_host_byte(char c)
{
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

/* Copies a host name in lower case; false unless it is one. */
static bool copy_host(const char *text, size_t len, char *out)
{
    size_t label_len = 0;
    bool is_number = true; /* the label read last holds digits only */

    if (len == 0 || len > SERVER_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = to_lower(text[i]);

        if (label_len == 0)
            is_number = true;
        if (c != '.' && (!is_host_byte(c) || label_len == LABEL_MAX))
            return false;
        if (c == '.' && label_len == 0)
            return false;
        if (c != '.' && !is_digit(c))
            is_number = false;
        label_len = c == '.' ? 0 : label_len + 1;
        out[i] = c;
    }
    out[len] = '\0';
    return label_len > 0 && !is_number;
}

static bool parse_address(const char *text, size_t len, struct server_name *out)
{
    char copy[INET6_ADDRSTRLEN];

    if (len >= sizeof(copy) || memchr(text, '\0', len) != NULL)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (inet_pton(AF_INET, copy, out->address) == 1)
        out->address_len = sizeof(struct in_addr);
    else if (inet_pton(AF_INET6, copy, out->address) == 1)
        out->address_len = sizeof(struct in6_addr);
    else
        return false;
    memcpy(out->text, copy, len + 1);
    out->kind = SERVER_NAME_IP;
    return true;
}

bool server_name_parse(const char *text, size_t len, struct server_name *out)
{
    memset(out, 0, sizeof(*out));
    if (len == 0)
        return false;
    if (parse_address(text, len, out))
        return true;
    if (text[len - 1] == '.')
        len--;
    out->kind = SERVER_NAME_HOST;
    return copy_host(text, len, out->text);
}

static bool equals_host(const uint8_t *pattern, size_t len, const char *host)
{
    if (len != strlen(host))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (to_lower((char)pattern[i]) != host[i])
            return false;
    }
    return true;
}

bool certificate_pattern_covers(const uint8_t *pattern, size_t len,
                                const char *host)
{
    const char *rest;

    if (len == 0 || pattern[0] != '*')
        return equals_host(pattern, len, host);
    /* The wildcard is the whole first label and stands for one label; what
     * follows it is no top-level domain. */
    rest = strchr(host, '.');
    if (rest == NULL || rest == host || strchr(rest + 1, '.') == NULL)
        return false;
    return equals_host(pattern + 1, len - 1, rest);
}

/* NULL if there are none or the extension is broken or doubled. */
static GENERAL_NAMES *read_names(const X509 *certificate)
{
    GENERAL_NAMES *names =
        X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

    ERR_clear_error();
    return names;
}

static bool covers(const GENERAL_NAME *entry, const struct server_name *name)
{
    const ASN1_STRING *value;

    switch (name->kind) {
    case SERVER_NAME_HOST:
        if (entry->type != GEN_DNS)
            return false;
        value = entry->d.dNSName;
        return certificate_pattern_covers(ASN1_STRING_get0_data(value),
                                          (size_t)ASN1_STRING_length(value),
                                          name->text);
    case SERVER_NAME_IP:
        if (entry->type != GEN_IPADD)
            return false;
        value = entry->d.iPAddress;
        return (size_t)ASN1_STRING_length(value) == name->address_len &&
               memcmp(ASN1_STRING_get0_data(value), name->address,
                      name->address_len) == 0;
    }
    return false;
}

bool certificate_covers(const X509 *certificate, const struct server_name *name)
{
    GENERAL_NAMES *names = read_names(certificate);
    bool is_covered = false;

    if (names == NULL)
        return false;
    for (size_t i = 0; i < sk_GENERAL_NAME_num(names) && !is_covered; i++)
        is_covered = covers(sk_GENERAL_NAME_value(names, i), name);
    GENERAL_NAMES_free(names);
    return is_covered;
}

/* Whether a dNSName is one that could cover a host; copies it. */
static bool copy_pattern(const ASN1_STRING *value,
                         char out[SERVER_NAME_MAX + 3])
{
    const char *text = (const char *)ASN1_STRING_get0_data(value);
    size_t len = (size_t)ASN1_STRING_length(value);

    if (len < 2 || text[0] != '*' || text[1] != '.')
        return copy_host(text, len, out);
    out[0] = '*';
    out[1] = '.';
    return copy_host(text + 2, len - 2, out + 2) &&
           strchr(out + 2, '.') != NULL;
}

size_t certificate_each_name(const X509 *certificate,
                             certificate_name_handler *handler, void *owner)
{
    GENERAL_NAMES *names = read_names(certificate);
    char pattern[SERVER_NAME_MAX + 3];
    size_t count = 0;

    for (size_t i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *entry = sk_GENERAL_NAME_value(names, i);

        if (entry->type != GEN_DNS || !copy_pattern(entry->d.dNSName, pattern))
            continue;
        handler(pattern, owner);
        count++;
    }
    GENERAL_NAMES_free(names);
    return count;
}

struct trust_anchors {
    atomic_uint refs;
    X509_STORE *store;
    size_t count;
    uint8_t digest[SHA256_DIGEST_LENGTH];
};

struct anchor_reader {
    struct trust_anchors *anchors;
    size_t unread;
    size_t unfit;
};

static bool is_self_signed(X509 *certificate)
{
    EVP_PKEY *key = X509_get_pubkey(certificate);
    bool is_own = key != NULL && X509_verify(certificate, key) == 1 &&
                  X509_NAME_cmp(X509_get_subject_name(certificate),
                                X509_get_issuer_name(certificate)) == 0;

    EVP_PKEY_free(key);
    return is_own;
}

/* An authority, or a server's own certificate that nobody else vouches for.
 * One that an authority issued is vouched for by that authority, which may
 * revoke or replace it: taken for an anchor it would be a pin, good for as
 * long as it is valid whoever lost its key, and nobody asked for a pin. */
static bool is_fit(X509 *certificate)
{
    return X509_check_ca(certificate) != 0 || is_self_signed(certificate);
}

static void add_anchor(const uint8_t *der, size_t len, void *owner)
{
    struct anchor_reader *reader = owner;
    const uint8_t *end = der;
    X509 *certificate = d2i_X509(NULL, &end, (long)len);

    /* A certificate that is there already is refused by some versions. */
    if (certificate == NULL || end != der + len)
        reader->unread++;
    else if (!is_fit(certificate))
        reader->unfit++;
    else if (X509_STORE_add_cert(reader->anchors->store, certificate))
        reader->anchors->count++;
    X509_free(certificate);
    ERR_clear_error();
}

static void report_left_out(const struct pem_file *file,
                            const struct anchor_reader *reader, size_t count,
                            const char *kind, const char *expected,
                            struct reasons *reasons)
{
    bool is_empty = reader->anchors->count == 0;
    char found[64];

    if (count == 0)
        return;
    snprintf(found, sizeof(found), "%zu %s, left out", count, kind);
    reasons_add(reasons, is_empty ? REASON_ERROR : REASON_WARNING, file->name,
                NULL, found, expected);
}

struct trust_anchors *trust_anchors_new(const struct pem_file *file,
                                        struct reasons *reasons)
{
    struct trust_anchors *anchors = mem_zalloc(sizeof(*anchors));
    struct anchor_reader reader = {.anchors = anchors};

    atomic_init(&anchors->refs, 1);
    anchors->store = X509_STORE_new();
    if (anchors->store == NULL)
        mem_exhausted();
    SHA256(file->bytes, file->len, anchors->digest);
    if (pem_each_certificate(file, add_anchor, &reader, reasons)) {
        report_left_out(file, &reader, reader.unread, "malformed certificates",
                        "X.509 in DER", reasons);
        report_left_out(file, &reader, reader.unfit,
                        "certificates of no authority",
                        "authorities, or self-signed certificates", reasons);
        if (anchors->count > 0)
            return anchors;
    }
    trust_anchors_unref(&anchors);
    return NULL;
}

struct trust_anchors *trust_anchors_ref(struct trust_anchors *anchors)
{
    atomic_fetch_add_explicit(&anchors->refs, 1, memory_order_relaxed);
    return anchors;
}

void trust_anchors_unref(struct trust_anchors **anchors)
{
    struct trust_anchors *mine = *anchors;

    *anchors = NULL;
    if (mine == NULL ||
        atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) > 1)
        return;
    X509_STORE_free(mine->store);
    free(mine);
}

bool trust_anchors_match(const struct trust_anchors *anchors,
                         const struct pem_file *file)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];

    SHA256(file->bytes, file->len, digest);
    return memcmp(digest, anchors->digest, sizeof(digest)) == 0;
}

void trust_anchors_each_subject(const struct trust_anchors *anchors,
                                trust_subject_handler *handler, void *owner)
{
    const STACK_OF(X509_OBJECT) *objects =
        X509_STORE_get0_objects(anchors->store);

    for (size_t i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        const X509 *anchor =
            X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        const uint8_t *der;
        size_t len;

        if (anchor != NULL &&
            X509_NAME_get0_der(X509_get_subject_name(anchor), &der, &len))
            handler(der, len, owner);
    }
}

static STACK_OF(X509) * new_list(void)
{
    STACK_OF(X509) *list = sk_X509_new_null();

    if (list == NULL)
        mem_exhausted();
    return list;
}

static bool parse_chain(const STACK_OF(CRYPTO_BUFFER) * chain,
                        STACK_OF(X509) * parsed, char why[CERTIFICATE_WHY_MAX])
{
    size_t count = sk_CRYPTO_BUFFER_num(chain);

    if (count == 0 || count > CHAIN_MAX) {
        snprintf(why, CERTIFICATE_WHY_MAX, "%zu certificates, expected 1 to %d",
                 count, CHAIN_MAX);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        X509 *certificate =
            X509_parse_from_buffer(sk_CRYPTO_BUFFER_value(chain, i));

        if (certificate == NULL) {
            snprintf(why, CERTIFICATE_WHY_MAX,
                     "certificate %zu of the chain is malformed", i + 1);
            return false;
        }
        if (!sk_X509_push(parsed, certificate))
            mem_exhausted();
    }
    return true;
}

/* What a path must be good for, and at which moment. */
struct demand {
    int purpose;
    int64_t now;
};

static bool verify_path(X509_STORE_CTX *path, const struct demand *demand,
                        char why[CERTIFICATE_WHY_MAX])
{
    int error;

    X509_STORE_CTX_set_depth(path, DEPTH_MAX);
    /* A file may hold just the authority that issues, not the one above it. */
    X509_STORE_CTX_set_flags(path, X509_V_FLAG_TRUSTED_FIRST |
                                       X509_V_FLAG_PARTIAL_CHAIN);
    if (demand->now != 0)
        X509_STORE_CTX_set_time(path, 0, (time_t)demand->now);
    if (!X509_STORE_CTX_set_purpose(path, demand->purpose)) {
        snprintf(why, CERTIFICATE_WHY_MAX, "the purpose cannot be checked");
        return false;
    }
    if (X509_verify_cert(path) == 1 &&
        X509_STORE_CTX_get_error(path) == X509_V_OK)
        return true;
    error = X509_STORE_CTX_get_error(path);
    snprintf(why, CERTIFICATE_WHY_MAX, "certificate %d of the chain: %s",
             X509_STORE_CTX_get_error_depth(path) + 1,
             error == X509_V_OK ? "not verified"
                                : X509_verify_cert_error_string(error));
    return false;
}

static bool read_time(const ASN1_TIME *time, int64_t *out)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days;
    int seconds;
    bool is_read;

    if (epoch == NULL)
        mem_exhausted();
    is_read = ASN1_TIME_diff(&days, &seconds, epoch, time) == 1;
    ASN1_TIME_free(epoch);
    if (is_read)
        *out = (int64_t)days * DAY_S + seconds;
    return is_read;
}

/* Over the path that was verified, its anchor included. Empty if a time cannot
 * be read. */
static void find_span(X509_STORE_CTX *path, struct certificate_span *out)
{
    STACK_OF(X509) *certificates = X509_STORE_CTX_get0_chain(path);
    struct certificate_span span = {INT64_MIN, INT64_MAX};

    *out = (struct certificate_span){0, 0};
    for (size_t i = 0; i < sk_X509_num(certificates); i++) {
        const X509 *certificate = sk_X509_value(certificates, i);
        int64_t begins;
        int64_t ends;

        if (!read_time(X509_get0_notBefore(certificate), &begins) ||
            !read_time(X509_get0_notAfter(certificate), &ends))
            return;
        if (begins > span.begins)
            span.begins = begins;
        if (ends < span.ends)
            span.ends = ends;
    }
    if (sk_X509_num(certificates) > 0)
        *out = span;
}

/* error_out, which may be NULL, gets an X509_V_ERR. */
static bool check_path(const struct trust_anchors *anchors,
                       STACK_OF(X509) * chain, const struct demand *demand,
                       struct certificate_span *span_out, int *error_out,
                       char why[CERTIFICATE_WHY_MAX])
{
    X509_STORE_CTX *path = X509_STORE_CTX_new();
    bool is_good;

    if (path == NULL || !X509_STORE_CTX_init(path, anchors->store,
                                             sk_X509_value(chain, 0), chain))
        mem_exhausted();
    is_good = verify_path(path, demand, why);
    if (is_good && span_out != NULL)
        find_span(path, span_out);
    if (error_out != NULL)
        *error_out = X509_STORE_CTX_get_error(path);
    X509_STORE_CTX_free(path);
    return is_good;
}

static bool check_name(const X509 *leaf, const struct server_name *name,
                       char why[CERTIFICATE_WHY_MAX])
{
    if (certificate_covers(leaf, name))
        return true;
    snprintf(why, CERTIFICATE_WHY_MAX, "the certificate does not name %.90s",
             name->text);
    return false;
}

bool certificate_check(const struct trust_anchors *anchors,
                       const STACK_OF(CRYPTO_BUFFER) * chain,
                       const struct server_name *name, int64_t now,
                       struct certificate_span *span_out,
                       char why[CERTIFICATE_WHY_MAX])
{
    const struct demand demand = {X509_PURPOSE_SSL_SERVER, now};
    STACK_OF(X509) *parsed = new_list();
    bool is_good;

    why[0] = '\0';
    is_good = parse_chain(chain, parsed, why) &&
              check_path(anchors, parsed, &demand, span_out, NULL, why) &&
              check_name(sk_X509_value(parsed, 0), name, why);
    sk_X509_pop_free(parsed, X509_free);
    ERR_clear_error();
    return is_good;
}

bool certificate_check_client(const struct trust_anchors *anchors,
                              const STACK_OF(CRYPTO_BUFFER) * chain,
                              int64_t now, int *error_out,
                              char why[CERTIFICATE_WHY_MAX])
{
    const struct demand demand = {X509_PURPOSE_SSL_CLIENT, now};
    STACK_OF(X509) *parsed = new_list();
    bool is_good;

    why[0] = '\0';
    *error_out = X509_V_ERR_CERT_REJECTED;
    is_good = parse_chain(chain, parsed, why) &&
              check_path(anchors, parsed, &demand, NULL, error_out, why);
    sk_X509_pop_free(parsed, X509_free);
    ERR_clear_error();
    return is_good;
}
