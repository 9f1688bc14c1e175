#include "server.h"

#include "backend/resolver.h"
#include "base/clock.h"
#include "base/log.h"
#include "capacity.h"
#include "certificate_watch.h"
#include "file_watch.h"
#include "modes.h"
#include "openings.h"
#include "post.h"
#include "predecessor.h"
#include "provider.h"
#include "reload.h"
#include "server_admin.h"
#include "server_log.h"
#include "server_notify.h"
#include "server_upgrade.h"
#include "session/tls_hooks.h"
#include "state/burst.h"
#include "state/reaper.h"
#include "worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How often ticket keys are looked at, and whether a burst is over. */
enum {
    CHORES_MS = 60 * 1000
};

/* Who asked for the upgrade is to read the answer before an idle process has
 * ended. */
enum {
    FAREWELL_MS = 500
};

/* How much longer than our drain a predecessor's may take. */
enum {
    PREDECESSOR_LATE_MS = 20 * 1000
};

/* How long the last log lines may take. */
enum {
    LAST_LINES_MS = 2000
};

struct server {
    const char *config_file;
    uv_loop_t loop;
    uv_signal_t hangup;
    uv_signal_t terminate;
    uv_signal_t interrupt;
    uv_signal_t user1;
    uv_timer_t chores_timer;
    struct burst burst;
    uv_async_t idle_bell; /* a worker has ended */
    uv_timer_t farewell;
    uv_timer_t overtime; /* of one that has retired */

    struct snapshot_parts parts;
    struct snapshot *snapshot; /* the one in force */
    struct reload *reload;
    struct file_watch *watch;
    struct certificate_watch certificates;
    struct resolver *resolver;
    struct limits *limits;
    struct penalties *penalties;
    struct homes *homes;
    struct heir *heir;
    struct handover_parts state; /* all of it that outlives us */
    struct heritage *heritage;   /* what our predecessor holds of it */
    struct quota quota;
    struct counters_set *counters;
    struct inherited inherited;              /* until the listeners are open */
    char inherited_fault[INHERITED_WHY_MAX]; /* of the service manager's */
    struct openings openings;                /* until the workers have them */
    struct server_admin *admin;
    struct server_notify notify;
    struct predecessor *predecessor; /* NULL: none */
    struct server_upgrade upgrade;
    uint64_t retired_ms; /* on base/clock's scale; 0: not yet */
    uint64_t started_ms; /* on base/clock's scale */
    struct worker **workers;
    struct post post;
    unsigned worker_count;
    unsigned started;
    atomic_uint idle;
    bool is_draining;
    bool is_reload_due; /* when the upgrade is over */
};

static enum log_level level_of(const struct settings *settings)
{
    switch (settings->log_level) {
    case SETTINGS_LOG_ERROR:
        return LOG_ERROR;
    case SETTINGS_LOG_WARN:
        return LOG_WARN;
    case SETTINGS_LOG_INFO:
        return LOG_INFO;
    case SETTINGS_LOG_DEBUG:
        return LOG_DEBUG;
    }
    return LOG_INFO;
}

static enum log_format format_of(const struct settings *settings)
{
    return settings->log_format == SETTINGS_LOG_JSON ? LOG_JSON : LOG_TEXT;
}

/* One of each address of each listener, or as many as were inherited. */
static struct worker_socket *sockets_for(struct server *server, unsigned worker,
                                         size_t *count_out)
{
    struct worker_socket *mine = NULL;
    struct worker_socket next;

    *count_out = 0;
    while ((next.fd = openings_take(&server->openings, worker, &next.listener,
                                    &next.sharing)) >= 0) {
        mine = mem_realloc_array(mine, *count_out + 1, sizeof(*mine));
        mine[(*count_out)++] = next;
    }
    return mine;
}

static void on_worker_idle(void *owner)
{
    struct server *server = owner;

    atomic_fetch_add(&server->idle, 1);
    uv_async_send(&server->idle_bell);
}

static void on_kick(const struct kick *kick, void *owner)
{
    struct server *server = owner;

    post_kick(&server->post, kick);
    predecessor_kick(server->predecessor, kick);
    successor_kick(server_upgrade_successor(&server->upgrade), kick);
}

static bool on_arrival(const struct arrival *arrival, unsigned turn,
                       unsigned own, void *owner)
{
    struct server *server = owner;

    return post_deal(&server->post, arrival, turn, own);
}

/* If it is an upgrade, the predecessor logs it, and tells who asked for it. */
static bool refuse_start(struct server *server, const char *what,
                         const char *why)
{
    if (server->predecessor == NULL)
        server_log_error("start-failed", what, why);
    predecessor_refuse_plainly(server->predecessor, server->config_file, why);
    return false;
}

static bool start_worker(struct server *server, unsigned index)
{
    struct worker_parts parts = {.worker_count = server->worker_count,
                                 .limits = server->limits,
                                 .penalties = server->penalties,
                                 .homes = server->homes,
                                 .kick = on_kick,
                                 .deal = on_arrival,
                                 .quota = &server->quota,
                                 .on_idle = on_worker_idle,
                                 .owner = server};
    size_t count;
    struct worker_socket *sockets = sockets_for(server, index, &count);
    int error;

    server->workers[index] =
        worker_start(index, &parts, counters_set_at(server->counters, index),
                     server->snapshot, sockets, count, &error);
    free(sockets);
    if (server->workers[index] == NULL)
        return refuse_start(server, "worker", uv_strerror(error));
    server->started++;
    post_add(&server->post);
    return true;
}

static bool start_workers(struct server *server)
{
    unsigned i;

    server->workers = mem_zalloc(server->worker_count * sizeof(void *));
    post_init(&server->post, server->workers);
    for (i = 0; i < server->worker_count; i++) {
        if (!start_worker(server, i))
            return false;
    }
    return true;
}

/* The service manager's are all to be served: a client that comes by another
 * would wait for ever. What a predecessor has and we do not want, it accepts
 * from to the end. */
static bool open_sockets(struct server *server)
{
    struct inherited *given = predecessor_listeners(server->predecessor);
    char why[PROVIDER_WHY_MAX];
    size_t failed;

    if (server->inherited_fault[0] != '\0')
        return refuse_start(server, "listener", server->inherited_fault);
    if (!openings_make(&server->openings, NULL, server->snapshot->settings,
                       given != NULL ? given : &server->inherited,
                       &server->snapshot->keepalive, server->worker_count, 0,
                       &failed, why))
        return refuse_start(server, "listener", why);
    return inherited_is_empty(&server->inherited, server->inherited_fault) ||
           refuse_start(server, "listener", server->inherited_fault);
}

/* Of a reload. */
static void hand_out(struct server *server, struct openings *openings)
{
    unsigned i, listener;
    struct listener_sharing sharing;
    int fd;

    for (i = 0; i < server->started; i++) {
        while ((fd = openings_take(openings, i, &listener, &sharing)) >= 0)
            worker_listen(server->workers[i], fd, listener);
    }
}

static void each_worker(struct server *server, void (*tell)(struct worker *))
{
    unsigned i;

    for (i = 0; i < server->started; i++)
        tell(server->workers[i]);
}

static void end_if_over(struct server *server);

static void on_impatience(uv_timer_t *timer)
{
    struct server *server = timer->data;

    predecessor_forget(server->predecessor);
    end_if_over(server);
}

/* A predecessor that hangs does not keep us for ever. */
static void limit_the_end(struct server *server, uint64_t drain_ms)
{
    if (predecessor_pid(server->predecessor) != 0)
        uv_timer_start(&server->overtime, on_impatience,
                       clock_real_delay_ms(drain_ms + PREDECESSOR_LATE_MS), 0);
}

static void stop_now(struct server *server)
{
    server->is_draining = true;
    limit_the_end(server, 0);
    server_log_plain("stopping");
    each_worker(server, worker_stop);
    predecessor_drain(server->predecessor, 0);
}

static void begin_to_drain(struct server *server, uint64_t drain_ms)
{
    server->is_draining = true;
    limit_the_end(server, drain_ms);
    server_upgrade_abandon(&server->upgrade, "the end of the running server");
    server_log_drain(drain_ms);
    server_notify_stopping(&server->notify, drain_ms);
    for (unsigned i = 0; i < server->started; i++)
        worker_drain(server->workers[i], drain_ms);
    predecessor_drain(server->predecessor, drain_ms);
}

/* A second signal means now. */
static void on_terminate(uv_signal_t *signal, int number)
{
    struct server *server = signal->data;

    (void)number;
    if (server->is_draining)
        stop_now(server);
    else
        begin_to_drain(server, server->snapshot->settings->timeouts.drain_ms);
}

static void on_overtime(uv_timer_t *timer)
{
    struct server *server = timer->data;

    if (!server->is_draining)
        begin_to_drain(server, server->snapshot->settings->timeouts.drain_ms);
}

static void request_reload(struct server *server, bool is_forced)
{
    if (!server->is_draining)
        server_notify_reloading(&server->notify);
    reload_request(server->reload, server->snapshot, is_forced);
}

/* Not by command. A successor may have read the files as they were before. */
static void reload_by_itself(struct server *server)
{
    if (server_upgrade_is_running(&server->upgrade))
        server->is_reload_due = true;
    else if (!server->is_draining && server->retired_ms == 0)
        request_reload(server, false);
}

static void on_hangup(uv_signal_t *signal, int number)
{
    (void)number;
    reload_by_itself(signal->data);
}

static void on_renamed(void *owner)
{
    struct server *server = owner;

    if (server->retired_ms != 0) /* the successor sees to it */
        return;
    server_log_plain("file-renamed");
    reload_by_itself(server);
}

static void on_user1(uv_signal_t *signal, int number)
{
    struct server *server = signal->data;

    (void)number;
    server_log_counters(server->counters);
    server_log_backends(server->snapshot->backends);
}

/* Of the main thread. */
static struct counters *own_counters(struct server *server)
{
    return counters_set_at(server->counters, server->worker_count);
}

static void look_at_certificates(struct server *server)
{
    struct reasons *reasons = reasons_new();

    certificate_watch_look(&server->certificates, server->snapshot,
                           own_counters(server), time(NULL), reasons);
    server_log_reasons(reasons);
    reasons_free(&reasons);
}

static void on_chores_timer(uv_timer_t *timer)
{
    struct server *server = timer->data;

    ticket_keys_rotate_if_due(server->parts.tickets, clock_now_ms());
    if (server->retired_ms == 0)
        look_at_certificates(server);
    if (server->parts.reaper != NULL &&
        burst_is_over(&server->burst,
                      counters_set_sum(server->counters, COUNTER_ACCEPTED)))
        reaper_trim(server->parts.reaper);
}

/* Puts a loaded snapshot in force, on the main loop. */
static void put_in_force(struct server *server, struct snapshot *snapshot)
{
    unsigned long descriptors;
    unsigned i;

    snapshot_unref(&server->snapshot);
    server->snapshot = snapshot;
    log_set(level_of(snapshot->settings), format_of(snapshot->settings));
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
    file_watch_follow(server->watch, snapshot);
    certificate_watch_follow(&server->certificates, snapshot,
                             own_counters(server), time(NULL));
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
    struct counters *counters = own_counters(server);

    server_log_reasons(reasons);
    server_admin_reloaded(server->admin, snapshot != NULL, reasons);
    if (server->is_draining) { /* too late for it */
        snapshot_unref(&snapshot);
        return NULL;
    }
    if (snapshot == NULL) {
        counters_add(counters, COUNTER_RELOADS_FAILED, 1);
        server_log_error("reload-refused", "file", server->config_file);
        tell_reloaded(server, "Serving; the last reload was refused");
        return server->snapshot;
    }
    put_in_force(server, snapshot);
    predecessor_no_more_logins(server->predecessor);
    hand_out(server, openings);
    counters_add(counters, COUNTER_RELOADS_OK, 1);
    server_log_snapshot("reloaded", snapshot);
    tell_reloaded(server, "Serving");
    return snapshot;
}

static void close_handles(struct server *server)
{
    uv_close((uv_handle_t *)&server->hangup, NULL);
    uv_close((uv_handle_t *)&server->terminate, NULL);
    uv_close((uv_handle_t *)&server->interrupt, NULL);
    uv_close((uv_handle_t *)&server->user1, NULL);
    uv_close((uv_handle_t *)&server->chores_timer, NULL);
    uv_close((uv_handle_t *)&server->idle_bell, NULL);
    uv_close((uv_handle_t *)&server->farewell, NULL);
    uv_close((uv_handle_t *)&server->overtime, NULL);
    predecessor_close(server->predecessor);
    server_upgrade_stop(&server->upgrade);
    server_notify_stop(&server->notify);
    server_admin_stop(server->admin);
    reload_stop(server->reload);
    file_watch_stop(server->watch);
}

/* The service manager ends our predecessor with us. */
static void end_if_over(struct server *server)
{
    if (atomic_load(&server->idle) == server->started &&
        predecessor_pid(server->predecessor) == 0 &&
        !uv_is_active((uv_handle_t *)&server->farewell) &&
        !uv_is_closing((uv_handle_t *)&server->idle_bell))
        close_handles(server);
}

static void on_idle_bell(uv_async_t *bell)
{
    end_if_over(bell->data);
}

static void on_farewell(uv_timer_t *timer)
{
    end_if_over(timer->data);
}

/* What a successor does, and wants of us. */

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
        reload_by_itself(server);
    server->is_reload_due = false;
}

static void retire(struct server *server, pid_t successor, bool has_left_over)
{
    uint64_t overtime_ms =
        server->snapshot->settings->timeouts.upgrade_drain_ms;

    server->retired_ms = clock_now_ms();
    server_log_retired(successor);
    server_notify_hand_over(&server->notify, successor);
    for (unsigned i = 0; i < server->started; i++)
        worker_retire(server->workers[i], has_left_over);
    server_admin_upgraded(server->admin, successor, NULL);
    server_admin_retire(server->admin);
    uv_timer_start(&server->farewell, on_farewell, FAREWELL_MS, 0);
    if (overtime_ms > 0)
        uv_timer_start(&server->overtime, on_overtime,
                       clock_real_delay_ms(overtime_ms), 0);
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

static void on_successor_gone(void *owner)
{
    struct server *server = owner;

    server_log_plain("successor-gone");
    server_upgrade_gone(&server->upgrade);
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

    each_worker(server, worker_end_logins);
    predecessor_no_more_logins(server->predecessor);
}

static void on_successor_drain(uint64_t drain_ms, void *owner)
{
    struct server *server = owner;

    if (drain_ms == 0)
        stop_now(server);
    else if (!server->is_draining)
        begin_to_drain(server, drain_ms);
}

static void on_admin_connection(int fd, void *owner)
{
    struct server *server = owner;

    server_admin_take(server->admin, fd);
}

static void join_upgrade(struct server *server)
{
    static const struct successor_verbs verbs = {.give_state = give_state,
                                                 .serves = on_successor_serves,
                                                 .failed = on_upgrade_failed,
                                                 .gone = on_successor_gone,
                                                 .kick = on_successor_kick,
                                                 .mode = on_successor_mode,
                                                 .no_more_logins =
                                                     on_no_more_logins,
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

/* What a predecessor does, and wants of us. */

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
    end_if_over(server);
}

static bool find_predecessor(struct server *server)
{
    char why[PREDECESSOR_WHY_MAX];

    server->predecessor = predecessor_open(why);
    if (why[0] == '\0' && predecessor_receive(server->predecessor, why))
        return true;
    server_log_error("start-failed", "predecessor", why);
    predecessor_refuse_plainly(server->predecessor, server->config_file, why);
    return false;
}

static bool take_state(struct server *server)
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
    return server->heritage != NULL || refuse_start(server, "state", why);
}

/* From here on there are two of us. */
static void succeed(struct server *server)
{
    static const struct predecessor_verbs verbs = {.kick = on_predecessor_kick,
                                                   .gone = on_predecessor_gone};

    if (predecessor_join(server->predecessor, &server->loop,
                         server->parts.registry, &verbs, server) != 0)
        abort();
    predecessor_serving(server->predecessor);
    server_admin_succeed(server->admin);
}

static void watch(struct server *server, uv_signal_t *watcher,
                  uv_signal_cb callback, int number)
{
    watcher->data = server;
    uv_signal_init(&server->loop, watcher);
    uv_signal_start(watcher, callback, number);
}

/* A reload asked for while the server still starts waits until it can. */
static void hold_hangup(int how)
{
    sigset_t hangup;

    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    pthread_sigmask(how, &hangup, NULL);
}

/* Each is asked anew, also behind one that does not answer. */
static bool workers_answer(void *owner)
{
    struct server *server = owner;
    bool all_do = true;

    for (unsigned i = 0; i < server->started; i++)
        all_do = worker_answers(server->workers[i]) && all_do;
    return all_do;
}

static void prepare_loop(struct server *server)
{
    uv_loop_init(&server->loop);
    watch(server, &server->hangup, on_hangup, SIGHUP);
    watch(server, &server->terminate, on_terminate, SIGTERM);
    watch(server, &server->interrupt, on_terminate, SIGINT);
    watch(server, &server->user1, on_user1, SIGUSR1);
    server->chores_timer.data = server;
    uv_timer_init(&server->loop, &server->chores_timer);
    uv_timer_start(&server->chores_timer, on_chores_timer, CHORES_MS,
                   CHORES_MS);
    server->idle_bell.data = server;
    uv_async_init(&server->loop, &server->idle_bell, on_idle_bell);
    server->farewell.data = server;
    uv_timer_init(&server->loop, &server->farewell);
    server->overtime.data = server;
    uv_timer_init(&server->loop, &server->overtime);
    join_upgrade(server);
    server_notify_join(&server->notify, &server->loop, workers_answer, server);
    server->reload =
        reload_new(&server->loop, server->config_file, &server->parts,
                   server->resolver, server->worker_count, on_reloaded, server);
    server->watch =
        file_watch_new(&server->loop, server->config_file, on_renamed, server);
    file_watch_follow(server->watch, server->snapshot);
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

    request_reload(server, is_forced);
}

/* Likewise. */
static void upgrade(void *owner)
{
    struct server *server = owner;
    struct server_upgrade_view view = {.workers = server->workers,
                                       .worker_count = server->started};

    server_log_plain("upgrading");
    view.admin_count = server_admin_sockets(server->admin, view.admin);
    server_upgrade_begin(&server->upgrade, &view);
}

/* Likewise. */
static void on_admin_refused(void *owner, const char *why)
{
    (void)refuse_start(owner, "admin", why);
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
    bool is_good = false;

    server->snapshot =
        snapshot_load(server->config_file, &server->parts, reasons);
    if (server->snapshot != NULL) {
        log_set(level_of(server->snapshot->settings),
                format_of(server->snapshot->settings));
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
    if (!log_start(level_of(settings), format_of(settings)))
        return refuse_start(server, "log", "no thread can be had");
    server->limits = limits_new();
    server->homes = homes_new();
    server->penalties = penalties_new();
    server->heir = heir_new(server->parts.registry);
    server->counters = counters_set_new(server->worker_count + 1);
    server->resolver = resolver_new(settings->resolve_interval_ms, NULL);
    resolver_update(server->resolver, server->snapshot->backends,
                    settings->resolve_interval_ms);
    (void)resolver_wait(server->resolver, RELOAD_RESOLVE_MS);
    prepare_loop(server);
    if (!open_admin(server) || !take_state(server))
        return false;
    modes_follow(server->snapshot, NULL, 0);
    server_admin_follow(server->admin);
    certificate_watch_follow(&server->certificates, server->snapshot,
                             own_counters(server), time(NULL));
    server->started_ms = clock_now_ms();
    if (!server_admin_serve(server->admin) || !start_workers(server))
        return false;
    server_log_started(settings, server->worker_count, sessions, descriptors);
    server_log_snapshot("loaded", server->snapshot);
    server_notify_ready(&server->notify, "Serving");
    succeed(server);
    hold_hangup(SIG_UNBLOCK);
    return true;
}

/* Ends the threads before the loop that they ring. */
static void join_threads(struct server *server)
{
    unsigned i;

    post_close(&server->post);
    for (i = 0; i < server->started; i++)
        worker_join(&server->workers[i]);
    post_deinit(&server->post);
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
    is_started = find_predecessor(&server); /* forks: no threads before */
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
