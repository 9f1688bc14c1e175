/* What Gatepost is towards clients in TLS: certificates chosen by name,
 * protocol versions and ciphers of a policy, tickets, ALPN. Built from bytes,
 * immutable, counted, shared by all workers. */
#ifndef NET_TLS_SERVER_CONTEXT_H
#define NET_TLS_SERVER_CONTEXT_H

#include "config/mem.h"
#include "config/reason.h"
#include "config/settings.h"
#include "net/pem.h"
#include "net/shared_ticket_keys.h"
#include "net/ticket_keys.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_server_context;

struct tls_server_certificate {
    struct pem_file chain;
    struct pem_file key;
};

/* The client offered protocols by ALPN and "imap" was none of them (RFC 7301,
 * 3.2); the handshake fails with no_application_protocol. offered is the list
 * as it came: length-prefixed names. */
typedef void tls_alpn_refused(SSL *ssl, const uint8_t *offered, size_t len);

/* The client's certificate was not believed; the handshake fails with the
 * alert that says why. Without a byte of the client's. */
typedef void tls_client_refused(SSL *ssl, const char *why);

/* Borrowed for the call. */
struct tls_server_config {
    const struct tls_server_certificate *certificates;
    size_t certificate_count; /* 1 at least; the first is the default */
    enum tls_policy policy;
    struct pem_file client_ca;      /* the authorities of clients' certificates;
                                       without a name: nobody is asked for one */
    tls_alpn_refused *alpn_refused; /* may be NULL */
    tls_client_refused *client_refused; /* may be NULL */
    int64_t now; /* seconds since the epoch, for warnings of expiry */
    const struct shared_ticket_key *ticket_keys; /* instead of our own */
    size_t ticket_key_count;                     /* 0: our own */
};

/* Takes a reference to keys, which serve where the config has none. NULL and
 * errors naming the files on failure; warnings for certificates that expire or
 * cover no name. One reference. */
MUST_USE struct tls_server_context *
tls_server_context_new(const struct tls_server_config *config,
                       struct ticket_keys *keys, struct reasons *reasons);
struct tls_server_context *
tls_server_context_ref(struct tls_server_context *context);
/* Accepts NULL inside. A connection must hold a reference until its handshake
 * is done; after that its SSL keeps alive what it needs by itself. */
void tls_server_context_unref(struct tls_server_context **context);

/* A connection in accept state, which sheds its configuration when the
 * handshake is done. The caller owns it. With asks_client, and a client_ca in
 * the config, it asks for a certificate: to have none is fine, while one that
 * does not lead to the client_ca, is not valid now or not for TLS clients ends
 * the handshake. Such a connection neither issues nor takes a ticket, so that
 * each one's certificate is looked at. */
MUST_USE SSL *tls_server_context_open(struct tls_server_context *context,
                                      bool asks_client);

/* Whether the context was made from an equal config: bytes of certificates
 * and keys, order, policy, client_ca, ticket keys, hooks. File names and time
 * do not count.
 */
MUST_USE bool
tls_server_context_matches(const struct tls_server_context *context,
                           const struct tls_server_config *config);

/* No flight of a handshake, ticket included, is longer than this. */
size_t tls_server_context_flight_max(const struct tls_server_context *context);

/* The host names that a certificate covers, in lower case, wildcards as "*.x".
 * certificate is an index below the config's count. */
size_t tls_server_context_name_count(const struct tls_server_context *context,
                                     size_t certificate);
const char *tls_server_context_name(const struct tls_server_context *context,
                                    size_t certificate, size_t index);

/* When the certificate expires, in seconds since the epoch. */
int64_t tls_server_context_ends(const struct tls_server_context *context,
                                size_t certificate);

#endif
