#include "state/quota.h"

#include <sys/resource.h>

enum {
    DESCRIPTORS_USUAL = 1024 * 1024
};

static rlim_t raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return limit.rlim_cur;
    /* The hard limit may be beyond the system's own, fs.nr_open, whose default
     * this is. */
    limit.rlim_cur = DESCRIPTORS_USUAL;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

unsigned quota_from_descriptors(unsigned wanted, unsigned long reserve,
                                unsigned long *descriptors_out)
{
    rlim_t descriptors = raise_descriptors();
    rlim_t fit;

    *descriptors_out = (unsigned long)descriptors;
    fit = descriptors <= (rlim_t)reserve + QUOTA_DESCRIPTORS_PER_SESSION
              ? 1
              : (descriptors - reserve) / QUOTA_DESCRIPTORS_PER_SESSION;
    if (fit > 100000000)
        fit = 100000000;
    return wanted != 0 && wanted < fit ? wanted : (unsigned)fit;
}

void quota_init(struct quota *quota, unsigned max)
{
    atomic_init(&quota->open, 0);
    atomic_init(&quota->max, max);
}

void quota_set_max(struct quota *quota, unsigned max)
{
    atomic_store(&quota->max, max);
}

bool quota_take(struct quota *quota)
{
    unsigned max = atomic_load(&quota->max);

    if (atomic_fetch_add(&quota->open, 1) < max)
        return true;
    atomic_fetch_sub(&quota->open, 1);
    return false;
}

void quota_give(struct quota *quota)
{
    atomic_fetch_sub(&quota->open, 1);
}

unsigned quota_max(const struct quota *quota)
{
    return atomic_load(&quota->max);
}

bool quota_is_full(const struct quota *quota)
{
    return atomic_load(&quota->open) >= quota_max(quota);
}
