#include "config/pace.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

/* A look at this clock is a system call. */
enum {
    CALLS_TO_A_LOOK = 16
};

struct pacer {
    bool is_on;
    unsigned calls;
    uint64_t since_ns; /* when the stretch began */
};

static _Thread_local struct pacer mine;

/* What others did on the processor in between is not in it. */
static uint64_t worked_ns(void)
{
    struct timespec moment;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &moment);
    return (uint64_t)moment.tv_sec * 1000000000 + (uint64_t)moment.tv_nsec;
}

void pace_begin(void)
{
    mine = (struct pacer){.is_on = true, .since_ns = worked_ns()};
}

void pace_end(void)
{
    mine.is_on = false;
}

static void look(void)
{
    const struct timespec nap = {.tv_nsec = PACE_NAP_US * 1000L};

    if (worked_ns() - mine.since_ns < PACE_STRETCH_US * UINT64_C(1000))
        return;
    (void)nanosleep(&nap, NULL); /* cut short by a signal it is one, too */
    mine.since_ns = worked_ns();
}

void pace(void)
{
    if (!mine.is_on || ++mine.calls < CALLS_TO_A_LOOK)
        return;
    mine.calls = 0;
    look();
}

static void release(void *bytes)
{
    pace();
    free(bytes);
}

void pace_jansson(void)
{
    json_set_alloc_funcs(malloc, release);
}
