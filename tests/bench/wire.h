/* One TCP connection of the bench programs, plain or under TLS from its first
 * byte. One thread. Events come from the loop and never out of a verb, but for
 * the WIRE_UP of an accepted plain connection, which has nothing to wait for.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include "ticket.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

enum wire_event {
    WIRE_UP,      /* connected, and TLS is done where it is wanted */
    WIRE_DATA,    /* bytes lent until the handler returns */
    WIRE_DRAINED, /* everything written has left */
    WIRE_CLOSED   /* the last event: the wire is freed when it returns */
};

struct wire;

typedef void wire_handler(struct wire *wire, enum wire_event event,
                          const uint8_t *bytes, size_t len, void *owner);

/* What all wires of one loop share: scratch memory. It must outlive them. */
struct wire_net;

struct wire_target {
    struct sockaddr_storage remote;
    struct sockaddr_storage source; /* AF_UNSPEC: the kernel chooses */
    SSL_CTX *tls;                   /* NULL: plain */
    struct ticket *ticket;          /* NULL: none is offered, none is kept */
};

struct wire_net *wire_net_new(uv_loop_t *loop);
void wire_net_free(struct wire_net **net);

/* What all wires have delivered to and taken from their owners, in bytes. */
void wire_net_count(const struct wire_net *net, uint64_t *received_out,
                    uint64_t *sent_out);

/* A wire that connects; a failure comes later, as WIRE_CLOSED. */
struct wire *wire_connect(struct wire_net *net,
                          const struct wire_target *target,
                          wire_handler *handler, void *owner);

/* Takes the connection that waits at `listener`; `tls` NULL means plain.
 * Returns NULL when accepting failed. */
struct wire *wire_accept(struct wire_net *net, uv_stream_t *listener,
                         SSL_CTX *tls, wire_handler *handler, void *owner);

/* Sends or queues `bytes`; nothing once the wire is closing. */
void wire_write(struct wire *wire, const uint8_t *bytes, size_t len);

/* Sends `bytes`, which must stay as they are for ever, without copying them
 * where no TLS does. WIRE_DRAINED follows from the loop, also when they left
 * at once, so that no wire keeps the loop to itself. */
void wire_stream(struct wire *wire, const uint8_t *bytes, size_t len);

/* Bytes that were written and have not left yet. */
size_t wire_queued(const struct wire *wire);

/* Stops and goes on reading; what was read already is still delivered. */
void wire_pause(struct wire *wire);
void wire_resume(struct wire *wire);

/* Sends what is queued as far as the socket takes it, close_notify under TLS,
 * then closes. WIRE_CLOSED follows. */
void wire_close(struct wire *wire);

/* Why the wire closed, or "" when its owner closed it. */
const char *wire_error(const struct wire *wire);

/* NULL when the wire is plain. */
SSL *wire_ssl(const struct wire *wire);

#endif
