/* What is counted and known, as Prometheus reads it (its text format 0.0.4). */
#ifndef OPS_METRICS_H
#define OPS_METRICS_H

#include "base/counters.h"
#include "ops/text.h"
#include "state/snapshot.h"

#include <stdbool.h>
#include <stdint.h>

/* Borrowed for the call. */
struct metrics_view {
    const struct counters_set *counters;
    const struct snapshot *snapshot; /* the one in force */
    unsigned workers;
    unsigned sessions_max;
    uint64_t uptime_ms;
    bool is_draining;
};

/* Never a user, an address of a client or a secret: labels are names of the
 * operator's own files only. */
void metrics_write(struct text *out, const struct metrics_view *view);

#endif
