/* The way to a backend: from the pick to a stream that a login may go by. */
#include "backend/warm.h"
#include "base/clock.h"
#include "session/attempt_private.h"

static void on_gate(struct gate_pass *pass, bool is_in, void *owner);
static void on_link(struct link *link, bool is_ready, void *owner);

/* A connection that waits for a login, or else a dial; false when there is
 * neither. What waits at a backend that is down may wait for ever. */
static bool reach(struct attempt *attempt)
{
    const struct link_target *target = attempt->target;
    struct link_rules rules = snapshot_link_rules(attempt->snapshot);

    rules.client = &attempt->client;
    if (backend_state(target->facts) == BACKEND_UP)
        attempt->upstream =
            warm_take(attempt->env->warm, target, &attempt->capabilities);
    if (attempt->upstream != NULL)
        return true;
    if (!backend_may_dial(target->facts, clock_now_ms()))
        return false;
    attempt->link =
        link_open(&attempt->env->io, target, &rules, on_link, attempt);
    return true;
}

enum gate_answer attempt_enter_gate(struct attempt *attempt)
{
    const struct limits_settings *limits = &attempt->snapshot->settings->limits;
    unsigned logins_max = limits->backend_logins;
    enum gate_answer answer;

    if (logins_max != 0 && limits_is_exempt(limits, attempt->request.peer))
        logins_max = 0;
    answer =
        gate_enter(attempt->env->gate, &attempt->pass, attempt->target->facts,
                   logins_max, limits->backend_queue, on_gate, attempt);
    if (answer == GATE_WAITS)
        counters_add(attempt->env->counters, COUNTER_LOGINS_QUEUED, 1);
    return answer;
}

static bool refuse_crowd(struct attempt *attempt)
{
    counters_add(attempt->env->counters, COUNTER_LOGINS_CROWDED_OUT, 1);
    return attempt_refuse_unavailable(attempt, "backend-busy");
}

/* What takes nobody now is passed over as one that is down; where the user is
 * already, a drain changes nothing. */
static bool takes_anybody(const struct attempt *attempt,
                          const struct link_target *target, const char **why)
{
    unsigned max = target->config->max_sessions;
    bool is_there = attempt->is_at_home && target == attempt->target;

    switch (backend_mode(target->facts)) {
    case BACKEND_READY:
        break;
    case BACKEND_DRAINING:
        if (is_there)
            break;
        *why = "backend-draining";
        return false;
    case BACKEND_MAINTENANCE:
        *why = "backend-in-maintenance";
        return false;
    }
    if (max == 0 || backend_sessions(target->facts) < max)
        return true;
    *why = "backend-full";
    return false;
}

/* A connection to the candidate, or one on its way. *goes_on_out tells whether
 * the attempt does. False: to the next candidate. */
static bool take_place(struct attempt *attempt, bool *goes_on_out)
{
    const struct link_target *target = attempt->target;
    const char *why;

    if (takes_anybody(attempt, target, &why))
        attempt->backend =
            backend_session_try(target->facts, target->config->max_sessions);
    if (attempt->backend == NULL || !reach(attempt) ||
        (attempt->upstream != NULL && !attempt_arrive(attempt))) {
        attempt_leave_backend(attempt);
        return false;
    }
    *goes_on_out = attempt->upstream == NULL || attempt_start_login(attempt);
    return true;
}

/* The next of the pick that takes somebody who is new. */
static const struct backend_config *next_open(struct attempt *attempt,
                                              const char **why)
{
    const struct backend_config *config;

    while ((config = pick_next(&attempt->pick, clock_now_ms())) != NULL) {
        if (takes_anybody(attempt, snapshot_target(attempt->snapshot, config),
                          why))
            return config;
        attempt->target = snapshot_target(attempt->snapshot, config);
    }
    return NULL;
}

/* To the target: a backend that is only busy is waited for, since the user's
 * mail is there. Otherwise as take_place. */
static bool go_there(struct attempt *attempt, bool *goes_on_out)
{
    switch (attempt_enter_gate(attempt)) {
    case GATE_ENTERED:
        return take_place(attempt, goes_on_out);
    case GATE_WAITS:
        *goes_on_out = true;
        break;
    case GATE_FULL:
        *goes_on_out = refuse_crowd(attempt);
        break;
    }
    return true;
}

bool attempt_seek(struct attempt *attempt, const char *why)
{
    for (;;) {
        const struct backend_config *wanted = next_open(attempt, &why);
        bool goes_on;

        switch (attempt_go_home(attempt, wanted)) {
        case HOME_THERE:
            break;
        case HOME_WAIT:
            return true;
        case HOME_NONE:
            return attempt_refuse_unavailable(attempt, why);
        }
        if (go_there(attempt, &goes_on))
            return goes_on;
    }
}

bool attempt_seek_on(struct attempt *attempt)
{
    bool goes_on;

    switch (attempt_move_on(attempt)) {
    case HOME_THERE:
        return go_there(attempt, &goes_on)
                   ? goes_on
                   : attempt_seek(attempt, "no-backend-up");
    case HOME_WAIT:
        return true;
    case HOME_NONE:
        break;
    }
    return attempt_refuse_unavailable(attempt, "other-sessions-remain");
}

static void on_gate(struct gate_pass *pass, bool is_in, void *owner)
{
    struct attempt *attempt = owner;
    bool goes_on;

    (void)pass;
    if (attempt->login != NULL)
        goes_on = attempt_resume_login(attempt, is_in);
    else if (!is_in)
        goes_on = refuse_crowd(attempt);
    else if (!take_place(attempt, &goes_on))
        goes_on = attempt_seek(attempt, "no-backend-up");
    if (!goes_on)
        attempt_finish(attempt);
}

static void on_link(struct link *link, bool is_ready, void *owner)
{
    struct attempt *attempt = owner;
    bool goes_on;

    if (is_ready) {
        attempt->upstream = link_take(link);
        attempt->capabilities = *link_capabilities(link);
    } else {
        attempt_log_dial_failed(attempt, link);
    }
    link_free(&attempt->link);
    if (is_ready && attempt_arrive(attempt)) {
        goes_on = attempt_start_login(attempt);
    } else {
        attempt_leave_backend(attempt);
        goes_on = attempt_seek(attempt, "no-backend");
    }
    if (!goes_on)
        attempt_finish(attempt);
}
