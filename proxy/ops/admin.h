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
#include <stdint.h>
#include <uv.h>

/* One local, one for each family of addresses. */
enum {
    ADMIN_SOCKETS_MAX = 3
};

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
    bool is_public; /* also for those who come over TCP without a token */
    admin_handler *handle;
    /* Those that it knows, parted by spaces, in 64 bytes; others are refused,
     * but by public routes, which look at none. */
    const char *parameters;
};

enum admin_type {
    ADMIN_PLAIN,
    ADMIN_JSON,
    ADMIN_METRICS
};

/* Whom it lets in, beside whoever comes to a local socket under localhost or an
 * address. */
struct admin_access {
    char *const *hosts; /* names that Host may say */
    size_t host_count;
    const uint8_t *token; /* NULL: nobody gets more than what is public */
    size_t token_len;
};

/* Lent until the next call, or admin_free. */
void admin_set_access(struct admin *admin, const struct admin_access *access);

/* The routes are lent until admin_free. */
struct admin *admin_new(uv_loop_t *loop, const struct admin_route *routes,
                        size_t count, void *owner);

/* Serves on a listening socket, which it takes over. For local ones every
 * route, for others the public ones, and the rest for whoever says the token
 * (RFC 6750, 2.1). False: the library cannot; the socket is
 * closed then. */
MUST_USE bool admin_serve(struct admin *admin, int fd, bool is_local);

/* Serves one connection, which it takes over, with every route: for another
 * process of this Gatepost, which got its other end from us. Also after
 * admin_retire. False: no place for it; it is closed then. */
MUST_USE bool admin_take(struct admin *admin, int fd);

/* The listening sockets, lent: a successor may be sent copies of them. Returns
 * how many there are. */
size_t admin_sockets(const struct admin *admin, int fds_out[ADMIN_SOCKETS_MAX]);

/* Gives the listening sockets up: whoever holds copies accepts from here on,
 * also those who wait by now. Who was accepted is answered as before. */
void admin_retire(struct admin *admin);

/* A parameter of the query, decoded; NULL when it is missing: routes that
 * are not public are not asked with one that is empty or holds a NUL. Lent by
 * the request. */
const char *admin_parameter(const struct admin_request *request,
                            const char *name);

/* What an answer's status may be (RFC 9110, 15). */
enum admin_status {
    ADMIN_OK = 200,
    ADMIN_BAD_REQUEST = 400,
    ADMIN_NOT_FOUND = 404,
    ADMIN_CONFLICT = 409,
    ADMIN_FAILED = 500,
    ADMIN_UNAVAILABLE = 503
};

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
