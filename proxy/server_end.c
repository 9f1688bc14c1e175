#include "server_end.h"

#include "base/clock.h"
#include "server_log.h"
#include "server_loop.h"
#include "server_private.h"
#include "server_workers.h"

/* Who asked for the upgrade is to read the answer before an idle process has
 * ended. */
enum {
    FAREWELL_MS = 500
};

/* How much longer than our drain a predecessor's may take. */
enum {
    PREDECESSOR_LATE_MS = 20 * 1000
};

static void on_impatience(uv_timer_t *timer)
{
    struct server *server = timer->data;

    predecessor_forget(server->predecessor);
    server_end_if_over(server);
}

/* A predecessor that hangs does not keep us for ever. */
static void limit_the_end(struct server *server, uint64_t drain_ms)
{
    if (predecessor_pid(server->predecessor) != 0)
        uv_timer_start(&server->overtime, on_impatience,
                       clock_real_delay_ms(drain_ms + PREDECESSOR_LATE_MS), 0);
}

void server_end_now(struct server *server)
{
    server->is_draining = true;
    limit_the_end(server, 0);
    server_log_plain("stopping");
    server_workers_tell(server, worker_stop);
    predecessor_drain(server->predecessor, 0);
}

void server_end_within(struct server *server, uint64_t drain_ms)
{
    if (server->is_draining)
        return;
    server->is_draining = true;
    limit_the_end(server, drain_ms);
    server_upgrade_abandon(&server->upgrade, "the end of the running server");
    server_log_drain(drain_ms);
    server_notify_stopping(&server->notify, drain_ms);
    for (unsigned i = 0; i < server->started; i++)
        worker_drain(server->workers[i], drain_ms);
    predecessor_drain(server->predecessor, drain_ms);
}

void server_end_asked(struct server *server)
{
    if (server->is_draining)
        server_end_now(server);
    else
        server_end_within(server,
                          server->snapshot->settings->timeouts.drain_ms);
}

static void on_overtime(uv_timer_t *timer)
{
    struct server *server = timer->data;

    server_end_within(server, server->snapshot->settings->timeouts.drain_ms);
}

static void on_farewell(uv_timer_t *timer)
{
    server_end_if_over(timer->data);
}

void server_end_overdue(struct server *server, uint64_t overtime_ms)
{
    uint64_t passed_ms = clock_now_ms() - server->retired_ms;

    if (server->is_draining) /* the timer limits that */
        return;
    server->overtime_ms = overtime_ms;
    uv_timer_stop(&server->overtime);
    if (overtime_ms == 0)
        return;
    overtime_ms = overtime_ms > passed_ms ? overtime_ms - passed_ms : 0;
    uv_timer_start(&server->overtime, on_overtime,
                   clock_real_delay_ms(overtime_ms), 0);
}

void server_end_retired(struct server *server)
{
    uv_timer_start(&server->farewell, on_farewell, FAREWELL_MS, 0);
    server_end_overdue(server,
                       server->snapshot->settings->timeouts.upgrade_drain_ms);
}

/* Not before our predecessor: the service manager ends it with us. */
void server_end_if_over(struct server *server)
{
    if (atomic_load(&server->idle) == server->started &&
        predecessor_pid(server->predecessor) == 0 &&
        !uv_is_active((uv_handle_t *)&server->farewell) &&
        !uv_is_closing((uv_handle_t *)&server->idle_bell))
        server_loop_close(server);
}

static void on_idle_bell(uv_async_t *bell)
{
    server_end_if_over(bell->data);
}

void server_end_join(struct server *server)
{
    server->idle_bell.data = server;
    uv_async_init(&server->loop, &server->idle_bell, on_idle_bell);
    server->farewell.data = server;
    uv_timer_init(&server->loop, &server->farewell);
    server->overtime.data = server;
    uv_timer_init(&server->loop, &server->overtime);
}
