#include "net/stream_tail.h"

#include "net/io.h"
#include "net/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWNER_OF(member, name)                                                 \
    ((struct stream_tail *)(void *)((char *)(member)-offsetof(                 \
        struct stream_tail, name)))

struct stream_tail *stream_tail_new(struct stream *stream)
{
    struct stream_tail *tail = mem_zalloc(sizeof(*tail));

    tail->stream = stream;
    wheel_timer_init(&tail->timer, NULL);
    return tail;
}

static void give_all(struct buffer_chunk **first, struct io *io)
{
    while (*first != NULL) {
        struct buffer_chunk *chunk = *first;

        *first = chunk->next;
        buffer_pool_give(&io->chunks, &chunk);
    }
}

void stream_tail_drop(struct stream_tail *tail, struct io *io)
{
    struct buffer_chunk *chunk;

    for (chunk = tail->waiting; chunk != NULL; chunk = chunk->next)
        tail->queued -= chunk->end - chunk->start;
    give_all(&tail->waiting, io);
    tail->waiting_last = NULL;
}

static void unlatch(struct stream_tail *tail, struct io *io)
{
    struct stream_tail **at = &io->latched;

    if (!tail->is_latched)
        return;
    while (*at != tail)
        at = &(*at)->latched_next;
    *at = tail->latched_next;
    tail->is_latched = false;
}

void stream_tail_quiet(struct stream_tail *tail, struct io *io)
{
    io_disarm(io, &tail->timer);
    unlatch(tail, io);
}

void stream_tail_free(struct stream_tail **tail, struct io *io)
{
    stream_tail_quiet(*tail, io);
    give_all(&(*tail)->flying, io);
    give_all(&(*tail)->waiting, io);
    free(*tail);
    *tail = NULL;
}

bool stream_tail_is_idle(const struct stream_tail *tail)
{
    return !tail->is_latched && tail->queued == 0 && tail->flying == NULL &&
           !wheel_timer_is_armed(&tail->timer);
}

struct stream_tail *stream_tail_of(uv_write_t *write)
{
    return OWNER_OF(write, write);
}

struct stream_tail *stream_tail_of_timer(struct wheel_timer *timer)
{
    return OWNER_OF(timer, timer);
}

static struct buffer_chunk *chunk_with_room(struct stream_tail *tail,
                                            struct io *io)
{
    struct buffer_chunk *chunk = tail->waiting_last;

    if (chunk != NULL && chunk->end < BUFFER_CHUNK_SIZE)
        return chunk;
    chunk = buffer_pool_take(&io->chunks);
    chunk->next = NULL;
    if (tail->waiting_last == NULL)
        tail->waiting = chunk;
    else
        tail->waiting_last->next = chunk;
    tail->waiting_last = chunk;
    return chunk;
}

void stream_tail_queue(struct stream_tail *tail, struct io *io,
                       const uint8_t *bytes, size_t len)
{
    tail->queued += len;
    while (len > 0) {
        struct buffer_chunk *chunk = chunk_with_room(tail, io);
        size_t room = BUFFER_CHUNK_SIZE - chunk->end;
        size_t part = len < room ? len : room;

        memcpy(chunk->bytes + chunk->end, bytes, part);
        chunk->end += (uint32_t)part;
        bytes += part;
        len -= part;
    }
}

unsigned stream_tail_take_off(struct stream_tail *tail, uv_buf_t *bufs)
{
    struct buffer_chunk **last = &tail->flying;
    unsigned count = 0;

    if (tail->flying != NULL)
        return 0;
    while (count < STREAM_TAIL_FLYING_MAX && tail->waiting != NULL) {
        struct buffer_chunk *chunk = tail->waiting;

        tail->waiting = chunk->next;
        chunk->next = NULL;
        *last = chunk;
        last = &chunk->next;
        bufs[count].base = (char *)chunk->bytes + chunk->start;
        bufs[count].len = chunk->end - chunk->start;
        count++;
    }
    if (tail->waiting == NULL)
        tail->waiting_last = NULL;
    return count;
}

void stream_tail_land(struct stream_tail *tail, struct io *io)
{
    struct buffer_chunk *chunk;

    for (chunk = tail->flying; chunk != NULL; chunk = chunk->next)
        tail->queued -= chunk->end - chunk->start;
    give_all(&tail->flying, io);
}

static void tell_latched(uv_idle_t *latch)
{
    struct io *io = latch->data;
    char why[IO_FAILURE_MAX];

    while (io->latched != NULL) {
        struct stream_tail *tail = io->latched;

        unlatch(tail, io);
        memcpy(why, tail->latched, sizeof(why));
        stream_tell_latched(tail->stream, why);
    }
    uv_idle_stop(latch);
}

void stream_tail_latch(struct stream_tail *tail, struct io *io, const char *why)
{
    if (tail->is_latched)
        return;
    tail->is_latched = true;
    snprintf(tail->latched, sizeof(tail->latched), "%s", why);
    tail->latched_next = io->latched;
    io->latched = tail;
    uv_idle_start(&io->latch, tell_latched);
}

static struct stream *take_leaving(struct io *io)
{
    struct stream_tail *tail = io->leaving;

    io->leaving = tail->leaving_next;
    if (io->leaving == NULL)
        io->leaving_last = &io->leaving;
    return tail->stream;
}

static void close_some(uv_idle_t *leave)
{
    struct io *io = leave->data;

    for (unsigned i = 0; i < IO_CLOSINGS_MAX && io->leaving != NULL; i++)
        stream_close_handle(take_leaving(io));
    if (io->leaving == NULL)
        uv_idle_stop(leave);
}

/* Nothing has to tell where a turn begins: its time is another, or there is a
 * millisecond to spare. */
static bool has_room(struct io *io)
{
    uint64_t now_ms = uv_now(io->loop);

    if (io->closings_at_ms != now_ms)
        io->closings = 0;
    io->closings_at_ms = now_ms;
    return io->closings++ < IO_CLOSINGS_MAX;
}

void stream_tail_leave(struct stream_tail *tail, struct io *io)
{
    if (io->leaving == NULL && has_room(io)) {
        stream_close_handle(tail->stream);
        return;
    }
    tail->leaving_next = NULL;
    *io->leaving_last = tail;
    io->leaving_last = &tail->leaving_next;
    uv_idle_start(&io->leave, close_some);
}

void stream_tail_arm(struct stream_tail *tail, struct io *io, uint64_t delay_ms,
                     wheel_timer_callback *fire)
{
    tail->timer.callback = fire;
    io_arm(io, &tail->timer, delay_ms);
}

bool stream_tail_may_discard(struct stream_tail *tail, size_t len)
{
    tail->discarded += len;
    return tail->discarded <= STREAM_DISCARD_MAX;
}
