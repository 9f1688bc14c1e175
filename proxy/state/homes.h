/* Where each user's sessions are: one user, one backend. While a user has a
 * session or an attempt to log in, whoever logs in as the same user is told of
 * the same backend; two servers on one user's indexes would corrupt them.
 *
 * Shared by all workers, behind sharded locks that are touched when a login
 * picks its backend and when a session goes. Holds memory only for users who
 * are there. */
#ifndef STATE_HOMES_H
#define STATE_HOMES_H

#include "backend/backend.h"
#include "config/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct homes;
struct heir;

enum {
    HOMES_SHARDS = 64
};

/* What one attempt holds; all zero holds nothing. */
struct home_claim {
    struct backend *at; /* the home as last told; NULL: nothing is held */
    uint64_t key;
    bool is_seeking; /* the backend has seen no credentials yet */
};

struct homes *homes_new(void);

/* Every claim must have been left. Accepts NULL inside. */
void homes_free(struct homes **homes);

/* Claims the user's home: where the user is, or else wanted. The claim seeks:
 * the home may move meanwhile. Returns false, and holds nothing, where the user
 * is nowhere and wanted is NULL, or our successor cannot be asked. */
MUST_USE bool homes_enter(struct homes *homes, const uint8_t *user, size_t len,
                          struct backend *wanted, struct home_claim *claim);

enum homes_answer {
    HOMES_MOVED,     /* the home is at the new place, for all who come */
    HOMES_ELSEWHERE, /* another moved it meanwhile: see claim->at */
    HOMES_WAIT       /* others are still there: ask again */
};

/* For one that seeks: wants the home at another place. It moves once all who
 * hold it seek. */
MUST_USE enum homes_answer
homes_move(struct homes *homes, struct home_claim *claim, struct backend *to);

/* The credentials may go there: from now on the home stays until this claim is
 * left. False: the home is elsewhere by now, see claim->at; where that is NULL
 * the successor of this process could not be asked, and nothing is held any
 * more. */
MUST_USE bool homes_arrive(struct homes *homes, struct home_claim *claim);

/* Gives the claim up. Nothing happens to one that holds nothing. */
void homes_leave(struct homes *homes, struct home_claim *claim);

/* One that has arrived becomes a session's, which remembers no more than that
 * it has one: see homes_leave_session. */
void homes_settle(struct home_claim *claim);
void homes_leave_session(struct homes *homes, const uint8_t *user, size_t len);

/* --- for state/handover.h --- */

/* Whom the homes are given to one day, or NULL. Before there are workers. */
void homes_set_heir(struct homes *homes, struct heir *heir);

/* Users stand here by this hash of their names. One that takes another's homes
 * takes its key first, while nobody is anywhere. */
void homes_read_key(const struct homes *homes, uint64_t key_out[2]);
void homes_set_key(struct homes *homes, const uint64_t key[2]);

struct home_record {
    uint64_t key;
    uint32_t at; /* backend_number */
    uint32_t claims;
    uint32_t seekers; /* of them */
};

/* Copies one shard of HOMES_SHARDS; the caller frees. From now on it is the
 * heir who says where its users are, and our own book follows. The heir's lock
 * is held until the records have gone. */
MUST_USE struct home_record *homes_give(struct homes *homes, size_t shard,
                                        size_t *count_out);

/* We decide again, by our own book. */
void homes_keep(struct homes *homes);

/* For another process: so many claims at once. False, and nothing is done,
 * where the user is elsewhere. */
MUST_USE bool homes_take(struct homes *homes, uint64_t key, struct backend *at,
                         uint32_t claims, uint32_t seekers);

/* Leaves so many that had arrived, and so many that seek; there are as many. */
void homes_drop(struct homes *homes, uint64_t key, uint32_t arrived,
                uint32_t seekers);

/* homes_enter by the hash. */
MUST_USE bool homes_enter_key(struct homes *homes, uint64_t key,
                              struct backend *wanted, struct home_claim *claim);

/* How many users are somewhere now; for tests and for those who look on. */
size_t homes_count(struct homes *homes);

#endif
