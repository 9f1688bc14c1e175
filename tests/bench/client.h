/* One IMAP client of the load generator: connects, logs in by LOGIN, then
 * sends one command at a time. Every event comes from the loop. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "wire.h"

enum client_event {
    CLIENT_READY,    /* logged in */
    CLIENT_CONTINUE, /* "+" came for the command that was sent */
    CLIENT_DONE,     /* its tagged OK came, after a BYE where it was LOGOUT */
    CLIENT_CLOSED    /* the last event: the client is freed when it returns */
};

struct client;

typedef void client_handler(struct client *client, enum client_event event,
                            void *owner);

/* Connects and logs in as `user`, which is copied. A refused login and every
 * other fault end in CLIENT_CLOSED. */
struct client *client_new(struct wire_net *net,
                          const struct wire_target *target, const char *user,
                          client_handler *handler, void *owner);

/* Sends `text` as a tagged command; only when no other is under way. */
void client_command(struct client *client, const char *text);

/* Appends a message of `size` bytes, as a command does: CLIENT_DONE follows. */
void client_append(struct client *client, size_t size);

/* The same with the bytes of the pattern (pattern.h) from `position` on. The
 * backend checks them; what it finds wrong is counted, and no error. */
void client_append_at(struct client *client, uint64_t position, uint64_t size);

/* Fetches that part of the pattern and checks it. CLIENT_DONE follows. */
void client_fetch_at(struct client *client, uint64_t position, uint64_t size);

/* Bytes found wrong since it was asked last, by the client or by the backend.
 */
uint64_t client_take_wrong(struct client *client);

/* Sends a line as it is, such as the DONE that ends IDLE. */
void client_line(struct client *client, const char *text);

/* Ends the connection, and client_error will say that `what` was the reason. */
void client_fail(struct client *client, const char *what);

/* Ends the connection without LOGOUT, or after its OK. */
void client_close(struct client *client);

/* Why it ended; "" when its owner closed it. */
const char *client_error(const struct client *client);

/* NULL when the connection is plain. */
SSL *client_ssl(const struct client *client);

#endif
