/* Two one-way pumps between a client and its backend. Each ends by itself: at
 * the end of its input it flushes and shuts down the other side. What one side
 * cannot take stops reading on the other (decision 8). */
#ifndef SESSION_SPLICE_H
#define SESSION_SPLICE_H

#include "net/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct splice;

enum splice_event {
    SPLICE_HALF_CLOSED,   /* one direction has ended; the other goes on */
    SPLICE_BACKEND_ENDED, /* the client has not heard of it: splice_pass_end,
                             or else end the streams */
    SPLICE_OVER           /* both have, or one has failed: end the streams */
};

/* detail may be NULL and lasts for the call. After SPLICE_OVER no more of it
 * comes. */
typedef void splice_handler(struct splice *splice, enum splice_event event,
                            const char *detail);

/* Embedded in a session. The streams stay the session's. */
struct splice {
    struct stream *client;
    struct stream *upstream;
    splice_handler *handler;
    uint64_t to_client; /* bytes */
    uint64_t to_backend;
    uint64_t active_ms; /* when a byte last moved; once over, its owner's */
    const char *reason; /* after SPLICE_OVER: a fixed word for the log */
    bool client_ended;
    bool upstream_ended;
};

/* Takes over the events of both streams, which are named in the splice. The
 * rest of what was read before the splice goes first. */
void splice_start(struct splice *splice, splice_handler *handler,
                  const uint8_t *rest_of_client, size_t client_len,
                  const uint8_t *rest_of_backend, size_t backend_len);

/* After SPLICE_BACKEND_ENDED: tells the client, and goes on as half closed. */
void splice_pass_end(struct splice *splice);

/* After SPLICE_OVER: it was the backend that left, and the client has not
 * heard of it. */
bool splice_has_lost_backend(const struct splice *splice);

#endif
