/* PEM files that the caller has read: certificates to DER in reference counted
 * buffers, keys to EVP_PKEY. No file is opened here. */
#ifndef NET_PEM_H
#define NET_PEM_H

#include "config/mem.h"
#include "config/reason.h"

#include <openssl/base.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The name stands in messages only. Borrowed, both. */
struct pem_file {
    const char *name;
    const uint8_t *bytes;
    size_t len;
};

/* The most certificates that one chain may hold. */
enum {
    PEM_CHAIN_MAX = 16
};

/* A chain, leaf first. Owns what it points to. */
struct pem_chain {
    CRYPTO_BUFFER *certificates[PEM_CHAIN_MAX];
    size_t count;
    X509 *leaf; /* the first one, parsed */
};

/* Gives the DER of every certificate of the file to the handler, in order;
 * other objects are passed over. Returns false and adds an error that names
 * the file when there is none or the PEM is broken. */
typedef void pem_certificate_handler(const uint8_t *der, size_t len,
                                     void *owner);
MUST_USE bool pem_each_certificate(const struct pem_file *file,
                                   pem_certificate_handler *handler,
                                   void *owner, struct reasons *reasons);

/* Reads every certificate of the file. Adds an error that names the file and
 * returns false when there is none, one is broken or there are too many; a
 * warning when one is not issued by the next. pool may be NULL. */
MUST_USE bool pem_read_chain(const struct pem_file *file,
                             CRYPTO_BUFFER_POOL *pool,
                             struct pem_chain *chain_out,
                             struct reasons *reasons);
void pem_chain_deinit(struct pem_chain *chain);

/* Reads an unencrypted private key (PKCS #8, or the older forms for RSA and
 * EC). The caller owns the result. NULL and an error on failure. */
MUST_USE EVP_PKEY *pem_read_key(const struct pem_file *file,
                                struct reasons *reasons);

/* Whether the key is the one that the chain's leaf certifies; adds an error
 * that names both files if not. */
MUST_USE bool pem_key_matches(const struct pem_file *chain_file,
                              const struct pem_chain *chain,
                              const struct pem_file *key_file,
                              const EVP_PKEY *key, struct reasons *reasons);

/* When the leaf expires, in seconds since the epoch; 0 if that cannot be
 * read. */
int64_t pem_chain_ends(const struct pem_chain *chain);

/* Adds a warning when the leaf is expired, not yet valid, or expires within
 * PEM_EXPIRY_NOTICE_DAYS. now is seconds since the epoch. */
void pem_warn_of_dates(const struct pem_file *file,
                       const struct pem_chain *chain, int64_t now,
                       struct reasons *reasons);

enum {
    PEM_EXPIRY_NOTICE_DAYS = 14
};

#endif
