#include "capacity.h"

#include "backend/warm.h"
#include "state/quota.h"

#include <stdio.h>
#include <uv.h>

enum {
    RESERVE = 64,
    RESERVE_PER_WORKER = 16
};

/* Of each backend: a probe that asks, and one that leaves. */
enum {
    PROBES_PER_BACKEND = 2
};

unsigned capacity_workers(const struct settings *settings)
{
    /* Those that this process may run on, which in a container or under
     * taskset(1) are not all. */
    return settings->workers > 0 ? settings->workers
                                 : uv_available_parallelism();
}

static unsigned long count_warm(const struct snapshot *snapshot,
                                unsigned workers)
{
    unsigned long count = 0;

    for (size_t i = 0; i < snapshot->target_count; i++)
        count += warm_wanted(snapshot->targets[i].config);
    return count * workers;
}

static unsigned long count_probes(const struct snapshot *snapshot)
{
    return snapshot->settings->health.interval_ms == 0
               ? 0
               : snapshot->target_count * PROBES_PER_BACKEND;
}

/* Both families of each listener; twice, since all are duplicated to be handed
 * to a successor. */
static unsigned long reserve_without_warm(const struct snapshot *snapshot,
                                          unsigned workers)
{
    unsigned long listeners = snapshot->settings->listener_count;

    return RESERVE + workers * (RESERVE_PER_WORKER + 4 * listeners) +
           count_probes(snapshot);
}

unsigned long capacity_reserve(const struct snapshot *snapshot,
                               unsigned workers)
{
    return reserve_without_warm(snapshot, workers) +
           count_warm(snapshot, workers);
}

bool capacity_suffices(const struct snapshot *snapshot, unsigned workers,
                       struct reasons *reasons)
{
    unsigned long warm = count_warm(snapshot, workers);
    unsigned long others =
        reserve_without_warm(snapshot, workers) + QUOTA_DESCRIPTORS_PER_SESSION;
    unsigned long descriptors;
    char found[128], expected[128];

    (void)quota_from_descriptors(0, 0, &descriptors);
    if (warm == 0 || warm + others <= descriptors)
        return true;
    snprintf(found, sizeof(found),
             "%lu connections kept warm by %u worker%s together", warm, workers,
             workers == 1 ? "" : "s");
    snprintf(expected, sizeof(expected),
             "at most %lu, since this process may have %lu descriptors",
             descriptors > others ? descriptors - others : 0, descriptors);
    reasons_add(reasons, REASON_ERROR, snapshot->settings->routes, "$.backends",
                found, expected);
    return false;
}
