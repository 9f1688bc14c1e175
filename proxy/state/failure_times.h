/* How long backends took of late to refuse a login: a login that is refused
 * without asking one takes as long as one of these, so that a stranger does not
 * learn by the time which users there are. One per worker, no locks. */
#ifndef STATE_FAILURE_TIMES_H
#define STATE_FAILURE_TIMES_H

#include <stddef.h>
#include <stdint.h>

enum {
    FAILURE_TIMES = 64,
    FAILURE_TIMES_FIRST_MS = 2000 /* before any was seen */
};

/* All zero at first. */
struct failure_times {
    uint32_t ms[FAILURE_TIMES];
    size_t count;
    size_t next;
};

void failure_times_add(struct failure_times *times, uint64_t ms);

/* One of the last ones, by chance. */
uint64_t failure_times_sample(const struct failure_times *times);

#endif
