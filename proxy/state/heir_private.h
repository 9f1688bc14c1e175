/* What state/handover.c does with an heir: the link, which exists from
 * heir_open to heir_close, on whichever thread hands over. Private to state/.
 */
#ifndef STATE_HEIR_PRIVATE_H
#define STATE_HEIR_PRIVATE_H

#include "state/handover_wire.h"
#include "state/heir.h"

/* How long one packet may wait for the successor to read. */
enum {
    HEIR_SEND_MS = 10000
};

/* From now on news are kept; questions are asked of what was given. Takes the
 * descriptor, which does not block. */
void heir_open(struct heir *heir, int fd);

/* False: the link is broken, or the successor does not read. Wants the heir's
 * lock where a question about what is sent could overtake it. */
MUST_USE bool heir_send(struct heir *heir, const struct wire_writer *packet);

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
