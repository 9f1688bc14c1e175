/* A listening socket in a worker: accepts into sessions while there is room,
 * and otherwise leaves connections waiting in the kernel's queue. */
#ifndef SESSION_LISTENER_H
#define SESSION_LISTENER_H

#include "config/mem.h"
#include "config/settings.h"
#include "state/arrival.h"
#include "state/env.h"

#include <stdbool.h>

struct listener;

/* Who else has to do with a listening socket. Zeroed: nobody. */
struct listener_sharing {
    bool is_dealt; /* what it accepts goes to all workers in turn */
    bool is_kept;  /* a service manager gives it to the next process, too */
};

/* Called when a listener that was stopped is closed. */
typedef void listener_closed(struct listener *listener, void *owner);

/* Takes the descriptor, which is bound and listening, and sets on it what the
 * settings say of connections: an inherited one has somebody else's options.
 * Accepting starts at once. index is the listener's in the settings of
 * env->snapshot. 0 or UV_E*. */
MUST_USE int listener_open(struct env *env, int fd, unsigned index,
                           struct listener_sharing sharing,
                           struct listener **listener_out);

/* A duplicate of its descriptor for a successor, or UV_E*; UV_ECANCELED of one
 * that is being stopped. */
MUST_USE int listener_dup(const struct listener *listener);

/* Takes whom another worker's listener accepted. */
void listener_take(struct env *env, const struct arrival *arrival);

/* How long a listener that stops goes on where clients keep coming and there is
 * room for them. */
enum {
    LISTENER_STOP_BUSY_MS = 1000,
    LISTENER_STOP_FLOOD_MS = 5000, /* more, if it is never seen empty */
    LISTENER_STOP_MAX_MS = LISTENER_STOP_BUSY_MS + LISTENER_STOP_FLOOD_MS
};

/* Accepts what already waits in the queue, then closes (decision 3): a socket
 * that is closed before resets who waits there. False: nothing happens to one
 * that is being stopped. */
bool listener_stop(struct listener *listener, listener_closed *closed,
                   void *owner);

/* For the end of the process: the same, but one that a service manager keeps is
 * closed at once, since who waits there is the next process' client. */
void listener_leave(struct listener *listener, listener_closed *closed,
                    void *owner);

/* Of one that is being stopped: closes it now, whoever waits. Not after its
 * listener_closed. */
void listener_close(struct listener *listener);

/* What is accepted from now on goes by the listener of the same address and
 * port in env->snapshot. False: there is none any more; what still waits goes
 * by the former settings, and the listener is to be stopped. */
MUST_USE bool listener_follow(struct listener *listener);

#endif
