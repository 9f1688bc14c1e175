#include "net/pem.h"

#include <assert.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/pool.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    RSA_BITS_MIN = 2048, /* RFC 9325, 4.5 */
    DAY_S = 24 * 60 * 60
};

static void add_error(struct reasons *reasons, const struct pem_file *file,
                      const char *found, const char *expected)
{
    reasons_add(reasons, REASON_ERROR, file->name, NULL, found, expected);
}

static void add_warning(struct reasons *reasons, const struct pem_file *file,
                        const char *found, const char *expected)
{
    reasons_add(reasons, REASON_WARNING, file->name, NULL, found, expected);
}

static BIO *open_bytes(const struct pem_file *file)
{
    BIO *bio;

    assert(file->len <= INT_MAX);
    bio = BIO_new_mem_buf(file->bytes, (int)file->len);
    if (bio == NULL)
        mem_exhausted();
    return bio;
}

enum pem_step {
    PEM_CERTIFICATE,
    PEM_OTHER,
    PEM_END,
    PEM_BROKEN
};

static enum pem_step read_object(BIO *bio, uint8_t **der_out, size_t *len_out)
{
    char *name = NULL;
    char *header = NULL;
    long len = 0;
    enum pem_step step = PEM_OTHER;

    ERR_clear_error();
    if (!PEM_read_bio(bio, &name, &header, der_out, &len)) {
        uint32_t error = ERR_peek_last_error();

        ERR_clear_error();
        return ERR_GET_LIB(error) == ERR_LIB_PEM &&
                       ERR_GET_REASON(error) == PEM_R_NO_START_LINE
                   ? PEM_END
                   : PEM_BROKEN;
    }
    *len_out = (size_t)len;
    if (strcmp(name, PEM_STRING_X509) == 0 ||
        strcmp(name, PEM_STRING_X509_OLD) == 0)
        step = PEM_CERTIFICATE;
    OPENSSL_free(name);
    OPENSSL_free(header);
    return step;
}

bool pem_each_certificate(const struct pem_file *file,
                          pem_certificate_handler *handler, void *owner,
                          struct reasons *reasons)
{
    BIO *bio;
    enum pem_step step;
    uint8_t *der = NULL;
    size_t len = 0;
    size_t count = 0;

    if (file->len > INT_MAX) {
        add_error(reasons, file, "more than 2 GiB", "certificates in PEM");
        return false;
    }
    bio = open_bytes(file);
    while ((step = read_object(bio, &der, &len)) == PEM_CERTIFICATE ||
           step == PEM_OTHER) {
        if (step == PEM_CERTIFICATE) {
            handler(der, len, owner);
            count++;
        }
        OPENSSL_free(der); /* wipes, as BoringSSL always does */
    }
    BIO_free(bio);
    if (step == PEM_BROKEN)
        add_error(reasons, file, "broken PEM", "certificates in PEM");
    else if (count == 0)
        add_error(reasons, file, "no certificate", "certificates in PEM");
    return step == PEM_END && count > 0;
}

struct chain_reader {
    const struct pem_file *file;
    CRYPTO_BUFFER_POOL *pool;
    struct pem_chain *chain;
    X509 *last; /* the certificate read before, owned */
    struct reasons *reasons;
    size_t number; /* of the certificate in the file, from 1 */
    bool is_good;
};

static void warn_of_order(struct chain_reader *reader, const X509 *certificate)
{
    char found[80];

    if (X509_NAME_cmp(X509_get_issuer_name(reader->last),
                      X509_get_subject_name(certificate)) == 0)
        return;
    snprintf(found, sizeof(found),
             "certificate %zu, which did not issue certificate %zu",
             reader->number, reader->number - 1);
    add_warning(reader->reasons, reader->file, found,
                "each certificate followed by its issuer");
}

static void append_certificate(struct chain_reader *reader,
                               CRYPTO_BUFFER *buffer, X509 *certificate)
{
    struct pem_chain *chain = reader->chain;

    chain->certificates[chain->count++] = buffer;
    if (chain->leaf == NULL) {
        X509_up_ref(certificate);
        chain->leaf = certificate;
    } else if (reader->last != NULL) {
        warn_of_order(reader, certificate);
    }
    X509_free(reader->last);
    reader->last = certificate;
}

static void read_certificate(const uint8_t *der, size_t len, void *owner)
{
    struct chain_reader *reader = owner;
    CRYPTO_BUFFER *buffer;
    X509 *certificate;
    char found[48];

    reader->number++;
    if (reader->number == PEM_CHAIN_MAX + 1) {
        add_error(reader->reasons, reader->file, "more than 16 certificates",
                  "a chain, not a bundle");
        reader->is_good = false;
    }
    if (reader->number > PEM_CHAIN_MAX)
        return;
    buffer = CRYPTO_BUFFER_new(der, len, reader->pool);
    if (buffer == NULL)
        mem_exhausted();
    certificate = X509_parse_from_buffer(buffer);
    if (certificate != NULL) {
        append_certificate(reader, buffer, certificate);
        return;
    }
    snprintf(found, sizeof(found), "certificate %zu malformed", reader->number);
    add_error(reader->reasons, reader->file, found, "X.509 in DER");
    reader->is_good = false;
    CRYPTO_BUFFER_free(buffer);
}

bool pem_read_chain(const struct pem_file *file, CRYPTO_BUFFER_POOL *pool,
                    struct pem_chain *chain_out, struct reasons *reasons)
{
    struct chain_reader reader = {.file = file,
                                  .pool = pool,
                                  .chain = chain_out,
                                  .reasons = reasons,
                                  .is_good = true};
    bool is_read;

    memset(chain_out, 0, sizeof(*chain_out));
    is_read = pem_each_certificate(file, read_certificate, &reader, reasons);
    X509_free(reader.last);
    ERR_clear_error();
    if (is_read && reader.is_good)
        return true;
    pem_chain_deinit(chain_out);
    return false;
}

void pem_chain_deinit(struct pem_chain *chain)
{
    for (size_t i = 0; i < chain->count; i++)
        CRYPTO_BUFFER_free(chain->certificates[i]);
    X509_free(chain->leaf);
    memset(chain, 0, sizeof(*chain));
}

static const char *find_fault_of_curve(const EVP_PKEY *key)
{
    const EC_KEY *ec = EVP_PKEY_get0_EC_KEY(key);

    switch (EC_GROUP_get_curve_name(EC_KEY_get0_group(ec))) {
    case NID_X9_62_prime256v1:
    case NID_secp384r1:
    case NID_secp521r1:
        return NULL;
    }
    return "an EC key on another curve than P-256, P-384 or P-521";
}

static const char *find_fault_of_key(const EVP_PKEY *key)
{
    switch (EVP_PKEY_id(key)) {
    case EVP_PKEY_EC:
        return find_fault_of_curve(key);
    case EVP_PKEY_ED25519:
        return NULL;
    case EVP_PKEY_RSA:
        return EVP_PKEY_bits(key) < RSA_BITS_MIN
                   ? "an RSA key of less than 2048 bits"
                   : NULL;
    }
    return "a key of another kind";
}

static const char *find_fault_of_text(const struct pem_file *file)
{
    static const char mark[] = "ENCRYPTED";

    if (file->len > 0 &&
        memmem(file->bytes, file->len, mark, sizeof(mark) - 1) != NULL)
        return "an encrypted key";
    return "no private key that can be read";
}

EVP_PKEY *pem_read_key(const struct pem_file *file, struct reasons *reasons)
{
    EVP_PKEY *key = NULL;
    const char *fault;

    if (file->len <= INT_MAX) {
        BIO *bio = open_bytes(file);

        key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        BIO_free(bio);
        ERR_clear_error();
    }
    fault = key == NULL ? find_fault_of_text(file) : find_fault_of_key(key);
    if (fault == NULL)
        return key;
    add_error(reasons, file, fault,
              "an unencrypted EC, Ed25519 or RSA key in PEM");
    EVP_PKEY_free(key);
    return NULL;
}

bool pem_key_matches(const struct pem_file *chain_file,
                     const struct pem_chain *chain,
                     const struct pem_file *key_file, const EVP_PKEY *key,
                     struct reasons *reasons)
{
    EVP_PKEY *certified = X509_get_pubkey(chain->leaf);
    bool matches = certified != NULL && EVP_PKEY_cmp(certified, key) == 1;
    char expected[512];

    EVP_PKEY_free(certified);
    ERR_clear_error();
    if (matches)
        return true;
    snprintf(expected, sizeof(expected),
             "the key of the first certificate in %s", chain_file->name);
    add_error(reasons, key_file, "another key", expected);
    return false;
}

int64_t pem_chain_ends(const struct pem_chain *chain)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days, seconds;
    bool is_read;

    if (epoch == NULL)
        mem_exhausted();
    is_read = ASN1_TIME_diff(&days, &seconds, epoch,
                             X509_get0_notAfter(chain->leaf)) == 1;
    ASN1_TIME_free(epoch);
    ERR_clear_error();
    return is_read ? (int64_t)days * DAY_S + seconds : 0;
}

static bool is_before(const ASN1_TIME *moment, int64_t time_s)
{
    time_t time = (time_t)time_s;

    /* 0 is a moment that cannot be read: as good as past. */
    return X509_cmp_time(moment, &time) <= 0;
}

void pem_warn_of_dates(const struct pem_file *file,
                       const struct pem_chain *chain, int64_t now,
                       struct reasons *reasons)
{
    const ASN1_TIME *begin = X509_get0_notBefore(chain->leaf);
    const ASN1_TIME *end = X509_get0_notAfter(chain->leaf);
    int64_t notice = now + (int64_t)PEM_EXPIRY_NOTICE_DAYS * DAY_S;

    if (is_before(end, now))
        add_warning(reasons, file, "an expired certificate",
                    "one that is valid now");
    else if (!is_before(begin, now))
        add_warning(reasons, file, "a certificate that is not yet valid",
                    "one that is valid now");
    else if (is_before(end, notice))
        add_warning(reasons, file, "a certificate that expires within 14 days",
                    "one that is valid for longer");
    ERR_clear_error();
}
