#include "server_upgrade.h"

#include "program.h"
#include "socket_call.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

/* Of workers that do not answer. */
enum {
    WORKERS_PATIENCE_MS = 5000
};

enum {
    LOOK_MS = 50
};

void server_upgrade_init(struct server_upgrade *upgrade)
{
    *upgrade = (struct server_upgrade){.program = program_path()};
    atomic_init(&upgrade->serving, NULL);
}

static void on_given(uv_async_t *given);

void server_upgrade_join(struct server_upgrade *upgrade,
                         const struct server_upgrade_parts *parts)
{
    upgrade->parts = *parts;
    upgrade->patience.data = upgrade;
    uv_timer_init(parts->loop, &upgrade->patience);
    upgrade->look.data = upgrade;
    uv_timer_init(parts->loop, &upgrade->look);
    upgrade->given.data = upgrade;
    uv_async_init(parts->loop, &upgrade->given, on_given);
}

static void fail(struct server_upgrade *upgrade, const struct reasons *reasons)
{
    upgrade->parts.verbs->failed(reasons, upgrade->parts.server);
}

static void fail_plainly(struct server_upgrade *upgrade, const char *found,
                         const char *expected)
{
    struct reasons *reasons = reasons_new();

    reasons_add(reasons, REASON_ERROR, upgrade->parts.config_file, NULL, found,
                expected);
    fail(upgrade, reasons);
    reasons_free(&reasons);
}

static void start(struct server_upgrade *upgrade,
                  const struct inherited *sockets)
{
    const struct server_upgrade_parts *parts = &upgrade->parts;
    const struct successor_plan plan = {
        .program = upgrade->program,
        .config_file = parts->config_file,
        .notify = parts->notify,
        .registry = parts->state->registry,
        .sockets = {.listeners = sockets->fds,
                    .listener_count = sockets->count,
                    .are_kept = upgrade->view.are_kept,
                    .admin = upgrade->view.admin,
                    .admin_count = upgrade->view.admin_count}};
    struct reasons *reasons = reasons_new();

    successor_free(&upgrade->former);
    upgrade->starting = successor_start(parts->loop, &plan, parts->verbs,
                                        parts->server, reasons);
    if (upgrade->starting == NULL)
        fail(upgrade, reasons);
    reasons_free(&reasons);
}

static void on_sockets(int error, struct inherited *sockets, void *owner)
{
    struct server_upgrade *upgrade = owner;

    upgrade->call = NULL;
    uv_timer_stop(&upgrade->patience);
    if (error != 0)
        fail_plainly(upgrade, uv_strerror(error),
                     "a copy of each listening socket");
    else
        start(upgrade, sockets);
}

static void on_impatience(uv_timer_t *timer)
{
    struct server_upgrade *upgrade = timer->data;

    socket_call_cancel(&upgrade->call);
    fail_plainly(upgrade, "a worker that does not answer",
                 "its listening sockets");
}

void server_upgrade_begin(struct server_upgrade *upgrade,
                          const struct server_upgrade_view *view)
{
    assert(!upgrade->is_running);
    upgrade->is_running = true;
    upgrade->view = *view;
    if (upgrade->program == NULL) {
        fail_plainly(upgrade, "no name of this program", "one to start it by");
        return;
    }
    upgrade->call = socket_call_start(upgrade->parts.loop, view->workers,
                                      view->worker_count, on_sockets, upgrade);
    if (upgrade->call == NULL)
        fail_plainly(upgrade, "no room in the loop", "room for one handle");
    else
        uv_timer_start(&upgrade->patience, on_impatience, WORKERS_PATIENCE_MS,
                       0);
}

bool server_upgrade_is_running(const struct server_upgrade *upgrade)
{
    return upgrade->is_running;
}

void server_upgrade_abandon(struct server_upgrade *upgrade, const char *why)
{
    if (upgrade->starting != NULL) {
        successor_abandon(upgrade->starting, why);
        return;
    }
    if (upgrade->call == NULL)
        return;
    uv_timer_stop(&upgrade->patience);
    socket_call_cancel(&upgrade->call);
    fail_plainly(upgrade, why, "a server that goes on until then");
}

static void give(void *argument)
{
    struct server_upgrade *upgrade = argument;

    upgrade->was_given =
        handover_give(upgrade->state_link, upgrade->parts.state, upgrade->why);
    uv_async_send(&upgrade->given);
}

static void end_giving(struct server_upgrade *upgrade)
{
    if (upgrade->is_giving)
        uv_thread_join(&upgrade->giver);
    upgrade->is_giving = false;
}

/* By then it may be over already. */
static void on_given(uv_async_t *given)
{
    struct server_upgrade *upgrade = given->data;

    if (!upgrade->is_giving)
        return;
    end_giving(upgrade);
    if (upgrade->was_given)
        successor_was_given(upgrade->starting);
    else
        successor_abandon(upgrade->starting, upgrade->why);
}

/* It decides where our users go, and we still serve them: rather we decide, who
 * may as long as it serves nobody. */
static void on_look(uv_timer_t *timer)
{
    struct server_upgrade *upgrade = timer->data;

    if (heir_is_silent(upgrade->parts.state->heir))
        successor_doubt(upgrade->starting, "no answer to what a login asked");
}

void server_upgrade_give_state(struct server_upgrade *upgrade, int link)
{
    upgrade->state_link = link;
    upgrade->is_giving = uv_thread_create(&upgrade->giver, give, upgrade) == 0;
    if (upgrade->is_giving) {
        uv_timer_start(&upgrade->look, on_look, LOOK_MS, LOOK_MS);
        return;
    }
    close(link);
    successor_abandon(upgrade->starting, "no thread to give our state");
}

void server_upgrade_serves(struct server_upgrade *upgrade)
{
    uv_timer_stop(&upgrade->look);
    end_giving(upgrade);
    atomic_store(&upgrade->serving, upgrade->starting);
    upgrade->starting = NULL;
    upgrade->is_running = false;
}

void server_upgrade_failed(struct server_upgrade *upgrade)
{
    uv_timer_stop(&upgrade->look);
    end_giving(upgrade); /* soon: who was to take it is gone */
    handover_end(upgrade->parts.state);
    successor_close(upgrade->starting);
    upgrade->former = upgrade->starting;
    upgrade->starting = NULL;
    upgrade->is_running = false;
}

void server_upgrade_gone(struct server_upgrade *upgrade)
{
    handover_end(upgrade->parts.state);
}

struct successor *server_upgrade_successor(struct server_upgrade *upgrade)
{
    return atomic_load(&upgrade->serving);
}

void server_upgrade_stop(struct server_upgrade *upgrade)
{
    assert(!upgrade->is_running);
    uv_close((uv_handle_t *)&upgrade->patience, NULL);
    uv_close((uv_handle_t *)&upgrade->look, NULL);
    uv_close((uv_handle_t *)&upgrade->given, NULL);
    successor_close(server_upgrade_successor(upgrade));
}

void server_upgrade_deinit(struct server_upgrade *upgrade)
{
    struct successor *serving = server_upgrade_successor(upgrade);

    if (upgrade->parts.state != NULL)
        handover_end(upgrade->parts.state);
    atomic_store(&upgrade->serving, NULL);
    successor_free(&serving);
    successor_free(&upgrade->former);
    free(upgrade->program);
    upgrade->program = NULL;
}
