/* Some of the sessions of a worker, as they are at one moment: for operators,
 * a page at a time. */
#ifndef SESSION_LISTING_H
#define SESSION_LISTING_H

#include "net/address.h"
#include "session/kick.h"
#include "state/env.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One session. */
struct session_row {
    uint64_t number; /* of its worker's sessions */
    unsigned worker;
    const char *state; /* a lasting, fixed word */
    char *user;        /* NULL: nobody is known yet */
    char *backend;     /* NULL: none */
    struct address peer;
    bool is_secure;    /* TLS is up towards the client */
    uint64_t age_ms;   /* since its accept */
    uint64_t quiet_ms; /* since a byte moved, once it is spliced */
    uint64_t to_client;
    uint64_t to_backend;
};

struct listing {
    /* Asked: those whom the kick would mean, or all when it names nobody, of
     * higher numbers than this; limit of them at most, lowest first. */
    struct kick whom;
    uint64_t after;
    size_t limit;

    /* Answered. */
    struct session_row *rows;
    size_t count;
    size_t matches; /* also those beyond the limit */
};

/* Of a worker, on its thread. */
void listing_fill(struct listing *listing, struct env *env);

/* Frees the rows, and the name in whom. */
void listing_deinit(struct listing *listing);

#endif
