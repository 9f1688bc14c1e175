#include "certificates.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/curve25519.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/pool.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const long day_s = 24L * 60 * 60;
static const long life_s = 90L * 24 * 60 * 60;

struct test_certificate {
    X509 *x509;
    EVP_PKEY *key;
    struct pem_file chain;
    struct pem_file anchor;
    struct pem_file key_file;
};

static EVP_PKEY *kept_keys[TEST_KEY_COUNT];

static EVP_PKEY *make_ec(int curve)
{
    EVP_PKEY *key = EVP_PKEY_new();
    EC_KEY *ec = EC_KEY_new_by_curve_name(curve);

    assert_true(EC_KEY_generate_key(ec));
    assert_true(EVP_PKEY_assign_EC_KEY(key, ec));
    return key;
}

static EVP_PKEY *make_rsa(int bits)
{
    EVP_PKEY *key = EVP_PKEY_new();
    RSA *rsa = RSA_new();
    BIGNUM *exponent = BN_new();

    assert_true(BN_set_word(exponent, RSA_F4));
    assert_true(RSA_generate_key_ex(rsa, bits, exponent, NULL));
    assert_true(EVP_PKEY_assign_RSA(key, rsa));
    BN_free(exponent);
    return key;
}

static EVP_PKEY *make_ed25519(void)
{
    uint8_t public_key[ED25519_PUBLIC_KEY_LEN];
    uint8_t private_key[ED25519_PRIVATE_KEY_LEN];

    ED25519_keypair(public_key, private_key);
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key,
                                        32);
}

static EVP_PKEY *make_key(enum test_key kind)
{
    switch (kind) {
    case TEST_KEY_P256:
    case TEST_KEY_OTHER_P256:
        return make_ec(NID_X9_62_prime256v1);
    case TEST_KEY_P224:
        return make_ec(NID_secp224r1);
    case TEST_KEY_P384:
        return make_ec(NID_secp384r1);
    case TEST_KEY_P521:
        return make_ec(NID_secp521r1);
    case TEST_KEY_ED25519:
        return make_ed25519();
    case TEST_KEY_RSA_1024:
        return make_rsa(1024);
    case TEST_KEY_RSA_2048:
        return make_rsa(2048);
    case TEST_KEY_RSA_4096:
        return make_rsa(4096);
    case TEST_KEY_COUNT:
        break;
    }
    abort();
}

static EVP_PKEY *take_key(enum test_key kind)
{
    if (kept_keys[kind] == NULL)
        kept_keys[kind] = make_key(kind);
    assert_non_null(kept_keys[kind]);
    EVP_PKEY_up_ref(kept_keys[kind]);
    return kept_keys[kind];
}

void test_keys_free(void)
{
    for (size_t i = 0; i < TEST_KEY_COUNT; i++) {
        EVP_PKEY_free(kept_keys[i]);
        kept_keys[i] = NULL;
    }
}

static void set_name(X509_NAME *name, const char *common_name)
{
    if (common_name == NULL)
        common_name = "nobody";
    assert_true(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                           (const uint8_t *)common_name,
                                           (int)strlen(common_name), -1, 0));
}

static void set_subject(X509_NAME *name, const struct test_recipe *recipe)
{
    if (recipe->subject[0].nid == 0) {
        set_name(name, recipe->common_name);
        return;
    }
    for (size_t i = 0; i < 3 && recipe->subject[i].nid != 0; i++) {
        const struct test_attribute *attribute = &recipe->subject[i];
        size_t len =
            attribute->len > 0 ? attribute->len : strlen(attribute->text);

        assert_true(X509_NAME_add_entry_by_NID(
            name, attribute->nid, attribute->type,
            (const uint8_t *)attribute->text, (int)len, -1,
            attribute->is_joined ? -1 : 0));
    }
}

static void push_name(GENERAL_NAMES *names, int type, const void *bytes,
                      size_t len)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value = type == GEN_IPADD
                             ? ASN1_OCTET_STRING_new()
                             : ASN1_STRING_type_new(V_ASN1_IA5STRING);

    assert_true(ASN1_STRING_set(value, bytes, (int)len));
    GENERAL_NAME_set0_value(name, type, value);
    assert_true(sk_GENERAL_NAME_push(names, name));
}

static void add_names(X509 *x509, const struct test_recipe *recipe)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();

    for (size_t i = 0; i < 4 && recipe->dns[i] != NULL; i++)
        push_name(names, GEN_DNS, recipe->dns[i], strlen(recipe->dns[i]));
    if (recipe->raw_dns != NULL)
        push_name(names, GEN_DNS, recipe->raw_dns, recipe->raw_dns_len);
    for (size_t i = 0; i < 3 && recipe->emails[i] != NULL; i++)
        push_name(names, GEN_EMAIL, recipe->emails[i],
                  strlen(recipe->emails[i]));
    if (recipe->raw_email != NULL)
        push_name(names, GEN_EMAIL, recipe->raw_email, recipe->raw_email_len);
    if (recipe->address != NULL)
        push_name(names, GEN_IPADD, recipe->address, recipe->address_len);
    if (sk_GENERAL_NAME_num(names) > 0)
        assert_true(X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, 0));
    GENERAL_NAMES_free(names);
}

static void add_purpose(X509 *x509, int purpose)
{
    EXTENDED_KEY_USAGE *usage = EXTENDED_KEY_USAGE_new();

    assert_true(sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(purpose)));
    assert_true(X509_add1_ext_i2d(x509, NID_ext_key_usage, usage, 0, 0));
    EXTENDED_KEY_USAGE_free(usage);
}

static void add_key_usage(X509 *x509, int bit)
{
    ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();

    assert_true(ASN1_BIT_STRING_set_bit(usage, bit, 1));
    assert_true(X509_add1_ext_i2d(x509, NID_key_usage, usage, 1, 0));
    ASN1_BIT_STRING_free(usage);
}

static void add_purposes(X509 *x509, enum test_purpose purpose)
{
    switch (purpose) {
    case TEST_PURPOSE_SERVER:
        add_purpose(x509, NID_server_auth);
        break;
    case TEST_PURPOSE_CLIENT:
        add_purpose(x509, NID_client_auth);
        break;
    case TEST_PURPOSE_ENCRYPTION_ONLY:
        add_key_usage(x509, 2); /* keyEncipherment */
        break;
    case TEST_PURPOSE_ANY:
        break;
    }
}

static void add_authority(X509 *x509)
{
    BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();

    constraints->ca = 0xff;
    assert_true(
        X509_add1_ext_i2d(x509, NID_basic_constraints, constraints, 1, 0));
    BASIC_CONSTRAINTS_free(constraints);
}

static void add_padding(X509 *x509, size_t len)
{
    ASN1_IA5STRING *comment = ASN1_IA5STRING_new();
    char *bytes = calloc(1, len);

    memset(bytes, 'x', len);
    assert_true(ASN1_STRING_set(comment, bytes, (int)len));
    assert_true(X509_add1_ext_i2d(x509, NID_netscape_comment, comment, 0, 0));
    ASN1_IA5STRING_free(comment);
    free(bytes);
}

static void add_extensions(X509 *x509, const struct test_recipe *recipe)
{
    add_names(x509, recipe);
    if (recipe->is_authority)
        add_authority(x509);
    else
        add_purposes(x509, recipe->purpose);
    if (recipe->padding > 0)
        add_padding(x509, recipe->padding);
}

static void set_dates(X509 *x509, const struct test_recipe *recipe)
{
    long begins = recipe->begins_s != 0 ? recipe->begins_s : -day_s;
    long ends = recipe->ends_s != 0 ? recipe->ends_s : life_s;

    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x509), begins));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x509), ends));
}

static void sign(X509 *x509, EVP_PKEY *key)
{
    const EVP_MD *digest =
        EVP_PKEY_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();

    assert_true(X509_sign(x509, key, digest));
}

static X509 *make_x509(const struct test_recipe *recipe, EVP_PKEY *key)
{
    static long serial = 1000;
    X509 *x509 = X509_new();
    X509_NAME *subject = X509_get_subject_name(x509);

    assert_true(X509_set_version(x509, X509_VERSION_3));
    ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++);
    set_subject(subject, recipe);
    set_dates(x509, recipe);
    assert_true(X509_set_pubkey(x509, key));
    add_extensions(x509, recipe);
    assert_true(X509_set_issuer_name(
        x509, recipe->issuer == NULL
                  ? subject
                  : X509_get_subject_name(recipe->issuer->x509)));
    sign(x509, recipe->issuer == NULL ? key : recipe->issuer->key);
    return x509;
}

/* Takes what a memory BIO holds. */
static void take_bytes(BIO *bio, struct pem_file *out)
{
    const uint8_t *bytes;

    assert_true(BIO_mem_contents(bio, &bytes, &out->len));
    out->bytes = memcpy(malloc(out->len), bytes, out->len);
    BIO_free(bio);
}

static void write_files(struct test_certificate *certificate,
                        const struct test_certificate *issuer)
{
    BIO *chain = BIO_new(BIO_s_mem());
    BIO *anchor = BIO_new(BIO_s_mem());
    BIO *key = BIO_new(BIO_s_mem());

    assert_true(PEM_write_bio_X509(anchor, certificate->x509));
    assert_true(PEM_write_bio_X509(chain, certificate->x509));
    /* What the issuer's own chain file holds, unless it is a root. */
    if (issuer != NULL &&
        X509_NAME_cmp(X509_get_issuer_name(issuer->x509),
                      X509_get_subject_name(issuer->x509)) != 0)
        assert_true(
            BIO_write_all(chain, issuer->chain.bytes, issuer->chain.len));
    assert_true(PEM_write_bio_PrivateKey(key, certificate->key, NULL, NULL, 0,
                                         NULL, NULL));
    take_bytes(chain, &certificate->chain);
    take_bytes(anchor, &certificate->anchor);
    take_bytes(key, &certificate->key_file);
}

struct test_certificate *test_certificate_new(const struct test_recipe *recipe)
{
    struct test_certificate *certificate = calloc(1, sizeof(*certificate));

    certificate->key = take_key(recipe->key);
    certificate->x509 = make_x509(recipe, certificate->key);
    write_files(certificate, recipe->issuer);
    return certificate;
}

static void free_file(struct pem_file *file)
{
    union {
        const uint8_t *lent;
        uint8_t *owned;
    } bytes = {file->bytes};

    free(bytes.owned);
}

void test_certificate_free(struct test_certificate **certificate)
{
    struct test_certificate *mine = *certificate;

    *certificate = NULL;
    if (mine == NULL)
        return;
    X509_free(mine->x509);
    EVP_PKEY_free(mine->key);
    free_file(&mine->chain);
    free_file(&mine->anchor);
    free_file(&mine->key_file);
    free(mine);
}

X509 *test_certificate_x509(const struct test_certificate *certificate)
{
    return certificate->x509;
}

EVP_PKEY *test_certificate_key(const struct test_certificate *certificate)
{
    return certificate->key;
}

static struct pem_file named(struct pem_file file, const char *name)
{
    file.name = name;
    return file;
}

struct pem_file test_chain_file(const struct test_certificate *certificate,
                                const char *name)
{
    return named(certificate->chain, name);
}

struct pem_file test_anchor_file(const struct test_certificate *certificate,
                                 const char *name)
{
    return named(certificate->anchor, name);
}

struct pem_file test_key_file(const struct test_certificate *certificate,
                              const char *name)
{
    return named(certificate->key_file, name);
}

STACK_OF(CRYPTO_BUFFER) *
    test_sent_chain(const struct test_certificate *const *certificates,
                    size_t count)
{
    STACK_OF(CRYPTO_BUFFER) *chain = sk_CRYPTO_BUFFER_new_null();

    for (size_t i = 0; i < count; i++) {
        uint8_t *der = NULL;
        int len = i2d_X509(certificates[i]->x509, &der);

        assert_true(len > 0);
        assert_true(sk_CRYPTO_BUFFER_push(
            chain, CRYPTO_BUFFER_new(der, (size_t)len, NULL)));
        OPENSSL_free(der);
    }
    return chain;
}
