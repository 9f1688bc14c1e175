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

typedef bool session_filter(const struct session *session);

static bool is_quiet(const struct session *session)
{
    return session_is_spliced(session) &&
           session_quiet_ms(session) >= DRAIN_QUIET_MS;
}

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

static bool is_any(const struct session *session)
{
    return !session_is_ending(session);
}

/* Oldest first; returns how many were ended. */
static size_t end_some(struct env *env, session_filter *matches, size_t most,
                       const char *bye)
{
    struct registry_node *node = registry_next(env->registry, NULL);
    size_t ended = 0;

    while (node != NULL && ended < most) {
        struct session *session = session_of_node(node);

        node = registry_next(env->registry, node);
        if (!matches(session))
            continue;
        session_end(session, "drained", bye);
        ended++;
    }
    return ended;
}

/* How many of all should have gone by now: the last one at the very end. */
static size_t due(const struct drain *drain, uint64_t passed_ms)
{
    if (passed_ms >= drain->duration_ms)
        return SIZE_MAX;
    return (size_t)(drain->total * passed_ms / drain->duration_ms);
}

static void step(struct drain *drain)
{
    uint64_t passed_ms = clock_now_ms() - drain->started_ms;
    size_t wanted = due(drain, passed_ms);

    if (passed_ms >= HANDSHAKE_MS)
        (void)end_some(drain->env, stalls_in_handshake, SIZE_MAX, NULL);
    if (wanted > drain->ended)
        drain->ended +=
            end_some(drain->env, is_quiet, wanted - drain->ended, NULL);
    if (wanted > drain->ended)
        drain->ended += end_some(drain->env, is_any, wanted - drain->ended,
                                 SESSION_GOING_DOWN);
}

static void on_timer(struct wheel_timer *timer)
{
    struct drain *drain =
        (struct drain *)(void *)((char *)timer - offsetof(struct drain, timer));

    step(drain);
    io_arm(&drain->env->io, &drain->timer, STEP_MS);
}

static size_t count_spliced(struct env *env)
{
    struct registry_node *node = NULL;
    size_t count = 0;

    while ((node = registry_next(env->registry, node)) != NULL)
        count += session_is_spliced(session_of_node(node)) ? 1 : 0;
    return count;
}

void drain_start(struct drain *drain, struct env *env, uint64_t duration_ms)
{
    if (env->is_draining)
        return;
    env->is_draining = true;
    drain->env = env;
    drain->started_ms = clock_now_ms();
    drain->duration_ms = duration_ms;
    (void)end_some(env, can_hear_bye, SIZE_MAX, SESSION_GOING_DOWN);
    drain->total = count_spliced(env);
    wheel_timer_init(&drain->timer, on_timer);
    io_arm(&env->io, &drain->timer, STEP_MS);
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
