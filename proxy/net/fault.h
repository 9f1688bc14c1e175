/* Faults on purpose, in builds with GATEPOST_FAULTS only: reads split and
 * writes shortened to as many bytes as GATEPOST_FAULT_READ and
 * GATEPOST_FAULT_WRITE say. Elsewhere both functions give back len. */
#ifndef NET_FAULT_H
#define NET_FAULT_H

#include <stddef.h>

#ifdef GATEPOST_FAULTS
size_t fault_limit_read(size_t len);
size_t fault_limit_write(size_t len);
#else
static inline size_t fault_limit_read(size_t len)
{
    return len;
}
static inline size_t fault_limit_write(size_t len)
{
    return len;
}
#endif

#endif
