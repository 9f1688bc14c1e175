#include "server_admin.h"

#include "base/clock.h"
#include "ops/admin.h"
#include "ops/metrics.h"
#include "provider_admin.h"
#include "server_log.h"
#include "server_sessions.h"
#include "server_status.h"

#include <stdlib.h>

enum {
    HTTP_OK = 200,
    HTTP_UNAVAILABLE = 503
};

struct server_admin {
    const struct server_verbs *verbs;
    void *server;
    struct admin *http;
    struct provider_admin socket;
    char *path; /* NULL: no socket */
    struct last_reload last_reload;
    struct server_sessions *sessions;
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

static void on_status(struct admin_request *request, void *owner)
{
    const struct server_admin *admin = owner;
    struct server_view view = look(admin);
    struct text body = {.bytes = NULL};

    server_status_write(&body, &view, &admin->last_reload);
    admin_answer(request, HTTP_OK, ADMIN_JSON, &body);
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

static const struct admin_route routes[] = {
    {"/healthz", ADMIN_GET, true, on_healthz},
    {"/readyz", ADMIN_GET, true, on_readyz},
    {"/metrics", ADMIN_GET, true, on_metrics},
    {"/status", ADMIN_GET, false, on_status},
    {"/sessions", ADMIN_GET, false, on_sessions},
    {"/kick", ADMIN_POST, false, on_kick},
};

static bool open_socket(struct server_admin *admin)
{
    char why[PROVIDER_WHY_MAX];
    int fd;

    if (provider_open_admin(admin->path, &admin->socket, why) != 0) {
        server_log_error("start-failed", "admin", why);
        return false;
    }
    fd = admin->socket.fd;
    admin->socket.fd = -1;
    if (!admin_serve(admin->http, fd, true)) {
        server_log_error("start-failed", "admin", "HTTP cannot be served");
        return false;
    }
    return true;
}

struct server_admin *server_admin_start(uv_loop_t *loop,
                                        const struct server_verbs *verbs,
                                        void *server)
{
    struct server_admin *admin = mem_zalloc(sizeof(*admin));

    admin->verbs = verbs;
    admin->server = server;
    admin->socket.fd = -1;
    admin->path = mem_strdup(look(admin).snapshot->settings->admin_socket);
    admin->http =
        admin_new(loop, routes, sizeof(routes) / sizeof(routes[0]), admin);
    admin->sessions = server_sessions_new(loop);
    if (admin->path == NULL || (admin->sessions != NULL && open_socket(admin)))
        return admin;
    server_admin_stop(admin);
    server_admin_free(&admin);
    return NULL;
}

void server_admin_reloaded(struct server_admin *admin, bool was_taken,
                           const struct reasons *reasons)
{
    if (admin != NULL)
        last_reload_set(&admin->last_reload, was_taken, reasons);
}

void server_admin_stop(struct server_admin *admin)
{
    if (admin == NULL)
        return;
    if (admin->sessions != NULL)
        server_sessions_stop(admin->sessions);
    admin_stop(admin->http);
    if (admin->path != NULL)
        provider_close_admin(admin->path, &admin->socket);
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
    free(mine->path);
    free(mine);
}
