/* What follows from the answer of the backend, or from its silence. */
#include "base/clock.h"
#include "session/attempt_private.h"
#include "session/upstream_notes.h"

/* Asked once the backend has said OK: a stranger who knows a name must not
 * hold that user's places, nor learn that they are taken. */
static bool respects_limits(struct attempt *attempt)
{
    const struct limits_settings *rules = &attempt->snapshot->settings->limits;
    const struct identity *identity = &attempt->identity;
    enum limits_answer answer = LIMITS_OK;

    /* Tokens without a name are not all one user's. */
    if (identity->user_len > 0)
        answer =
            limits_login(attempt->env->limits, rules, attempt->request.peer,
                         (const uint8_t *)identity->user, identity->user_len,
                         attempt->request.hold);
    if (answer == LIMITS_OK)
        return true;
    attempt_refuse(attempt, LOGIN_ANSWER_LIMIT, COUNTER_REFUSED_LIMIT,
                   limits_answer_name(answer));
    return false;
}

void attempt_take_refusal(struct attempt *attempt)
{
    const struct upstream_refusal *refusal =
        upstream_login_refusal(attempt->login);
    struct attempt_outcome *outcome = &attempt->outcome;

    attempt->has_verdict = true;
    outcome->answer = refusal->answer;
    outcome->code = refusal->code;
    outcome->code_len = refusal->code_len;
    outcome->text = refusal->text;
    outcome->text_len = refusal->text_len;
    outcome->to_client =
        upstream_login_to_client(attempt->login, &outcome->to_client_len);
    counters_add(attempt->env->counters,
                 refusal->answer == LOGIN_ANSWER_UNAVAILABLE
                     ? COUNTER_LOGINS_UNAVAILABLE
                     : COUNTER_LOGINS_FAILED,
                 1);
    /* Of messages a client can choose how long they take. */
    if (attempt->request.credentials->kind == CREDENTIALS_PASSWORD &&
        (refusal->answer == LOGIN_ANSWER_BAD_CREDENTIALS ||
         refusal->answer == LOGIN_ANSWER_UNCODED))
        failure_times_add(&attempt->env->failure_times,
                          clock_now_ms() - attempt->asked_ms);
    attempt_log_failure(attempt,
                        refusal->is_config_fault ? LOG_ERROR : LOG_INFO,
                        refusal->reason, NULL, refusal);
}

static bool keeps_its_route(struct attempt *attempt)
{
    return attempt_route_holds(attempt) ||
           attempt_refuse_unavailable(attempt, "route-changed");
}

static void let_in(struct attempt *attempt)
{
    struct attempt_outcome *outcome = &attempt->outcome;

    if (!keeps_its_route(attempt) || !respects_limits(attempt)) {
        attempt_drop_login(attempt);
        return;
    }
    upstream_notes_after(attempt->target->facts,
                         upstream_login_capabilities(attempt->login));
    outcome->is_logged_in = true;
    outcome->to_client =
        upstream_login_to_client(attempt->login, &outcome->to_client_len);
    counters_add(attempt->env->counters, COUNTER_LOGINS_OK, 1);
}

void attempt_finish_login(struct attempt *attempt, enum home_answer answer)
{
    switch (answer) {
    case HOME_WAIT:
        return;
    case HOME_THERE:
        stream_resume(attempt->upstream);
        let_in(attempt);
        break;
    case HOME_NONE:
        (void)attempt_refuse_unavailable(attempt, "other-sessions-remain");
        attempt_drop_login(attempt);
        break;
    }
    attempt_finish(attempt);
}

/* The password was right, so the user's other sessions may be closed; until
 * they are, neither side hears of the other. */
static void move_in(struct attempt *attempt)
{
    enum home_answer answer = HOME_THERE;

    stream_pause(attempt->upstream);
    gate_leave(&attempt->pass); /* the server has nothing to do for it */
    if (attempt_route_holds(attempt))
        answer = attempt_move_in(attempt);
    attempt_finish_login(attempt, answer);
}

bool attempt_succeed(struct attempt *attempt, const uint8_t *rest, size_t len)
{
    attempt->has_verdict = true;
    attempt->is_proven = true;
    attempt->outcome.rest = rest;
    attempt->outcome.rest_len = len;
    if (!attempt->proves_first) {
        let_in(attempt);
        return true;
    }
    /* What cannot be kept is lost, and no server says anything there. */
    if (len > 0)
        attempt_finish_login(attempt, HOME_NONE);
    else
        move_in(attempt);
    return false;
}

void attempt_break_off(struct attempt *attempt, const char *reason,
                       const char *detail)
{
    attempt->has_verdict = true;
    attempt->outcome.answer = LOGIN_ANSWER_UNAVAILABLE;
    counters_add(attempt->env->counters, COUNTER_LOGINS_UNAVAILABLE, 1);
    attempt_log_failure(attempt, LOG_WARN, reason, detail, NULL);
    attempt_drop_login(attempt);
}

void attempt_give_up(struct attempt *attempt, const char *reason)
{
    attempt_break_off(attempt, reason, NULL);
}

/* A refusal that asks no backend comes on a tick of the timer wheel, where that
 * of a fast backend would come between two of them: time would tell again. */
bool attempt_hold_to_tick(struct attempt *attempt)
{
    if (!attempt_hold_back(attempt, 0))
        return false;
    attempt->awaits_client = false;
    attempt_leave_backend(attempt);
    homes_leave(attempt->env->homes, &attempt->home);
    return true;
}
