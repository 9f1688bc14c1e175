/* The login at the backend that was reached. */
#include "base/clock.h"
#include "session/attempt_private.h"
#include "session/client_words.h"
#include "session/parting.h"
#include "session/upstream_notes.h"

/* How long a client may take to answer a challenge: programs do, not people. */
enum {
    CLIENT_ANSWER_MS = 15000
};

static void on_upstream(struct stream *stream, enum stream_event event,
                        void *owner);

static void ignore(struct stream *stream, enum stream_event event, void *owner)
{
    (void)stream;
    (void)event;
    (void)owner;
}

void attempt_leave_backend(struct attempt *attempt)
{
    if (attempt->upstream != NULL) {
        stream_set_owner(attempt->upstream, ignore, NULL);
        stream_end(attempt->upstream, STREAM_DISCARD_MS);
        attempt->upstream = NULL;
    }
    if (attempt->backend != NULL)
        backend_session_closed(&attempt->backend);
    gate_leave(&attempt->pass);
}

/* Where the backend has not said no, it may let the user in all the same. */
static void part(struct attempt *attempt)
{
    if (attempt->login == NULL || attempt->upstream == NULL ||
        attempt->home.at == NULL || attempt->home.is_seeking)
        return;
    parting_take(attempt->env->homes, &attempt->home, attempt->upstream);
    attempt->upstream = NULL;
}

void attempt_drop_login(struct attempt *attempt)
{
    part(attempt);
    upstream_login_free(&attempt->login);
    attempt_leave_backend(attempt);
    homes_leave(attempt->env->homes, &attempt->home);
}

static void send_to_backend(struct attempt *attempt)
{
    size_t len;
    const uint8_t *bytes = upstream_login_to_backend(attempt->login, &len);

    if (len > 0)
        (void)stream_write(attempt->upstream, bytes, len);
    upstream_login_to_backend_clear(attempt->login);
}

static void fail_upstream(struct attempt *attempt, const char *reason,
                          const char *detail)
{
    attempt_break_off(attempt, reason, detail);
    attempt_finish(attempt);
}

void attempt_login_timeout(struct attempt *attempt)
{
    counters_add(attempt->env->counters, COUNTER_TIMEOUTS, 1);
    fail_upstream(attempt,
                  attempt->awaits_client ? "client-slow" : "backend-timeout",
                  NULL);
}

static void await_backend(struct attempt *attempt)
{
    io_arm(&attempt->env->io, &attempt->timer,
           attempt->snapshot->settings->timeouts.login_reply_ms);
}

/* The client has the next word. It takes up no place of those who log in at
 * the backend: silence is free, and would keep everybody else out. */
static void pass_challenge(struct attempt *attempt)
{
    attempt->challenges++;
    attempt->awaits_client = true;
    gate_leave(&attempt->pass);
    backend_session_closed(&attempt->backend);
    io_arm(&attempt->env->io, &attempt->timer, CLIENT_ANSWER_MS);
    attempt->handler(attempt, ATTEMPT_CHALLENGE, attempt->owner);
}

static void take_lines(struct attempt *attempt, const uint8_t *bytes,
                       size_t len)
{
    size_t used;
    enum upstream_login_result result =
        upstream_login_feed(attempt->login, bytes, len, &used);

    send_to_backend(attempt);
    switch (result) {
    case UPSTREAM_LOGIN_MORE:
        return;
    case UPSTREAM_LOGIN_CHALLENGE:
        pass_challenge(attempt);
        return;
    case UPSTREAM_LOGIN_DONE:
        if (!attempt_succeed(attempt, bytes + used, len - used))
            return;
        break;
    case UPSTREAM_LOGIN_REFUSED:
    case UPSTREAM_LOGIN_BROKEN:
        attempt_take_refusal(attempt);
        if (attempt_hold_to_tick(attempt))
            return;
        break;
    }
    attempt_finish(attempt);
}

static void on_upstream(struct stream *stream, enum stream_event event,
                        void *owner)
{
    struct attempt *attempt = owner;
    size_t len;

    switch (event) {
    case STREAM_DATA: {
        const uint8_t *bytes = stream_lent(stream, &len);

        if (attempt->is_proven)
            fail_upstream(attempt, "backend-out-of-turn", NULL);
        else
            take_lines(attempt, bytes, len);
        break;
    }
    case STREAM_EOF:
        fail_upstream(attempt, "backend-closed", NULL);
        break;
    case STREAM_FAILED:
        fail_upstream(attempt, "backend-failed", stream_failure(stream));
        break;
    case STREAM_SECURE:
    case STREAM_DRAINED:
    case STREAM_CLOSED:
        break;
    }
}

/* What we have to say waits for an answer; false: there is nothing to say. */
static bool speak(struct attempt *attempt, enum upstream_login_result result)
{
    send_to_backend(attempt);
    if (result == UPSTREAM_LOGIN_MORE) {
        await_backend(attempt);
        return true;
    }
    attempt_take_refusal(attempt);
    return false;
}

bool attempt_start_login(struct attempt *attempt)
{
    const struct attempt_request *with = &attempt->request;
    const struct client_facts facts = {&attempt->client, with->session,
                                       with->client_id, with->proxy_ttl};
    struct client_words words;
    struct upstream_login_request request = {
        .credentials = with->credentials,
        .sasl = with->sasl,
        .login_as = attempt->route.login_as == NULL ? NULL : attempt->login_as,
        .tag = with->tag,
        .master = snapshot_master(attempt->snapshot, attempt->route.pool,
                                  attempt->target->config),
        .known = &attempt->capabilities,
        .passes_uncoded_no =
            attempt->snapshot->settings->auth.passes_uncoded_no,
    };

    client_words_compose(&words, attempt->target->config, &facts);
    request.id = words.text;
    request.id_len = words.len;
    stream_set_owner(attempt->upstream, on_upstream, attempt);
    attempt->sent_ms = clock_now_ms();
    attempt->login = upstream_login_new();
    upstream_notes_before(attempt->target->facts, &attempt->capabilities,
                          with->offered);
    return speak(attempt, upstream_login_start(attempt->login, &request));
}

const uint8_t *attempt_challenge(const struct attempt *attempt, size_t *len_out)
{
    return upstream_login_challenge(attempt->login, len_out);
}

const uint8_t *attempt_alerts(const struct attempt *attempt, size_t *len_out)
{
    return upstream_login_to_client(attempt->login, len_out);
}

bool attempt_awaits_client(const struct attempt *attempt)
{
    return attempt->awaits_client;
}

/* No proof was looked at. */
static bool lose_place(struct attempt *attempt, const char *reason)
{
    attempt->challenges = 0;
    attempt_break_off(attempt, reason, NULL);
    return false;
}

static bool answer_backend(struct attempt *attempt)
{
    const struct link_target *target = attempt->target;

    attempt->backend =
        backend_session_try(target->facts, target->config->max_sessions);
    if (attempt->backend == NULL)
        return lose_place(attempt, "backend-full");
    attempt->sent_ms = clock_now_ms();
    return speak(attempt,
                 upstream_login_answer(attempt->login, attempt->answer.bytes,
                                       attempt->answer.len));
}

bool attempt_resume_login(struct attempt *attempt, bool is_in)
{
    if (is_in)
        return answer_backend(attempt);
    counters_add(attempt->env->counters, COUNTER_LOGINS_CROWDED_OUT, 1);
    return lose_place(attempt, "backend-busy");
}

/* The place was given up while the client had the word. */
bool attempt_answer(struct attempt *attempt, const uint8_t *line, size_t len)
{
    attempt->awaits_client = false;
    attempt->answer = (struct imap_span){line, len};
    switch (attempt_enter_gate(attempt)) {
    case GATE_ENTERED:
        return answer_backend(attempt);
    case GATE_WAITS:
        io_disarm(&attempt->env->io, &attempt->timer);
        return true;
    case GATE_FULL:
        break;
    }
    return attempt_resume_login(attempt, false);
}
