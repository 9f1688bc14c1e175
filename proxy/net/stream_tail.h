/* What a stream holds only while something is pending: refused output, a
 * failure to be told, the timer of its end. Private to net/. */
#ifndef NET_STREAM_TAIL_H
#define NET_STREAM_TAIL_H

#include "net/buffer_pool.h"
#include "net/io.h"
#include "net/timer_wheel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct stream;

/* As many buffers as libuv's write request holds without allocating. */
enum {
    STREAM_TAIL_FLYING_MAX = 4
};

struct stream_tail {
    struct stream *stream;
    uv_write_t write;
    size_t queued;                /* bytes in flying and waiting */
    struct buffer_chunk *flying;  /* lent to libuv */
    struct buffer_chunk *waiting; /* behind them */
    struct buffer_chunk *waiting_last;

    struct wheel_timer timer;
    size_t discarded;

    bool is_latched;
    char latched[IO_FAILURE_MAX];
    struct stream_tail *latched_next;
    struct stream_tail *leaving_next;
};

struct stream_tail *stream_tail_new(struct stream *stream);
/* Gives its chunks back. */
void stream_tail_free(struct stream_tail **tail, struct io *io);
bool stream_tail_is_idle(const struct stream_tail *tail);

struct stream_tail *stream_tail_of(uv_write_t *write);
struct stream_tail *stream_tail_of_timer(struct wheel_timer *timer);

/* Appends a copy. */
void stream_tail_queue(struct stream_tail *tail, struct io *io,
                       const uint8_t *bytes, size_t len);

/* Moves the first waiting chunks to flying, unless some fly already, and
 * names them in bufs; returns how many. */
unsigned stream_tail_take_off(struct stream_tail *tail, uv_buf_t *bufs);

/* The flying ones are done with. */
void stream_tail_land(struct stream_tail *tail, struct io *io);

/* Forgets what waits. */
void stream_tail_drop(struct stream_tail *tail, struct io *io);

/* Has stream_tell_latched called on the loop's next turn. A second failure
 * adds nothing. */
void stream_tail_latch(struct stream_tail *tail, struct io *io,
                       const char *why);

/* Has stream_close_handle called as soon as this turn of the loop or a next one
 * has room for it (IO_CLOSINGS_MAX). Once for each stream. */
void stream_tail_leave(struct stream_tail *tail, struct io *io);

/* Cancels timer and latch. */
void stream_tail_quiet(struct stream_tail *tail, struct io *io);

void stream_tail_arm(struct stream_tail *tail, struct io *io, uint64_t delay_ms,
                     wheel_timer_callback *fire);
/* Counts; false once it is too much. */
bool stream_tail_may_discard(struct stream_tail *tail, size_t len);

/* Of stream.c: called from the io's idle handles. */
void stream_tell_latched(struct stream *stream, const char *why);
void stream_close_handle(struct stream *stream);

#endif
