/* How much one process takes on: its workers, and the descriptors that it
 * holds whether or not there are sessions. */
#ifndef PROXY_CAPACITY_H
#define PROXY_CAPACITY_H

#include "config/mem.h"
#include "config/reason.h"
#include "config/settings.h"
#include "state/snapshot.h"

#include <stdbool.h>

/* As the settings say, or one for each processor. */
unsigned capacity_workers(const struct settings *settings);

/* Descriptors beside those of sessions: loops, listeners, files being read,
 * connections kept warm, probes. */
unsigned long capacity_reserve(const struct snapshot *snapshot,
                               unsigned workers);

/* False, with a reason, when the connections kept warm leave no descriptors to
 * sessions. Raises the soft descriptor limit. */
MUST_USE bool capacity_suffices(const struct snapshot *snapshot,
                                unsigned workers, struct reasons *reasons);

#endif
