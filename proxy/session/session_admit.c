/* Whether a client is let in, and how its session begins. */
#include "base/clock.h"
#include "session/evict.h"
#include "session/session_private.h"

static void start(struct session *session)
{
    if (session->before->listener->tls == LISTENER_TLS_IMPLICIT) {
        session_start_tls(session);
        return;
    }
    session_enter(session, SESSION_COMMAND);
    session_begin_dialogue(session, false);
}

/* Over a limit: told so where no TLS stands before the words. */
static void turn_away(struct session *session, enum limits_answer answer)
{
    static const char bye[] = "* BYE [UNAVAILABLE] Too many connections.\r\n";

    enum listener_tls tls = session->before->listener->tls;

    counters_add(session->env->counters, COUNTER_REFUSED_LIMIT, 1);
    if (tls == LISTENER_TLS_STARTTLS)
        (void)stream_write(session_client(session), (const uint8_t *)bye,
                           sizeof(bye) - 1);
    session_finish(session, "limit", limits_answer_name(answer));
    /* One address over its limit must not hold the places of others. */
    if (tls == LISTENER_TLS_IMPLICIT)
        stream_close(session_client(session));
}

static enum limits_answer ask_limits(struct session *session)
{
    struct env *env = session->env;
    const struct limits_settings *rules = &session_settings(session)->limits;
    const struct address *peer = &session->facts.peer;
    enum limits_answer answer =
        limits_accept(env->limits, rules, peer, clock_now_ms(), &session->hold);

    if (answer == LIMITS_BEFORE_LOGIN && evict_for_newcomer(env, session))
        answer = limits_accept(env->limits, rules, peer, clock_now_ms(),
                               &session->hold);
    return answer;
}

/* A balancer that speaks for itself is nobody's client. */
void session_admit(struct session *session)
{
    enum limits_answer answer =
        session->facts.is_probe ? LIMITS_OK : ask_limits(session);

    if (answer == LIMITS_OK)
        start(session);
    else
        turn_away(session, answer);
}
