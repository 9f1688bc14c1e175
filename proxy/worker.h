/* One thread with one loop: its listening sockets, its sessions, its counters.
 * What others want of it comes by letter. */
#ifndef PROXY_WORKER_H
#define PROXY_WORKER_H

#include "base/counters.h"
#include "config/mem.h"
#include "config/settings.h"
#include "question.h"
#include "session/kick.h"
#include "session/listener.h"
#include "socket_call.h"
#include "state/arrival.h"
#include "state/homes.h"
#include "state/limits.h"
#include "state/penalties.h"
#include "state/quota.h"
#include "state/snapshot.h"

#include <stddef.h>
#include <stdint.h>

struct worker;

/* What all workers share. Outlives them. */
struct worker_parts {
    unsigned worker_count; /* of the process, who share the probing */
    struct limits *limits;
    struct penalties *penalties;
    struct homes *homes;
    /* Tells every worker, on any worker's thread; copies the kick. */
    void (*kick)(const struct kick *kick, void *owner);
    arrival_giver *deal; /* on any worker's thread */
    struct quota *quota;
    /* Called on the worker's thread when nothing lives in it any more, after
     * worker_drain or worker_stop. */
    void (*on_idle)(void *owner);
    void *owner;
};

/* A socket of this worker's own; -1 once the worker has taken it. */
struct worker_socket {
    int fd;
    unsigned listener; /* index in the settings' list */
    struct listener_sharing sharing;
};

/* Starts the thread; takes a reference to the snapshot and the sockets. NULL
 * and UV_E* in error_out on failure; the process is to end then, and the
 * kernel takes back what the half-made worker holds. */
MUST_USE struct worker *worker_start(unsigned index,
                                     const struct worker_parts *parts,
                                     struct counters *counters,
                                     struct snapshot *snapshot,
                                     struct worker_socket *sockets,
                                     size_t socket_count, int *error_out);

/* New logins go by this snapshot; running sessions are not touched. */
void worker_adopt(struct worker *worker, struct snapshot *snapshot);

/* Accepts from one more socket, which it takes; by the listener of that index
 * in the settings of the snapshot adopted last. */
void worker_listen(struct worker *worker, int fd, unsigned listener);

/* Ends its sessions that the kick means; copies it. */
void worker_kick(struct worker *worker, const struct kick *kick);

/* Has it answer the question, for which it takes a reference. One that has
 * ended has no sessions. */
void worker_ask(struct worker *worker, struct question *question);

/* Has it give its listening sockets to the call; takes a reference of it. One
 * that has ended does not answer. */
void worker_call_sockets(struct worker *worker, struct socket_call *call);

/* Gives it a connection that another worker accepted, as arrival_giver does.
 * False when it takes none any more. */
MUST_USE bool worker_give(struct worker *worker, const struct arrival *arrival);

/* Whether its loop has turned since this was asked last, or has ended; the
 * first time it is true. */
MUST_USE bool worker_answers(struct worker *worker);

/* Accepts no more, since a successor has the sockets; what waits in those that
 * it left over is accepted first. The thread ends when the last session has,
 * those before login included, which may still log in. */
void worker_retire(struct worker *worker, bool has_left_over);

/* Of one that has retired: lets nobody log in any more, and ends those who have
 * not. */
void worker_end_logins(struct worker *worker);

/* Accepts what waits, then no more; ends all sessions within drain_ms. The
 * thread ends when none is left. */
void worker_drain(struct worker *worker, uint64_t drain_ms);

/* Ends all sessions now, then the thread; connections to backends that refused
 * a login may take their few seconds to end. */
void worker_stop(struct worker *worker);

/* Waits for the thread and frees. Accepts NULL inside. */
void worker_join(struct worker **worker);

#endif
