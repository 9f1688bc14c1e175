#include "server.h"

#include "backend/resolver.h"
#include "base/clock.h"
#include "base/log.h"
#include "capacity.h"
#include "config/pace.h"
#include "modes.h"
#include "provider.h"
#include "server_log.h"
#include "server_loop.h"
#include "server_private.h"
#include "server_reload.h"
#include "server_succession.h"
#include "server_workers.h"
#include "session/tls_hooks.h"
#include "state/reaper.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How long the last log lines may take. */
enum {
    LAST_LINES_MS = 2000
};

/* A reload asked for while the server still starts waits until it can. */
static void hold_hangup(int how)
{
    sigset_t hangup;

    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    pthread_sigmask(how, &hangup, NULL);
}

static void make_parts(struct server *server)
{
    server->parts.files = provider_files();
    server->parts.registry = backend_registry_new();
    server->parts.tickets = ticket_keys_new(clock_now_ms());
    server->parts.reaper = reaper_new();
    server->parts.alpn_refused = tls_hooks_alpn_refused;
    server->parts.verify_failed = tls_hooks_verify_failed;
}

static bool load_first(struct server *server)
{
    struct reasons *reasons = reasons_new();
    struct snapshot_parts parts = server->parts;
    bool is_good = false;

    server->trail = file_trail_new(parts.files);
    parts.files = &server->trail->source;
    if (server->predecessor != NULL)
        pace_begin(); /* its sessions want the processor, too */
    server->snapshot = snapshot_load(server->config_file, &parts, reasons);
    file_trail_finish(server->trail);
    pace_end();
    if (server->snapshot != NULL) {
        log_set(server_log_level(server->snapshot->settings),
                server_log_format(server->snapshot->settings));
        server->worker_count = capacity_workers(server->snapshot->settings);
        is_good =
            capacity_suffices(server->snapshot, server->worker_count, reasons);
    }
    if (is_good || server->predecessor == NULL) /* which logs them */
        server_log_reasons(reasons);
    else
        predecessor_refuse(server->predecessor, reasons);
    reasons_free(&reasons);
    return is_good;
}

/* The service manager's are all to be served: a client that comes by another
 * would wait for ever. What a predecessor has and we do not want, it accepts
 * from to the end. */
static bool open_sockets(struct server *server)
{
    struct inherited *given = predecessor_listeners(server->predecessor);
    char why[PROVIDER_WHY_MAX];
    size_t failed;

    if (given != NULL)
        server->inherited.are_kept = given->are_kept;
    if (server->inherited_fault[0] != '\0')
        return server_succession_refuse(server, "listener",
                                        server->inherited_fault);
    if (!openings_make(&server->openings, NULL, server->snapshot->settings,
                       given != NULL ? given : &server->inherited,
                       &server->snapshot->keepalive, server->worker_count,
                       given != NULL ? OPENINGS_UPGRADE_PATIENCE_MS : 0,
                       &failed, why))
        return server_succession_refuse(server, "listener", why);
    return inherited_is_empty(&server->inherited, server->inherited_fault) ||
           server_succession_refuse(server, "listener",
                                    server->inherited_fault);
}

/* Of server_verbs. */
static void look(void *owner, struct server_view *out)
{
    const struct server *server = owner;

    *out = (struct server_view){
        .snapshot = server->snapshot,
        .counters = server->counters,
        .quota = &server->quota,
        .worker_list = server->workers,
        .workers = server->worker_count,
        .started_ms = server->started_ms,
        .is_reloading = reload_is_running(server->reload),
        .homes = server->homes,
        .predecessor = server->predecessor,
        .retired_ms = server->retired_ms,
        .is_upgrading = server_upgrade_is_running(&server->upgrade),
        .is_draining = server->is_draining};
}

/* Likewise. */
static void reload(void *owner, bool is_forced)
{
    struct server *server = owner;

    server_reload_request(server, is_forced);
}

/* Likewise. */
static void upgrade(void *owner)
{
    server_succession_begin(owner);
}

/* Likewise. */
static void on_admin_refused(void *owner, const char *why)
{
    (void)server_succession_refuse(owner, "admin", why);
}

/* Nobody is served yet. */
static bool open_admin(struct server *server)
{
    static const struct server_verbs verbs = {.look = look,
                                              .reload = reload,
                                              .upgrade = upgrade,
                                              .refuse = on_admin_refused};
    struct inherited *given = predecessor_admin(server->predecessor);

    server->admin = server_admin_start(&server->loop, &verbs, server,
                                       given == NULL ? NULL : given->fds,
                                       given == NULL ? 0 : given->count);
    return server->admin != NULL;
}

/* What workers share, and what outlives us. */
static void make_books(struct server *server)
{
    server->limits = limits_new();
    server->homes = homes_new();
    server->penalties = penalties_new();
    server->heir = heir_new(server->parts.registry);
    server->counters = counters_set_new(server->worker_count + 1);
}

/* Who logs in first is not to wait for it. */
static void resolve_first(struct server *server)
{
    uint64_t interval_ms = server->snapshot->settings->resolve_interval_ms;

    server->resolver = resolver_new(interval_ms, NULL);
    resolver_update(server->resolver, server->snapshot->backends, interval_ms);
    (void)resolver_wait(server->resolver, RELOAD_RESOLVE_MS);
}

static bool start(struct server *server)
{
    const struct settings *settings = server->snapshot->settings;
    unsigned long descriptors;
    unsigned sessions;

    sessions = quota_from_descriptors(
        settings->limits.sessions,
        capacity_reserve(server->snapshot, server->worker_count), &descriptors);
    quota_init(&server->quota, sessions);
    if (!open_sockets(server))
        return false;
    if (!log_start(server_log_level(settings), server_log_format(settings)))
        return server_succession_refuse(server, "log", "no thread can be had");
    make_books(server);
    resolve_first(server);
    server_loop_open(server);
    if (!open_admin(server) || !server_succession_take_state(server))
        return false;
    modes_follow(server->snapshot, NULL, 0);
    server_admin_follow(server->admin);
    certificate_watch_follow(&server->certificates, server->snapshot,
                             server_counters(server), time(NULL));
    server->started_ms = clock_now_ms();
    if (!server_admin_serve(server->admin) || !server_workers_start(server))
        return false;
    server_log_started(settings, server->worker_count, sessions, descriptors);
    server_log_snapshot("loaded", server->snapshot);
    server_notify_ready(&server->notify, "Serving");
    server_succession_serve(server);
    hold_hangup(SIG_UNBLOCK);
    return true;
}

/* Ends the threads before the loop that they ring. */
static void join_threads(struct server *server)
{
    server_workers_join(server);
    reload_free(&server->reload);
    server_upgrade_deinit(&server->upgrade);
    heritage_stop(&server->heritage);
}

static void free_server(struct server *server)
{
    server_notify_close(&server->notify);
    predecessor_free(&server->predecessor);
    free(server->workers);
    server_admin_free(&server->admin);
    file_watch_free(&server->watch);
    file_trail_free(&server->trail);
    inherited_deinit(&server->inherited);
    openings_deinit(&server->openings);
    resolver_free(&server->resolver);
    snapshot_unref(&server->snapshot);
    reaper_free(&server->parts.reaper);
    heir_free(&server->heir);
    limits_free(&server->limits);
    homes_free(&server->homes);
    penalties_free(&server->penalties);
    ticket_keys_unref(&server->parts.tickets);
    backend_registry_free(&server->parts.registry);
    counters_set_free(&server->counters);
}

int server_run(const char *config_file)
{
    struct server server;
    bool is_started;

    memset(&server, 0, sizeof(server));
    server.config_file = config_file;
    signal(SIGPIPE, SIG_IGN);
    hold_hangup(SIG_BLOCK);
    if (!inherited_from_environment(&server.inherited, server.inherited_fault))
        inherited_deinit(&server.inherited);
    server_notify_open(&server.notify);
    server_upgrade_init(&server.upgrade);
    is_started = server_succession_find(&server); /* forks: no threads before */
    make_parts(&server);
    if (!is_started || !load_first(&server)) {
        server_upgrade_deinit(&server.upgrade);
        free_server(&server);
        return 1;
    }
    is_started = start(&server);
    if (is_started) {
        uv_run(&server.loop, UV_RUN_DEFAULT);
        join_threads(&server);
        server_log_counters(server.counters);
        server_log_plain("ended");
        uv_loop_close(&server.loop);
    } else {
        server_admin_stop(server.admin);
    }
    log_stop(LAST_LINES_MS);
    if (!is_started)
        _exit(1); /* workers that did start still use what is on this stack */
    free_server(&server);
    return 0;
}
