/* What ops/admin.h is made of, for the files that it is written in: admin.c has
 * the library and the loop, admin_request.c a request from its head to its last
 * byte, admin_rules.c who may ask what in which way. Nobody else's. */
#ifndef OPS_ADMIN_PRIVATE_H
#define OPS_ADMIN_PRIVATE_H

#include "ops/admin.h"

#include <microhttpd.h>

enum {
    ADMIN_DOORS_MAX = ADMIN_SOCKETS_MAX + 1 /* one more for who was handed in */
};

/* One listening socket, and whoever came through it; or none, for those who
 * were handed in. */
struct door {
    struct admin *admin;
    struct MHD_Daemon *http;
    uv_poll_t poll;
    uv_timer_t timer;
    int fd; /* the library's; -1: none, or given up */
    bool is_local;
};

struct admin {
    uv_loop_t *loop;
    const struct admin_route *routes;
    size_t route_count;
    void *owner;
    struct admin_access access;
    struct door doors[ADMIN_DOORS_MAX];
    size_t door_count;
    struct door *inner;          /* for those who are handed in; or NULL */
    struct admin_request *first; /* of those that wait for their answer */
    bool is_stopping;
};

/* From its head to its last byte; libmicrohttpd tells when that is over. */
struct admin_request {
    struct door *door;
    struct MHD_Connection *connection;
    struct admin_request *next;    /* while it is waiting */
    struct MHD_Response *response; /* until it is the connection's */
    unsigned status;
    bool is_waiting; /* suspended until the answer comes */
};

/* Lets the library run on the loop's next turn, for what it tells no event of;
 * nor may it call back from where this is called. */
void admin_run_soon(struct door *door);

/* Answers a request, by a refusal or by its route, at once or later. The path
 * is plain where nothing of it was encoded. */
void admin_dispatch(struct admin_request *request, bool is_plain,
                    const char *path, const char *method);

/* What the library calls, owner being the door of the connection: for the line
 * of a request, which comes first; for its head, and again until it has its
 * answer; for its end. */
void *admin_on_line(void *owner, const char *line,
                    struct MHD_Connection *connection);
enum MHD_Result admin_on_request(void *owner, struct MHD_Connection *connection,
                                 const char *path, const char *method,
                                 const char *version, const char *upload,
                                 size_t *upload_len, void **state);
void admin_on_completed(void *owner, struct MHD_Connection *connection,
                        void **state, enum MHD_RequestTerminationCode how);

#endif
