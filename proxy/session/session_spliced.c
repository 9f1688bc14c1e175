/* A session from its splice on. */
#include "session/session_private.h"

#include <string.h>

/* A session that has lasted so long gets the socket options that find a dead
 * backend, which takes minutes at best; most are gone by then and are spared
 * the system calls. */
enum {
    KEEPALIVE_AFTER_MS = 60000
};

static struct session *session_of_splice(struct splice *splice)
{
    return SESSION_OF(splice, splice);
}

static uint64_t keepalive_after_ms(const struct session *session)
{
    uint64_t idle_ms =
        UINT64_C(1000) * session->env->snapshot->keepalive.idle_s;

    return idle_ms != 0 && idle_ms < KEEPALIVE_AFTER_MS ? idle_ms
                                                        : KEEPALIVE_AFTER_MS;
}

static void on_splice(struct splice *splice, enum splice_event event,
                      const char *detail)
{
    struct session *session = session_of_splice(splice);

    switch (event) {
    case SPLICE_HALF_CLOSED:
        session_arm(session,
                    session_settings(session)->timeouts.half_closed_ms);
        break;
    case SPLICE_BACKEND_ENDED:
        if (!session_lose_backend(session, detail))
            splice_pass_end(splice);
        break;
    case SPLICE_OVER:
        if (!splice_has_lost_backend(splice) ||
            !session_lose_backend(session, detail))
            session_finish(session, splice->reason, detail);
        break;
    }
}

/* The login's memory goes as the splice starts: an idle session is paid for
 * by its streams alone. */
void session_start_splice(struct session *session,
                          const struct attempt_outcome *outcome)
{
    struct before_login *before = session->before;
    struct stream *client = session_client(session);
    struct wiped_buffer ahead = before->ahead;

    memset(&before->ahead, 0, sizeof(before->ahead));
    session->splice.upstream = attempt_take_stream(before->attempt);
    session->backend = attempt_take_backend(before->attempt);
    session->has_home = attempt_take_home(before->attempt);
    session->open_streams++;
    session_facts_name_user(&session->facts, attempt_identity(before->attempt));
    session_log_login(&session->facts, session->backend,
                      login_mechanism(before->login));
    if (outcome->to_client_len > 0)
        (void)stream_write(client, outcome->to_client, outcome->to_client_len);
    splice_start(&session->splice, on_splice, ahead.bytes, ahead.len,
                 outcome->rest, outcome->rest_len);
    wiped_buffer_deinit(&ahead);
    session_free_before(session);
    limits_settle(session->env->limits, &session->hold);
    registry_settle(session->env->registry, &session->node);
    session_enter(session, SESSION_SPLICE);
}

static bool has_queued_bytes(const struct session *session)
{
    return stream_queued(session->splice.client) > 0 ||
           stream_queued(session->splice.upstream) > 0;
}

/* A slow reader of last words is not cut short: whether it still lives is the
 * kernel's to find out, by TCP_USER_TIMEOUT. */
static void on_half_closed_timeout(struct session *session)
{
    uint64_t limit_ms = session_settings(session)->timeouts.half_closed_ms;
    uint64_t quiet_ms = session_quiet_ms(session);

    if (has_queued_bytes(session))
        session_arm(session, limit_ms);
    else if (quiet_ms < limit_ms)
        session_arm(session, limit_ms - quiet_ms);
    else
        session_finish(session, "half-closed-timeout", NULL);
}

/* Activity only stamps a time; the timer looks at the stamp when it fires. */
void session_splice_timeout(struct session *session)
{
    uint64_t limit_ms = session_settings(session)->timeouts.idle_ms;
    uint64_t quiet_ms = session_quiet_ms(session);

    if (!session->keeps_alive)
        stream_set_keepalive(session->splice.upstream,
                             &session->env->snapshot->keepalive);
    session->keeps_alive = true;
    if (session->splice.client_ended || session->splice.upstream_ended)
        on_half_closed_timeout(session);
    else if (limit_ms == 0)
        session_arm(session, 0);
    else if (quiet_ms < limit_ms)
        session_arm(session, limit_ms - quiet_ms);
    else
        session_finish(session, "idle-timeout", NULL);
}

void session_watch_splice(struct session *session)
{
    session_arm(session, keepalive_after_ms(session));
}

void session_watch_idle(struct session *session)
{
    if (session->state == SESSION_SPLICE &&
        !wheel_timer_is_armed(&session->timer))
        session_arm(session, session_settings(session)->timeouts.idle_ms);
}
