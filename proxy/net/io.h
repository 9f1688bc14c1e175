/* What one loop lends to its streams: scratch to read into, the two TLS sides,
 * chunks for what a socket refuses, the timer wheel. One per worker; nothing
 * in it is shared with another thread. */
#ifndef NET_IO_H
#define NET_IO_H

#include "base/counters.h"
#include "net/buffer_pool.h"
#include "net/timer_wheel.h"
#include "net/tls.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* One read of a socket. Encrypted, with record headers and tags, it fits two
 * segments of 64 KiB: the little above that would travel in a packet of its
 * own. Larger ones wake the peers less often, and fit fewer caches. */
enum {
    IO_WIRE_SIZE = 128 * 1024 - 1024
};

/* What one read can decrypt to: its own bytes and those of a record whose
 * beginning the TLS library still held (RFC 8446, 5.2: 2^14 and 256). */
enum {
    IO_PLAIN_SIZE = IO_WIRE_SIZE + 17 * 1024
};

/* What a client may send ahead of its login's verdict before it is read from
 * no more. */
enum {
    IO_AHEAD_MAX = 16 * 1024
};

/* What encrypting all of that may add, record headers and tags. */
enum {
    IO_TLS_OVERHEAD = 16 * 1024
};

/* The most that one socket may read in one turn of the loop. */
enum {
    IO_TURN_MAX = 256 * 1024
};

enum {
    IO_FAILURE_MAX = TLS_FAILURE_MAX
};

/* How many ended streams are closed in one turn of the loop, each of which
 * takes some ten to thirty microseconds: clients that hear of their end at once
 * leave at once, too. The others wait for the next turns. */
enum {
    IO_CLOSINGS_MAX = 16
};

/* Dead peers: keepalive finds idle ones, the user timeout those that leave
 * our data unacknowledged. Seconds, as the kernel has them; 0 leaves off. */
struct io_keepalive {
    unsigned idle_s;
    unsigned interval_s;
    unsigned count;
    unsigned user_timeout_ms;
};

struct stream;

struct io {
    uv_loop_t *loop;
    struct timer_wheel wheel;
    struct buffer_pool chunks;
    struct counters *counters;
    uint8_t *wire;         /* IO_WIRE_SIZE */
    uint8_t *plain;        /* IO_PLAIN_SIZE */
    struct tls_side front; /* the context of both is this io */
    struct tls_side back;

    const uint8_t *lent; /* of the STREAM_DATA being delivered */
    size_t lent_len;
    size_t given_back; /* the last of them, for whoever comes next */
    size_t streams;    /* that exist: their timers need this io */
    size_t turn_bytes; /* read by one stream since it last had its turn */
    char failure[IO_FAILURE_MAX];

    struct stream_tail *latched; /* failures to be told on the next turn */
    uv_idle_t latch;
    struct stream_tail *leaving; /* of streams to be closed, first to last */
    struct stream_tail **leaving_last;
    uv_idle_t leave;
    uint64_t closings_at_ms; /* of the loop's time, which stands in a turn */
    unsigned closings;       /* since then */
    uv_timer_t tick;         /* drives the wheel */
    uint64_t tick_at_ms;
    uv_tcp_t first; /* never used: see io_init */
};

/* flight_max: the largest TLS flight of a server context, which the output
 * scratch of the front must hold. 0 or UV_E*. */
int io_init(struct io *io, uv_loop_t *loop, struct counters *counters,
            size_t flight_max);

/* Closes the io's own handles; run the loop until they are gone, then call
 * io_deinit. */
void io_stop(struct io *io);
void io_deinit(struct io *io);

/* Arms a timer on the wheel, to fire in delay_ms of base/clock's time. */
void io_arm(struct io *io, struct wheel_timer *timer, uint64_t delay_ms);
void io_disarm(struct io *io, struct wheel_timer *timer);

/* Sets keepalive and user timeout on a descriptor. 0 or UV_E*. */
int io_set_keepalive(int fd, const struct io_keepalive *keepalive);

/* The same and TCP_NODELAY, on a listening socket, which hands them on to what
 * it accepts. */
int io_set_listener(int fd, const struct io_keepalive *keepalive);

/* Of a listening socket: whether the kernel keeps a connection to itself until
 * the client has spoken, for 5 s at most. 0 or UV_E*. */
int io_defer_accept(int fd, bool defers);

/* A duplicate that is closed on exec, or UV_E*. */
MUST_USE int io_dup(int fd);

/* A reload may bring longer chains: grows the front's output scratch. Call
 * it outside any event. */
void io_fit_flight(struct io *io, size_t flight_max);

#endif
