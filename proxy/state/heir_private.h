/* What state/handover.c does with an heir: the link, which exists from
 * heir_open to heir_close, on whichever thread hands over. Private to state/.
 */
#ifndef STATE_HEIR_PRIVATE_H
#define STATE_HEIR_PRIVATE_H

#include "state/handover_wire.h"
#include "state/heir.h"

#include <time.h>

/* How long one packet may wait for the successor to read; how long all may that
 * are sent while logins wait. */
enum {
    HEIR_SEND_MS = 10000,
    HEIR_LOCKED_MS = 500
};

/* From now on news are kept; questions are asked of what was given. Takes the
 * descriptor, which does not block. */
void heir_open(struct heir *heir, int fd);

/* As heir_lock, and lets go first whoever waits for it: for one who takes it
 * again and again. */
void heir_lock_behind(struct heir *heir);

/* False: the link is broken, or the successor does not read. Not with the
 * heir's lock. */
MUST_USE bool heir_send(struct heir *heir, const struct wire_writer *packet);

/* Likewise, but wants the lock: a question about what is sent could overtake
 * it. Waits until a moment on CLOCK_MONOTONIC. */
MUST_USE bool heir_send_until(struct heir *heir,
                              const struct wire_writer *packet,
                              const struct timespec *until);

/* Sends the news kept so far, in their order. On one thread at a time. */
MUST_USE bool heir_send_news(struct heir *heir);

/* Likewise how many sessions the backends have that had another number of them
 * when it was told last. */
MUST_USE bool heir_send_sessions(struct heir *heir);

/* A thread of its own sends both from now on. False: none can be had. */
MUST_USE bool heir_run(struct heir *heir);

/* Ends the thread and the link, where there is any. */
void heir_close(struct heir *heir);

#endif
