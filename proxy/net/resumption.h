/* The TLS sessions that one context of ours, as a client, may resume: few,
 * the newest first. Shared by all workers; a lock is taken for moments, when a
 * handshake begins and when a ticket arrives. */
#ifndef NET_RESUMPTION_H
#define NET_RESUMPTION_H

#include "config/mem.h"

#include <openssl/ssl.h>
#include <stddef.h>

enum {
    /* As many dials at once find a session; more begin from scratch. With
     * usual tickets they are 13 KB of memory, at worst (a backend that shows
     * a chain of 64 KB, another one each time) 1.1 MB. */
    RESUMPTION_SESSIONS_MAX = 16,
    /* A ticket may hold the certificate that we showed. A larger one is not
     * worth its memory, and is not kept. */
    RESUMPTION_TICKET_MAX = 4096
};

struct resumption;

/* Makes ctx keep what its connections are given. The result belongs to ctx:
 * tickets arrive for as long as a connection lives, which may be longer than
 * whoever made ctx. */
struct resumption *resumption_attach(SSL_CTX *ctx);

/* The newest session, or NULL; the caller frees it. One of TLS 1.3 is handed
 * out once (RFC 8446, C.4). */
MUST_USE SSL_SESSION *resumption_take(struct resumption *resumption);

/* One that was taken and never offered to anybody: as if it had not been
 * taken. Takes a reference of its own. */
void resumption_give_back(struct resumption *resumption, SSL_SESSION *session);

/* Drops all sessions, so that the next dial begins from scratch. */
void resumption_forget(struct resumption *resumption);

/* Drops all sessions and keeps none from now on. */
void resumption_end(struct resumption *resumption);

/* How many are kept. */
size_t resumption_count(struct resumption *resumption);

#endif
