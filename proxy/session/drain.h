/* Ends the sessions of a worker over a time, so that their clients do not all
 * come back at once: those before login are told at once (in the TLS handshake:
 * after it, if it ends within a second), quiet ones go before busy ones, and at
 * the end of the time none is left. */
#ifndef SESSION_DRAIN_H
#define SESSION_DRAIN_H

#include "session/sweep.h"
#include "state/env.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one sweep over the sessions does. */
enum drain_part {
    DRAIN_FIRST, /* tells those before login, and counts the others */
    DRAIN_QUIET, /* ends as many quiet ones as are due */
    DRAIN_BUSY,  /* the others, where too few are quiet */
    DRAIN_ALL    /* the time is over */
};

struct drain {
    struct env *env;
    struct wheel_timer timer;
    struct sweep sweep;
    enum drain_part part;
    bool ends_stalled; /* those in the handshake have had their time */
    uint64_t started_ms;
    uint64_t duration_ms;
    size_t total; /* spliced sessions when it began */
    size_t ended;
    size_t due; /* of all, in this sweep */
};

/* Starts; from now on the env is draining. */
void drain_start(struct drain *drain, struct env *env, uint64_t duration_ms);

/* Ends all that are left, at once and without flushing. */
void drain_hurry(struct drain *drain, struct env *env);

void drain_stop(struct drain *drain);

#endif
