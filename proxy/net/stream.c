#include "net/stream.h"

#include "base/slab.h"
#include "net/dial.h"
#include "net/stream_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct stream_tail *stream_need_tail(struct stream *stream)
{
    if (stream->tail == NULL)
        stream->tail = stream_tail_new(stream);
    return stream->tail;
}

void stream_drop_idle_tail(struct stream *stream)
{
    if (stream->tail != NULL && stream_tail_is_idle(stream->tail) &&
        !stream_is(stream, STREAM_IS_ENDING))
        stream_tail_free(&stream->tail, stream_io(stream));
}

void stream_latch_failure(struct stream *stream, const char *why)
{
    if (!stream_is(stream, STREAM_HAS_FAILED | STREAM_IS_CLOSING))
        stream_tail_latch(stream_need_tail(stream), stream_io(stream), why);
}

/* Only a connection that was there can be reset (RFC 9293, 3.10.7.3: a SYN's
 * reset is a refusal). */
static void note_broken(struct stream *stream, int error)
{
    stream->facts |= STREAM_IS_BROKEN;
    if (error == UV_ECONNRESET || error == UV_EPIPE)
        stream_forget(stream, STREAM_IS_DIALING);
}

void stream_latch_broken(struct stream *stream, int error)
{
    note_broken(stream, error);
    stream_latch_failure(stream, uv_strerror(error));
}

void stream_fail(struct stream *stream, const char *why)
{
    struct io *io = stream_io(stream);

    if (stream_is(stream, STREAM_IS_CLOSING))
        return;
    if (stream_is(stream, STREAM_IS_ENDING)) {
        stream_close(stream);
        return;
    }
    if (stream_is(stream, STREAM_HAS_FAILED))
        return;
    stream->facts |= STREAM_HAS_FAILED;
    uv_read_stop(stream_handle(stream));
    snprintf(io->failure, sizeof(io->failure), "%s", why);
    stream_emit(stream, STREAM_FAILED);
}

void stream_meet_broken(struct stream *stream, int error)
{
    note_broken(stream, error);
    stream_fail(stream, uv_strerror(error));
}

void stream_tell_latched(struct stream *stream, const char *why)
{
    stream_fail(stream, why);
    if (!stream_is(stream, STREAM_IS_CLOSING))
        stream_drop_idle_tail(stream);
}

static void on_ending_timeout(struct wheel_timer *timer)
{
    stream_close(stream_tail_of_timer(timer)->stream);
}

void stream_discard_rest(struct stream *stream)
{
    if (stream_is(stream, STREAM_SAW_EOF | STREAM_IS_BROKEN)) {
        stream_close(stream);
        return;
    }
    stream->tail->discarded = 0;
    stream_tail_arm(stream->tail, stream_io(stream), STREAM_DISCARD_MS,
                    on_ending_timeout);
    stream_resume(stream);
}

void stream_end(struct stream *stream, uint64_t flush_ms)
{
    if (stream_is(stream, STREAM_IS_ENDING | STREAM_IS_CLOSING))
        return;
    if (stream_is(stream, STREAM_IS_BROKEN)) {
        stream_close(stream);
        return;
    }
    stream_need_tail(stream);
    stream->facts |= STREAM_IS_ENDING;
    stream_forget(stream, STREAM_WANTS_DRAINED);
    stream_tail_arm(stream->tail, stream_io(stream), flush_ms,
                    on_ending_timeout);
    if (stream_is(stream, STREAM_HAS_FAILED))
        stream->facts |= STREAM_IS_SHUT; /* an alert was our last word */
    if (stream_is(stream, STREAM_SENT_FIN))
        stream_discard_rest(stream);
    else if (stream_is(stream, STREAM_IS_SHUT))
        stream_settle(stream);
    else
        stream_shut_down(stream);
    stream_start_reading(stream);
}

static void on_closed(uv_handle_t *handle)
{
    struct stream *stream = (struct stream *)(void *)handle;

    if (stream->ssl != NULL)
        SSL_free(stream->ssl);
    if (stream->tail != NULL)
        stream_tail_free(&stream->tail, stream_io(stream));
    stream_io(stream)->streams--;
    stream_emit(stream, STREAM_CLOSED);
    slab_free(stream);
}

void stream_close_handle(struct stream *stream)
{
    uv_close((uv_handle_t *)&stream->tcp, on_closed);
}

void stream_close(struct stream *stream)
{
    if (stream_is(stream, STREAM_IS_CLOSING))
        return;
    stream->facts |= STREAM_IS_CLOSING;
    stream_io(stream)->turn_bytes = 0;
    if (stream->tail == NULL) {
        stream_close_handle(stream);
        return;
    }
    stream_tail_quiet(stream->tail, stream_io(stream));
    uv_read_stop(stream_handle(stream));
    stream_tail_leave(stream->tail, stream_io(stream));
}

static struct stream *new_stream(struct io *io, stream_handler *handler,
                                 void *owner)
{
    struct stream *stream = slab_zalloc(sizeof(*stream));

    io->streams++;
    stream->handler = handler;
    uv_tcp_init(io->loop, &stream->tcp);
    stream->tcp.data = owner;
    return stream;
}

static void ignore(struct stream *stream, enum stream_event event, void *owner)
{
    (void)stream;
    (void)event;
    (void)owner;
}

/* For a stream that its owner never got. */
static void abandon(struct stream *stream)
{
    stream->handler = ignore;
    stream_close(stream);
}

int stream_open(struct io *io, int fd, stream_handler *handler, void *owner,
                struct stream **stream_out)
{
    struct stream *stream = new_stream(io, handler, owner);
    int result = uv_tcp_open(&stream->tcp, fd);

    if (result != 0) {
        close(fd);
        abandon(stream);
        return result;
    }
    stream_start_reading(stream);
    *stream_out = stream;
    return 0;
}

int stream_connect(struct io *io, const struct address *to,
                   const struct address *from, stream_handler *handler,
                   void *owner, struct stream **stream_out)
{
    int fd;
    int result = dial_begin(to, from, &fd);

    if (result == 0)
        result = stream_open(io, fd, handler, owner, stream_out);
    if (result == 0)
        (*stream_out)->facts |= STREAM_IS_DIALING;
    return result;
}

bool stream_is_dialing(const struct stream *stream)
{
    struct sockaddr_storage name;
    int len = sizeof(name);

    if (!stream_is(stream, STREAM_IS_DIALING))
        return false;
    return stream_is(stream, STREAM_IS_BROKEN) ||
           uv_tcp_getpeername(&stream->tcp, (struct sockaddr *)&name, &len) !=
               0;
}

bool stream_local_address(const struct stream *stream,
                          struct address *address_out)
{
    struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
    int len = sizeof(name);

    (void)uv_tcp_getsockname(&stream->tcp, (struct sockaddr *)&name, &len);
    return address_from_sockaddr((const struct sockaddr *)&name, address_out);
}

void stream_set_keepalive(const struct stream *stream,
                          const struct io_keepalive *keepalive)
{
    uv_os_fd_t fd;

    if (uv_fileno((const uv_handle_t *)&stream->tcp, &fd) == 0)
        (void)io_set_keepalive(fd, keepalive);
}

void stream_set_owner(struct stream *stream, stream_handler *handler,
                      void *owner)
{
    stream->handler = handler;
    stream->tcp.data = owner;
}

bool stream_was_truncated(const struct stream *stream)
{
    return stream_is(stream, STREAM_IS_TRUNCATED);
}

const char *stream_failure(const struct stream *stream)
{
    return stream_io(stream)->failure;
}

bool stream_is_tls(const struct stream *stream)
{
    return stream->ssl != NULL;
}

const SSL *stream_tls(const struct stream *stream)
{
    return stream->ssl;
}

size_t stream_queued(const struct stream *stream)
{
    return stream->tail == NULL ? 0 : stream->tail->queued;
}
