#include "server_admin.h"

#include "admin_doors.h"
#include "base/clock.h"
#include "ops/metrics.h"
#include "server_log.h"
#include "server_orders.h"
#include "server_predecessors.h"
#include "server_renewals.h"
#include "server_route.h"
#include "server_sessions.h"
#include "server_status.h"

#include <stdlib.h>

struct server_admin {
    const struct server_verbs *verbs;
    void *server;
    struct admin *http;
    struct admin_doors doors;
    bool has_doors;
    bool has_succeeded;
    struct server_orders orders;
    struct server_renewals renewals;
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
    answer_plain(request, ADMIN_OK, "ok");
}

/* Whether it makes sense to send one more client here. */
static void on_readyz(struct admin_request *request, void *owner)
{
    struct server_view view = look(owner);

    if (view.is_draining)
        answer_plain(request, ADMIN_UNAVAILABLE, "draining");
    else if (quota_is_full(view.quota))
        answer_plain(request, ADMIN_UNAVAILABLE, "full");
    else
        answer_plain(request, ADMIN_OK, "ready");
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
    admin_answer(request, ADMIN_OK, ADMIN_METRICS, &body);
}

static void answer_status(struct admin_request *request,
                          const struct text *predecessors, void *owner)
{
    const struct server_admin *admin = owner;
    struct server_view view = look(admin);
    struct text body = {.bytes = NULL};

    server_status_write(&body, &view, &admin->renewals.last_reload,
                        predecessors);
    admin_answer(request, ADMIN_OK, ADMIN_JSON, &body);
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
    admin_answer(request, ADMIN_OK, ADMIN_JSON, &body);
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

static void order(struct server_admin *admin, struct admin_request *request,
                  enum backend_mode mode)
{
    struct server_view view = look(admin);

    server_orders_take(&admin->orders, request, mode, &view);
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

static void on_reload(struct admin_request *request, void *owner)
{
    struct server_admin *admin = owner;
    struct server_view view = look(admin);

    server_renewals_reload(&admin->renewals, request, &view);
}

static void on_upgrade(struct admin_request *request, void *owner)
{
    struct server_admin *admin = owner;
    struct server_view view = look(admin);

    server_renewals_upgrade(&admin->renewals, request, &view);
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
    server_orders_follow(&admin->orders, &view);
    if (admin->has_succeeded && predecessor_pid(view.predecessor) != 0)
        server_orders_tell(&view);
}

static bool read_orders(struct server_admin *admin)
{
    struct reasons *reasons = reasons_new();
    bool is_good;

    is_good = server_orders_read(&admin->orders, look(admin).snapshot->settings,
                                 reasons);
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
    admin->renewals.verbs = admin->verbs = verbs;
    admin->renewals.server = admin->server = server;
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
    if (admin->has_doors) {
        struct server_view view = look(admin);

        admin_doors_own(&admin->doors);
        server_orders_inherit(&admin->orders, &view);
    }
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
    if (admin != NULL)
        server_renewals_reloaded(&admin->renewals, was_taken, reasons);
}

void server_admin_upgraded(struct server_admin *admin, pid_t successor,
                           const struct reasons *reasons)
{
    if (admin != NULL)
        server_renewals_upgraded(&admin->renewals, successor, reasons);
}

void server_admin_stop(struct server_admin *admin)
{
    if (admin == NULL)
        return;
    if (admin->sessions != NULL)
        server_sessions_stop(admin->sessions);
    server_predecessors_stop(&admin->predecessors);
    server_renewals_stop(&admin->renewals);
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
    server_renewals_deinit(&mine->renewals);
    server_orders_deinit(&mine->orders);
    free(mine);
}
