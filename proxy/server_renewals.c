#include "server_renewals.h"

#include "server_orders.h"

#include <stdlib.h>
#include <unistd.h>

struct waiter {
    struct waiter *next;
    struct admin_request *request;
    unsigned ends; /* of reloads, up to the one that was asked for */
};

void server_renewals_reload(struct server_renewals *renewals,
                            struct admin_request *request,
                            const struct server_view *view)
{
    struct waiter *waiter;

    if (view->is_draining) {
        admin_refuse(request, ADMIN_UNAVAILABLE, "the server drains");
        return;
    }
    if (!server_orders_are_ours(view, request))
        return;
    waiter = mem_zalloc(sizeof(*waiter));
    waiter->request = request;
    waiter->ends = view->is_reloading ? 2 : 1;
    waiter->next = renewals->waiters;
    renewals->waiters = waiter;
    renewals->verbs->reload(renewals->server,
                            admin_parameter(request, "force") != NULL);
}

static void answer_reload(const struct server_renewals *renewals,
                          struct admin_request *request)
{
    struct text body = {.bytes = NULL};

    server_status_add_reload(&body, &renewals->last_reload);
    text_add(&body, "\n");
    admin_answer(request,
                 renewals->last_reload.was_taken ? ADMIN_OK : ADMIN_CONFLICT,
                 ADMIN_JSON, &body);
}

void server_renewals_reloaded(struct server_renewals *renewals, bool was_taken,
                              const struct reasons *reasons)
{
    struct waiter **at = &renewals->waiters;

    last_reload_set(&renewals->last_reload, was_taken, reasons);
    while (*at != NULL) {
        struct waiter *waiter = *at;

        if (--waiter->ends > 0) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        answer_reload(renewals, waiter->request);
        free(waiter);
    }
}

/* NULL, or why there can be no upgrade now. A container ends with its first
 * process, so there is nothing that a second could go on with. */
static const char *upgrade_obstacle(const struct server_view *view)
{
    if (getpid() == 1)
        return "this is process 1: start a new container instead";
    if (view->is_draining)
        return "the server drains";
    if (view->retired_ms != 0)
        return "another process serves by now: ask again";
    if (view->is_upgrading)
        return "an upgrade is under way";
    if (view->is_reloading)
        return "a reload is under way: ask again when it is over";
    return NULL;
}

void server_renewals_upgrade(struct server_renewals *renewals,
                             struct admin_request *request,
                             const struct server_view *view)
{
    const char *obstacle = upgrade_obstacle(view);

    if (obstacle != NULL) {
        admin_refuse(request, ADMIN_CONFLICT, obstacle);
        return;
    }
    renewals->upgrader = request;
    renewals->verbs->upgrade(renewals->server);
}

void server_renewals_upgraded(struct server_renewals *renewals, pid_t successor,
                              const struct reasons *reasons)
{
    struct text body = {.bytes = NULL};

    if (renewals->upgrader == NULL)
        return;
    text_add(&body, "{\"successor\": ");
    if (successor != 0)
        text_add(&body, "%ld", (long)successor);
    else
        text_add(&body, "null");
    text_add(&body, ", \"reasons\": [");
    if (reasons != NULL)
        server_status_add_reasons(&body, reasons);
    text_add(&body, "]}\n");
    admin_answer(renewals->upgrader, successor != 0 ? ADMIN_OK : ADMIN_CONFLICT,
                 ADMIN_JSON, &body);
    renewals->upgrader = NULL;
}

void server_renewals_stop(struct server_renewals *renewals)
{
    while (renewals->waiters != NULL) {
        struct waiter *waiter = renewals->waiters;

        renewals->waiters = waiter->next;
        free(waiter);
    }
    renewals->upgrader = NULL;
}

void server_renewals_deinit(struct server_renewals *renewals)
{
    last_reload_deinit(&renewals->last_reload);
}
