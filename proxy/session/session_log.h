/* What the log says of a session, and the facts it needs for that. */
#ifndef SESSION_SESSION_LOG_H
#define SESSION_SESSION_LOG_H

#include "backend/backend.h"
#include "config/identity.h"
#include "net/address.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SESSION_ID_MAX = 32
};

/* Kept for the whole life of a session: small on purpose. */
struct session_facts {
    uint64_t number; /* of this worker's sessions */
    uint64_t started_ms;
    char *names; /* server name asked for, then user; each ended by NUL */
    struct address peer;
    uint16_t worker;
    uint16_t tls_version; /* 0: no TLS */
    uint16_t tls_cipher;
    uint16_t user_at; /* in names */
    bool is_probe;    /* a balancer's own; told only if it logs in */
};

void session_facts_deinit(struct session_facts *facts);

/* Copies what is logged of a handshake that is done: version, cipher, and the
 * server name asked for. */
void session_facts_take_tls(struct session_facts *facts, const SSL *ssl);

void session_facts_name_user(struct session_facts *facts,
                             const struct identity *identity);

/* As it was named; NULL: it was not. */
const char *session_facts_user(const struct session_facts *facts);

/* "worker-number", unique in this process. */
void session_facts_id(const struct session_facts *facts,
                      char out[SESSION_ID_MAX]);

void session_log_login(const struct session_facts *facts,
                       const struct backend *backend, const char *mechanism);

/* How a session ended. */
struct session_end {
    const struct backend *backend; /* NULL: it never had one */
    uint64_t to_client;            /* bytes spliced */
    uint64_t to_backend;
    const char *reason;
    const char *detail; /* may be NULL */
};

/* The one line per session that is always there. */
void session_log_end(const struct session_facts *facts,
                     const struct session_end *end);

#endif
