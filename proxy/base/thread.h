/* Threads that leave signals to the main thread. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include "config/mem.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

typedef void *thread_main(void *argument);

/* Starts a thread with every signal blocked. Returns 0 or an errno value. */
MUST_USE int thread_start(pthread_t *thread_out, thread_main *run,
                          void *argument);

/* Ends a thread that waits for the condition, and waits for it: the flag, which
 * the lock is for, tells it. */
void thread_end(pthread_t thread, pthread_mutex_t *lock,
                pthread_cond_t *condition, bool *is_ending);

/* A condition variable whose timed waits go by the monotonic clock. */
void thread_condition_init(pthread_cond_t *condition);

/* The moment in delay_ms of real time, for a timed wait on such a one. */
struct timespec thread_deadline(uint64_t delay_ms);

#endif
