#include "state/heir.h"

#include "base/thread.h"
#include "state/heir_parts.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LOOK_MS = 100, /* at sessions, and for answers that came late */
    YIELD_US = 100,
    YIELDS = 100 /* then whoever waits does so for others, too */
};

/* Beyond what a login waits for an answer: one that is late on a busy machine
 * costs that login, and not the upgrade. */
enum {
    SILENCE_MS = 750
};

struct heir *heir_new(struct backend_registry *registry)
{
    struct heir *heir = mem_zalloc(sizeof(*heir));

    heir->registry = registry;
    heir->fd = -1;
    heir->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&heir->lock, NULL);
    pthread_mutex_init(&heir->news_lock, NULL);
    return heir;
}

void heir_free(struct heir **heir)
{
    struct heir *mine = *heir;

    *heir = NULL;
    if (mine == NULL)
        return;
    heir_close(mine);
    if (mine->bell >= 0)
        close(mine->bell);
    pthread_mutex_destroy(&mine->lock);
    pthread_mutex_destroy(&mine->news_lock);
    free(mine);
}

bool heir_is_open(const struct heir *heir)
{
    return atomic_load_explicit(&heir->is_open, memory_order_acquire);
}

void heir_break(struct heir *heir)
{
    if (atomic_exchange(&heir->is_open, false))
        (void)shutdown(heir->fd, SHUT_RDWR);
}

void heir_open(struct heir *heir, int fd)
{
    assert(heir->fd < 0);
    pthread_mutex_lock(&heir->lock);
    heir->fd = fd;
    heir->unanswered.is_set = false;
    heir->is_patient = false;
    atomic_store(&heir->is_open, true);
    pthread_mutex_unlock(&heir->lock);
}

void heir_ring(struct heir *heir)
{
    const uint64_t one = 1;

    if (heir->bell >= 0 && write(heir->bell, &one, sizeof(one)) < 0)
        return; /* it rings already */
}

void heir_close(struct heir *heir)
{
    if (heir->fd < 0)
        return;
    heir_break(heir);
    atomic_store(&heir->is_ending, true);
    heir_ring(heir);
    if (heir->has_thread)
        pthread_join(heir->thread, NULL);
    heir->has_thread = false;
    atomic_store(&heir->is_ending, false);
    pthread_mutex_lock(&heir->lock);
    close(heir->fd);
    heir->fd = -1;
    atomic_store(&heir->silent_since_ms, 0);
    atomic_store(&heir->unsent_since_ms, 0);
    pthread_mutex_unlock(&heir->lock);
    heir_forget_news(heir);
    heir_forget_sessions(heir);
}

void heir_lock(struct heir *heir)
{
    atomic_fetch_add(&heir->waiting, 1);
    pthread_mutex_lock(&heir->lock);
    atomic_fetch_sub(&heir->waiting, 1);
}

/* A mutex is had by who asks for it first after it was given back, which is
 * the one that gave it back. */
void heir_lock_behind(struct heir *heir)
{
    for (unsigned i = 0; i < YIELDS && atomic_load(&heir->waiting) > 0; i++)
        usleep(YIELD_US);
    pthread_mutex_lock(&heir->lock);
}

void heir_unlock(struct heir *heir)
{
    pthread_mutex_unlock(&heir->lock);
}

/* An answer that came late is undone also where nobody asks again. */
static void look_for_answer(struct heir *heir)
{
    if (pthread_mutex_trylock(&heir->lock) != 0)
        return;
    (void)heir_catch_up(heir);
    pthread_mutex_unlock(&heir->lock);
}

/* To what was not sent no answer comes: that it reads again is all there is to
 * see. */
static void look_for_room(struct heir *heir)
{
    struct pollfd poller = {.events = POLLOUT};

    if (pthread_mutex_trylock(&heir->lock) != 0)
        return;
    poller.fd = heir->fd;
    if (poll(&poller, 1, 0) > 0 && (poller.revents & POLLOUT) != 0)
        atomic_store(&heir->unsent_since_ms, 0);
    pthread_mutex_unlock(&heir->lock);
}

static bool lasts(atomic_uint_fast64_t *since_ms)
{
    uint64_t begun_ms = atomic_load(since_ms);

    return begun_ms != 0 && heir_now_ms() - begun_ms >= SILENCE_MS;
}

bool heir_is_silent(struct heir *heir)
{
    if (atomic_load(&heir->silent_since_ms) != 0)
        look_for_answer(heir);
    if (atomic_load(&heir->unsent_since_ms) != 0)
        look_for_room(heir);
    return lasts(&heir->silent_since_ms) || lasts(&heir->unsent_since_ms);
}

/* False: the successor is gone. */
static bool wait_for_bell(struct heir *heir)
{
    struct pollfd pollers[] = {{.fd = heir->bell, .events = POLLIN},
                               {.fd = heir->fd}};
    uint64_t rung;

    (void)poll(pollers, 2, LOOK_MS);
    if ((pollers[0].revents & POLLIN) != 0 &&
        read(heir->bell, &rung, sizeof(rung)) < 0)
        return true;
    return pollers[1].revents == 0;
}

static void *run(void *argument)
{
    struct heir *heir = argument;

    while (heir_is_open(heir) && heir_send_sessions(heir) &&
           wait_for_bell(heir) && heir_send_news(heir))
        look_for_answer(heir);
    heir_break(heir);
    return NULL;
}

bool heir_run(struct heir *heir)
{
    if (heir->bell < 0)
        return false;
    heir->is_patient = true;
    heir->has_thread = thread_start(&heir->thread, run, heir) == 0;
    return heir->has_thread;
}
