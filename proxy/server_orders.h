/* Which backends take whom by an operator's command: kept before it is done,
 * and in force whatever table comes. On the main loop. */
#ifndef PROXY_SERVER_ORDERS_H
#define PROXY_SERVER_ORDERS_H

#include "backend/backend.h"
#include "config/mem.h"
#include "config/reason.h"
#include "config/settings.h"
#include "ops/admin.h"
#include "orders.h"
#include "server_admin.h"

#include <stdbool.h>

/* All zero has none. */
struct server_orders {
    char *path;
    char *former_path;
    struct orders kept;
};

/* Reads what was kept by these settings; false as orders_read. */
MUST_USE bool server_orders_read(struct server_orders *orders,
                                 const struct settings *settings,
                                 struct reasons *reasons);
void server_orders_deinit(struct server_orders *orders);

/* POST /drain, /maintenance, /ready: "backend" is the one. */
void server_orders_take(struct server_orders *orders,
                        struct admin_request *request, enum backend_mode mode,
                        const struct server_view *view);

/* Whether this is the process that commands are for; it answers where it is
 * not. */
MUST_USE bool server_orders_are_ours(const struct server_view *view,
                                     struct admin_request *request);

/* Puts what was ordered in force for a table that has just come. */
void server_orders_follow(const struct server_orders *orders,
                          const struct server_view *view);

/* Keeps what was ordered by what a predecessor handed over, or by the file's
 * former place, where our file does not: from now on we are who serves. */
void server_orders_inherit(struct server_orders *orders,
                           const struct server_view *view);

/* Tells a predecessor which backends take whom. */
void server_orders_tell(const struct server_view *view);

#endif
