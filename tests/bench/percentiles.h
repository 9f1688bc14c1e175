/* Times of single requests, and what share of them was how short. */
#ifndef BENCH_PERCENTILES_H
#define BENCH_PERCENTILES_H

#include <stddef.h>
#include <stdint.h>

struct percentiles {
    uint64_t *times_ns;
    size_t count;
    size_t room;
};

/* Room for `room` times, which is all that are kept. */
void percentiles_init(struct percentiles *percentiles, size_t room);
void percentiles_deinit(struct percentiles *percentiles);

void percentiles_add(struct percentiles *percentiles, uint64_t time_ns);

/* Once after the last time was added, before any is asked for. */
void percentiles_sort(struct percentiles *percentiles);

/* The time, in microseconds, that `percent` of all did not exceed; 0 when
 * there are none. 100 is the longest. */
uint64_t percentiles_at_us(const struct percentiles *percentiles,
                           unsigned percent);

/* Forgets the times and keeps the room. */
void percentiles_clear(struct percentiles *percentiles);

#endif
