#include "server_orders.h"

#include "modes.h"
#include "predecessor.h"
#include "server_log.h"

#include <stdlib.h>
#include <string.h>

static const char by_command[] = "by command";

/* Orders belong to one process at a time, and so does their file. Answers where
 * it is not this one. */
bool server_orders_are_ours(const struct server_view *view,
                            struct admin_request *request)
{
    if (view->retired_ms != 0)
        admin_refuse(request, ADMIN_UNAVAILABLE,
                     "another process serves by now: ask again");
    else if (view->is_upgrading)
        admin_refuse(request, ADMIN_CONFLICT,
                     "an upgrade is under way: ask again when it is over");
    return view->retired_ms == 0 && !view->is_upgrading;
}

static const struct backend_config *
find_backend(const struct snapshot *snapshot, const char *name,
             struct backend **backend_out)
{
    for (size_t i = 0; i < backend_set_count(snapshot->backends); i++) {
        const struct backend_config *config;

        *backend_out = backend_set_at(snapshot->backends, i, &config);
        if (strcmp(config->name, name) == 0)
            return config;
    }
    return NULL;
}

static void answer_mode(struct admin_request *request,
                        const struct backend_config *config,
                        const struct backend *backend)
{
    struct text body = {.bytes = NULL};

    text_add(&body, "{\"backend\": ");
    text_add_json(&body, config->name);
    text_add(
        &body, ", \"mode\": \"%s\", \"table\": \"%s\", \"sessions\": %u}\n",
        backend_mode_name(backend_mode(backend)),
        backend_mode_name(config->mode), (unsigned)backend_sessions(backend));
    admin_answer(request, ADMIN_OK, ADMIN_JSON, &body);
}

/* A backend that this table does not have may be in the next one. */
static void set_mode(const struct server_view *view, const char *name,
                     enum backend_mode mode)
{
    unsigned workers = view->worker_list == NULL ? 0 : view->workers;
    bool is_there = modes_set(view->snapshot, view->worker_list, workers, name,
                              mode, by_command);

    (void)is_there;
}

/* The file is written first: what cannot be kept is not done either. */
void server_orders_take(struct server_orders *orders,
                        struct admin_request *request, enum backend_mode mode,
                        const struct server_view *view)
{
    const char *name = admin_parameter(request, "backend");
    const struct backend_config *config;
    struct backend *backend;
    int error;

    if (!server_orders_are_ours(view, request))
        return;
    if (name == NULL) {
        admin_refuse(request, ADMIN_BAD_REQUEST, "\"backend\" is missing");
        return;
    }
    config = find_backend(view->snapshot, name, &backend);
    if (config == NULL) {
        admin_refuse(request, ADMIN_NOT_FOUND, "no backend has this name");
        return;
    }
    error = orders_set(&orders->kept, name, mode);
    if (error != 0) {
        server_log_error("state-not-kept", "reason", strerror(error));
        admin_refuse(request, ADMIN_FAILED,
                     "nothing was changed, since the state file cannot be "
                     "written: see the log");
        return;
    }
    set_mode(view, name, mode);
    predecessor_mode(view->predecessor, name, mode, by_command);
    answer_mode(request, config, backend);
}

void server_orders_follow(const struct server_orders *orders,
                          const struct server_view *view)
{
    for (size_t i = 0; i < orders->kept.count; i++)
        set_mode(view, orders->kept.items[i].backend,
                 orders->kept.items[i].mode);
}

/* A predecessor goes by its own table, but not where that would let users in,
 * or keep them, where ours does not. */
void server_orders_tell(const struct server_view *view)
{
    const struct backend_set *backends = view->snapshot->backends;

    for (size_t i = 0; i < backend_set_count(backends); i++) {
        const struct backend_config *config;
        struct backend_facts facts;

        backend_read_facts(backend_set_at(backends, i, &config), &facts);
        predecessor_mode(view->predecessor, config->name, facts.mode,
                         facts.why);
    }
}

void server_orders_inherit(struct server_orders *orders,
                           const struct server_view *view)
{
    const struct backend_set *backends = view->snapshot->backends;
    int error;

    for (size_t i = 0; i < backend_set_count(backends); i++) {
        const struct backend_config *config;
        struct backend_facts facts;

        backend_read_facts(backend_set_at(backends, i, &config), &facts);
        if (facts.mode != BACKEND_READY && strcmp(facts.why, by_command) == 0)
            orders_inherit(&orders->kept, config->name, facts.mode);
    }
    if (!orders->kept.is_unwritten)
        return;
    error = orders_write(&orders->kept);
    if (error != 0)
        server_log_error("state-not-kept", "reason", strerror(error));
    else
        server_log_state_inherited(orders->path);
}

bool server_orders_read(struct server_orders *orders,
                        const struct settings *settings,
                        struct reasons *reasons)
{
    orders->path = mem_strdup(settings->admin_state);
    if (settings->admin_state_former != NULL)
        orders->former_path = mem_strdup(settings->admin_state_former);
    orders->kept.path = orders->path;
    orders->kept.former_path = orders->former_path;
    return orders_read(&orders->kept, reasons);
}

void server_orders_deinit(struct server_orders *orders)
{
    orders_deinit(&orders->kept);
    free(orders->path);
    free(orders->former_path);
}
