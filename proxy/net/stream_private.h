/* What the files of the stream share: stream.c (its life), stream_read.c and
 * stream_write.c. Private to net/. */
#ifndef NET_STREAM_PRIVATE_H
#define NET_STREAM_PRIVATE_H

#include "net/stream.h"
#include "net/stream_tail.h"

/* Facts about a stream, each independent of the others. */
enum {
    STREAM_IS_FRONT = 1u << 0,
    STREAM_IS_SECURED = 1u << 1,
    STREAM_IS_PAUSED = 1u << 2,
    STREAM_SAW_EOF = 1u << 3,
    STREAM_IS_TRUNCATED = 1u << 4,
    STREAM_HAS_FAILED = 1u << 5,
    STREAM_WANTS_DRAINED = 1u << 6,
    STREAM_IS_SHUT = 1u << 7,  /* nothing more may be written */
    STREAM_SENT_FIN = 1u << 8, /* and the socket was told so */
    STREAM_IS_ENDING = 1u << 9,
    STREAM_IS_CLOSING = 1u << 10,
    STREAM_IS_BROKEN = 1u << 11, /* the socket itself has failed */
    STREAM_IS_DIALING = 1u << 12 /* nothing was heard of the peer yet */
};

/* The owner stands in tcp.data and the io in the loop's data: a stream is
 * paid for by every idle session. */
struct stream {
    uv_tcp_t tcp;
    SSL *ssl;
    stream_handler *handler;
    struct stream_tail *tail; /* NULL while nothing is pending */
    unsigned facts;
};

static inline struct io *stream_io(const struct stream *stream)
{
    return stream->tcp.loop->data;
}

static inline struct tls_side *stream_side(const struct stream *stream)
{
    struct io *io = stream_io(stream);

    return stream->facts & STREAM_IS_FRONT ? &io->front : &io->back;
}

static inline uv_stream_t *stream_handle(struct stream *stream)
{
    return (uv_stream_t *)(void *)&stream->tcp;
}

static inline bool stream_is(const struct stream *stream, unsigned fact)
{
    return (stream->facts & fact) != 0;
}

static inline void stream_forget(struct stream *stream, unsigned fact)
{
    stream->facts &= ~fact;
}

static inline void stream_emit(struct stream *stream, enum stream_event event)
{
    stream->handler(stream, event, stream->tcp.data);
}

/* stream.c: what goes wrong. */
struct stream_tail *stream_need_tail(struct stream *stream);
void stream_drop_idle_tail(struct stream *stream);

/* Failures found inside a verb wait for the loop's next turn. */
void stream_latch_failure(struct stream *stream, const char *why);
void stream_latch_broken(struct stream *stream, int error);

/* Failures found in an event are told at once. */
void stream_fail(struct stream *stream, const char *why);
void stream_meet_broken(struct stream *stream, int error);

/* Everything of ours has left an ending stream: now for the peer's. */
void stream_discard_rest(struct stream *stream);

/* stream_read.c. */
void stream_start_reading(struct stream *stream);

/* stream_write.c: sends FIN once it was asked for and nothing is left to go
 * before it. */
void stream_settle(struct stream *stream);

/* Closes the TLS bracket, sends what it produced, then any FIN that waited. */
void stream_end_bracket(struct stream *stream);

#endif
