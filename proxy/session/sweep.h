/* A look at each session of a worker, in slices: between two of them the loop
 * turns, so that a hundred thousand sessions, or the ends of as many, hold up
 * nobody. One sweep after the other, in the order in which they were asked
 * for. */
#ifndef SESSION_SWEEP_H
#define SESSION_SWEEP_H

#include "session/registry.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct session;
struct sweep;

/* How long a slice lasts, and little more. */
enum {
    SWEEP_SLICE_US = 500
};

/* False: it has seen enough. May end this session and others. Who logs in
 * during the sweep may be met twice. */
typedef bool sweep_visitor(struct sweep *sweep, struct session *session);

/* The last that is heard of the sweep: its memory is its owner's again, who
 * may ask for it anew. is_whole: everybody was met who was there when it began
 * and still is, or the visitor had seen enough; else the worker ends. */
typedef void sweep_end(struct sweep *sweep, bool is_whole);

/* Embedded in whatever it is for. */
struct sweep {
    struct sweep *next;
    sweep_visitor *visit;
    sweep_end *end;
};

struct sweeps {
    struct registry *registry;
    struct sweep *first; /* the one under way, if has_begun */
    struct sweep **last;
    bool has_begun;
    uv_idle_t turn; /* runs while there is something to do */
};

/* 0 or UV_E*. */
int sweeps_open(struct sweeps *sweeps, uv_loop_t *loop,
                struct registry *registry);

/* Asks for it; it begins on the loop's next turn at the earliest. The sweep
 * must not be under way. */
void sweeps_add(struct sweeps *sweeps, struct sweep *sweep);

/* Ends all of them where they are, and the handle. */
void sweeps_close(struct sweeps *sweeps);

#endif
