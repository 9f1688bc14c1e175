/* Ends the sessions of a worker that belong to one user or one backend, those
 * still logging in included, over a time: quiet ones first, so that clients do
 * not all come back at once. */
#ifndef SESSION_KICK_H
#define SESSION_KICK_H

#include "config/identity.h"
#include "config/mem.h"
#include "session/sweep.h"
#include "state/env.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;

/* Whom to end: those of a user, of a backend, or of that user at that backend.
 * At least one of them is named. */
struct kick {
    char user[IDENTITY_MAX + 1]; /* normalised; empty: everybody's */
    char *backend;               /* its name; NULL: wherever they are */
    struct backend *at;          /* likewise, by its facts; or NULL */
    const char *reason;          /* a lasting, fixed word for the log */
    uint64_t spread_ms;          /* 0: at once */
    bool while_in_maintenance;   /* over as soon as the backend is not */
    bool spares_seekers; /* not who has sent no credentials; and backends hear
                            it at once */
};

/* A copy of its own. */
struct kick *kick_copy(const struct kick *kick);
/* Accepts NULL inside. */
void kick_free(struct kick **kick);

/* Whether the kick means this session. */
bool kick_matches(const struct kick *kick, const struct session *session);

/* The kicks under way in one worker. */
struct kicks {
    struct env *env;
    struct wheel_timer timer;
    struct running_kick *first;
    struct sweep sweep; /* of all of them */
    bool is_sweeping;
    size_t at_work; /* those to whom this sweep still matters */
};

void kicks_init(struct kicks *kicks, struct env *env);

/* Takes the kick, and begins. Whoever connects from now on is spared, unless
 * the kick is for the time of a maintenance. */
void kicks_take(struct kicks *kicks, struct kick *kick);

/* Those under way go no further; a sweep of theirs may still be told of its
 * end. */
void kicks_deinit(struct kicks *kicks);

#endif
