#include "net/stream.h"

#include "net/fault.h"
#include "net/stream_tail.h"

#include <assert.h>
#include <openssl/mem.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

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
    STREAM_IS_BROKEN = 1u << 11 /* the socket itself has failed */
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

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *handle, ssize_t got, const uv_buf_t *buf);

static void on_ending_timeout(struct wheel_timer *timer);

static struct io *io_of(const struct stream *stream)
{
    return stream->tcp.loop->data;
}

static struct tls_side *side_of(const struct stream *stream)
{
    struct io *io = io_of(stream);

    return stream->facts & STREAM_IS_FRONT ? &io->front : &io->back;
}

static uv_stream_t *handle_of(struct stream *stream)
{
    return (uv_stream_t *)(void *)&stream->tcp;
}

static bool is(const struct stream *stream, unsigned fact)
{
    return (stream->facts & fact) != 0;
}

static void forget(struct stream *stream, unsigned fact)
{
    stream->facts &= ~fact;
}

static void emit(struct stream *stream, enum stream_event event)
{
    stream->handler(stream, event, stream->tcp.data);
}

static struct stream_tail *need_tail(struct stream *stream)
{
    if (stream->tail == NULL)
        stream->tail = stream_tail_new(stream);
    return stream->tail;
}

static void drop_idle_tail(struct stream *stream)
{
    if (stream->tail != NULL && stream_tail_is_idle(stream->tail) &&
        !is(stream, STREAM_IS_ENDING))
        stream_tail_free(&stream->tail, io_of(stream));
}

/* Failures found inside a verb wait for the loop's next turn. */
static void latch_failure(struct stream *stream, const char *why)
{
    if (!is(stream, STREAM_HAS_FAILED | STREAM_IS_CLOSING))
        stream_tail_latch(need_tail(stream), io_of(stream), why);
}

static void latch_broken(struct stream *stream, int error)
{
    stream->facts |= STREAM_IS_BROKEN;
    latch_failure(stream, uv_strerror(error));
}

static void fail(struct stream *stream, const char *why)
{
    struct io *io = io_of(stream);

    if (is(stream, STREAM_IS_CLOSING))
        return;
    if (is(stream, STREAM_IS_ENDING)) {
        stream_close(stream);
        return;
    }
    if (is(stream, STREAM_HAS_FAILED))
        return;
    stream->facts |= STREAM_HAS_FAILED;
    uv_read_stop(handle_of(stream));
    snprintf(io->failure, sizeof(io->failure), "%s", why);
    emit(stream, STREAM_FAILED);
}

static void meet_broken(struct stream *stream, int error)
{
    stream->facts |= STREAM_IS_BROKEN;
    fail(stream, uv_strerror(error));
}

void stream_tell_latched(struct stream *stream, const char *why)
{
    fail(stream, why);
    if (!is(stream, STREAM_IS_CLOSING))
        drop_idle_tail(stream);
}

/* Everything of ours has left an ending stream: now for the peer's. */
static void discard_rest(struct stream *stream)
{
    if (is(stream, STREAM_SAW_EOF | STREAM_IS_BROKEN))
        stream_close(stream);
    else
        stream_tail_arm(stream->tail, io_of(stream), STREAM_DISCARD_MS,
                        on_ending_timeout);
}

/* Sends FIN once it was asked for and nothing is left to go before it. */
static void settle(struct stream *stream)
{
    uv_os_fd_t fd;

    if (!is(stream, STREAM_IS_SHUT) || is(stream, STREAM_SENT_FIN) ||
        stream_queued(stream) > 0 || is(stream, STREAM_IS_CLOSING))
        return;
    if (stream->ssl != NULL && tls_is_open(side_of(stream), stream->ssl))
        return; /* its output leaves first, at the bracket's end */
    stream->facts |= STREAM_SENT_FIN;
    /* libuv has nothing of ours under way, so the descriptor may be told
     * directly; uv_shutdown would need a request to live as long. */
    if (uv_fileno((uv_handle_t *)&stream->tcp, &fd) == 0)
        shutdown(fd, SHUT_WR);
    if (is(stream, STREAM_IS_ENDING))
        discard_rest(stream);
}

static void on_written(uv_write_t *request, int status);

static void fly(struct stream *stream)
{
    uv_buf_t bufs[STREAM_TAIL_FLYING_MAX];
    unsigned count = stream_tail_take_off(stream->tail, bufs);
    int result;

    if (count == 0)
        return;
    result = uv_write(&stream->tail->write, handle_of(stream), bufs, count,
                      on_written);
    if (result != 0) {
        stream_tail_land(stream->tail, io_of(stream));
        latch_broken(stream, result);
    }
}

static void on_written(uv_write_t *request, int status)
{
    struct stream *stream = stream_tail_of(request)->stream;

    stream_tail_land(stream->tail, io_of(stream));
    if (is(stream, STREAM_IS_CLOSING))
        return;
    if (status != 0) {
        stream_tail_drop(stream->tail, io_of(stream));
        meet_broken(stream, status);
        return;
    }
    fly(stream);
    settle(stream);
    if (is(stream, STREAM_WANTS_DRAINED) &&
        stream_queued(stream) < STREAM_LOW_MARK) {
        forget(stream, STREAM_WANTS_DRAINED);
        emit(stream, STREAM_DRAINED);
    }
    if (!is(stream, STREAM_IS_CLOSING))
        drop_idle_tail(stream);
}

/* Bytes as they go on the wire. */
static void send_wire(struct stream *stream, const uint8_t *bytes, size_t len)
{
    uv_buf_t buf;
    int sent;

    if (len == 0 || is(stream, STREAM_HAS_FAILED | STREAM_IS_CLOSING))
        return;
    sent = 0;
    if (stream_queued(stream) == 0) {
        buf.base = (char *)(uintptr_t)bytes; /* libuv only reads it */
        buf.len = fault_limit_write(len);
        sent = uv_try_write(handle_of(stream), &buf, 1);
        if (sent < 0 && sent != UV_EAGAIN) {
            latch_broken(stream, sent);
            return;
        }
    }
    if (sent < 0)
        sent = 0;
    if ((size_t)sent == len)
        return;
    stream_tail_queue(need_tail(stream), io_of(stream), bytes + sent,
                      len - (size_t)sent);
    fly(stream);
}

/* Closes the bracket, sends what it produced, then any FIN that waited. */
static void end_bracket(struct stream *stream)
{
    size_t len;
    const uint8_t *bytes = tls_end(side_of(stream), stream->ssl, &len);

    send_wire(stream, bytes, len);
    settle(stream);
}

static void write_tls(struct stream *stream, const uint8_t *bytes, size_t len)
{
    struct tls_side *side = side_of(stream);
    bool is_nested = tls_is_open(side, stream->ssl);
    enum tls_result result;

    if (!is_nested)
        tls_begin(side, stream->ssl, NULL, 0);
    result = tls_write(side, stream->ssl, bytes, len);
    if (!is_nested)
        end_bracket(stream);
    if (result != TLS_OK)
        latch_failure(stream, side->failure);
}

bool stream_write(struct stream *stream, const uint8_t *bytes, size_t len)
{
    if (is(stream, STREAM_IS_SHUT | STREAM_HAS_FAILED | STREAM_IS_CLOSING))
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

static void lend(struct stream *stream, const uint8_t *bytes, size_t len)
{
    struct io *io = io_of(stream);

    io->lent = bytes;
    io->lent_len = len;
    emit(stream, STREAM_DATA);
    io->lent = NULL;
    io->lent_len = 0;
}

const uint8_t *stream_lent(const struct stream *stream, size_t *len_out)
{
    *len_out = io_of(stream)->lent_len;
    return io_of(stream)->lent;
}

void stream_wipe_lent(const struct stream *stream)
{
    struct io *io = io_of(stream);

    /* What is lent lies in one of the two scratches; wipe it there. */
    if (io->lent == io->wire)
        OPENSSL_cleanse(io->wire, io->lent_len);
    else if (io->lent == io->plain)
        OPENSSL_cleanse(io->plain, io->lent_len);
}

static void meet_eof(struct stream *stream)
{
    if (is(stream, STREAM_SAW_EOF | STREAM_IS_CLOSING | STREAM_HAS_FAILED))
        return;
    stream->facts |= STREAM_SAW_EOF;
    uv_read_stop(handle_of(stream));
    if (!is(stream, STREAM_IS_ENDING)) {
        emit(stream, STREAM_EOF);
        return;
    }
    if (is(stream, STREAM_SENT_FIN))
        stream_close(stream);
}

/* Steps through the handshake and, in the same call, through whatever came
 * behind it. */
static enum tls_result take_handshake(struct stream *stream)
{
    enum tls_result result = tls_handshake(side_of(stream), stream->ssl);

    if (result == TLS_OK) {
        stream->facts |= STREAM_IS_SECURED;
        emit(stream, STREAM_SECURE);
    }
    return result;
}

static enum tls_result take_records(struct stream *stream)
{
    struct io *io = io_of(stream);
    size_t len;
    enum tls_result result =
        tls_read(side_of(stream), stream->ssl, io->plain, IO_PLAIN_SIZE, &len);

    if (len > 0)
        lend(stream, io->plain, len);
    return result;
}

static void take_tls(struct stream *stream, const uint8_t *bytes, size_t len)
{
    struct tls_side *side = side_of(stream);
    enum tls_result result = TLS_OK;

    tls_begin(side, stream->ssl, bytes, len);
    if (!is(stream, STREAM_IS_SECURED))
        result = take_handshake(stream);
    if (result == TLS_OK && !is(stream, STREAM_IS_ENDING | STREAM_IS_CLOSING)) {
        result = take_records(stream);
        /* The scratch holds all that one read can give (IO_PLAIN_SIZE). */
        assert(result != TLS_OK);
    }
    end_bracket(stream);
    if (result == TLS_CLOSED)
        meet_eof(stream);
    else if (result == TLS_FAILED)
        fail(stream, side->failure);
}

static void discard(struct stream *stream, size_t len)
{
    if (!stream_tail_may_discard(stream->tail, len))
        stream_close(stream);
}

static void meet_end_of_wire(struct stream *stream)
{
    if (stream->ssl != NULL && !is(stream, STREAM_SAW_EOF))
        stream->facts |= STREAM_IS_TRUNCATED;
    if (stream->ssl != NULL && !is(stream, STREAM_IS_SECURED))
        fail(stream, "connection ended in the TLS handshake");
    else
        meet_eof(stream);
}

/* Keeps one busy socket from holding the loop: once it had its share, an
 * empty buffer makes libuv leave the socket to the next turn. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct io *io = handle->loop->data;

    (void)suggested;
    buf->base = (char *)io->wire;
    buf->len =
        io->turn_bytes >= IO_TURN_MAX ? 0 : fault_limit_read(IO_WIRE_SIZE);
}

static void count_turn(struct io *io, ssize_t got, size_t offered)
{
    if (got > 0 && (size_t)got == offered)
        io->turn_bytes += (size_t)got;
    else
        io->turn_bytes = 0;
}

static void on_read(uv_stream_t *handle, ssize_t got, const uv_buf_t *buf)
{
    struct stream *stream = (struct stream *)(void *)handle;

    count_turn(io_of(stream), got, buf->len);
    if (got == 0 || got == UV_ENOBUFS)
        return;
    if (got == UV_EOF)
        meet_end_of_wire(stream);
    else if (got < 0)
        meet_broken(stream, (int)got);
    else if (is(stream, STREAM_IS_ENDING))
        discard(stream, (size_t)got);
    else if (stream->ssl != NULL)
        take_tls(stream, (const uint8_t *)buf->base, (size_t)got);
    else
        lend(stream, (const uint8_t *)buf->base, (size_t)got);
}

void stream_pause(struct stream *stream)
{
    if (is(stream, STREAM_IS_PAUSED))
        return;
    stream->facts |= STREAM_IS_PAUSED;
    uv_read_stop(handle_of(stream));
    io_of(stream)->turn_bytes = 0;
}

static void start_reading(struct stream *stream)
{
    int result;

    if (is(stream, STREAM_SAW_EOF | STREAM_IS_BROKEN | STREAM_IS_CLOSING))
        return;
    result = uv_read_start(handle_of(stream), on_alloc, on_read);
    if (result != 0 && result != UV_EALREADY)
        latch_broken(stream, result);
}

void stream_resume(struct stream *stream)
{
    if (!is(stream, STREAM_IS_PAUSED))
        return;
    forget(stream, STREAM_IS_PAUSED);
    start_reading(stream);
}

void stream_start_tls(struct stream *stream, struct tls_side *side, SSL *ssl)
{
    enum tls_result result;

    assert(stream->ssl == NULL);
    stream->ssl = ssl;
    if (side == &io_of(stream)->front)
        stream->facts |= STREAM_IS_FRONT;
    tls_attach(side, ssl);
    if (SSL_is_server(ssl))
        return;
    tls_begin(side, ssl, NULL, 0);
    result = tls_handshake(side, ssl);
    end_bracket(stream);
    if (result == TLS_FAILED)
        latch_failure(stream, side->failure);
}

void stream_shut_down(struct stream *stream)
{
    struct tls_side *side = side_of(stream);

    if (is(stream, STREAM_IS_SHUT | STREAM_HAS_FAILED | STREAM_IS_CLOSING))
        return;
    if (stream->ssl != NULL && is(stream, STREAM_IS_SECURED)) {
        bool is_nested = tls_is_open(side, stream->ssl);

        if (!is_nested)
            tls_begin(side, stream->ssl, NULL, 0);
        tls_close_notify(side, stream->ssl);
        stream->facts |= STREAM_IS_SHUT;
        if (!is_nested)
            end_bracket(stream);
        return;
    }
    stream->facts |= STREAM_IS_SHUT;
    settle(stream);
}

void stream_end(struct stream *stream, uint64_t flush_ms)
{
    if (is(stream, STREAM_IS_ENDING | STREAM_IS_CLOSING))
        return;
    if (is(stream, STREAM_IS_BROKEN)) {
        stream_close(stream);
        return;
    }
    need_tail(stream);
    stream->facts |= STREAM_IS_ENDING;
    forget(stream, STREAM_WANTS_DRAINED);
    stream_tail_arm(stream->tail, io_of(stream), flush_ms, on_ending_timeout);
    if (is(stream, STREAM_HAS_FAILED))
        stream->facts |= STREAM_IS_SHUT; /* an alert was our last word */
    if (is(stream, STREAM_SENT_FIN))
        discard_rest(stream);
    else if (is(stream, STREAM_IS_SHUT))
        settle(stream);
    else
        stream_shut_down(stream);
    start_reading(stream);
}

static void on_ending_timeout(struct wheel_timer *timer)
{
    stream_close(stream_tail_of_timer(timer)->stream);
}

static void on_closed(uv_handle_t *handle)
{
    struct stream *stream = (struct stream *)(void *)handle;

    if (stream->ssl != NULL)
        SSL_free(stream->ssl);
    if (stream->tail != NULL)
        stream_tail_free(&stream->tail, io_of(stream));
    io_of(stream)->streams--;
    emit(stream, STREAM_CLOSED);
    free(stream);
}

void stream_close(struct stream *stream)
{
    if (is(stream, STREAM_IS_CLOSING))
        return;
    stream->facts |= STREAM_IS_CLOSING;
    io_of(stream)->turn_bytes = 0;
    if (stream->tail != NULL)
        stream_tail_quiet(stream->tail, io_of(stream));
    uv_close((uv_handle_t *)&stream->tcp, on_closed);
}

static struct stream *new_stream(struct io *io, stream_handler *handler,
                                 void *owner)
{
    struct stream *stream = mem_zalloc(sizeof(*stream));

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

int stream_accept(struct io *io, uv_stream_t *listener, stream_handler *handler,
                  void *owner, struct stream **stream_out)
{
    struct stream *stream = new_stream(io, handler, owner);
    int result = uv_accept(listener, handle_of(stream));

    if (result == 0)
        result = uv_read_start(handle_of(stream), on_alloc, on_read);
    if (result != 0) {
        abandon(stream);
        return result;
    }
    *stream_out = stream;
    return 0;
}

static void on_connected(uv_connect_t *request, int status)
{
    struct stream *stream = stream_tail_of_connect(request)->stream;

    stream->tail->is_connecting = false;
    if (is(stream, STREAM_IS_CLOSING))
        return;
    if (status != 0) {
        meet_broken(stream, status);
        return;
    }
    drop_idle_tail(stream);
    start_reading(stream);
    emit(stream, STREAM_UP);
}

static int connect_socket(struct stream *stream, const struct address *to,
                          const struct io_keepalive *keepalive)
{
    struct sockaddr_storage target;
    struct stream_tail *tail = need_tail(stream);
    uv_os_fd_t fd;
    int result;

    address_to_sockaddr(to, &target);
    tail->is_connecting = true;
    result = uv_tcp_connect(&tail->connect, &stream->tcp,
                            (const struct sockaddr *)&target, on_connected);
    if (result != 0)
        return result;
    /* libuv makes the socket as it connects; options follow at once. */
    result = uv_fileno((uv_handle_t *)&stream->tcp, &fd);
    return result != 0 ? result : io_set_socket(fd, keepalive);
}

int stream_connect(struct io *io, const struct address *to,
                   const struct io_keepalive *keepalive,
                   stream_handler *handler, void *owner,
                   struct stream **stream_out)
{
    struct stream *stream = new_stream(io, handler, owner);
    int result = connect_socket(stream, to, keepalive);

    if (result != 0) {
        abandon(stream);
        return result;
    }
    *stream_out = stream;
    return 0;
}

void stream_set_owner(struct stream *stream, stream_handler *handler,
                      void *owner)
{
    stream->handler = handler;
    stream->tcp.data = owner;
}

bool stream_was_truncated(const struct stream *stream)
{
    return is(stream, STREAM_IS_TRUNCATED);
}

const char *stream_failure(const struct stream *stream)
{
    return io_of(stream)->failure;
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

bool stream_peer(const struct stream *stream, struct address *out)
{
    struct sockaddr_storage name;
    int len = sizeof(name);

    return uv_tcp_getpeername(&stream->tcp, (struct sockaddr *)&name, &len) ==
               0 &&
           address_from_sockaddr((struct sockaddr *)&name, out);
}

bool stream_local(const struct stream *stream, struct address *out)
{
    struct sockaddr_storage name;
    int len = sizeof(name);

    return uv_tcp_getsockname(&stream->tcp, (struct sockaddr *)&name, &len) ==
               0 &&
           address_from_sockaddr((struct sockaddr *)&name, out);
}
