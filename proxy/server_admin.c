#include "server_admin.h"

#include "admin_doors.h"
#include "base/clock.h"
#include "modes.h"
#include "ops/admin.h"
#include "ops/metrics.h"
#include "orders.h"
#include "server_log.h"
#include "server_predecessors.h"
#include "server_route.h"
#include "server_sessions.h"
#include "server_status.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    HTTP_OK = 200,
    HTTP_BAD_REQUEST = 400,
    HTTP_NOT_FOUND = 404,
    HTTP_CONFLICT = 409,
    HTTP_FAILED = 500,
    HTTP_UNAVAILABLE = 503
};

static const char by_command[] = "by command";

/* Who asked for a reload. */
struct waiter {
    struct waiter *next;
    struct admin_request *request;
    unsigned ends; /* of reloads, up to the one that was asked for */
};

struct server_admin {
    const struct server_verbs *verbs;
    void *server;
    struct admin *http;
    struct admin_doors doors;
    bool has_doors;
    bool has_succeeded;
    char *orders_path;
    struct orders orders;
    struct last_reload last_reload;
    struct waiter *waiters;
    struct admin_request *upgrader; /* who asked for the upgrade under way */
    struct server_routes routes;
    uv_loop_t *loop;
    struct server_sessions *sessions;
    struct server_predecessors predecessors;
};

static struct server_view look(const struct server_admin *admin)
{
    struct server_view view;

    admin->verbs->look(admin->server, &view);
    return view;
}

static void answer_plain(struct admin_request *request, unsigned status,
                         const char *line)
{
    struct text body = {.bytes = NULL};

    text_add(&body, "%s\n", line);
    admin_answer(request, status, ADMIN_PLAIN, &body);
}

static void on_healthz(struct admin_request *request, void *owner)
{
    (void)owner;
    answer_plain(request, HTTP_OK, "ok");
}

/* Whether it makes sense to send one more client here. */
static void on_readyz(struct admin_request *request, void *owner)
{
    struct server_view view = look(owner);

    if (view.is_draining)
        answer_plain(request, HTTP_UNAVAILABLE, "draining");
    else if (quota_is_full(view.quota))
        answer_plain(request, HTTP_UNAVAILABLE, "full");
    else
        answer_plain(request, HTTP_OK, "ready");
}

static void on_metrics(struct admin_request *request, void *owner)
{
    struct server_view view = look(owner);
    const struct metrics_view metrics = {
        .counters = view.counters,
        .snapshot = view.snapshot,
        .workers = view.workers,
        .sessions_max = quota_max(view.quota),
        .uptime_ms = clock_now_ms() - view.started_ms,
        .is_draining = view.is_draining,
    };
    struct text body = {.bytes = NULL};

    metrics_write(&body, &metrics);
    admin_answer(request, HTTP_OK, ADMIN_METRICS, &body);
}

static void answer_status(struct admin_request *request,
                          const struct text *predecessors, void *owner)
{
    const struct server_admin *admin = owner;
    struct server_view view = look(admin);
    struct text body = {.bytes = NULL};

    server_status_write(&body, &view, &admin->last_reload, predecessors);
    admin_answer(request, HTTP_OK, ADMIN_JSON, &body);
}

static void on_status(struct admin_request *request, void *owner)
{
    struct server_admin *admin = owner;

    server_predecessors_ask(&admin->predecessors, look(admin).predecessor,
                            request, answer_status, admin);
}

static void answer_processes(struct admin_request *request,
                             const struct text *predecessors, void *owner)
{
    struct server_view view = look(owner);
    struct text body = {.bytes = NULL};

    text_add(&body, "{\"processes\": [\n  ");
    server_status_add_process(&body, &view);
    if (predecessors->len > 0)
        text_add(&body, ",%s", predecessors->bytes);
    text_add(&body, "]}\n");
    admin_answer(request, HTTP_OK, ADMIN_JSON, &body);
}

static void on_processes(struct admin_request *request, void *owner)
{
    struct server_admin *admin = owner;

    server_predecessors_ask(&admin->predecessors, look(admin).predecessor,
                            request, answer_processes, admin);
}

static void on_sessions(struct admin_request *request, void *owner)
{
    const struct server_admin *admin = owner;
    struct server_view view = look(admin);

    server_sessions_list(admin->sessions, request, &view);
}

static void on_kick(struct admin_request *request, void *owner)
{
    const struct server_admin *admin = owner;
    struct server_view view = look(admin);

    server_sessions_kick(admin->sessions, request, &view);
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
    admin_answer(request, HTTP_OK, ADMIN_JSON, &body);
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

/* Orders belong to one process at a time, and so does their file. Answers where
 * it is not this one. */
static bool has_command(const struct server_view *view,
                        struct admin_request *request)
{
    if (view->retired_ms != 0)
        admin_refuse(request, HTTP_UNAVAILABLE,
                     "another process serves by now: ask again");
    else if (view->is_upgrading)
        admin_refuse(request, HTTP_CONFLICT,
                     "an upgrade is under way: ask again when it is over");
    return view->retired_ms == 0 && !view->is_upgrading;
}

/* The file is written first: what cannot be kept is not done either. */
static void order(struct server_admin *admin, struct admin_request *request,
                  enum backend_mode mode)
{
    const char *name = admin_parameter(request, "backend");
    struct server_view view = look(admin);
    const struct backend_config *config;
    struct backend *backend;
    int error;

    if (!has_command(&view, request))
        return;
    if (name == NULL) {
        admin_refuse(request, HTTP_BAD_REQUEST, "\"backend\" is missing");
        return;
    }
    config = find_backend(view.snapshot, name, &backend);
    if (config == NULL) {
        admin_refuse(request, HTTP_NOT_FOUND, "no backend has this name");
        return;
    }
    error = orders_set(&admin->orders, name, mode);
    if (error != 0) {
        server_log_error("state-not-kept", "reason", strerror(error));
        admin_refuse(request, HTTP_FAILED,
                     "nothing was changed, since the state file cannot be "
                     "written: see the log");
        return;
    }
    set_mode(&view, name, mode);
    predecessor_mode(view.predecessor, name, mode, by_command);
    answer_mode(request, config, backend);
}

static void on_drain(struct admin_request *request, void *owner)
{
    order(owner, request, BACKEND_DRAINING);
}

static void on_maintenance(struct admin_request *request, void *owner)
{
    order(owner, request, BACKEND_MAINTENANCE);
}

static void on_ready(struct admin_request *request, void *owner)
{
    order(owner, request, BACKEND_READY);
}

static void answer_reload(const struct server_admin *admin,
                          struct admin_request *request)
{
    struct text body = {.bytes = NULL};

    server_status_add_reload(&body, &admin->last_reload);
    text_add(&body, "\n");
    admin_answer(request,
                 admin->last_reload.was_taken ? HTTP_OK : HTTP_CONFLICT,
                 ADMIN_JSON, &body);
}

static void on_reload(struct admin_request *request, void *owner)
{
    struct server_admin *admin = owner;
    struct server_view view = look(admin);
    struct waiter *waiter;

    if (view.is_draining) {
        admin_refuse(request, HTTP_UNAVAILABLE, "the server drains");
        return;
    }
    if (!has_command(&view, request))
        return;
    waiter = mem_zalloc(sizeof(*waiter));
    waiter->request = request;
    waiter->ends = view.is_reloading ? 2 : 1;
    waiter->next = admin->waiters;
    admin->waiters = waiter;
    admin->verbs->reload(admin->server,
                         admin_parameter(request, "force") != NULL);
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

static void on_upgrade(struct admin_request *request, void *owner)
{
    struct server_admin *admin = owner;
    struct server_view view = look(admin);
    const char *obstacle = upgrade_obstacle(&view);

    if (obstacle != NULL) {
        admin_refuse(request, HTTP_CONFLICT, obstacle);
        return;
    }
    admin->upgrader = request;
    admin->verbs->upgrade(admin->server);
}

static void on_route(struct admin_request *request, void *owner)
{
    struct server_admin *admin = owner;
    struct server_view view = look(admin);

    server_route_tell(&admin->routes, admin->loop, request, &view);
}

static const struct admin_route routes[] = {
    {"/healthz", ADMIN_GET, true, on_healthz, ""},
    {"/readyz", ADMIN_GET, true, on_readyz, ""},
    {"/metrics", ADMIN_GET, true, on_metrics, ""},
    {"/status", ADMIN_GET, false, on_status, "wait"},
    {"/processes", ADMIN_GET, false, on_processes, "wait"},
    {"/sessions", ADMIN_GET, false, on_sessions,
     "user backend after limit wait"},
    {"/route", ADMIN_GET, false, on_route, "user"},
    {"/kick", ADMIN_POST, false, on_kick, "user backend over wait"},
    {"/reload", ADMIN_POST, false, on_reload, "force"},
    {"/upgrade", ADMIN_POST, false, on_upgrade, ""},
    {"/drain", ADMIN_POST, false, on_drain, "backend"},
    {"/maintenance", ADMIN_POST, false, on_maintenance, "backend"},
    {"/ready", ADMIN_POST, false, on_ready, "backend"},
};

static bool open_doors(struct server_admin *admin, int *given, size_t count)
{
    const struct snapshot *snapshot = look(admin).snapshot;
    char why[PROVIDER_WHY_MAX];

    if (admin_doors_open(&admin->doors, snapshot->settings,
                         &snapshot->keepalive, given, count, why) == 0)
        return true;
    admin->verbs->refuse(admin->server, why);
    return false;
}

/* A predecessor goes by its own table, but not where that would let users in,
 * or keep them, where ours does not. */
static void tell_predecessor(const struct server_view *view)
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

static void put_orders_in_force(struct server_admin *admin,
                                const struct server_view *view)
{
    for (size_t i = 0; i < admin->orders.count; i++)
        set_mode(view, admin->orders.items[i].backend,
                 admin->orders.items[i].mode);
}

static void set_access(struct server_admin *admin,
                       const struct snapshot *snapshot)
{
    const struct admin_access access = {
        .hosts = snapshot->settings->admin_hosts,
        .host_count = snapshot->settings->admin_host_count,
        .token = snapshot->admin_token.file.bytes,
        .token_len = snapshot->admin_token.len,
    };

    admin_set_access(admin->http, &access);
}

void server_admin_follow(struct server_admin *admin)
{
    struct server_view view;

    if (admin == NULL)
        return;
    view = look(admin);
    set_access(admin, view.snapshot);
    put_orders_in_force(admin, &view);
    if (admin->has_succeeded && predecessor_pid(view.predecessor) != 0)
        tell_predecessor(&view);
}

static bool read_orders(struct server_admin *admin)
{
    struct reasons *reasons = reasons_new();
    bool is_good;

    admin->orders_path =
        mem_strdup(look(admin).snapshot->settings->admin_state);
    admin->orders.path = admin->orders_path;
    is_good = orders_read(&admin->orders, reasons);
    server_log_reasons(reasons);
    if (!is_good)
        admin->verbs->refuse(admin->server, "the state file cannot be read");
    reasons_free(&reasons);
    return is_good;
}

struct server_admin *server_admin_start(uv_loop_t *loop,
                                        const struct server_verbs *verbs,
                                        void *server, int *fds, size_t count)
{
    struct server_admin *admin = mem_zalloc(sizeof(*admin));

    admin->loop = loop;
    admin->predecessors.loop = loop;
    admin->verbs = verbs;
    admin->server = server;
    admin->has_doors = look(admin).snapshot->settings->admin_socket != NULL;
    admin->http =
        admin_new(loop, routes, sizeof(routes) / sizeof(routes[0]), admin);
    set_access(admin, look(admin).snapshot);
    admin->sessions = server_sessions_new(loop);
    if (admin->sessions != NULL &&
        (!admin->has_doors ||
         (read_orders(admin) && open_doors(admin, fds, count))))
        return admin;
    server_admin_stop(admin);
    server_admin_free(&admin);
    return NULL;
}

bool server_admin_serve(struct server_admin *admin)
{
    for (size_t i = 0; i < admin->doors.count; i++) {
        int fd = admin->doors.fds[i];

        admin->doors.fds[i] = -1;
        if (admin_serve(admin->http, fd, i == 0))
            continue;
        admin->verbs->refuse(admin->server, "HTTP cannot be served");
        return false;
    }
    return true;
}

void server_admin_succeed(struct server_admin *admin)
{
    admin->has_succeeded = true;
    if (admin->has_doors)
        admin_doors_own(&admin->doors);
    server_admin_follow(admin);
}

size_t server_admin_sockets(const struct server_admin *admin,
                            int fds_out[ADMIN_SOCKETS_MAX])
{
    return admin_sockets(admin->http, fds_out);
}

void server_admin_retire(struct server_admin *admin)
{
    if (admin == NULL)
        return;
    admin_retire(admin->http);
    admin_doors_leave(&admin->doors);
}

void server_admin_take(struct server_admin *admin, int fd)
{
    if (!admin_take(admin->http, fd))
        server_log_error("admin-connection-lost", "reason",
                         "no more can be served");
}

void server_admin_reloaded(struct server_admin *admin, bool was_taken,
                           const struct reasons *reasons)
{
    struct waiter **at;

    if (admin == NULL)
        return;
    last_reload_set(&admin->last_reload, was_taken, reasons);
    at = &admin->waiters;
    while (*at != NULL) {
        struct waiter *waiter = *at;

        if (--waiter->ends > 0) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        answer_reload(admin, waiter->request);
        free(waiter);
    }
}

void server_admin_upgraded(struct server_admin *admin, pid_t successor,
                           const struct reasons *reasons)
{
    struct text body = {.bytes = NULL};

    if (admin == NULL || admin->upgrader == NULL)
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
    admin_answer(admin->upgrader, successor != 0 ? HTTP_OK : HTTP_CONFLICT,
                 ADMIN_JSON, &body);
    admin->upgrader = NULL;
}

static void drop_waiters(struct server_admin *admin)
{
    while (admin->waiters != NULL) {
        struct waiter *waiter = admin->waiters;

        admin->waiters = waiter->next;
        free(waiter);
    }
}

void server_admin_stop(struct server_admin *admin)
{
    if (admin == NULL)
        return;
    if (admin->sessions != NULL)
        server_sessions_stop(admin->sessions);
    server_predecessors_stop(&admin->predecessors);
    drop_waiters(admin);
    admin->upgrader = NULL;
    server_route_stop(&admin->routes);
    admin_stop(admin->http);
    admin_doors_close(&admin->doors);
}

void server_admin_free(struct server_admin **admin)
{
    struct server_admin *mine = *admin;

    *admin = NULL;
    if (mine == NULL)
        return;
    admin_free(&mine->http);
    server_sessions_free(&mine->sessions);
    last_reload_deinit(&mine->last_reload);
    orders_deinit(&mine->orders);
    free(mine->orders_path);
    free(mine);
}
