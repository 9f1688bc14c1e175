#include "worker.h"

#include "backend/health.h"
#include "base/log.h"
#include "base/slab.h"
#include "mailbox.h"
#include "net/io.h"
#include "session/drain.h"
#include "session/kick.h"
#include "session/listener.h"
#include "session/probe.h"
#include "session/registry.h"
#include "session/session.h"
#include "session/sweep.h"
#include "state/env.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How often an ending worker looks whether it is empty. */
enum {
    EMPTY_CHECK_MS = 50,
    RETIRED_EMPTY_CHECK_MS = 500 /* for days, perhaps */
};

struct worker {
    struct env env;
    struct worker_parts parts;
    uv_loop_t loop;
    uv_thread_t thread;
    struct mailbox mailbox;
    struct registry registry;
    struct sweeps sweeps;
    struct health *health; /* of this worker's share of the backends */
    struct drain drain;
    struct kicks kicks;
    struct wheel_timer empty_timer;
    struct listener **listeners;
    size_t listener_count;
    bool is_ending;
};

static void end_if_empty(struct wheel_timer *timer)
{
    struct worker *worker =
        (struct worker *)(void *)((char *)timer -
                                  offsetof(struct worker, empty_timer));

    /* Streams may outlive their sessions: those to backends that refused a
     * login are still being ended. */
    if (worker->listener_count > 0 || worker->registry.count > 0 ||
        worker->env.io.streams > 0) {
        io_arm(&worker->env.io, &worker->empty_timer,
               worker->env.is_draining ? EMPTY_CHECK_MS
                                       : RETIRED_EMPTY_CHECK_MS);
        return;
    }
    drain_stop(&worker->drain);
    kicks_deinit(&worker->kicks);
    sweeps_close(&worker->sweeps);
    mailbox_close(&worker->mailbox);
    io_stop(&worker->env.io);
}

static void on_listener_closed(struct listener *listener, void *owner)
{
    struct worker *worker = owner;
    size_t i;

    for (i = 0; worker->listeners[i] != listener; i++)
        continue;
    worker->listeners[i] = worker->listeners[--worker->listener_count];
}

/* Beginning with the worker's thread, on which all of it is allocated. */
static void follow_backends(struct worker *worker)
{
    const struct snapshot *snapshot = worker->env.snapshot;
    struct link_rules rules = snapshot_link_rules(snapshot);

    warm_follow(worker->env.warm, snapshot->targets, snapshot->target_count,
                &rules);
    health_follow(worker->health, snapshot->targets, snapshot->target_count,
                  &snapshot->settings->health);
}

static void stop_listening(struct worker *worker)
{
    size_t i;

    if (worker->is_ending)
        return;
    worker->is_ending = true;
    for (i = 0; i < worker->listener_count; i++)
        listener_leave(worker->listeners[i], on_listener_closed, worker);
    warm_stop(worker->env.warm);
    health_stop(worker->health);
    io_arm(&worker->env.io, &worker->empty_timer, EMPTY_CHECK_MS);
}

static void close_listeners(struct worker *worker)
{
    size_t i;

    for (i = 0; i < worker->listener_count; i++)
        listener_close(worker->listeners[i]);
}

/* Who waits in a queue that the successor has too is its client already; one
 * that a reload gave up is only ours. */
static void retire(struct worker *worker, bool has_left_over)
{
    size_t i;

    for (i = 0; i < worker->listener_count && !has_left_over; i++) {
        if (listener_stop(worker->listeners[i], on_listener_closed, worker))
            listener_close(worker->listeners[i]);
    }
    stop_listening(worker);
}

static bool watch_idle(struct sweep *sweep, struct session *session)
{
    (void)sweep;
    session_watch_idle(session);
    return true;
}

static void free_sweep(struct sweep *sweep, bool is_whole)
{
    (void)is_whole;
    free(sweep);
}

static void watch_all_idle(struct worker *worker)
{
    struct sweep *sweep = mem_alloc(sizeof(*sweep));

    *sweep = (struct sweep){.visit = watch_idle, .end = free_sweep};
    sweeps_add(&worker->sweeps, sweep);
}

/* Who is in the handshake hears it after that, who logs in with the verdict. */
static void end_logins(struct worker *worker)
{
    struct registry_node *node = registry_first_before_login(&worker->registry);

    worker->env.takes_no_logins = true;
    while (node != NULL) {
        struct session *session = session_of_node(node);

        node = registry_next(&worker->registry, node);
        if (session_awaits_command(session))
            session_end(session, "upgraded", SESSION_KICKED);
    }
}

/* Listeners and running sessions follow what they would not see by
 * themselves. */
static void follow(struct worker *worker, bool idle_is_new)
{
    size_t i;

    for (i = 0; i < worker->listener_count; i++) {
        if (!listener_follow(worker->listeners[i]))
            listener_stop(worker->listeners[i], on_listener_closed, worker);
    }
    if (idle_is_new)
        watch_all_idle(worker);
}

static void adopt(struct worker *worker, struct snapshot *snapshot)
{
    struct snapshot *former = worker->env.snapshot;
    bool had_idle = former->settings->timeouts.idle_ms != 0;

    worker->env.snapshot = snapshot;
    if (!worker->is_ending)
        follow_backends(worker);
    snapshot_unref(&former);
    follow(worker, !had_idle && snapshot->settings->timeouts.idle_ms != 0);
    io_fit_flight(&worker->env.io,
                  tls_server_context_flight_max(snapshot->tls));
}

static int open_listener(struct worker *worker, int fd, unsigned index,
                         struct listener_sharing sharing)
{
    struct listener *listener;
    int result = listener_open(&worker->env, fd, index, sharing, &listener);

    if (result != 0)
        return result;
    worker->listeners =
        mem_realloc_array(worker->listeners, worker->listener_count + 1,
                          sizeof(struct listener *));
    worker->listeners[worker->listener_count++] = listener;
    return 0;
}

/* The kernel has the socket already: what fails is memory of its own. */
static void begin_to_listen(struct worker *worker, int fd, unsigned index)
{
    struct log_entry entry;
    int result =
        worker->is_ending
            ? UV_ECANCELED
            : open_listener(worker, fd, index,
                            (struct listener_sharing){.is_kept = false});

    if (result == 0)
        return;
    close(fd);
    log_begin(&entry, LOG_ERROR, "listen-failed");
    log_text(&entry, "reason", uv_strerror(result));
    log_end(&entry);
}

static void take_arrival(struct worker *worker, const struct arrival *arrival)
{
    struct snapshot *snapshot = arrival->snapshot;

    listener_take(&worker->env, arrival);
    snapshot_unref(&snapshot);
}

static void give_sockets(struct worker *worker, struct socket_call *call)
{
    for (size_t i = 0; i < worker->listener_count; i++) {
        int fd = listener_dup(worker->listeners[i]);

        if (fd != UV_ECANCELED)
            socket_call_add(call, fd);
    }
    socket_call_answer(&call);
}

/* Where it is not whole the worker has just ended, and its sessions before. */
static void on_listed(struct listing *listing, bool is_whole, void *owner)
{
    (void)listing;
    (void)is_whole;
    question_answer(owner);
}

static void on_letter(const struct letter *letter, void *owner)
{
    struct worker *worker = owner;

    switch (letter->kind) {
    case LETTER_SNAPSHOT:
        adopt(worker, letter->snapshot);
        break;
    case LETTER_LISTEN:
        begin_to_listen(worker, letter->fd, letter->listener);
        break;
    case LETTER_KICK:
        kicks_take(&worker->kicks, letter->kick);
        break;
    case LETTER_CONNECTION:
        take_arrival(worker, &letter->arrival);
        break;
    case LETTER_SOCKETS:
        give_sockets(worker, letter->call);
        break;
    case LETTER_LIST:
        listing_fill(&letter->question->listing, &worker->env, on_listed,
                     letter->question);
        break;
    case LETTER_RETIRE:
        retire(worker, letter->has_left_over);
        break;
    case LETTER_NO_LOGINS:
        end_logins(worker);
        break;
    case LETTER_DRAIN:
        stop_listening(worker);
        drain_start(&worker->drain, &worker->env, letter->drain_ms);
        break;
    case LETTER_STOP:
        stop_listening(worker);
        close_listeners(worker);
        drain_hurry(&worker->drain, &worker->env);
        break;
    }
}

static int open_listeners(struct worker *worker, struct worker_socket *sockets,
                          size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        int result = open_listener(worker, sockets[i].fd, sockets[i].listener,
                                   sockets[i].sharing);

        if (result != 0)
            return result;
        sockets[i].fd = -1;
    }
    return 0;
}

static int prepare(struct worker *worker, struct counters *counters,
                   struct worker_socket *sockets, size_t socket_count)
{
    int result = uv_loop_init(&worker->loop);

    if (result == 0)
        result =
            io_init(&worker->env.io, &worker->loop, counters,
                    tls_server_context_flight_max(worker->env.snapshot->tls));
    if (result == 0)
        result =
            mailbox_open(&worker->mailbox, &worker->loop, on_letter, worker);
    if (result == 0)
        result = sweeps_open(&worker->sweeps, &worker->loop, &worker->registry);
    if (result == 0)
        result = open_listeners(worker, sockets, socket_count);
    return result;
}

static void run(void *argument)
{
    struct worker *worker = argument;

    slab_join_thread();
    follow_backends(worker);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    worker->parts.on_idle(worker->parts.owner);
}

struct worker *worker_start(unsigned index, const struct worker_parts *parts,
                            struct counters *counters,
                            struct snapshot *snapshot,
                            struct worker_socket *sockets, size_t socket_count,
                            int *error_out)
{
    struct worker *worker = mem_zalloc(sizeof(*worker));

    worker->parts = *parts;
    worker->env.counters = counters;
    worker->env.limits = parts->limits;
    worker->env.penalties = parts->penalties;
    worker->env.homes = parts->homes;
    worker->env.kick = parts->kick;
    worker->env.kick_owner = parts->owner;
    worker->env.deal = parts->deal;
    worker->env.deal_owner = parts->owner;
    worker->env.quota = parts->quota;
    worker->env.registry = &worker->registry;
    worker->env.sweeps = &worker->sweeps;
    worker->env.warm = warm_new(&worker->env.io);
    worker->env.gate = gate_new(&worker->env.io);
    worker->env.worker = index;
    worker->health = health_new(&worker->env.io, index, parts->worker_count,
                                probe_verbs(), &worker->env);
    worker->env.snapshot = snapshot_ref(snapshot);
    registry_init(&worker->registry);
    kicks_init(&worker->kicks, &worker->env);
    wheel_timer_init(&worker->empty_timer, end_if_empty);
    *error_out = prepare(worker, counters, sockets, socket_count);
    if (*error_out == 0)
        *error_out = uv_thread_create(&worker->thread, run, worker);
    return *error_out == 0 ? worker : NULL;
}

void worker_adopt(struct worker *worker, struct snapshot *snapshot)
{
    struct letter letter = {.kind = LETTER_SNAPSHOT,
                            .snapshot = snapshot_ref(snapshot)};

    mailbox_put(&worker->mailbox, &letter);
}

void worker_listen(struct worker *worker, int fd, unsigned listener)
{
    struct letter letter = {
        .kind = LETTER_LISTEN, .fd = fd, .listener = listener};

    mailbox_put(&worker->mailbox, &letter);
}

void worker_kick(struct worker *worker, const struct kick *kick)
{
    struct letter letter = {.kind = LETTER_KICK, .kick = kick_copy(kick)};

    mailbox_put(&worker->mailbox, &letter);
}

void worker_ask(struct worker *worker, struct question *question)
{
    struct letter letter = {.kind = LETTER_LIST,
                            .question = question_ref(question)};

    mailbox_put(&worker->mailbox, &letter);
}

void worker_call_sockets(struct worker *worker, struct socket_call *call)
{
    struct letter letter = {.kind = LETTER_SOCKETS, .call = call};

    mailbox_put(&worker->mailbox, &letter);
}

bool worker_give(struct worker *worker, const struct arrival *arrival)
{
    struct letter letter = {.kind = LETTER_CONNECTION, .arrival = *arrival};

    letter.arrival.snapshot = snapshot_ref(arrival->snapshot);
    if (mailbox_offer(&worker->mailbox, &letter))
        return true;
    snapshot_unref(&letter.arrival.snapshot);
    return false;
}

bool worker_answers(struct worker *worker)
{
    return mailbox_knock(&worker->mailbox);
}

void worker_retire(struct worker *worker, bool has_left_over)
{
    struct letter letter = {.kind = LETTER_RETIRE,
                            .has_left_over = has_left_over};

    mailbox_put(&worker->mailbox, &letter);
}

void worker_end_logins(struct worker *worker)
{
    struct letter letter = {.kind = LETTER_NO_LOGINS};

    mailbox_put(&worker->mailbox, &letter);
}

void worker_drain(struct worker *worker, uint64_t drain_ms)
{
    struct letter letter = {.kind = LETTER_DRAIN, .drain_ms = drain_ms};

    mailbox_put(&worker->mailbox, &letter);
}

void worker_stop(struct worker *worker)
{
    struct letter letter = {.kind = LETTER_STOP};

    mailbox_put(&worker->mailbox, &letter);
}

void worker_join(struct worker **worker)
{
    struct worker *mine = *worker;
    int error;

    *worker = NULL;
    if (mine == NULL)
        return;
    uv_thread_join(&mine->thread);
    mailbox_deinit(&mine->mailbox);
    warm_free(&mine->env.warm);
    health_free(&mine->health);
    gate_free(&mine->env.gate);
    snapshot_unref(&mine->env.snapshot);
    io_deinit(&mine->env.io);
    error = uv_loop_close(&mine->loop);
    assert(error == 0); /* else a handle has outlived its owner */
    free(mine->listeners);
    free(mine);
}
