#include "net/io.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/mem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Chunks kept for the next socket that refuses: four busy sessions' worth. */
enum {
    DEFER_ACCEPT_S = 5
};

enum {
    IDLE_CHUNKS = 32
};

static size_t front_output_for(size_t flight_max)
{
    size_t data = IO_PLAIN_SIZE + IO_TLS_OVERHEAD;

    return flight_max + IO_TLS_OVERHEAD > data ? flight_max + IO_TLS_OVERHEAD
                                               : data;
}

int io_init(struct io *io, uv_loop_t *loop, struct counters *counters,
            size_t flight_max)
{
    int result;

    memset(io, 0, sizeof(*io));
    io->loop = loop;
    io->counters = counters;
    loop->data = io;
    result = uv_idle_init(loop, &io->latch);
    if (result == 0)
        result = uv_idle_init(loop, &io->leave);
    if (result == 0)
        result = uv_timer_init(loop, &io->tick);
    /* With its first stream a loop opens a descriptor of its own, which is
     * better had at the start than found missing later. */
    if (result == 0)
        result = uv_tcp_init(loop, &io->first);
    if (result != 0)
        return result;
    io->latch.data = io;
    io->leave.data = io;
    io->leaving_last = &io->leaving;
    io->tick.data = io;
    io->tick_at_ms = TIMER_WHEEL_NEVER;
    timer_wheel_init(&io->wheel, clock_now_ms());
    buffer_pool_init(&io->chunks, IDLE_CHUNKS);
    io->wire = mem_alloc(IO_WIRE_SIZE);
    io->plain = mem_alloc(IO_PLAIN_SIZE);
    tls_side_init(&io->front, front_output_for(flight_max), io);
    /* What was sent ahead, up to one read beyond its bound, goes in one event.
     */
    tls_side_init(&io->back, IO_PLAIN_SIZE + IO_AHEAD_MAX + IO_TLS_OVERHEAD,
                  io);
    return 0;
}

void io_stop(struct io *io)
{
    uv_close((uv_handle_t *)&io->latch, NULL);
    uv_close((uv_handle_t *)&io->leave, NULL);
    uv_close((uv_handle_t *)&io->tick, NULL);
    uv_close((uv_handle_t *)&io->first, NULL);
}

void io_deinit(struct io *io)
{
    assert(io->latched == NULL && io->streams == 0);
    tls_side_deinit(&io->back);
    tls_side_deinit(&io->front);
    OPENSSL_cleanse(io->wire, IO_WIRE_SIZE);
    OPENSSL_cleanse(io->plain, IO_PLAIN_SIZE);
    free(io->wire);
    free(io->plain);
    buffer_pool_deinit(&io->chunks);
}

static void on_tick(uv_timer_t *tick);

/* Sees to it that the loop wakes for the wheel's next timer. */
static void wind(struct io *io)
{
    uint64_t next = timer_wheel_next(&io->wheel);
    uint64_t now;

    if (next == TIMER_WHEEL_NEVER || next >= io->tick_at_ms)
        return;
    now = clock_now_ms();
    io->tick_at_ms = next;
    uv_timer_start(&io->tick, on_tick,
                   next <= now ? 0 : clock_real_delay_ms(next - now), 0);
}

static void on_tick(uv_timer_t *tick)
{
    struct io *io = tick->data;

    io->tick_at_ms = TIMER_WHEEL_NEVER;
    timer_wheel_advance(&io->wheel, clock_now_ms());
    wind(io);
}

void io_arm(struct io *io, struct wheel_timer *timer, uint64_t delay_ms)
{
    timer_wheel_arm(&io->wheel, timer, clock_now_ms() + delay_ms);
    wind(io);
}

void io_disarm(struct io *io, struct wheel_timer *timer)
{
    timer_wheel_cancel(&io->wheel, timer);
}

static int set_option(int fd, int level, int option, unsigned value)
{
    int number = (int)value;

    return setsockopt(fd, level, option, &number, sizeof(number)) == 0
               ? 0
               : uv_translate_sys_error(errno);
}

static int set_probes(int fd, const struct io_keepalive *keepalive)
{
    int result = set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepalive->idle_s);

    if (result == 0)
        result =
            set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, keepalive->interval_s);
    if (result == 0)
        result = set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, keepalive->count);
    return result;
}

/* Off is said too, since a reload may turn off what stands at a listener. */
int io_set_keepalive(int fd, const struct io_keepalive *keepalive)
{
    int result = keepalive->idle_s == 0 ? 0 : set_probes(fd, keepalive);

    if (result == 0)
        result =
            set_option(fd, SOL_SOCKET, SO_KEEPALIVE, keepalive->idle_s != 0);
    if (result == 0)
        result = set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
                            keepalive->user_timeout_ms);
    return result;
}

int io_set_listener(int fd, const struct io_keepalive *keepalive)
{
    int result = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);

    return result != 0 ? result : io_set_keepalive(fd, keepalive);
}

int io_defer_accept(int fd, bool defers)
{
    return set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT,
                      defers ? DEFER_ACCEPT_S : 0);
}

/* In place of another descriptor: those that come by fcntl are unknown to
 * ThreadSanitizer, which takes them for former ones of the same number. */
int io_dup(int fd)
{
    int copy = eventfd(0, EFD_CLOEXEC);
    int error = copy < 0 ? uv_translate_sys_error(errno) : 0;

    if (error == 0 && dup3(fd, copy, O_CLOEXEC) < 0) {
        error = uv_translate_sys_error(errno);
        close(copy);
    }
    return error == 0 ? copy : error;
}

void io_fit_flight(struct io *io, size_t flight_max)
{
    tls_side_grow(&io->front, front_output_for(flight_max));
}
