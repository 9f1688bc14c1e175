#include "base/clock.h"

#include <time.h>

#ifdef GATEPOST_FAULTS
#include <stdatomic.h>
#include <stdlib.h>

enum {
    SCALE_UNREAD = 0,
    SCALE_MAX = 1000000
};

static uint64_t read_scale(void)
{
    const char *text = getenv("GATEPOST_FAULT_CLOCK_SCALE");
    unsigned long scale = text == NULL ? 1 : strtoul(text, NULL, 10);

    if (scale < 1)
        return 1;
    return scale > SCALE_MAX ? SCALE_MAX : scale;
}

static uint64_t clock_scale(void)
{
    static _Atomic uint64_t scale = SCALE_UNREAD;
    uint64_t known = atomic_load_explicit(&scale, memory_order_relaxed);

    if (known == SCALE_UNREAD) {
        known = read_scale();
        atomic_store_explicit(&scale, known, memory_order_relaxed);
    }
    return known;
}
#else
static uint64_t clock_scale(void)
{
    return 1;
}
#endif

uint64_t clock_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return ((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec) /
           1000000 * clock_scale();
}

uint64_t clock_real_delay_ms(uint64_t delay_ms)
{
    uint64_t scale = clock_scale();

    return delay_ms / scale + (delay_ms % scale != 0);
}
