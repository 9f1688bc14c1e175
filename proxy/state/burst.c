#include "state/burst.h"

bool burst_is_over(struct burst *burst, uint64_t accepted)
{
    uint64_t now = accepted - burst->seen;

    burst->seen = accepted;
    if (now > burst->busiest)
        burst->busiest = now;
    if (burst->busiest < BURST_MIN || now > burst->busiest / BURST_PART)
        return false;
    burst->busiest = 0;
    return true;
}
