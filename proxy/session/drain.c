#include "session/drain.h"

#include "base/clock.h"
#include "session/registry.h"
#include "session/session.h"

enum {
    /* So small that a drain of many sessions is no burst either. */
    STEP_MS = 100,
    /* Who is in the handshake gets so long to finish it and hear the BYE, also
     * who is accepted last; a stranger who stalls there does not hold the end.
     */
    HANDSHAKE_MS = 1000
};

static bool can_hear_bye(const struct session *session)
{
    return !session_is_in_handshake(session) && !session_is_spliced(session) &&
           !session_is_ending(session);
}

static bool stalls_in_handshake(const struct session *session)
{
    return session_is_in_handshake(session) &&
           session_age_ms(session) >= HANDSHAKE_MS;
}

/* How many of all should have gone by now: the last one at the very end. */
static size_t due(const struct drain *drain, uint64_t passed_ms)
{
    if (passed_ms >= drain->duration_ms)
        return SIZE_MAX;
    return (size_t)(drain->total * passed_ms / drain->duration_ms);
}

static struct drain *drain_of_sweep(struct sweep *sweep)
{
    return (struct drain *)(void *)((char *)sweep -
                                    offsetof(struct drain, sweep));
}

/* The first sweep: whoever can hear it is told. */
static void look_first(struct drain *drain, struct session *session)
{
    if (session_is_spliced(session))
        drain->total++;
    else if (can_hear_bye(session))
        session_end(session, "drained", SESSION_GOING_DOWN);
}

static void end_one(struct drain *drain, struct session *session)
{
    session_end(session, "drained", SESSION_GOING_DOWN);
    drain->ended++;
}

static bool is_wanted(const struct drain *drain, const struct session *session)
{
    switch (drain->part) {
    case DRAIN_FIRST:
        return false;
    case DRAIN_QUIET:
        return drain->ended < drain->due && session_is_quiet(session);
    case DRAIN_BUSY:
        return drain->ended < drain->due && session_is_spliced(session);
    case DRAIN_ALL:
        return !session_is_ending(session);
    }
    return false;
}

/* Those before login are met first, those in the handshake among them. */
static bool on_session(struct sweep *sweep, struct session *session)
{
    struct drain *drain = drain_of_sweep(sweep);

    if (drain->part == DRAIN_FIRST)
        look_first(drain, session);
    else if (is_wanted(drain, session))
        end_one(drain, session);
    else if (drain->ends_stalled && stalls_in_handshake(session))
        session_end(session, "drained", NULL);
    return drain->ended < drain->due || session_is_before_login(session);
}

static void begin_sweep(struct drain *drain, enum drain_part part)
{
    uint64_t passed_ms = clock_now_ms() - drain->started_ms;

    drain->ends_stalled = passed_ms >= HANDSHAKE_MS;
    drain->due = due(drain, passed_ms);
    drain->part = drain->due == SIZE_MAX ? DRAIN_ALL : part;
    sweeps_add(drain->env->sweeps, &drain->sweep);
}

static void on_swept(struct sweep *sweep, bool is_whole)
{
    struct drain *drain = drain_of_sweep(sweep);

    if (!is_whole)
        return;
    if (drain->part == DRAIN_QUIET && drain->ended < drain->due)
        begin_sweep(drain, DRAIN_BUSY);
    else
        io_arm(&drain->env->io, &drain->timer, STEP_MS);
}

static void on_timer(struct wheel_timer *timer)
{
    begin_sweep(
        (struct drain *)(void *)((char *)timer - offsetof(struct drain, timer)),
        DRAIN_QUIET);
}

void drain_start(struct drain *drain, struct env *env, uint64_t duration_ms)
{
    if (env->is_draining)
        return;
    env->is_draining = true;
    *drain = (struct drain){
        .env = env,
        .sweep = {.visit = on_session, .end = on_swept},
        .started_ms = clock_now_ms(),
        .duration_ms = duration_ms,
        .due = SIZE_MAX, /* the first sweep meets all */
    };
    wheel_timer_init(&drain->timer, on_timer);
    sweeps_add(env->sweeps, &drain->sweep);
}

void drain_hurry(struct drain *drain, struct env *env)
{
    struct registry_node *node = registry_next(env->registry, NULL);

    drain_start(drain, env, 0);
    while (node != NULL) {
        struct session *session = session_of_node(node);

        node = registry_next(env->registry, node);
        session_abort(session, "stopped");
    }
}

void drain_stop(struct drain *drain)
{
    if (drain->env != NULL)
        io_disarm(&drain->env->io, &drain->timer);
}
