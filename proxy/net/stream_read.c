#include "net/fault.h"
#include "net/stream_private.h"

#include <assert.h>
#include <errno.h>
#include <openssl/mem.h>
#include <string.h>
#include <sys/socket.h>

static void lend(struct stream *stream, const uint8_t *bytes, size_t len)
{
    struct io *io = stream_io(stream);

    io->lent = bytes;
    io->lent_len = len;
    stream_emit(stream, STREAM_DATA);
    io->lent = NULL;
    io->lent_len = 0;
}

const uint8_t *stream_lent(const struct stream *stream, size_t *len_out)
{
    *len_out = stream_io(stream)->lent_len;
    return stream_io(stream)->lent;
}

void stream_give_back(struct stream *stream, size_t len)
{
    struct io *io = stream_io(stream);

    assert(io->lent == io->wire && len < io->lent_len);
    io->given_back = len;
}

static bool lies_in(const uint8_t *at, const uint8_t *scratch, size_t size)
{
    return (uintptr_t)at >= (uintptr_t)scratch &&
           (uintptr_t)at < (uintptr_t)scratch + size;
}

void stream_wipe_lent(const struct stream *stream)
{
    struct io *io = stream_io(stream);

    /* What is lent lies in one of the two scratches, what was given back
     * somewhere in the midst of it; wipe it there. */
    if (lies_in(io->lent, io->wire, IO_WIRE_SIZE))
        OPENSSL_cleanse(io->wire + (io->lent - io->wire), io->lent_len);
    else if (io->lent == io->plain)
        OPENSSL_cleanse(io->plain, io->lent_len);
}

static void meet_eof(struct stream *stream)
{
    if (stream_is(stream,
                  STREAM_SAW_EOF | STREAM_IS_CLOSING | STREAM_HAS_FAILED))
        return;
    stream->facts |= STREAM_SAW_EOF;
    uv_read_stop(stream_handle(stream));
    if (!stream_is(stream, STREAM_IS_ENDING)) {
        stream_emit(stream, STREAM_EOF);
        return;
    }
    if (stream_is(stream, STREAM_SENT_FIN))
        stream_close(stream);
}

/* Steps through the handshake and, in the same call, through whatever came
 * behind it. */
static enum tls_result take_handshake(struct stream *stream)
{
    enum tls_result result = tls_handshake(stream_side(stream), stream->ssl);

    if (result == TLS_OK) {
        stream->facts |= STREAM_IS_SECURED;
        stream_emit(stream, STREAM_SECURE);
    }
    return result;
}

/* The bracket is closed before the plaintext is lent: its reader may well open
 * one on the same side, for another stream. */
static void take_tls(struct stream *stream, const uint8_t *bytes, size_t len)
{
    struct tls_side *side = stream_side(stream);
    enum tls_result result = TLS_OK;
    char why[TLS_FAILURE_MAX];
    size_t plain_len = 0;

    tls_begin(side, stream->ssl, bytes, len);
    if (!stream_is(stream, STREAM_IS_SECURED))
        result = take_handshake(stream);
    if (result == TLS_OK &&
        !stream_is(stream, STREAM_IS_ENDING | STREAM_IS_CLOSING)) {
        result = tls_read(side, stream->ssl, stream_io(stream)->plain,
                          IO_PLAIN_SIZE, &plain_len);
        /* The scratch holds all that one read can give (IO_PLAIN_SIZE). */
        assert(result != TLS_OK);
    }
    memcpy(why, side->failure, sizeof(why));
    stream_end_bracket(stream);
    if (plain_len > 0)
        lend(stream, stream_io(stream)->plain, plain_len);
    if (result == TLS_CLOSED)
        meet_eof(stream);
    else if (result == TLS_FAILED)
        stream_fail(stream, why);
}

/* Nothing is read from what an ending stream still gets; in clear it may be a
 * password all the same. While our own last bytes wait to leave, too much of
 * it only stops the reading: closing would reset them away. */
static void discard(struct stream *stream, uint8_t *bytes, size_t len)
{
    if (stream->ssl == NULL)
        OPENSSL_cleanse(bytes, len);
    if (stream_tail_may_discard(stream->tail, len))
        return;
    if (stream_is(stream, STREAM_SENT_FIN))
        stream_close(stream);
    else
        stream_pause(stream);
}

static void meet_end_of_wire(struct stream *stream)
{
    if (stream->ssl != NULL && !stream_is(stream, STREAM_SAW_EOF))
        stream->facts |= STREAM_IS_TRUNCATED;
    if (stream->ssl != NULL && !stream_is(stream, STREAM_IS_SECURED))
        stream_fail(stream, "connection ended in the TLS handshake");
    else
        meet_eof(stream);
}

static void take_wire(struct stream *stream, uint8_t *bytes, size_t len)
{
    if (stream_is(stream, STREAM_IS_ENDING))
        discard(stream, bytes, len);
    else if (stream->ssl != NULL)
        take_tls(stream, bytes, len);
    else
        lend(stream, bytes, len);
}

/* What a reader of the first bytes left to the next one. */
static void take_given_back(struct stream *stream, uint8_t *end)
{
    struct io *io = stream_io(stream);

    while (io->given_back > 0) {
        size_t len = io->given_back;

        io->given_back = 0;
        if (stream_is(stream, STREAM_IS_CLOSING | STREAM_HAS_FAILED))
            OPENSSL_cleanse(end - len, len); /* nobody's any more */
        else
            take_wire(stream, end - len, len);
    }
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

    count_turn(stream_io(stream), got, buf->len);
    /* libuv's word for on_alloc's empty buffer, which the kernel has too. */
    if (got == 0 || (got == UV_ENOBUFS && buf->len == 0))
        return;
    if (got > 0 || got == UV_EOF)
        stream_forget(stream, STREAM_IS_DIALING);
    if (got == UV_EOF)
        meet_end_of_wire(stream);
    else if (got < 0)
        stream_meet_broken(stream, (int)got);
    else
        take_wire(stream, (uint8_t *)buf->base, (size_t)got);
    if (got > 0 && stream_io(stream)->given_back > 0)
        take_given_back(stream, (uint8_t *)buf->base + got);
}

bool stream_has_input(const struct stream *stream)
{
    uv_os_fd_t fd;
    uint8_t byte;

    if (uv_fileno((const uv_handle_t *)&stream->tcp, &fd) != 0)
        return true;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

void stream_pause(struct stream *stream)
{
    if (stream_is(stream, STREAM_IS_PAUSED))
        return;
    stream->facts |= STREAM_IS_PAUSED;
    uv_read_stop(stream_handle(stream));
    stream_io(stream)->turn_bytes = 0;
}

void stream_start_reading(struct stream *stream)
{
    int result;

    if (stream_is(stream,
                  STREAM_SAW_EOF | STREAM_IS_BROKEN | STREAM_IS_CLOSING))
        return;
    result = uv_read_start(stream_handle(stream), on_alloc, on_read);
    if (result != 0 && result != UV_EALREADY)
        stream_latch_broken(stream, result);
}

void stream_resume(struct stream *stream)
{
    if (!stream_is(stream, STREAM_IS_PAUSED))
        return;
    stream_forget(stream, STREAM_IS_PAUSED);
    stream_start_reading(stream);
}
