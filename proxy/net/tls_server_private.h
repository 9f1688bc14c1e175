/* What a context towards clients is made of, for the files that it is written
 * in: tls_server_context.c has its life and its connections, tls_server_load.c
 * how it comes from bytes, tls_server_choice.c which certificate a handshake
 * gets. Private to net/. */
#ifndef NET_TLS_SERVER_PRIVATE_H
#define NET_TLS_SERVER_PRIVATE_H

#include "net/certificate_check.h"
#include "net/client_hello.h"
#include "net/client_trust.h"
#include "net/tls_server_context.h"

#include <openssl/sha.h>
#include <stdatomic.h>

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

/* By all that tls_server_context_matches goes by but hooks. */
void tls_server_digest(const struct tls_server_config *config,
                       uint8_t digest_out[SHA256_DIGEST_LENGTH]);

/* Reads everything that the config holds into a context that has its hooks and
 * ticket keys. False, after all errors, where some of it is not good. */
MUST_USE bool tls_server_load(struct tls_server_context *context,
                              const struct tls_server_config *config,
                              struct reasons *reasons);

/* Makes all certificates of the context be found by their names. */
void tls_server_index(struct tls_server_context *context);

/* Swaps in the certificate that fits, once per handshake. Nothing is allocated
 * and nothing kept. */
enum ssl_select_cert_result_t tls_server_select(const SSL_CLIENT_HELLO *hello);

#endif
