/* Counts the certificates that their operator should see to, and warns of them
 * each day that they are served; likewise of a ticket key that is old. */
#ifndef PROXY_CERTIFICATE_WATCH_H
#define PROXY_CERTIFICATE_WATCH_H

#include "base/counters.h"
#include "state/certificate_dates.h"

#include <stdint.h>

/* All zero before the first call. */
struct certificate_watch {
    struct certificate_tally counted;
    int64_t warned_s; /* since the epoch */
};

/* Of a snapshot that is put in force, whose load has warned: counts anew. Only
 * this watch may write these counters. */
void certificate_watch_follow(struct certificate_watch *watch,
                              const struct snapshot *snapshot,
                              struct counters *counters, int64_t now_s);

/* From time to time: counts, and when a day is over adds warnings. */
void certificate_watch_look(struct certificate_watch *watch,
                            const struct snapshot *snapshot,
                            struct counters *counters, int64_t now_s,
                            struct reasons *reasons);

#endif
