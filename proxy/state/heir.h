/* The way to our successor (state/handover.h), who is nobody for most of a
 * process's life: then each question is answered at once by HEIR_NOBODY, and
 * what is told is dropped.
 *
 * Questions wait for their answers, one at a time; what is told waits for
 * nothing and is sent by a thread, in order. A question may overtake what was
 * told before it: whoever asks must be content with an answer of a moment
 * ago. */
#ifndef STATE_HEIR_H
#define STATE_HEIR_H

#include "backend/backend.h"
#include "config/mem.h"

#include <stdbool.h>
#include <stdint.h>

struct heir;

/* One per process, from its start to its end. */
struct heir *heir_new(struct backend_registry *registry);
/* Accepts NULL inside. */
void heir_free(struct heir **heir);

enum heir_verb {
    HEIR_ENTER = 1, /* homes_enter: wanted, which may be NULL */
    HEIR_MOVE,      /* homes_move: from at to wanted */
    HEIR_ARRIVE,    /* homes_arrive: at */
    HEIR_COUNT      /* one more of a limited kind, of max at most */
};

struct heir_question {
    enum heir_verb verb;
    uint64_t key;
    const struct backend *at;
    const struct backend *wanted;
    uint32_t max;
};

enum heir_answer {
    HEIR_NOBODY, /* there is no successor: we decide */
    HEIR_SILENT, /* it did not answer in time: whatever it says later is undone,
                    as if it had never been asked */
    HEIR_YES,    /* entered, moved, arrived, counted */
    HEIR_NO,     /* nowhere; the home is elsewhere; too many */
    HEIR_WAIT    /* others are still there */
};

/* A question, and what is done here by its answer, come in between: so our own
 * books see answers in the order in which they were given. No other lock may be
 * held at heir_lock. */
void heir_lock(struct heir *heir);
void heir_unlock(struct heir *heir);

/* Whether a question to this successor was not answered in time, nor is it or
 * another one a second after it was asked; or could not be sent, nor anything
 * else in that time. From any thread. */
bool heir_is_silent(struct heir *heir);

/* Wants the lock. For YES and NO of the first three verbs *at_out becomes where
 * the home is, with a reference, or NULL. Takes a quarter of a second at most.
 */
MUST_USE enum heir_answer heir_ask(struct heir *heir,
                                   const struct heir_question *question,
                                   struct backend **at_out);

enum heir_news {
    HEIR_LEFT = 1,   /* homes_leave, of one that had arrived */
    HEIR_LEFT_EARLY, /* of one that was seeking */
    HEIR_COUNTED,    /* one more of a limited kind, whatever their number */
    HEIR_UNCOUNTED,
    HEIR_LOGIN_FAILED /* of this address, of this user, by this secret */
};

/* Any lock may be held. Copies and returns. Only the last kind has a user and a
 * secret. */
void heir_tell(struct heir *heir, enum heir_news news, uint64_t key,
               uint64_t user, uint32_t secret);

#endif
