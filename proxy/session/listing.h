/* Some of the sessions of a worker, each as it is when a sweep meets it: for
 * operators, a page at a time. */
#ifndef SESSION_LISTING_H
#define SESSION_LISTING_H

#include "net/address.h"
#include "session/kick.h"
#include "session/sweep.h"
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

struct listing;

/* is_whole: as for a sweep. The listing is its owner's again. */
typedef void listing_done(struct listing *listing, bool is_whole, void *owner);

struct listing {
    /* Asked: those whom the kick would mean, or all when it names nobody, of
     * higher numbers than this; limit of them at most (one is the
     * least), lowest first. */
    struct kick whom;
    uint64_t after;
    size_t limit;

    /* Answered. */
    struct session_row *rows;
    size_t count;
    size_t matches; /* also those beyond the limit */

    /* While it is filled. */
    struct sweep sweep;
    listing_done *done;
    void *owner;
};

/* Of a worker, on its thread; calls done on a later turn of the loop. */
void listing_fill(struct listing *listing, struct env *env, listing_done *done,
                  void *owner);

/* Frees the rows, and the name in whom. */
void listing_deinit(struct listing *listing);

#endif
