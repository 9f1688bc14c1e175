#include "session/sweep.h"

#include "session/session.h"

static void pop(struct sweeps *sweeps, bool is_whole)
{
    struct sweep *sweep = sweeps->first;

    sweeps->first = sweep->next;
    if (sweeps->first == NULL)
        sweeps->last = &sweeps->first;
    sweeps->has_begun = false;
    sweep->end(sweep, is_whole);
}

/* False: it is over. */
static bool look_at_next(struct sweeps *sweeps)
{
    struct sweep *sweep = sweeps->first;
    struct registry_node *node = registry_walk(sweeps->registry);

    return node != NULL && sweep->visit(sweep, session_of_node(node));
}

/* The clock costs less than a look, and one who is ended takes as long as what
 * the kernel has to do at that moment for others. */
static void run_slice(struct sweeps *sweeps)
{
    uint64_t until_ns = uv_hrtime() + SWEEP_SLICE_US * UINT64_C(1000);

    if (!sweeps->has_begun)
        registry_begin_walk(sweeps->registry);
    sweeps->has_begun = true;
    do {
        if (!look_at_next(sweeps)) {
            pop(sweeps, true);
            return;
        }
    } while (uv_hrtime() < until_ns);
}

static void on_turn(uv_idle_t *turn)
{
    struct sweeps *sweeps = turn->data;

    run_slice(sweeps);
    if (sweeps->first == NULL)
        uv_idle_stop(turn);
}

int sweeps_open(struct sweeps *sweeps, uv_loop_t *loop,
                struct registry *registry)
{
    *sweeps = (struct sweeps){.registry = registry};
    sweeps->last = &sweeps->first;
    sweeps->turn.data = sweeps;
    return uv_idle_init(loop, &sweeps->turn);
}

void sweeps_add(struct sweeps *sweeps, struct sweep *sweep)
{
    sweep->next = NULL;
    *sweeps->last = sweep;
    sweeps->last = &sweep->next;
    uv_idle_start(&sweeps->turn, on_turn);
}

void sweeps_close(struct sweeps *sweeps)
{
    while (sweeps->first != NULL)
        pop(sweeps, false);
    uv_close((uv_handle_t *)&sweeps->turn, NULL);
}
