/* The one monotonic clock. In builds with GATEPOST_FAULTS the environment
 * variable GATEPOST_FAULT_CLOCK_SCALE=N (1 to 1000000) lets time run N times
 * faster, so that half an hour of IDLE can be tested in seconds. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds since some fixed moment; never goes back. */
uint64_t clock_now_ms(void);

/* How long a real timer must run for delay_ms of this clock to pass. Rounded
 * up, so that a timer never wakes before its time. */
uint64_t clock_real_delay_ms(uint64_t delay_ms);

#endif
