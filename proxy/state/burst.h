/* Tells when a burst of connections is over. */
#ifndef STATE_BURST_H
#define STATE_BURST_H

#include <stdbool.h>
#include <stdint.h>

enum {
    /* Fewer connections in one span are no burst. */
    BURST_MIN = 256,
    /* It is over when a span brings so small a part of what the busiest did. */
    BURST_PART = 8
};

/* All zero at first. */
struct burst {
    uint64_t seen;    /* connections, up to the last look */
    uint64_t busiest; /* span since the last burst was over */
};

/* To be called at equal spans of time with the number of connections accepted
 * since the start: true once for each burst, in the first calm span after. A
 * server that is steadily busy is in no burst. */
bool burst_is_over(struct burst *burst, uint64_t accepted);

#endif
