/* A TCP byte stream that may turn into TLS once. It stores no input: bytes are
 * lent to the handler for the length of the call, and an idle stream holds no
 * buffer. No verb emits an event; what a verb finds broken is told on the
 * loop's next turn, so an owner is never freed under its caller.
 *
 * A stream belongs to the loop that its io belongs to. It frees itself after
 * STREAM_CLOSED, which every stream gets exactly once, last, and only after
 * stream_end or stream_close. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "config/mem.h"
#include "net/address.h"
#include "net/io.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct stream;

enum stream_event {
    STREAM_SECURE,  /* TLS handshake done */
    STREAM_DATA,    /* stream_lent: bytes lent until the handler returns */
    STREAM_DRAINED, /* the write queue fell below its low mark */
    STREAM_EOF,     /* no more input; see stream_was_truncated */
    STREAM_FAILED,  /* stream_failure says why; only ending makes sense now */
    STREAM_CLOSED   /* the last event; the stream is gone when it returns */
};

typedef void stream_handler(struct stream *stream, enum stream_event event,
                            void *owner);

/* Marks of the write queue, in bytes. A queue may pass the high mark by what
 * one event produced. */
enum {
    STREAM_HIGH_MARK = 64 * 1024,
    STREAM_LOW_MARK = 16 * 1024
};

/* Takes over a connected, non-blocking socket, which is closed on failure, and
 * starts to read. 0 or UV_E*; nothing is left behind on failure. */
MUST_USE int stream_open(struct io *io, int fd, stream_handler *handler,
                         void *owner, struct stream **stream_out);

/* Starts to connect, from an address of ours or, with NULL, from one that the
 * kernel chooses, and to read. It may be written to and turned into TLS at
 * once; the first event tells what became of it. 0 or UV_E*: UV_EADDRNOTAVAIL
 * when from is not ours or has no free port towards the peer. */
MUST_USE int stream_connect(struct io *io, const struct address *to,
                            const struct address *from, stream_handler *handler,
                            void *owner, struct stream **stream_out);

/* Our own end's address: of an accepted stream, what the client connected to.
 * False, and all zero, where the connection is gone. Costs a system call. */
bool stream_local_address(const struct stream *stream,
                          struct address *address_out);

/* There is no connection: not yet, or, once it has failed, there never was. */
bool stream_is_dialing(const struct stream *stream);

/* For a stream that connected: one that was accepted has it from its listener.
 */
void stream_set_keepalive(const struct stream *stream,
                          const struct io_keepalive *keepalive);

void stream_set_owner(struct stream *stream, stream_handler *handler,
                      void *owner);

/* Turns the stream into TLS on the given side of its io; takes ssl, whose
 * state says server or client. A client's first flight is sent now. */
void stream_start_tls(struct stream *stream, struct tls_side *side, SSL *ssl);

/* The same for a client that has something to say in clear first: it leaves in
 * one write with the first flight. */
void stream_start_tls_behind(struct stream *stream, struct tls_side *side,
                             SSL *ssl, const uint8_t *bytes, size_t len);

/* The bytes of the STREAM_DATA being handled. */
const uint8_t *stream_lent(const struct stream *stream, size_t *len_out);

/* Within STREAM_DATA of a plain stream: gives the last len of the lent bytes
 * back, of which there must be more. When the handler returns, they come as if
 * they were read then: to the stream's owner, or to TLS if it was started. */
void stream_give_back(struct stream *stream, size_t len);

/* Wipes them, once a secret in them was taken over. */
void stream_wipe_lent(const struct stream *stream);

/* Sends, or queues what the socket refuses. Returns false once the queue is
 * above its high mark; wait for STREAM_DRAINED. */
bool stream_write(struct stream *stream, const uint8_t *bytes, size_t len);

/* Whether the socket holds bytes, an end or an error that were not read yet,
 * as happens between two turns of the loop. Costs a system call. */
bool stream_has_input(const struct stream *stream);

/* Stops and restarts reading. Bytes already read are delivered regardless. */
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);

/* Ends our direction: what is queued, close_notify, FIN. Input goes on. */
void stream_shut_down(struct stream *stream);

/* Ends the stream politely: as stream_shut_down, then input is thrown away
 * until its end, STREAM_DISCARD_MAX bytes or STREAM_DISCARD_MS, since closing
 * with unread input would reset the connection and destroy what was just
 * sent. What cannot be flushed within flush_ms is dropped. */
void stream_end(struct stream *stream, uint64_t flush_ms);

enum {
    STREAM_DISCARD_MAX = 64 * 1024,
    STREAM_DISCARD_MS = 2000
};

/* Ends the stream now, whatever is queued. */
void stream_close(struct stream *stream);

/* The end of input came without TLS's close_notify (RFC 8446, 6.1). */
bool stream_was_truncated(const struct stream *stream);

/* Why the last STREAM_FAILED came, in words without bytes of the peer; valid
 * while it is handled. */
const char *stream_failure(const struct stream *stream);

bool stream_is_tls(const struct stream *stream);
/* Of a secured stream; NULL while plain. Read only. */
const SSL *stream_tls(const struct stream *stream);
size_t stream_queued(const struct stream *stream);

#endif
