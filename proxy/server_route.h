/* Where a user would go now: by the table in force, and by what is known of
 * the backends at this moment. */
#ifndef PROXY_SERVER_ROUTE_H
#define PROXY_SERVER_ROUTE_H

#include "ops/admin.h"
#include "server_admin.h"

#include <uv.h>

/* Those who wait for users on disk; all zero is none. */
struct server_routes {
    struct route_query *first;
};

/* GET /route: "user" is who would log in. */
void server_route_tell(struct server_routes *routes, uv_loop_t *loop,
                       struct admin_request *request,
                       const struct server_view *view);

/* Requests that wait are answered by somebody else from here on. */
void server_route_stop(struct server_routes *routes);

#endif
