/* Connections to backends that wait for a login: connected, secured, greeted,
 * capabilities known. One pool per worker; it belongs to the worker's thread.
 *
 * Each backend whose table asks for some ("warm": N, a weight above 0) has at
 * most N of them, those being dialled included. What a login takes is replaced
 * on the loop's next turn; no turn dials more than WARM_TURN_MAX, so that no
 * session waits for the pool. None gets old (WARM_AGE_MS), since backends hang
 * up on whoever does not log in, and none that the backend closed or spoke on
 * is ever lent. After trouble the pool pauses, longer and longer, and dials
 * one: when that lasts, trouble is over. */
#ifndef BACKEND_WARM_H
#define BACKEND_WARM_H

#include "backend/link.h"
#include "imap/capability.h"
#include "net/io.h"
#include "net/stream.h"

#include <stddef.h>

/* A connection is replaced at an age between three quarters of this and this:
 * servers wait for a login for half a minute (Stalwart), one (Exchange) or
 * three (Dovecot), and not all are to be replaced at once. */
enum {
    WARM_AGE_MS = 25 * 1000
};

/* Dials of one turn of the loop, for all backends together: with TLS each costs
 * a quarter of a millisecond. */
enum {
    WARM_TURN_MAX = 8
};

/* The pause after trouble doubles from the one to the other. */
enum {
    WARM_PAUSE_MS = 1000,
    WARM_PAUSE_MAX_MS = 16 * 1000
};

/* What was dialled after trouble must last so long before it is lent and others
 * are dialled. */
enum {
    WARM_TRIAL_MS = 1000
};

struct warm;

/* How many connections each worker keeps to this backend. */
unsigned warm_wanted(const struct backend_config *config);

/* Empty; dials nothing before warm_follow. */
struct warm *warm_new(struct io *io);

/* Goes by this table from now on. Borrows targets and what rules point at,
 * until the next warm_follow or warm_stop. Connections to backends for which
 * nothing changed stay; the others end. Not from within an event of a link or
 * a stream. */
void warm_follow(struct warm *warm, const struct link_target *targets,
                 size_t count, const struct link_rules *rules);

/* The youngest connection to this backend, whose owner must be set at once,
 * and its capabilities; NULL when there is none, also for a target of another
 * table than the one followed. */
struct stream *warm_take(struct warm *warm, const struct link_target *target,
                         struct imap_capabilities *capabilities_out);

/* Ends all of them; no more is dialled. The loop must run once more before it
 * can be closed. */
void warm_stop(struct warm *warm);

/* Accepts NULL inside. Stops it, if it was not. */
void warm_free(struct warm **warm);

#endif
