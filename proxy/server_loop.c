#include "server_loop.h"

#include "base/clock.h"
#include "server_end.h"
#include "server_log.h"
#include "server_private.h"
#include "server_reload.h"
#include "server_succession.h"
#include "server_workers.h"

#include <signal.h>
#include <time.h>

/* How often ticket keys are looked at, and whether a burst is over. */
enum {
    CHORES_MS = 60 * 1000
};

static void on_hangup(uv_signal_t *signal, int number)
{
    (void)number;
    server_reload_by_itself(signal->data);
}

static void on_terminate(uv_signal_t *signal, int number)
{
    (void)number;
    server_end_asked(signal->data);
}

static void on_user1(uv_signal_t *signal, int number)
{
    struct server *server = signal->data;

    (void)number;
    server_log_counters(server->counters);
    server_log_backends(server->snapshot->backends);
}

static void look_at_certificates(struct server *server)
{
    struct reasons *reasons = reasons_new();

    certificate_watch_look(&server->certificates, server->snapshot,
                           server_counters(server), time(NULL), reasons);
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

static void watch(struct server *server, uv_signal_t *watcher,
                  uv_signal_cb callback, int number)
{
    watcher->data = server;
    uv_signal_init(&server->loop, watcher);
    uv_signal_start(watcher, callback, number);
}

void server_loop_open(struct server *server)
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
    server_end_join(server);
    server_succession_join(server);
    server_notify_join(&server->notify, &server->loop, server_workers_answer,
                       server);
    server_reload_join(server);
}

/* A clean end has its exit status also when it is asked for once more in its
 * last moments: they are long where a table is being loaded or freed, or nobody
 * reads the log. */
static void ignore(uv_signal_t *watcher, int number)
{
    uv_close((uv_handle_t *)watcher, NULL);
    signal(number, SIG_IGN);
}

void server_loop_close(struct server *server)
{
    ignore(&server->hangup, SIGHUP);
    ignore(&server->terminate, SIGTERM);
    ignore(&server->interrupt, SIGINT);
    ignore(&server->user1, SIGUSR1);
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
