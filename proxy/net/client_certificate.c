#include "net/client_certificate.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/nid.h>
#include <openssl/pool.h>
#include <openssl/x509v3.h>
#include <string.h>

static bool find_email(const X509 *certificate, char *out, size_t size);
static bool find_common_name(const X509 *certificate, char *out, size_t size);

bool client_certificate_name(const X509 *certificate,
                             enum certificate_user kind, char *out, size_t size)
{
    bool is_found = false;

    out[0] = '\0';
    switch (kind) {
    case CERTIFICATE_USER_EMAIL:
        is_found = find_email(certificate, out, size);
        break;
    case CERTIFICATE_USER_COMMON_NAME:
        is_found = find_common_name(certificate, out, size);
        break;
    }
    ERR_clear_error();
    return is_found;
}

bool client_certificate_user(const SSL *ssl, enum certificate_user kind,
                             char *out, size_t size)
{
    const STACK_OF(CRYPTO_BUFFER) *chain = SSL_get0_peer_certificates(ssl);
    X509 *leaf;
    bool is_found;

    out[0] = '\0';
    /* A chain that was not believed has ended its handshake; a ticket may hold
     * one that would not be believed now. */
    if (chain == NULL || sk_CRYPTO_BUFFER_num(chain) == 0 ||
        SSL_session_reused(ssl) || SSL_get_verify_result(ssl) != X509_V_OK)
        return false;
    leaf = X509_parse_from_buffer(sk_CRYPTO_BUFFER_value(chain, 0));
    if (leaf == NULL) {
        ERR_clear_error();
        return false;
    }
    is_found = client_certificate_name(leaf, kind, out, size);
    X509_free(leaf);
    return is_found;
}

/* Those of Unicode's first page as well, in UTF-8. */
static bool has_control(const uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] == 0x7f)
            return true;
        if (text[i] == 0xc2 && i + 1 < len && text[i + 1] < 0xa0)
            return true;
    }
    return false;
}

static bool is_ascii(const uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] >= 0x80)
            return false;
    }
    return true;
}

static bool is_utf8(const ASN1_STRING *value)
{
    uint8_t *text = NULL;
    bool is_good = ASN1_STRING_to_UTF8(&text, value) >= 0;

    OPENSSL_free(text);
    return is_good;
}

/* Whether the value holds the characters that its type allows. The other types
 * are not bytes of a name as IMAP has them. */
static bool is_text(const ASN1_STRING *value)
{
    switch (ASN1_STRING_type(value)) {
    case V_ASN1_UTF8STRING:
        return is_utf8(value);
    case V_ASN1_PRINTABLESTRING:
    case V_ASN1_IA5STRING:
        return is_ascii(ASN1_STRING_get0_data(value),
                        (size_t)ASN1_STRING_length(value));
    }
    return false;
}

static bool copy_name(const ASN1_STRING *value, char *out, size_t size)
{
    const uint8_t *text = ASN1_STRING_get0_data(value);
    size_t len = (size_t)ASN1_STRING_length(value);

    if (len == 0 || len > CLIENT_CERTIFICATE_USER_MAX || len >= size ||
        !is_text(value) || has_control(text, len))
        return false;
    memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

/* The only entry of the kind; NULL if there is none or another. */
static const GENERAL_NAME *find_only_email(const GENERAL_NAMES *names)
{
    const GENERAL_NAME *found = NULL;

    for (size_t i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *entry = sk_GENERAL_NAME_value(names, i);

        if (entry->type != GEN_EMAIL)
            continue;
        if (found != NULL)
            return NULL;
        found = entry;
    }
    return found;
}

static bool find_email(const X509 *certificate, char *out, size_t size)
{
    /* NULL too where the extension is broken or there are two. */
    GENERAL_NAMES *names =
        X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    const GENERAL_NAME *only = names == NULL ? NULL : find_only_email(names);
    bool is_good = only != NULL && copy_name(only->d.rfc822Name, out, size);

    GENERAL_NAMES_free(names);
    return is_good;
}

static bool find_common_name(const X509 *certificate, char *out, size_t size)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
        return false;
    return copy_name(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)),
                     out, size);
}
