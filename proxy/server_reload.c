#include "server_reload.h"

#include "base/log.h"
#include "capacity.h"
#include "modes.h"
#include "server_log.h"
#include "server_private.h"
#include "server_workers.h"

#include <time.h>

void server_reload_request(struct server *server, bool is_forced)
{
    if (!server->is_draining)
        server_notify_reloading(&server->notify);
    reload_request(server->reload, server->snapshot, is_forced);
}

/* A successor may have read the files as they were before. */
void server_reload_by_itself(struct server *server)
{
    if (server_upgrade_is_running(&server->upgrade))
        server->is_reload_due = true;
    else if (!server->is_draining && server->retired_ms == 0)
        server_reload_request(server, false);
}

static void on_renamed(void *owner)
{
    struct server *server = owner;

    if (server->retired_ms != 0) /* the successor sees to it */
        return;
    server_log_plain("file-renamed");
    server_reload_by_itself(server);
}

static void put_in_force(struct server *server, struct snapshot *snapshot)
{
    unsigned long descriptors;
    unsigned i;

    snapshot_unref(&server->snapshot);
    server->snapshot = snapshot;
    log_set(server_log_level(snapshot->settings),
            server_log_format(snapshot->settings));
    quota_set_max(
        &server->quota,
        quota_from_descriptors(snapshot->settings->limits.sessions,
                               capacity_reserve(snapshot, server->worker_count),
                               &descriptors));
    /* Before anybody can go there by this snapshot. */
    modes_follow(snapshot, server->workers, server->started);
    server_admin_follow(server->admin);
    for (i = 0; i < server->started; i++)
        worker_adopt(server->workers[i], snapshot);
    certificate_watch_follow(&server->certificates, snapshot,
                             server_counters(server), time(NULL));
}

/* A refused one, too: only where it looked can another find anything else. */
static void watch_what_was_read(struct server *server)
{
    file_watch_follow(server->watch, server->snapshot->settings->watch,
                      reload_take_trail(server->reload));
}

/* Not while one more reload is about to begin. */
static void tell_reloaded(struct server *server, const char *status)
{
    if (!reload_follows(server->reload))
        server_notify_ready(&server->notify, status);
}

static struct snapshot *on_reloaded(struct snapshot *snapshot,
                                    struct openings *openings,
                                    struct reasons *reasons, void *owner)
{
    struct server *server = owner;
    struct counters *counters = server_counters(server);

    server_log_reasons(reasons);
    server_admin_reloaded(server->admin, snapshot != NULL, reasons);
    if (server->is_draining) { /* too late for it */
        snapshot_unref(&snapshot);
        return NULL;
    }
    if (snapshot == NULL) {
        counters_add(counters, COUNTER_RELOADS_FAILED, 1);
        server_log_error("reload-refused", "file", server->config_file);
        watch_what_was_read(server);
        tell_reloaded(server, "Serving; the last reload was refused");
        return server->snapshot;
    }
    put_in_force(server, snapshot);
    watch_what_was_read(server);
    predecessor_no_more_logins(server->predecessor);
    predecessor_upgrade_drain(server->predecessor,
                              snapshot->settings->timeouts.upgrade_drain_ms);
    server_workers_listen(server, openings);
    counters_add(counters, COUNTER_RELOADS_OK, 1);
    server_log_snapshot("reloaded", snapshot);
    tell_reloaded(server, "Serving");
    return snapshot;
}

void server_reload_join(struct server *server)
{
    server->reload =
        reload_new(&server->loop, server->config_file, &server->parts,
                   server->resolver, server->worker_count, on_reloaded, server);
    server->watch = file_watch_new(&server->loop, on_renamed, server);
    file_watch_follow(server->watch, server->snapshot->settings->watch,
                      server->trail);
    server->trail = NULL;
}
