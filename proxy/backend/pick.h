/* In which order a user's login tries the backends of a pool.
 *
 * hash: weighted rendezvous of backend name and user (rendezvous.h); health
 * and load never move a user. least-sessions: those that are ready and may be
 * dialled now come first, then the fewest sessions per weight, then rendezvous;
 * of pools of more than 16 two that may be dialled are drawn by weight, and
 * compared. round-robin: by turns, as many as the weight; who takes nobody, is
 * full or cannot be dialled has none. Of one that has come back, those two pass
 * over more than they take while a slow start is young.
 * Backups come after all that are none. Weight 0 is chosen for nobody. With
 * when_down refuse there is one candidate only. */
#ifndef BACKEND_PICK_H
#define BACKEND_PICK_H

#include "backend/backend.h"
#include "config/mem.h"
#include "config/route_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An iteration; allocates nothing and may be abandoned at any time. */
struct pick {
    const struct pool *pool;
    const struct backend_set *set;
    uint64_t user_hash;
    uint64_t given[POOL_BACKENDS_MAX / 64]; /* a bit for each one given */
    bool has_given;
    bool at_backups; /* all others were given */
};

/* user is the normalised name; what of it is hashed is the pool's to say. set
 * holds the facts of the pool's table; NULL goes by the table alone: all are up
 * and without sessions. The pool and the set must outlive the iteration. */
void pick_start(struct pick *pick, const struct pool *pool,
                const struct backend_set *set, const uint8_t *user, size_t len);

/* The next candidate, or NULL when there is none. It may be down, full, or take
 * nobody: ask about each before dialling it. */
const struct backend_config *pick_next(struct pick *pick, uint64_t now_ms);

/* Takes one of the pool as given, which was chosen for other reasons. */
void pick_pass(struct pick *pick, const struct backend_config *config);

#endif
