/* What others may ask of a session. */
#include "base/clock.h"
#include "session/session_private.h"

/* Clients at work say a word more often than that. */
enum {
    QUIET_MS = 5000
};

uint64_t session_number(const struct session *session)
{
    return session->facts.number;
}

bool session_is_in_handshake(const struct session *session)
{
    return session->state == SESSION_HANDSHAKE ||
           session->state == SESSION_ACCEPTED;
}

uint64_t session_age_ms(const struct session *session)
{
    return clock_now_ms() - session->facts.started_ms;
}

bool session_is_before_login(const struct session *session)
{
    return session->before != NULL;
}

bool session_is_counted_before_login(const struct session *session)
{
    return session->hold.before_login;
}

bool session_is_exempt(const struct session *session)
{
    return limits_is_exempt(&session_settings(session)->limits,
                            &session->facts.peer);
}

bool session_is_spliced(const struct session *session)
{
    return session->state == SESSION_SPLICE;
}

bool session_is_ending(const struct session *session)
{
    return session->state == SESSION_ENDING;
}

/* An attempt's, or NULL. */
static const struct attempt *attempt_of(const struct session *session)
{
    return session->state == SESSION_ATTEMPT ? session->before->attempt : NULL;
}

const char *session_user(const struct session *session)
{
    const struct attempt *attempt = attempt_of(session);

    if (attempt != NULL)
        return attempt_identity(attempt)->user;
    return session_facts_user(&session->facts);
}

bool session_awaits_command(const struct session *session)
{
    return session->state == SESSION_COMMAND;
}

bool session_is_seeking(const struct session *session)
{
    const struct attempt *attempt = attempt_of(session);

    return attempt != NULL && attempt_is_seeking(attempt);
}

const struct backend *session_backend(const struct session *session)
{
    const struct attempt *attempt = attempt_of(session);

    return attempt == NULL ? session->backend : attempt_backend(attempt);
}

uint64_t session_quiet_ms(const struct session *session)
{
    return clock_now_ms() - session->splice.active_ms;
}

bool session_is_quiet(const struct session *session)
{
    return session_is_spliced(session) && session_quiet_ms(session) >= QUIET_MS;
}

void session_local_address(const struct session *session,
                           struct address *address_out)
{
    const struct proxy_stage *proxy = session->before->proxy;

    if (proxy != NULL && proxy->header.has_addresses)
        *address_out = proxy->header.to;
    else
        (void)stream_local_address(session_client(session), address_out);
}
