#include "base/thread.h"

#include <signal.h>

int thread_start(pthread_t *thread_out, thread_main *run, void *argument)
{
    sigset_t all;
    sigset_t former;
    int error;

    sigfillset(&all);
    /* The new thread inherits the mask, so it never sees a signal. */
    pthread_sigmask(SIG_SETMASK, &all, &former);
    error = pthread_create(thread_out, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    return error;
}

void thread_end(pthread_t thread, pthread_mutex_t *lock,
                pthread_cond_t *condition, bool *is_ending)
{
    pthread_mutex_lock(lock);
    *is_ending = true;
    pthread_cond_signal(condition);
    pthread_mutex_unlock(lock);
    pthread_join(thread, NULL);
}

void thread_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct timespec thread_deadline(uint64_t delay_ms)
{
    struct timespec moment;
    uint64_t ns;

    clock_gettime(CLOCK_MONOTONIC, &moment);
    ns = (uint64_t)moment.tv_nsec + delay_ms % 1000 * 1000000;
    moment.tv_sec += (time_t)(delay_ms / 1000 + ns / 1000000000);
    moment.tv_nsec = (long)(ns % 1000000000);
    return moment;
}
