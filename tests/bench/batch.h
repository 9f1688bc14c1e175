/* What the modes that work in batches share: the loop, the lines of control
 * and the clock. "next" starts a batch, whose end is one line of result; a
 * batch in which no byte moves for long is given up. */
#ifndef BENCH_BATCH_H
#define BENCH_BATCH_H

#include "client.h"
#include "control.h"
#include "load_options.h"
#include "ticket.h"

#include <stdbool.h>

struct batch_verbs {
    void (*start)(void *owner);   /* begin one batch */
    void (*give_up)(void *owner); /* nothing moves: end what is under way */
};

struct batch {
    const struct load_options *options;
    const struct batch_verbs *verbs;
    void *owner;
    uv_loop_t loop;
    struct wire_net *net;
    struct control control;
    SSL_CTX *tls; /* NULL: plain */
    uint64_t started_ns;
    unsigned long connections; /* ever made */
    bool is_ready;
    bool is_running;
    uint64_t bytes_seen; /* moved until the watch looked last */
    unsigned idle_seconds;
    unsigned faults_told;
    uv_timer_t watch;
};

void batch_open(struct batch *batch, const struct load_options *options,
                const struct batch_verbs *verbs, void *owner);

/* Runs the loop. What prepares the batches comes before it and calls
 * batch_ready at its end. Returns the program's exit status. */
int batch_run(struct batch *batch);

/* Says "ready": "next" is obeyed from now on. */
void batch_ready(struct batch *batch);

/* The batch is done, and took this long. The caller says the result. */
double batch_end(struct batch *batch);

/* Connects a client from the next source address as the next user. `ticket`
 * NULL asks for full handshakes. */
struct client *batch_connect(struct batch *batch, struct ticket *ticket,
                             client_handler *handler, void *owner);

/* False when a client that is logged in negotiated another cipher or group than
 * all proxies are measured with; it is closed then. */
bool batch_admits(const struct batch *batch, struct client *client);

/* Tells on standard error why a client ended, the first few times. */
void batch_tell_fault(struct batch *batch, const struct client *client);

/* The protocol version and cipher in use, as the result lines name them. */
const char *batch_version(const struct client *client);
const char *batch_cipher(const struct client *client);

#endif
