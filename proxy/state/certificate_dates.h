/* What is wrong with certificates that are served all the same: time runs out,
 * or no client that checks names can use them. */
#ifndef STATE_CERTIFICATE_DATES_H
#define STATE_CERTIFICATE_DATES_H

#include "config/reason.h"
#include "state/snapshot.h"

#include <stdint.h>

struct certificate_tally {
    unsigned expired;
    unsigned expiring; /* within PEM_EXPIRY_NOTICE_DAYS, and not expired */
    unsigned nameless; /* cover no host name */
};

/* now is seconds since the epoch. */
struct certificate_tally
certificate_dates_tally(const struct snapshot *snapshot, int64_t now);

/* A warning for each, by the name of its file. */
void certificate_dates_warn(const struct snapshot *snapshot, int64_t now,
                            struct reasons *reasons);

#endif
