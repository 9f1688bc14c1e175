/* How many logins may be under way at one backend at a time, and a short queue
 * for those beyond: a crowd that comes back at once shall not drown the backend
 * that it comes back to.
 *
 * Places are counted beside the backend's facts, for all workers together. Who
 * waits does so in a queue of its worker, first come, first served; a queue
 * looks for room every GATE_LOOK_MS and when one of its own worker leaves.
 * Without a limit nothing is counted. */
#ifndef BACKEND_GATE_H
#define BACKEND_GATE_H

#include "backend/backend.h"
#include "config/mem.h"
#include "net/io.h"
#include "net/timer_wheel.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    GATE_LOOK_MS = 20,
    GATE_WAIT_MS = 5000 /* at most */
};

struct gate;
struct gate_pass;
struct gate_queue;

/* A queued pass has its turn (is_in), or has waited for too long and is out.
 * Called from the loop, never from a function of this header; it may enter,
 * leave and free any pass. */
typedef void gate_handler(struct gate_pass *pass, bool is_in, void *owner);

enum gate_place {
    GATE_OUT,
    GATE_QUEUED,
    GATE_IN,
    GATE_UNCOUNTED /* in, while there was no limit */
};

/* Embedded in whoever logs in; all zero is one that is out. */
struct gate_pass {
    enum gate_place place;
    struct gate *gate;
    struct backend *backend;
    struct gate_pass *next; /* of its queue */
    gate_handler *handler;
    void *owner;
    uint64_t until_ms;
};

/* One per worker. */
struct gate *gate_new(struct io *io);

/* Every pass must have left. */
void gate_free(struct gate **gate);

enum gate_answer {
    GATE_ENTERED,
    GATE_WAITS, /* the handler will be called */
    GATE_FULL
};

/* Asks for a place at the backend. logins_max 0: no limit; queue_max: how many
 * may wait, those of all workers together. */
MUST_USE enum gate_answer gate_enter(struct gate *gate, struct gate_pass *pass,
                                     struct backend *backend,
                                     unsigned logins_max, unsigned queue_max,
                                     gate_handler *handler, void *owner);

/* Gives up the place, also that in the queue. Nothing happens to one that is
 * out. */
void gate_leave(struct gate_pass *pass);

#endif
