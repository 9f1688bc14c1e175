#include "server_succession.h"

#include "base/clock.h"
#include "modes.h"
#include "server_end.h"
#include "server_log.h"
#include "server_private.h"
#include "server_reload.h"
#include "server_workers.h"

#include <signal.h>
#include <stdlib.h>

bool server_succession_find(struct server *server)
{
    char why[PREDECESSOR_WHY_MAX];

    server->predecessor = predecessor_open(why);
    if (why[0] == '\0' && predecessor_receive(server->predecessor, why))
        return true;
    server_log_error("start-failed", "predecessor", why);
    predecessor_refuse_plainly(server->predecessor, server->config_file, why);
    return false;
}

bool server_succession_refuse(struct server *server, const char *what,
                              const char *why)
{
    if (server->predecessor == NULL)
        server_log_error("start-failed", what, why);
    predecessor_refuse_plainly(server->predecessor, server->config_file, why);
    return false;
}

bool server_succession_take_state(struct server *server)
{
    char why[HANDOVER_WHY_MAX];

    server->state = (struct handover_parts){.heir = server->heir,
                                            .homes = server->homes,
                                            .limits = server->limits,
                                            .penalties = server->penalties,
                                            .tickets = server->parts.tickets,
                                            .registry = server->parts.registry};
    handover_prepare(&server->state);
    if (server->predecessor == NULL)
        return true;
    server->heritage = handover_take(predecessor_prepared(server->predecessor),
                                     &server->state, why);
    return server->heritage != NULL ||
           server_succession_refuse(server, "state", why);
}

static void on_predecessor_kick(const struct kick *kick, void *owner)
{
    struct server *server = owner;

    post_kick(&server->post, kick);
    successor_kick(server_upgrade_successor(&server->upgrade), kick);
}

static void on_predecessor_gone(void *owner)
{
    struct server *server = owner;

    server_log_plain("predecessor-gone");
    server_end_if_over(server);
}

/* From here on there are two of us. */
void server_succession_serve(struct server *server)
{
    static const struct predecessor_verbs verbs = {.kick = on_predecessor_kick,
                                                   .gone = on_predecessor_gone};

    if (predecessor_join(server->predecessor, &server->loop,
                         server->parts.registry, &verbs, server) != 0)
        abort();
    predecessor_serving(server->predecessor);
    predecessor_upgrade_drain(
        server->predecessor,
        server->snapshot->settings->timeouts.upgrade_drain_ms);
    server_admin_succeed(server->admin);
}

void server_succession_begin(struct server *server)
{
    struct server_upgrade_view view = {.workers = server->workers,
                                       .worker_count = server->started,
                                       .are_kept = server->inherited.are_kept};

    server_log_plain("upgrading");
    view.admin_count = server_admin_sockets(server->admin, view.admin);
    server_upgrade_begin(&server->upgrade, &view);
}

static void give_state(int link, void *owner)
{
    struct server *server = owner;

    server_upgrade_give_state(&server->upgrade, link);
}

static void on_upgrade_failed(const struct reasons *reasons, void *owner)
{
    struct server *server = owner;

    server_upgrade_failed(&server->upgrade);
    server_log_reasons(reasons);
    server_log_error("upgrade-failed", "file", server->config_file);
    server_admin_upgraded(server->admin, 0, reasons);
    if (server->is_reload_due)
        server_reload_by_itself(server);
    server->is_reload_due = false;
}

static void retire(struct server *server, pid_t successor, bool has_left_over)
{
    server->retired_ms = clock_now_ms();
    server_log_retired(successor);
    server_notify_hand_over(&server->notify, successor);
    for (unsigned i = 0; i < server->started; i++)
        worker_retire(server->workers[i], has_left_over);
    server_admin_upgraded(server->admin, successor, NULL);
    server_admin_retire(server->admin);
    server_end_retired(server);
}

static void on_successor_serves(uint64_t left_over, void *owner)
{
    struct server *server = owner;
    pid_t pid;

    server_upgrade_serves(&server->upgrade);
    pid = successor_pid(server_upgrade_successor(&server->upgrade));
    retire(server, pid, left_over > 0);
    if (server->is_reload_due)
        (void)kill(pid, SIGHUP);
}

/* Whoever is started next knows nothing of our sessions, nor does one behind it
 * in a chain: it could send our users elsewhere, and no command reaches us. */
static void on_successor_gone(void *owner)
{
    struct server *server = owner;

    server_log_plain("successor-gone");
    server_upgrade_gone(&server->upgrade);
    server_end_within(server, server->snapshot->settings->timeouts.drain_ms);
}

static void on_successor_kick(const struct kick *kick, void *owner)
{
    struct server *server = owner;

    post_kick(&server->post, kick);
    predecessor_kick(server->predecessor, kick);
}

static void on_successor_mode(const char *backend, enum backend_mode mode,
                              const char *why, void *owner)
{
    struct server *server = owner;
    bool is_there = modes_set(server->snapshot, server->workers,
                              server->started, backend, mode, why);

    (void)is_there; /* it may have another table */
    predecessor_mode(server->predecessor, backend, mode, why);
}

static void on_no_more_logins(void *owner)
{
    struct server *server = owner;

    server_workers_tell(server, worker_end_logins);
    predecessor_no_more_logins(server->predecessor);
}

/* The newest settings hold for all before them. */
static void on_upgrade_drain(uint64_t drain_ms, void *owner)
{
    struct server *server = owner;

    if (drain_ms != server->overtime_ms) /* it is told after each reload */
        server_log_upgrade_drain(drain_ms);
    server_end_overdue(server, drain_ms);
    predecessor_upgrade_drain(server->predecessor, drain_ms);
}

static void on_successor_drain(uint64_t drain_ms, void *owner)
{
    struct server *server = owner;

    if (drain_ms == 0)
        server_end_now(server);
    else
        server_end_within(server, drain_ms);
}

static void on_admin_connection(int fd, void *owner)
{
    struct server *server = owner;

    server_admin_take(server->admin, fd);
}

void server_succession_join(struct server *server)
{
    static const struct successor_verbs verbs = {
        .give_state = give_state,
        .serves = on_successor_serves,
        .failed = on_upgrade_failed,
        .gone = on_successor_gone,
        .kick = on_successor_kick,
        .mode = on_successor_mode,
        .no_more_logins = on_no_more_logins,
        .upgrade_drain = on_upgrade_drain,
        .drain = on_successor_drain,
        .admin = on_admin_connection};
    const struct server_upgrade_parts parts = {.loop = &server->loop,
                                               .config_file =
                                                   server->config_file,
                                               .notify = &server->notify.line,
                                               .state = &server->state,
                                               .verbs = &verbs,
                                               .server = server};

    server_upgrade_join(&server->upgrade, &parts);
}
