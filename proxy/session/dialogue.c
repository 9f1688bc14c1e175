#include "auth/sasl_server.h"
#include "session/session_private.h"

#include <string.h>

static void run_dialogue(struct session *session, const uint8_t *bytes,
                         size_t len);

void session_send_output(struct session *session)
{
    struct login *login = session->before->login;
    size_t len;
    const uint8_t *bytes = login_output(login, &len);

    if (len > 0 && !stream_write(session_client(session), bytes, len))
        stream_pause(session_client(session));
    login_output_clear(login);
}

/* After an attempt that failed the dialogue goes on, or ends by its rules. */
static bool answer_failure(struct session *session,
                           const struct attempt_outcome *outcome)
{
    struct before_login *before = session->before;
    enum login_decision decision;

    if (outcome->to_client_len > 0)
        (void)stream_write(session_client(session), outcome->to_client,
                           outcome->to_client_len);
    decision =
        login_failed(before->login, outcome->answer, outcome->code,
                     outcome->code_len, outcome->text, outcome->text_len);
    attempt_free(&before->attempt);
    session_send_output(session);
    if (decision == LOGIN_END) {
        session_finish(session, login_end_reason(before->login), NULL);
        return false;
    }
    session_enter(session, SESSION_COMMAND);
    return true;
}

static void on_attempt(struct attempt *attempt, void *owner)
{
    struct session *session = owner;
    const struct attempt_outcome *outcome = attempt_outcome(attempt);
    struct wiped_buffer ahead;

    if (outcome->is_logged_in) {
        session_start_splice(session, outcome);
        return;
    }
    ahead = session->before->ahead;
    memset(&session->before->ahead, 0, sizeof(session->before->ahead));
    if (answer_failure(session, outcome)) {
        stream_resume(session_client(session));
        run_dialogue(session, ahead.bytes, ahead.len);
    }
    wiped_buffer_deinit(&ahead);
}

void session_resume(struct session *session)
{
    if (session->before->ahead.len < IO_AHEAD_MAX)
        stream_resume(session_client(session));
}

/* What the client sent behind its login waits for the verdict. */
static void keep_ahead(struct session *session, const uint8_t *bytes,
                       size_t len)
{
    struct wiped_buffer *ahead = &session->before->ahead;

    wiped_buffer_append(ahead, bytes, len);
    if (ahead->len >= IO_AHEAD_MAX)
        stream_pause(session_client(session));
}

static void try_login(struct session *session)
{
    struct before_login *before = session->before;
    struct attempt_request request = {
        .credentials = login_credentials(before->login),
        .tag = login_tag(before->login),
        .mechanism = login_mechanism(before->login),
        .session = before->id,
        .peer = &session->facts.peer,
        .hold = &session->hold,
    };

    session_enter(session, SESSION_ATTEMPT);
    before->attempt = attempt_new(session->env, &request, on_attempt, session);
    if (!attempt_start(before->attempt))
        (void)answer_failure(session, attempt_outcome(before->attempt));
}

/* Bytes behind STARTTLS were sent in clear, by whoever sits on the wire, to be
 * read as if they had come under TLS: no handshake follows (decision 11). */
static void take_starttls(struct session *session, size_t bytes_behind)
{
    if (bytes_behind > 0) {
        counters_add(session->env->counters, COUNTER_STARTTLS_INJECTIONS, 1);
        login_output_clear(session->before->login);
        session_finish(session, "starttls-injection", NULL);
        return;
    }
    session_send_output(session);
    session_start_tls(session);
}

static void run_dialogue(struct session *session, const uint8_t *bytes,
                         size_t len)
{
    while (len > 0 && session->state == SESSION_COMMAND) {
        struct login *login = session->before->login;
        size_t used;
        enum login_decision decision = login_feed(login, bytes, len, &used);

        bytes += used;
        len -= used;
        switch (decision) {
        case LOGIN_MORE:
            session_send_output(session);
            break;
        case LOGIN_STARTTLS:
            take_starttls(session, len);
            return;
        case LOGIN_TRY:
            session_send_output(session);
            try_login(session);
            break;
        case LOGIN_RELAY:
        case LOGIN_CANCELLED:
        case LOGIN_END:
            session_send_output(session);
            session_finish(session, login_end_reason(login), NULL);
            return;
        }
    }
    if (len > 0 && session->state == SESSION_ATTEMPT)
        keep_ahead(session, bytes, len);
}

void session_take_bytes(struct session *session)
{
    struct stream *client = session_client(session);
    size_t len;
    const uint8_t *bytes = stream_lent(client, &len);

    run_dialogue(session, bytes, len);
    stream_wipe_lent(client);
}

static void fill_login_rules(const struct settings *settings,
                             const struct listener_config *listener,
                             struct login_rules *rules)
{
    const struct limits_settings *limits = &settings->limits;

    memset(rules, 0, sizeof(*rules));
    rules->line_max = limits->line;
    rules->literal_max = limits->literal;
    rules->login_tries = limits->login_tries;
    rules->bad_commands = limits->bad_commands;
    rules->wrong_state_commands = limits->wrong_state_commands;
    rules->starttls = listener->tls == LISTENER_TLS_STARTTLS;
    if (settings->auth.mechanisms & AUTH_MECHANISM_PLAIN)
        rules->mechanisms |= SASL_PLAIN;
    if (settings->auth.mechanisms & AUTH_MECHANISM_LOGIN)
        rules->mechanisms |= SASL_LOGIN;
}

void session_begin_dialogue(struct session *session, bool is_secure)
{
    struct before_login *before = session->before;
    struct login_rules rules;

    fill_login_rules(session_settings(session), before->listener, &rules);
    before->login = login_new(&rules, is_secure);
    if (session->env->is_draining) {
        session_end(session, "drained", SESSION_GOING_DOWN);
        return;
    }
    login_greet(before->login);
    session_send_output(session);
}
