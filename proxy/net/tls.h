/* TLS as a pure engine over memory: every SSL of one side of a worker shares
 * one BIO, which reads from the bytes lent by tls_begin and writes into the
 * side's output scratch. An idle connection therefore holds no buffer.
 *
 *     tls_begin(side, ssl, wire, len);
 *     ... tls_handshake, tls_read, tls_write, tls_close_notify ...
 *     output = tls_end(side, ssl, &output_len);   send it in one write
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "config/mem.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_result {
    TLS_OK,     /* done, or some bytes */
    TLS_WANT,   /* needs more bytes from the wire */
    TLS_CLOSED, /* the peer's close_notify */
    TLS_FAILED  /* see tls_side.failure; the output may hold an alert */
};

enum {
    TLS_FAILURE_MAX = 128
};

/* One side (front or back) of a worker. Two sides, never one for both: while
 * the plaintext of one is lent, its receiver writes to the other. */
struct tls_side {
    BIO *bio;
    const SSL *owner;  /* whose bracket is open, or NULL */
    const uint8_t *in; /* lent wire bytes not yet taken */
    size_t in_len;
    uint8_t *out;
    size_t out_len;
    size_t out_max;
    bool overflowed;
    void *context; /* of whoever made the side; see tls_context_of */
    char failure[TLS_FAILURE_MAX]; /* of the last TLS_FAILED; printable */
};

/* out_max: the most that one event may produce; a flight or an answer that is
 * larger fails its own connection only. */
void tls_side_init(struct tls_side *side, size_t out_max, void *context);
void tls_side_deinit(struct tls_side *side);

/* Raises out_max; outside a bracket. */
void tls_side_grow(struct tls_side *side, size_t out_max);

/* Gives a fresh SSL to the side: from now on it reads and writes there. */
void tls_attach(struct tls_side *side, SSL *ssl);

/* Opens the bracket. bytes are borrowed until tls_end; may be NULL. */
void tls_begin(struct tls_side *side, const SSL *ssl, const uint8_t *bytes,
               size_t len);

/* Closes the bracket and returns what must go on the wire, valid until the
 * side's next tls_begin. Lent bytes that were not taken are dropped: they came
 * behind a close_notify or a failure. */
const uint8_t *tls_end(struct tls_side *side, const SSL *ssl, size_t *len_out);

bool tls_is_open(const struct tls_side *side, const SSL *ssl);

/* The five below stand inside a bracket. Bytes that go on the wire as they are,
 * in front of the first flight; there must be room for them. */
void tls_put_clear(struct tls_side *side, const SSL *ssl, const uint8_t *bytes,
                   size_t len);

MUST_USE enum tls_result tls_handshake(struct tls_side *side, SSL *ssl);

/* Fills plain with as much as the lent bytes give. TLS_OK only when max was
 * reached; len_out counts also beside every other result. */
MUST_USE enum tls_result tls_read(struct tls_side *side, SSL *ssl,
                                  uint8_t *plain, size_t max, size_t *len_out);

/* Encrypts all of bytes into the output, or fails. */
MUST_USE enum tls_result tls_write(struct tls_side *side, SSL *ssl,
                                   const uint8_t *bytes, size_t len);

/* Appends close_notify, once; nothing can be written after it. */
void tls_close_notify(struct tls_side *side, SSL *ssl);

/* A hook of the TLS contexts: gives this connection's failure a reason in
 * words, which tls_handshake keeps instead of the library's own. */
void tls_note_failure(SSL *ssl, const char *reason);

/* The context of the side that the connection is attached to. */
void *tls_context_of(SSL *ssl);

#endif
