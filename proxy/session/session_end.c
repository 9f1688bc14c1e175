/* How a session ends, and what goes with it. */
#include "base/slab.h"
#include "session/parting.h"
#include "session/session_private.h"

#include <stdlib.h>
#include <string.h>

static void count_dialogue(struct counters *counters, const struct login *login)
{
    const struct login_tally *tally = login_tally(login);

    counters_add(counters, COUNTER_BAD_COMMANDS, tally->bad_commands);
    counters_add(counters, COUNTER_CLEARTEXT_LOGINS, tally->cleartext_logins);
    counters_add(counters, COUNTER_HTTP_REQUESTS, tally->spoke_http ? 1 : 0);
}

void session_free_before(struct session *session)
{
    struct before_login *before = session->before;

    if (before == NULL)
        return;
    session->before = NULL;
    proxy_stage_free(&before->proxy);
    attempt_free(&before->attempt);
    if (before->login != NULL)
        count_dialogue(session->env->counters, before->login);
    login_free(&before->login);
    wiped_buffer_deinit(&before->ahead);
    snapshot_unref(&before->snapshot);
    free(before);
    counters_subtract(session->env->counters, COUNTER_SESSIONS_BEFORE_LOGIN, 1);
}

void session_vanish(struct session *session)
{
    struct env *env = session->env;

    registry_remove(env->registry, &session->node);
    counters_subtract(env->counters, COUNTER_SESSIONS_OPEN, 1);
    session_facts_deinit(&session->facts);
    slab_free(session);
    quota_give(env->quota);
}

/* Not before the backend has heard that the session is over. */
static void leave_home(struct session *session)
{
    const char *user = session_facts_user(&session->facts);

    if (session->has_home)
        homes_leave_session(session->env->homes, (const uint8_t *)user,
                            strlen(user));
    session->has_home = false;
}

void session_stream_closed(struct session *session, const struct stream *stream)
{
    if (stream == session->splice.client) {
        session->splice.client = NULL;
    } else {
        session->splice.upstream = NULL;
        leave_home(session);
    }
    if (--session->open_streams == 0)
        session_vanish(session);
}

static void on_ending(struct stream *stream, enum stream_event event,
                      void *owner)
{
    struct session *session = owner;

    switch (event) {
    case STREAM_CLOSED:
        session_stream_closed(session, stream);
        break;
    case STREAM_FAILED:
        stream_close(stream);
        break;
    case STREAM_SECURE:
    case STREAM_DATA:
    case STREAM_DRAINED:
    case STREAM_EOF:
        break;
    }
}

static void end_stream(struct session *session, struct stream *stream)
{
    if (stream == NULL)
        return;
    stream_set_owner(stream, on_ending, session);
    stream_end(stream, PARTING_FLUSH_MS);
}

static void log_end_of(struct session *session, const char *reason,
                       const char *detail)
{
    struct session_end end = {.backend = session->backend,
                              .to_client = session->splice.to_client,
                              .to_backend = session->splice.to_backend,
                              .reason = reason,
                              .detail = detail};

    session_log_end(&session->facts, &end);
    counters_add(session->env->counters, COUNTER_BYTES_TO_CLIENT,
                 session->splice.to_client);
    counters_add(session->env->counters, COUNTER_BYTES_TO_BACKEND,
                 session->splice.to_backend);
}

void session_finish_but_client(struct session *session, const char *reason,
                               const char *detail)
{
    log_end_of(session, reason, detail);
    session_enter(session, SESSION_ENDING);
    limits_release(session->env->limits, &session->hold);
    if (session->backend != NULL)
        backend_session_closed(&session->backend);
    end_stream(session, session->splice.upstream);
    session_free_before(session);
}

void session_finish(struct session *session, const char *reason,
                    const char *detail)
{
    if (session->state == SESSION_ENDING)
        return;
    session_finish_but_client(session, reason, detail);
    session_end_client(session);
}

void session_end_client(struct session *session)
{
    end_stream(session, session_client(session));
}

void session_end(struct session *session, const char *reason, const char *bye)
{
    if (session->state == SESSION_COMMAND ||
        session->state == SESSION_ATTEMPT) {
        if (bye != NULL)
            login_bye(session->before->login, bye);
        session_send_output(session);
    }
    session_finish(session, reason, NULL);
}

void session_abort(struct session *session, const char *reason)
{
    session_finish(session, reason, NULL);
    if (session_client(session) != NULL)
        stream_close(session_client(session));
    if (session->splice.upstream != NULL)
        stream_close(session->splice.upstream);
}

void session_cut_backend(struct session *session)
{
    if (session->splice.upstream != NULL)
        stream_close(session->splice.upstream);
}
