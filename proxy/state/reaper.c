#include "state/reaper.h"

#include "base/thread.h"
#include "state/snapshot.h"

#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct reaper {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wakes;
    struct snapshot *first; /* taken and not yet begun */
    bool wants_trim;
    bool is_ending;
};

static void free_all(struct snapshot *first)
{
    while (first != NULL) {
        struct snapshot *next = first->next;

        snapshot_free(&first);
        first = next;
    }
}

/* Returns false when there never will be work again; *first_out is what there
 * is to free, which may be nothing. */
static bool wait_for_work(struct reaper *reaper, struct snapshot **first_out)
{
    bool has_work;

    pthread_mutex_lock(&reaper->lock);
    while (reaper->first == NULL && !reaper->wants_trim && !reaper->is_ending)
        pthread_cond_wait(&reaper->wakes, &reaper->lock);
    has_work = reaper->first != NULL || reaper->wants_trim;
    *first_out = reaper->first;
    reaper->first = NULL;
    reaper->wants_trim = false;
    pthread_mutex_unlock(&reaper->lock);
    return has_work;
}

/* Other C libraries do it by themselves, or cannot. */
static void trim_heap(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

static void *run(void *argument)
{
    struct reaper *reaper = argument;
    struct snapshot *first;

    while (wait_for_work(reaper, &first)) {
        free_all(first);
        trim_heap();
    }
    return NULL;
}

static void destroy(struct reaper *reaper)
{
    pthread_cond_destroy(&reaper->wakes);
    pthread_mutex_destroy(&reaper->lock);
    free(reaper);
}

struct reaper *reaper_new(void)
{
    struct reaper *reaper = mem_zalloc(sizeof(*reaper));

    pthread_mutex_init(&reaper->lock, NULL);
    pthread_cond_init(&reaper->wakes, NULL);
    if (thread_start(&reaper->thread, run, reaper) == 0)
        return reaper;
    destroy(reaper);
    return NULL;
}

void reaper_take(struct reaper *reaper, struct snapshot *snapshot)
{
    pthread_mutex_lock(&reaper->lock);
    snapshot->next = reaper->first;
    reaper->first = snapshot;
    pthread_cond_signal(&reaper->wakes);
    pthread_mutex_unlock(&reaper->lock);
}

void reaper_trim(struct reaper *reaper)
{
    pthread_mutex_lock(&reaper->lock);
    reaper->wants_trim = true;
    pthread_cond_signal(&reaper->wakes);
    pthread_mutex_unlock(&reaper->lock);
}

void reaper_free(struct reaper **reaper)
{
    struct reaper *mine = *reaper;

    *reaper = NULL;
    if (mine == NULL)
        return;
    thread_end(mine->thread, &mine->lock, &mine->wakes, &mine->is_ending);
    destroy(mine);
}
