#include "state/failure_times.h"

#include <openssl/rand.h>

void failure_times_add(struct failure_times *times, uint64_t ms)
{
    times->ms[times->next] = ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
    times->next = (times->next + 1) % FAILURE_TIMES;
    if (times->count < FAILURE_TIMES)
        times->count++;
}

uint64_t failure_times_sample(const struct failure_times *times)
{
    uint32_t random;

    if (times->count == 0)
        return FAILURE_TIMES_FIRST_MS;
    RAND_bytes((uint8_t *)&random, sizeof(random));
    return times->ms[random % times->count];
}
