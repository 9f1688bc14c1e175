#include "session/listener.h"

#include "base/clock.h"
#include "base/log.h"
#include "session/session.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Deep enough for a burst of reconnects; the kernel caps it at its own
 * somaxconn. */
enum {
    BACKLOG = 4096
};

/* How soon to look again whether there is room. Sessions may be freed by
 * another worker, which does not wake this one. */
enum {
    PAUSE_MS = 50
};

/* How long the queue of a listener that stops should have been empty, since
 * handshakes of TCP that are under way end up in it too; and how long that is
 * waited for where clients keep coming. */
enum {
    STOP_QUIET_MS = 200,
    STOP_BUSY_MS = 1000,
    STOP_FLOOD_MS = 5000 /* more, where the queue is never seen empty */
};

struct listener {
    uv_tcp_t tcp;
    struct env *env;
    struct wheel_timer timer;
    enum listener_tls tls;
    bool is_paused; /* libuv holds a connection that we have not taken */
    bool is_stopping;
    int reserve_fd;      /* given up for one accept when descriptors run out */
    bool accepted_since; /* the stop timer last looked */
    uint64_t stop_by_ms;
    listener_closed *closed;
    void *owner;
};

static void on_timer(struct wheel_timer *timer);

static void pause_accepting(struct listener *listener)
{
    if (!listener->is_paused)
        counters_add(listener->env->counters, COUNTER_ACCEPT_PAUSES, 1);
    listener->is_paused = true;
    io_arm(&listener->env->io, &listener->timer, PAUSE_MS);
}

/* Our own count should keep descriptors from running out; where something else
 * takes them, libuv would call back without end. Giving up the reserve lets it
 * accept one, which then waits untaken until there is a reserve again. */
static bool has_reserve(struct listener *listener)
{
    if (listener->reserve_fd < 0)
        listener->reserve_fd = eventfd(0, EFD_CLOEXEC);
    return listener->reserve_fd >= 0;
}

static void give_up_reserve(struct listener *listener)
{
    if (listener->reserve_fd >= 0)
        close(listener->reserve_fd);
    listener->reserve_fd = -1;
}

static void log_accept_failure(int error)
{
    struct log_entry entry;

    log_begin(&entry, LOG_WARN, "accept-failed");
    log_text(&entry, "reason", uv_strerror(error));
    log_end(&entry);
}

/* Takes the connection that libuv holds for us. Left there, libuv accepts no
 * more, which is how accepting pauses (decision 7). */
static void take_one(struct listener *listener)
{
    struct env *env = listener->env;
    int result;

    if (!has_reserve(listener) || !quota_take(env->quota)) {
        pause_accepting(listener);
        return;
    }
    listener->is_paused = false;
    listener->accepted_since = true;
    result =
        session_open(env, (uv_stream_t *)(void *)&listener->tcp, listener->tls);
    if (result != 0)
        log_accept_failure(result);
}

static void on_connection(uv_stream_t *handle, int status)
{
    struct listener *listener = (struct listener *)(void *)handle;

    if (status == 0) {
        take_one(listener);
        return;
    }
    log_accept_failure(status);
    give_up_reserve(listener);
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *listener = (struct listener *)(void *)handle;

    io_disarm(&listener->env->io, &listener->timer);
    give_up_reserve(listener);
    listener->closed(listener, listener->owner);
    free(listener);
}

static void look_again(struct listener *listener, uint64_t delay_ms)
{
    listener->accepted_since = false;
    io_arm(&listener->env->io, &listener->timer, delay_ms);
}

static bool queue_is_empty(const struct listener *listener)
{
    struct pollfd queue = {.events = POLLIN};

    return uv_fileno((const uv_handle_t *)&listener->tcp, &queue.fd) != 0 ||
           poll(&queue, 1, 0) == 0;
}

/* Closes in the very moment in which the queue was seen to be empty. */
static void close_when_empty(struct listener *listener)
{
    uint64_t now_ms = clock_now_ms();

    if (listener->accepted_since && now_ms < listener->stop_by_ms)
        look_again(listener, STOP_QUIET_MS);
    else if (!queue_is_empty(listener) &&
             now_ms < listener->stop_by_ms + STOP_FLOOD_MS)
        look_again(listener, 0); /* libuv accepts it in this very turn */
    else
        listener_close(listener);
}

static void on_timer(struct wheel_timer *timer)
{
    struct listener *listener =
        (struct listener *)(void *)((char *)timer -
                                    offsetof(struct listener, timer));

    if (listener->is_paused)
        take_one(listener);
    if (listener->is_stopping && !listener->is_paused)
        close_when_empty(listener);
}

int listener_open(struct env *env, int fd, enum listener_tls tls,
                  struct listener **listener_out)
{
    struct listener *listener = mem_zalloc(sizeof(*listener));
    int result = uv_tcp_init(env->io.loop, &listener->tcp);

    if (result != 0) {
        free(listener);
        return result;
    }
    listener->reserve_fd = -1;
    listener->env = env;
    listener->tls = tls;
    wheel_timer_init(&listener->timer, on_timer);
    (void)has_reserve(listener);
    result = uv_tcp_open(&listener->tcp, fd);
    if (result == 0)
        result = uv_listen((uv_stream_t *)(void *)&listener->tcp, BACKLOG,
                           on_connection);
    *listener_out = listener;
    return result;
}

void listener_set_keepalive(struct listener *listener,
                            const struct io_keepalive *keepalive)
{
    uv_os_fd_t fd;

    if (uv_fileno((uv_handle_t *)&listener->tcp, &fd) == 0)
        (void)io_set_socket(fd, keepalive);
}

void listener_close(struct listener *listener)
{
    if (!uv_is_closing((uv_handle_t *)&listener->tcp))
        uv_close((uv_handle_t *)&listener->tcp, on_closed);
}

void listener_stop(struct listener *listener, listener_closed *closed,
                   void *owner)
{
    listener->is_stopping = true;
    listener->closed = closed;
    listener->owner = owner;
    listener->stop_by_ms = clock_now_ms() + STOP_BUSY_MS;
    if (!listener->is_paused)
        look_again(listener, STOP_QUIET_MS);
}
