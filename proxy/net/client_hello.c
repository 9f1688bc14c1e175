#include "net/client_hello.h"

#include <openssl/bytestring.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <stddef.h>
#include <stdint.h>

/* IANA's numbers of named groups. */
enum {
    GROUP_NONE = 0,
    GROUP_P256 = 23,
    GROUP_P384 = 24,
    GROUP_P521 = 25
};

enum key_kind key_kind_of(const EVP_PKEY *key)
{
    const EC_KEY *ec = EVP_PKEY_get0_EC_KEY(key);

    if (EVP_PKEY_id(key) == EVP_PKEY_RSA)
        return KEY_RSA;
    if (ec == NULL)
        return KEY_ED25519;
    switch (EC_GROUP_get_curve_name(EC_KEY_get0_group(ec))) {
    case NID_X9_62_prime256v1:
        return KEY_ECDSA_P256;
    case NID_secp384r1:
        return KEY_ECDSA_P384;
    }
    return KEY_ECDSA_P521;
}

/* Finds a list of 16-bit numbers, with a length of its own in front, that is
 * the whole of an extension. */
static bool find_list(const SSL_CLIENT_HELLO *hello, uint16_t extension,
                      CBS *list_out)
{
    const uint8_t *bytes;
    size_t len;
    CBS body;

    if (!SSL_early_callback_ctx_extension_get(hello, extension, &bytes, &len))
        return false;
    CBS_init(&body, bytes, len);
    return CBS_get_u16_length_prefixed(&body, list_out) && CBS_len(&body) == 0;
}

static bool offers_tls13(const SSL_CLIENT_HELLO *hello)
{
    const uint8_t *bytes;
    size_t len;
    CBS body;
    CBS versions;
    uint16_t version;

    if (!SSL_early_callback_ctx_extension_get(
            hello, TLSEXT_TYPE_supported_versions, &bytes, &len))
        return false;
    CBS_init(&body, bytes, len);
    if (!CBS_get_u8_length_prefixed(&body, &versions))
        return false;
    while (CBS_get_u16(&versions, &version)) {
        if (version == TLS1_3_VERSION)
            return true;
    }
    return false;
}

/* In TLS 1.3 a scheme of ECDSA names its curve too. */
static bool suits_in_tls13(uint16_t scheme, enum key_kind kind)
{
    switch (kind) {
    case KEY_RSA:
        return scheme == SSL_SIGN_RSA_PSS_RSAE_SHA256 ||
               scheme == SSL_SIGN_RSA_PSS_RSAE_SHA384 ||
               scheme == SSL_SIGN_RSA_PSS_RSAE_SHA512;
    case KEY_ECDSA_P256:
        return scheme == SSL_SIGN_ECDSA_SECP256R1_SHA256;
    case KEY_ECDSA_P384:
        return scheme == SSL_SIGN_ECDSA_SECP384R1_SHA384;
    case KEY_ECDSA_P521:
        return scheme == SSL_SIGN_ECDSA_SECP521R1_SHA512;
    case KEY_ED25519:
        return scheme == SSL_SIGN_ED25519;
    }
    return false;
}

static bool suits_in_tls12(uint16_t scheme, enum key_kind kind)
{
    switch (kind) {
    case KEY_RSA:
        return suits_in_tls13(scheme, kind) ||
               scheme == SSL_SIGN_RSA_PKCS1_SHA256 ||
               scheme == SSL_SIGN_RSA_PKCS1_SHA384 ||
               scheme == SSL_SIGN_RSA_PKCS1_SHA512;
    case KEY_ECDSA_P256:
    case KEY_ECDSA_P384:
    case KEY_ECDSA_P521:
        return scheme == SSL_SIGN_ECDSA_SECP256R1_SHA256 ||
               scheme == SSL_SIGN_ECDSA_SECP384R1_SHA384 ||
               scheme == SSL_SIGN_ECDSA_SECP521R1_SHA512;
    case KEY_ED25519:
        return scheme == SSL_SIGN_ED25519;
    }
    return false;
}

static bool offers_scheme(const SSL_CLIENT_HELLO *hello, enum key_kind kind,
                          bool is_tls13)
{
    CBS schemes;
    uint16_t scheme;

    if (!find_list(hello, TLSEXT_TYPE_signature_algorithms, &schemes))
        return false;
    while (CBS_get_u16(&schemes, &scheme)) {
        if (is_tls13 ? suits_in_tls13(scheme, kind)
                     : suits_in_tls12(scheme, kind))
            return true;
    }
    return false;
}

static uint16_t group_of(enum key_kind kind)
{
    switch (kind) {
    case KEY_ECDSA_P256:
        return GROUP_P256;
    case KEY_ECDSA_P384:
        return GROUP_P384;
    case KEY_ECDSA_P521:
        return GROUP_P521;
    case KEY_RSA:
    case KEY_ED25519:
        break;
    }
    return GROUP_NONE;
}

static bool offers_group(const SSL_CLIENT_HELLO *hello, uint16_t wanted)
{
    CBS groups;
    uint16_t group;

    if (wanted == GROUP_NONE)
        return true;
    if (!find_list(hello, TLSEXT_TYPE_supported_groups, &groups))
        return false;
    while (CBS_get_u16(&groups, &group)) {
        if (group == wanted)
            return true;
    }
    return false;
}

/* One of our own suites for TLS 1.2, with this kind of key. */
static bool is_suite_of(const SSL *ssl, uint16_t suite, enum key_kind kind)
{
    const STACK_OF(SSL_CIPHER) *ours = SSL_get_ciphers(ssl);
    int authentication = kind == KEY_RSA ? NID_auth_rsa : NID_auth_ecdsa;

    for (size_t i = 0; ours != NULL && i < sk_SSL_CIPHER_num(ours); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ours, i);

        if (SSL_CIPHER_get_protocol_id(cipher) == suite)
            return SSL_CIPHER_get_auth_nid(cipher) == authentication;
    }
    return false;
}

static bool offers_suite(const SSL_CLIENT_HELLO *hello, enum key_kind kind)
{
    CBS suites;
    uint16_t suite;

    CBS_init(&suites, hello->cipher_suites, hello->cipher_suites_len);
    while (CBS_get_u16(&suites, &suite)) {
        if (is_suite_of(hello->ssl, suite, kind))
            return true;
    }
    return false;
}

bool client_hello_verifies(const SSL_CLIENT_HELLO *hello, enum key_kind kind)
{
    if (offers_tls13(hello))
        return offers_scheme(hello, kind, true);
    return offers_scheme(hello, kind, false) &&
           offers_group(hello, group_of(kind)) && offers_suite(hello, kind);
}
