/* Making room when the house is full: the oldest session before login goes,
 * since most of those that fill a house never mean to log in. Only sessions of
 * the same worker are looked at, and none that has just come. */
#ifndef SESSION_EVICT_H
#define SESSION_EVICT_H

#include "session/session.h"
#include "state/env.h"

#include <stdbool.h>

enum {
    EVICT_AGE_MS = 1000 /* a client in a hurry is in by then */
};

/* For a connection that waits to be accepted; the place is given back on the
 * loop's next turn. False: nobody could go. */
bool evict_for_quota(struct env *env);

/* For a session that limits.before_login keeps out; the place is free at
 * once. */
bool evict_for_newcomer(struct env *env, const struct session *newcomer);

#endif
