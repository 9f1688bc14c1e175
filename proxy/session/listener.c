#include "session/listener.h"

#include "base/clock.h"
#include "base/log.h"
#include "session/evict.h"
#include "session/session.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* How soon to look again whether there is room. Sessions may be freed by
 * another worker, which does not wake this one. */
enum {
    PAUSE_MS = 50
};

/* How long the queue of a listener that stops should have been empty, since
 * handshakes of TCP that are under way end up in it too. */
enum {
    STOP_QUIET_MS = 200
};

struct listener {
    uv_poll_t poll;
    int fd;
    struct env *env;
    struct wheel_timer timer;
    struct snapshot *snapshot;            /* which the next line is lent by */
    const struct listener_config *config; /* what sessions go by */
    struct listener_sharing sharing;
    unsigned turn; /* of the workers, where it is dealt */
    bool is_paused;
    bool is_stopping;
    bool expects_room;   /* someone was made to go */
    bool accepted_since; /* the stop timer last looked */
    uint64_t stop_by_ms;
    listener_closed *closed;
    void *owner;
};

static void on_timer(struct wheel_timer *timer);

/* Who waits in the queue goes on waiting there (decision 7). */
static void pause_accepting(struct listener *listener)
{
    if (!listener->is_paused) {
        counters_add(listener->env->counters, COUNTER_ACCEPT_PAUSES, 1);
        uv_poll_stop(&listener->poll);
    }
    listener->is_paused = true;
    io_arm(&listener->env->io, &listener->timer,
           listener->expects_room ? 0 : PAUSE_MS);
}

static void log_accept_failure(int error)
{
    struct log_entry entry;

    log_begin(&entry, LOG_WARN, "accept-failed");
    log_text(&entry, "reason", uv_strerror(error));
    log_end(&entry);
}

/* Whoever waited has gone, which is no shortage of ours. */
static bool is_passing(int error)
{
    return error == EAGAIN || error == EINTR || error == ECONNABORTED ||
           error == EPROTO;
}

static bool queue_is_empty(const struct listener *listener)
{
    struct pollfd queue = {.fd = listener->fd, .events = POLLIN};

    return poll(&queue, 1, 0) == 0;
}

static void open_session(struct env *env, const struct arrival *arrival)
{
    int result = session_open(env, arrival->fd, &arrival->peer,
                              arrival->snapshot, arrival->listener);

    if (result != 0)
        log_accept_failure(result);
}

/* One that is being stopped keeps who is left to itself: other workers may have
 * ended. */
static bool is_given(struct listener *listener, const struct arrival *arrival)
{
    struct env *env = listener->env;

    return listener->sharing.is_dealt && !listener->is_stopping &&
           env->deal(arrival, listener->turn++, env->worker, env->deal_owner);
}

/* Takes one connection; false where there is no room for it. Our own count
 * should keep descriptors from running out, but others may take them too. */
static bool take_one(struct listener *listener)
{
    struct env *env = listener->env;
    struct arrival arrival = {.snapshot = listener->snapshot,
                              .listener = listener->config,
                              .quota = env->quota};
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);

    if (!quota_take(env->quota)) {
        listener->expects_room =
            !queue_is_empty(listener) && evict_for_quota(env);
        return false;
    }
    listener->expects_room = false;
    arrival.fd = accept4(listener->fd, (struct sockaddr *)&name, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (arrival.fd < 0) {
        int error = errno;

        quota_give(env->quota);
        if (!is_passing(error) && !listener->is_paused)
            log_accept_failure(uv_translate_sys_error(error));
        return is_passing(error);
    }
    listener->accepted_since = true;
    (void)address_from_sockaddr((const struct sockaddr *)&name, &arrival.peer);
    if (!is_given(listener, &arrival))
        open_session(env, &arrival);
    return true;
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void watch(struct listener *listener)
{
    listener->is_paused = false;
    uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

/* One at a time: asking for the next costs a system call, which the loop's
 * next turn makes for all sockets at once; and between two handshakes those
 * who are in have their turn. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = (struct listener *)(void *)poll;

    (void)status;
    (void)events;
    if (!take_one(listener))
        pause_accepting(listener);
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *listener = (struct listener *)(void *)handle;

    io_disarm(&listener->env->io, &listener->timer);
    snapshot_unref(&listener->snapshot);
    listener->closed(listener, listener->owner);
    free(listener);
}

static void look_again(struct listener *listener, uint64_t delay_ms)
{
    listener->accepted_since = false;
    io_arm(&listener->env->io, &listener->timer, delay_ms);
}

/* Closes in the very moment in which the queue was seen to be empty. */
static void close_when_empty(struct listener *listener)
{
    uint64_t now_ms = clock_now_ms();

    if (listener->accepted_since && now_ms < listener->stop_by_ms)
        look_again(listener, STOP_QUIET_MS);
    else if (!queue_is_empty(listener) &&
             now_ms < listener->stop_by_ms + LISTENER_STOP_FLOOD_MS)
        look_again(listener, 0); /* one is taken in every turn */
    else
        listener_close(listener);
}

static void on_timer(struct wheel_timer *timer)
{
    struct listener *listener =
        (struct listener *)(void *)((char *)timer -
                                    offsetof(struct listener, timer));

    if (listener->is_paused && take_one(listener))
        watch(listener);
    else if (listener->is_paused)
        pause_accepting(listener);
    if (listener->is_stopping && !listener->is_paused)
        close_when_empty(listener);
}

/* What the socket cannot be told it does without. */
static void set_up(const struct listener *listener)
{
    (void)io_set_listener(listener->fd, &listener->snapshot->keepalive);
    (void)io_defer_accept(listener->fd,
                          listener->config->tls == LISTENER_TLS_IMPLICIT);
}

int listener_open(struct env *env, int fd, unsigned index,
                  struct listener_sharing sharing,
                  struct listener **listener_out)
{
    struct listener *listener = mem_zalloc(sizeof(*listener));
    int result = uv_poll_init(env->io.loop, &listener->poll, fd);

    if (result != 0) {
        free(listener);
        return result;
    }
    listener->fd = fd;
    listener->env = env;
    listener->snapshot = snapshot_ref(env->snapshot);
    assert(index < env->snapshot->settings->listener_count);
    listener->config = &env->snapshot->settings->listeners[index];
    listener->sharing = sharing;
    set_up(listener);
    wheel_timer_init(&listener->timer, on_timer);
    watch(listener);
    *listener_out = listener;
    return 0;
}

bool listener_follow(struct listener *listener)
{
    struct snapshot *snapshot = listener->env->snapshot;
    const struct listener_config *former = listener->config;
    const struct listener_config *config = settings_find_listener(
        snapshot->settings, former->address, former->port);

    if (config == NULL || listener->is_stopping)
        return false;
    if (config->tls != former->tls)
        (void)io_defer_accept(listener->fd,
                              config->tls == LISTENER_TLS_IMPLICIT);
    listener->config = config;
    snapshot_unref(&listener->snapshot);
    listener->snapshot = snapshot_ref(snapshot);
    (void)io_set_listener(listener->fd, &snapshot->keepalive);
    return true;
}

int listener_dup(const struct listener *listener)
{
    return listener->is_stopping ? UV_ECANCELED : io_dup(listener->fd);
}

/* It may have been accepted before or after a reload that this worker heard of
 * at another time. */
void listener_take(struct env *env, const struct arrival *arrival)
{
    const struct listener_config *own = settings_find_listener(
        env->snapshot->settings, arrival->listener->address,
        arrival->listener->port);
    struct arrival mine = *arrival;

    if (own != NULL) {
        mine.snapshot = env->snapshot;
        mine.listener = own;
    }
    open_session(env, &mine);
}

/* The loop forgets the descriptor before it is closed. */
void listener_close(struct listener *listener)
{
    if (uv_is_closing((uv_handle_t *)&listener->poll))
        return;
    uv_close((uv_handle_t *)&listener->poll, on_closed);
    close(listener->fd);
}

bool listener_stop(struct listener *listener, listener_closed *closed,
                   void *owner)
{
    if (listener->is_stopping)
        return false;
    listener->is_stopping = true;
    listener->closed = closed;
    listener->owner = owner;
    listener->stop_by_ms = clock_now_ms() + LISTENER_STOP_BUSY_MS;
    if (!listener->is_paused)
        look_again(listener, STOP_QUIET_MS);
    return true;
}

void listener_leave(struct listener *listener, listener_closed *closed,
                    void *owner)
{
    if (listener_stop(listener, closed, owner) && listener->sharing.is_kept)
        listener_close(listener);
}
