#include "auth/sasl_server.h"
#include "net/client_certificate.h"
#include "session/session_private.h"

#include <assert.h>
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

/* What the client sent ahead is its dialogue from here on. */
static void run_ahead(struct session *session)
{
    struct wiped_buffer ahead = session->before->ahead;

    memset(&session->before->ahead, 0, sizeof(session->before->ahead));
    stream_resume(session_client(session));
    run_dialogue(session, ahead.bytes, ahead.len);
    wiped_buffer_deinit(&ahead);
}

/* To the process that serves by now. */
static bool turn_away(struct session *session)
{
    if (session->env->takes_no_logins)
        session_end(session, "upgraded", SESSION_KICKED);
    return session->env->takes_no_logins;
}

static void finish_attempt(struct session *session)
{
    const struct attempt_outcome *outcome =
        attempt_outcome(session->before->attempt);

    if (session->before->left != NULL)
        session_finish(session, session->before->left, NULL);
    else if (outcome->is_logged_in)
        session_start_splice(session, outcome);
    else if (answer_failure(session, outcome) && !turn_away(session))
        run_ahead(session);
}

/* A backend whose questions go beyond all measure is refused an answer. */
static void relay_challenge(struct session *session)
{
    struct before_login *before = session->before;
    size_t alerts_len, len;
    const uint8_t *alerts = attempt_alerts(before->attempt, &alerts_len);
    const uint8_t *base64 = attempt_challenge(before->attempt, &len);

    if (alerts_len > 0)
        (void)stream_write(session_client(session), alerts, alerts_len);
    if (!login_challenge(before->login, base64, len)) {
        attempt_give_up(before->attempt, "backend-challenge");
        finish_attempt(session);
        return;
    }
    session_send_output(session);
    run_ahead(session);
}

static void on_attempt(struct attempt *attempt, enum attempt_event event,
                       void *owner)
{
    struct session *session = owner;

    (void)attempt;
    switch (event) {
    case ATTEMPT_CHALLENGE:
        if (session->before->left != NULL)
            session_finish(session, session->before->left, NULL);
        else
            relay_challenge(session);
        break;
    case ATTEMPT_OVER:
        finish_attempt(session);
        break;
    }
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

/* Backends that ask for it are told who the client is; where none does, the
 * system call for the address that it connected to is spared. */
static const struct proxy_client *describe_client(const struct session *session,
                                                  struct proxy_client *out)
{
    const struct session_facts *facts = &session->facts;

    if (!session->env->snapshot->tells_clients)
        return NULL;
    *out = (struct proxy_client){.from = facts->peer,
                                 .tls_version = facts->tls_version,
                                 .tls_cipher = facts->tls_cipher,
                                 .sni = facts->names};
    session_local_address(session, &out->to);
    return out;
}

static void try_login(struct session *session)
{
    struct before_login *before = session->before;
    struct proxy_client client;
    struct attempt_request request = {
        .credentials = login_credentials(before->login),
        .sasl = login_sasl(before->login),
        .tag = login_tag(before->login),
        .mechanism = login_mechanism(before->login),
        .session = before->id,
        .peer = &session->facts.peer,
        .hold = &session->hold,
        .offered = session_settings(session)->auth.mechanisms,
        .is_outdated = before->snapshot->tls != session->env->snapshot->tls,
        .client_id = login_client_id(before->login),
        .proxy_ttl = login_proxy_ttl(before->login),
        .client = describe_client(session, &client),
    };

    if (turn_away(session))
        return;
    session_enter(session, SESSION_ATTEMPT);
    before->attempt = attempt_new(session->env, &request, on_attempt, session);
    if (!attempt_start(before->attempt))
        (void)answer_failure(session, attempt_outcome(before->attempt));
}

/* The client's answer to a challenge of the backend's. */
static void relay_answer(struct session *session)
{
    struct before_login *before = session->before;
    size_t len;
    const uint8_t *line = login_relayed(before->login, &len);

    if (!attempt_answer(before->attempt, line, len))
        (void)answer_failure(session, attempt_outcome(before->attempt));
}

/* The client has given up: nobody waits for the backend's verdict. */
static void drop_attempt(struct session *session)
{
    attempt_free(&session->before->attempt);
    session_enter(session, SESSION_COMMAND);
    session_send_output(session);
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

/* Whether the client's next bytes are for the dialogue: while a backend has
 * the word they wait. */
static bool is_in_dialogue(const struct session *session)
{
    return session->state == SESSION_COMMAND ||
           (session->state == SESSION_ATTEMPT &&
            attempt_awaits_client(session->before->attempt));
}

static void run_dialogue(struct session *session, const uint8_t *bytes,
                         size_t len)
{
    while (len > 0 && is_in_dialogue(session)) {
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
            session_send_output(session);
            relay_answer(session);
            break;
        case LOGIN_CANCELLED:
            drop_attempt(session);
            break;
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

/* The bits of config/ and of auth/, which know nothing of each other. */
static_assert((unsigned)AUTH_MECHANISM_PLAIN == SASL_PLAIN &&
                  (unsigned)AUTH_MECHANISM_LOGIN == SASL_LOGIN &&
                  (unsigned)AUTH_MECHANISM_XOAUTH2 == SASL_XOAUTH2 &&
                  (unsigned)AUTH_MECHANISM_OAUTHBEARER == SASL_OAUTHBEARER &&
                  (unsigned)AUTH_MECHANISM_EXTERNAL == SASL_EXTERNAL &&
                  (unsigned)AUTH_MECHANISM_SCRAM_SHA_1 == SASL_SCRAM_SHA_1 &&
                  (unsigned)AUTH_MECHANISM_SCRAM_SHA_256 == SASL_SCRAM_SHA_256,
              "a mechanism has one bit wherever it is spoken of");

static void fill_login_rules(const struct snapshot *snapshot,
                             const struct listener_config *listener,
                             struct login_rules *rules)
{
    const struct settings *settings = snapshot->settings;
    const struct limits_settings *limits = &settings->limits;

    memset(rules, 0, sizeof(*rules));
    rules->line_max = limits->line;
    rules->literal_max = limits->literal;
    rules->login_tries = limits->login_tries;
    rules->bad_commands = limits->bad_commands;
    rules->wrong_state_commands = limits->wrong_state_commands;
    rules->starttls = listener->tls == LISTENER_TLS_STARTTLS;
    rules->mechanisms = settings->auth.mechanisms;
    rules->imap4rev2 = settings->imap4rev2;
    rules->keeps_id = snapshot->tells_clients;
}

static void take_certificate(struct session *session)
{
    struct before_login *before = session->before;
    char user[CLIENT_CERTIFICATE_USER_MAX + 1];

    if (before->listener->client_certificates &&
        client_certificate_user(stream_tls(session_client(session)),
                                before->snapshot->settings->tls.client_user,
                                user, sizeof(user)))
        login_set_certificate_user(before->login, user);
}

void session_dialogue_secured(struct session *session)
{
    login_secured(session->before->login);
    take_certificate(session);
}

void session_begin_dialogue(struct session *session, bool is_secure)
{
    struct before_login *before = session->before;
    struct login_rules rules;

    fill_login_rules(session->env->snapshot, before->listener, &rules);
    before->login = login_new(&rules, is_secure);
    if (session->env->is_draining) {
        session_end(session, "drained", SESSION_GOING_DOWN);
        return;
    }
    if (turn_away(session))
        return;
    if (is_secure)
        take_certificate(session);
    login_greet(before->login);
    session_send_output(session);
}
