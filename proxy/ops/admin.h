/* HTTP for operators and machines on the loop of its owner, by GNU
 * libmicrohttpd: who may ask what in which way is decided here, what is said
 * by whoever made the routes. Input is bounded: no body, heads of 8 KiB, 16
 * connections at a time, 10 seconds each to ask and to hear. */
#ifndef OPS_ADMIN_H
#define OPS_ADMIN_H

#include "config/mem.h"
#include "ops/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct admin;
struct admin_request;

enum admin_method {
    ADMIN_GET, /* HEAD too */
    ADMIN_POST
};

/* Answers by admin_answer, at once or later on the same loop. */
typedef void admin_handler(struct admin_request *request, void *owner);

struct admin_route {
    const char *path;
    enum admin_method method;
    bool is_public; /* also for those who come over TCP */
    admin_handler *handle;
};

enum admin_type {
    ADMIN_PLAIN,
    ADMIN_JSON,
    ADMIN_METRICS
};

/* The routes are lent until admin_free. */
struct admin *admin_new(uv_loop_t *loop, const struct admin_route *routes,
                        size_t count, void *owner);

/* Serves on a listening socket, which it takes over. For local ones every
 * route, for others the public ones. False: the library cannot; the socket is
 * closed then. */
MUST_USE bool admin_serve(struct admin *admin, int fd, bool is_local);

/* A parameter of the query, decoded; NULL when it is missing, empty or holds a
 * NUL. Lent by the request. */
const char *admin_parameter(const struct admin_request *request,
                            const char *name);

/* Once for each request. Takes the text. */
void admin_answer(struct admin_request *request, unsigned status,
                  enum admin_type type, struct text *body);

/* Likewise, by {"error": why}. */
void admin_refuse(struct admin_request *request, unsigned status,
                  const char *why);

/* Ends all connections, requests that wait for their answer included (those
 * must not be answered any more), and closes its handles. */
void admin_stop(struct admin *admin);

/* The version of libmicrohttpd that is loaded. */
const char *admin_http_version(void);

/* After the loop has ended. Accepts NULL inside. */
void admin_free(struct admin **admin);

#endif
