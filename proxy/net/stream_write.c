#include "net/fault.h"
#include "net/stream_private.h"

#include <assert.h>
#include <sys/socket.h>

void stream_settle(struct stream *stream)
{
    uv_os_fd_t fd;

    if (!stream_is(stream, STREAM_IS_SHUT) ||
        stream_is(stream, STREAM_SENT_FIN) || stream_queued(stream) > 0 ||
        stream_is(stream, STREAM_IS_CLOSING))
        return;
    if (stream->ssl != NULL && tls_is_open(stream_side(stream), stream->ssl))
        return; /* its output leaves first, at the bracket's end */
    stream->facts |= STREAM_SENT_FIN;
    if (stream_is(stream, STREAM_IS_ENDING) &&
        stream_is(stream, STREAM_SAW_EOF)) {
        stream_close(stream); /* says the same as FIN */
        return;
    }
    /* libuv has nothing of ours under way, so the descriptor may be told
     * directly; uv_shutdown would need a request to live as long. */
    if (uv_fileno((uv_handle_t *)&stream->tcp, &fd) == 0)
        shutdown(fd, SHUT_WR);
    if (stream_is(stream, STREAM_IS_ENDING))
        stream_discard_rest(stream);
}

static void on_written(uv_write_t *request, int status);

static void fly(struct stream *stream)
{
    uv_buf_t bufs[STREAM_TAIL_FLYING_MAX];
    unsigned count = stream_tail_take_off(stream->tail, bufs);
    int result;

    if (count == 0)
        return;
    result = uv_write(&stream->tail->write, stream_handle(stream), bufs, count,
                      on_written);
    if (result != 0) {
        stream_tail_land(stream->tail, stream_io(stream));
        stream_latch_broken(stream, result);
    }
}

static void on_written(uv_write_t *request, int status)
{
    struct stream *stream = stream_tail_of(request)->stream;

    stream_tail_land(stream->tail, stream_io(stream));
    if (stream_is(stream, STREAM_IS_CLOSING))
        return;
    if (status != 0) {
        stream_tail_drop(stream->tail, stream_io(stream));
        stream_meet_broken(stream, status);
        return;
    }
    fly(stream);
    stream_settle(stream);
    if (stream_is(stream, STREAM_WANTS_DRAINED) &&
        stream_queued(stream) < STREAM_LOW_MARK) {
        stream_forget(stream, STREAM_WANTS_DRAINED);
        stream_emit(stream, STREAM_DRAINED);
    }
    if (!stream_is(stream, STREAM_IS_CLOSING))
        stream_drop_idle_tail(stream);
}

/* Bytes as they go on the wire. */
static void send_wire(struct stream *stream, const uint8_t *bytes, size_t len)
{
    uv_buf_t buf;
    int sent;

    if (len == 0 || stream_is(stream, STREAM_HAS_FAILED | STREAM_IS_CLOSING))
        return;
    sent = 0;
    if (stream_queued(stream) == 0) {
        buf.base = (char *)(uintptr_t)bytes; /* libuv only reads it */
        buf.len = fault_limit_write(len);
        sent = uv_try_write(stream_handle(stream), &buf, 1);
        if (sent < 0 && sent != UV_EAGAIN) {
            stream_latch_broken(stream, sent);
            return;
        }
    }
    if (sent < 0)
        sent = 0;
    if ((size_t)sent == len)
        return;
    stream_tail_queue(stream_need_tail(stream), stream_io(stream), bytes + sent,
                      len - (size_t)sent);
    fly(stream);
}

void stream_end_bracket(struct stream *stream)
{
    size_t len;
    const uint8_t *bytes = tls_end(stream_side(stream), stream->ssl, &len);

    send_wire(stream, bytes, len);
    stream_settle(stream);
}

static void write_tls(struct stream *stream, const uint8_t *bytes, size_t len)
{
    struct tls_side *side = stream_side(stream);
    bool is_nested = tls_is_open(side, stream->ssl);
    enum tls_result result;

    if (!is_nested)
        tls_begin(side, stream->ssl, NULL, 0);
    result = tls_write(side, stream->ssl, bytes, len);
    if (!is_nested)
        stream_end_bracket(stream);
    if (result != TLS_OK)
        stream_latch_failure(stream, side->failure);
}

bool stream_write(struct stream *stream, const uint8_t *bytes, size_t len)
{
    if (stream_is(stream,
                  STREAM_IS_SHUT | STREAM_HAS_FAILED | STREAM_IS_CLOSING))
        return true;
    if (stream->ssl != NULL)
        write_tls(stream, bytes, len);
    else
        send_wire(stream, bytes, len);
    if (stream_queued(stream) <= STREAM_HIGH_MARK)
        return true;
    stream->facts |= STREAM_WANTS_DRAINED;
    return false;
}

void stream_start_tls(struct stream *stream, struct tls_side *side, SSL *ssl)
{
    stream_start_tls_behind(stream, side, ssl, NULL, 0);
}

void stream_start_tls_behind(struct stream *stream, struct tls_side *side,
                             SSL *ssl, const uint8_t *bytes, size_t len)
{
    enum tls_result result;

    assert(stream->ssl == NULL);
    stream->ssl = ssl;
    if (side == &stream_io(stream)->front)
        stream->facts |= STREAM_IS_FRONT;
    tls_attach(side, ssl);
    if (SSL_is_server(ssl))
        return;
    tls_begin(side, ssl, NULL, 0);
    tls_put_clear(side, ssl, bytes, len);
    result = tls_handshake(side, ssl);
    stream_end_bracket(stream);
    if (result == TLS_FAILED)
        stream_latch_failure(stream, side->failure);
}

void stream_shut_down(struct stream *stream)
{
    struct tls_side *side = stream_side(stream);

    if (stream_is(stream,
                  STREAM_IS_SHUT | STREAM_HAS_FAILED | STREAM_IS_CLOSING))
        return;
    if (stream->ssl != NULL && stream_is(stream, STREAM_IS_SECURED)) {
        bool is_nested = tls_is_open(side, stream->ssl);

        if (!is_nested)
            tls_begin(side, stream->ssl, NULL, 0);
        tls_close_notify(side, stream->ssl);
        stream->facts |= STREAM_IS_SHUT;
        if (!is_nested)
            stream_end_bracket(stream);
        return;
    }
    stream->facts |= STREAM_IS_SHUT;
    stream_settle(stream);
}
