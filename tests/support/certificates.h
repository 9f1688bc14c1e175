/* Certificates made on the spot, good and bad. Keys of one kind are made once
 * per process, since RSA ones take long. */
#ifndef SUPPORT_CERTIFICATES_H
#define SUPPORT_CERTIFICATES_H

#include "net/pem.h"

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum test_key {
    TEST_KEY_P256,
    TEST_KEY_P384,
    TEST_KEY_P521,
    TEST_KEY_ED25519,
    TEST_KEY_RSA_2048,
    TEST_KEY_RSA_4096,
    TEST_KEY_RSA_1024,
    TEST_KEY_P224,
    TEST_KEY_OTHER_P256, /* differs from TEST_KEY_P256 */
    TEST_KEY_COUNT
};

enum test_purpose {
    TEST_PURPOSE_SERVER,
    TEST_PURPOSE_CLIENT,
    TEST_PURPOSE_ANY, /* no extended key usage */
    TEST_PURPOSE_ENCRYPTION_ONLY
};

struct test_certificate;

/* One attribute of a subject, with any bytes. */
struct test_attribute {
    int nid;  /* 0: none */
    int type; /* V_ASN1_UTF8STRING and its like */
    const char *text;
    size_t len;     /* 0: up to the text's end */
    bool is_joined; /* to the relative name before it */
};

/* All zero is a self-signed P-256 leaf without names, valid now. */
struct test_recipe {
    const char *common_name;
    struct test_attribute subject[3]; /* in its place, up to the first NID 0 */
    const char *emails[3];            /* rfc822Name, up to the first NULL */
    const void *raw_email;            /* likewise, with any bytes */
    size_t raw_email_len;
    const char *dns[4];  /* up to the first NULL */
    const void *raw_dns; /* a dNSName with any bytes */
    size_t raw_dns_len;
    const void *address; /* an iPAddress */
    size_t address_len;
    enum test_key key;
    enum test_purpose purpose;
    bool is_authority;
    long begins_s;  /* against now; 0 means a day ago */
    long ends_s;    /* likewise; 0 means in 90 days */
    size_t padding; /* bytes of a comment, to make it large */
    const struct test_certificate *issuer; /* NULL: self-signed */
};

/* Fails the test rather than return NULL. */
struct test_certificate *test_certificate_new(const struct test_recipe *recipe);
void test_certificate_free(struct test_certificate **certificate);

X509 *test_certificate_x509(const struct test_certificate *certificate);
EVP_PKEY *test_certificate_key(const struct test_certificate *certificate);

/* The certificate, then those that issued it but for the last, in PEM; owned
 * by the certificate. name is kept for messages. */
struct pem_file test_chain_file(const struct test_certificate *certificate,
                                const char *name);
/* The certificate alone. */
struct pem_file test_anchor_file(const struct test_certificate *certificate,
                                 const char *name);
struct pem_file test_key_file(const struct test_certificate *certificate,
                              const char *name);

/* As the peer would send them. Free with sk_CRYPTO_BUFFER_pop_free. */
STACK_OF(CRYPTO_BUFFER) *
    test_sent_chain(const struct test_certificate *const *certificates,
                    size_t count);

/* Frees the keys kept for reuse, so that a leak check is clean. */
void test_keys_free(void);

#endif
