#include "patience.h"

enum {
    PATIENCE_S = 20
};

bool patience_is_over(uint64_t since_ns)
{
    return uv_hrtime() - since_ns > (uint64_t)PATIENCE_S * 1000000000u;
}
