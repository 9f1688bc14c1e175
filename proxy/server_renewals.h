/* Reloads and upgrades by command: who asked for one is answered at its end.
 * On the main loop. */
#ifndef PROXY_SERVER_RENEWALS_H
#define PROXY_SERVER_RENEWALS_H

#include "config/reason.h"
#include "ops/admin.h"
#include "server_admin.h"
#include "server_status.h"

#include <stdbool.h>
#include <sys/types.h>

/* Who asked for a reload, and waits. */
struct waiter;

/* All zero, with verbs and their server, has none under way. */
struct server_renewals {
    const struct server_verbs *verbs;
    void *server;
    struct last_reload last_reload;
    struct waiter *waiters;
    struct admin_request *upgrader; /* who asked for the upgrade under way */
};

/* POST /reload: "force" takes a table that has lost much. */
void server_renewals_reload(struct server_renewals *renewals,
                            struct admin_request *request,
                            const struct server_view *view);

/* POST /upgrade. */
void server_renewals_upgrade(struct server_renewals *renewals,
                             struct admin_request *request,
                             const struct server_view *view);

/* As server_admin_reloaded and server_admin_upgraded. */
void server_renewals_reloaded(struct server_renewals *renewals, bool was_taken,
                              const struct reasons *reasons);
void server_renewals_upgraded(struct server_renewals *renewals, pid_t successor,
                              const struct reasons *reasons);

/* Requests that wait are answered by somebody else from here on. */
void server_renewals_stop(struct server_renewals *renewals);

void server_renewals_deinit(struct server_renewals *renewals);

#endif
