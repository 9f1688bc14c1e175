#include "session/attempt.h"

#include "backend/warm.h"
#include "base/clock.h"
#include "session/attempt_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void on_link(struct link *link, bool is_ready, void *owner);
static void on_upstream(struct stream *stream, enum stream_event event,
                        void *owner);
static void on_timeout(struct wheel_timer *timer);
static bool start_login(struct attempt *attempt);

static void ignore(struct stream *stream, enum stream_event event, void *owner)
{
    (void)stream;
    (void)event;
    (void)owner;
}

void attempt_refuse(struct attempt *attempt, enum login_answer answer,
                    enum counter counter, const char *reason)
{
    attempt->outcome.answer = answer;
    counters_add(attempt->env->counters, counter, 1);
    attempt_log_failure(attempt, LOG_INFO, reason, NULL, NULL);
}

static void finish(struct attempt *attempt)
{
    io_disarm(&attempt->env->io, &attempt->timer);
    attempt->handler(attempt, attempt->owner);
}

/* Asked once the backend has said OK: a stranger who knows a name must not
 * hold that user's places, nor learn that they are taken. */
static bool respects_limits(struct attempt *attempt)
{
    const struct limits_settings *rules = &attempt->snapshot->settings->limits;
    enum limits_answer answer =
        limits_login(attempt->env->limits, rules, attempt->request.peer,
                     (const uint8_t *)attempt->identity.user,
                     attempt->identity.user_len, attempt->request.hold);

    if (answer == LIMITS_OK)
        return true;
    attempt_refuse(attempt, LOGIN_ANSWER_LIMIT, COUNTER_REFUSED_LIMIT,
                   limits_answer_name(answer));
    return false;
}

/* A connection that waits for a login, or else a dial; false when there is
 * neither. What waits at a backend that is down may wait for ever. */
static bool reach(struct attempt *attempt, uint64_t now_ms)
{
    const struct link_target *target = attempt->target;
    struct link_rules rules = snapshot_link_rules(attempt->snapshot);

    if (backend_state(target->facts) == BACKEND_UP)
        attempt->upstream =
            warm_take(attempt->env->warm, target, &attempt->capabilities);
    if (attempt->upstream != NULL)
        return true;
    if (!backend_may_dial(target->facts, now_ms))
        return false;
    attempt->link =
        link_open(&attempt->env->io, target, &rules, on_link, attempt);
    return true;
}

/* Goes to the next candidate. False: the attempt is over; why is the reason
 * when no candidate is left. */
static bool try_next(struct attempt *attempt, const char *why)
{
    uint64_t now_ms = clock_now_ms();
    const struct backend_config *config;

    while ((config = pick_next(&attempt->pick, now_ms)) != NULL) {
        attempt->target = snapshot_target(attempt->snapshot, config);
        if (reach(attempt, now_ms))
            return attempt->upstream == NULL || start_login(attempt);
    }
    attempt_refuse(attempt, LOGIN_ANSWER_UNAVAILABLE,
                   COUNTER_LOGINS_UNAVAILABLE, why);
    return false;
}

struct attempt *attempt_new(struct env *env,
                            const struct attempt_request *request,
                            attempt_handler *handler, void *owner)
{
    struct attempt *attempt = mem_zalloc(sizeof(*attempt));

    attempt->env = env;
    attempt->request = *request;
    attempt->handler = handler;
    attempt->owner = owner;
    attempt->snapshot = snapshot_ref(env->snapshot);
    wheel_timer_init(&attempt->timer, on_timeout);
    return attempt;
}

bool attempt_start(struct attempt *attempt)
{
    if (!attempt_name_user(attempt) || !attempt_find_route(attempt))
        return false;
    pick_start(&attempt->pick, attempt->route.pool, attempt->snapshot->backends,
               (const uint8_t *)attempt->identity.user,
               attempt->identity.user_len);
    return try_next(attempt, "no-backend-up");
}

static void drop_upstream(struct attempt *attempt)
{
    upstream_login_free(&attempt->login);
    if (attempt->upstream != NULL) {
        stream_set_owner(attempt->upstream, ignore, NULL);
        stream_end(attempt->upstream, STREAM_DISCARD_MS);
        attempt->upstream = NULL;
    }
    if (attempt->backend != NULL)
        backend_session_closed(&attempt->backend);
}

static void take_refusal(struct attempt *attempt)
{
    const struct upstream_refusal *refusal =
        upstream_login_refusal(attempt->login);
    struct attempt_outcome *outcome = &attempt->outcome;

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
    attempt_log_failure(attempt,
                        refusal->is_config_fault ? LOG_ERROR : LOG_INFO,
                        refusal->reason, NULL, refusal);
}

static void succeed(struct attempt *attempt, const uint8_t *rest, size_t len)
{
    struct attempt_outcome *outcome = &attempt->outcome;

    if (!respects_limits(attempt)) {
        drop_upstream(attempt);
        return;
    }
    outcome->is_logged_in = true;
    outcome->to_client =
        upstream_login_to_client(attempt->login, &outcome->to_client_len);
    outcome->rest = rest;
    outcome->rest_len = len;
    counters_add(attempt->env->counters, COUNTER_LOGINS_OK, 1);
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
    attempt->outcome.answer = LOGIN_ANSWER_UNAVAILABLE;
    counters_add(attempt->env->counters, COUNTER_LOGINS_UNAVAILABLE, 1);
    attempt_log_failure(attempt, LOG_WARN, reason, detail, NULL);
    drop_upstream(attempt);
    finish(attempt);
}

/* False: the attempt is over. */
static bool take_login_result(struct attempt *attempt,
                              enum upstream_login_result result,
                              const uint8_t *rest, size_t len)
{
    send_to_backend(attempt);
    switch (result) {
    case UPSTREAM_LOGIN_MORE:
    case UPSTREAM_LOGIN_CHALLENGE:
        return true;
    case UPSTREAM_LOGIN_DONE:
        succeed(attempt, rest, len);
        return false;
    case UPSTREAM_LOGIN_REFUSED:
    case UPSTREAM_LOGIN_BROKEN:
        break;
    }
    take_refusal(attempt);
    return false;
}

static void on_upstream(struct stream *stream, enum stream_event event,
                        void *owner)
{
    struct attempt *attempt = owner;
    size_t len, used;

    switch (event) {
    case STREAM_DATA: {
        const uint8_t *bytes = stream_lent(stream, &len);
        enum upstream_login_result result =
            upstream_login_feed(attempt->login, bytes, len, &used);

        if (!take_login_result(attempt, result, bytes + used, len - used))
            finish(attempt);
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

static void on_timeout(struct wheel_timer *timer)
{
    struct attempt *attempt =
        (struct attempt *)(void *)((char *)timer -
                                   offsetof(struct attempt, timer));

    counters_add(attempt->env->counters, COUNTER_TIMEOUTS, 1);
    fail_upstream(attempt, "backend-timeout", NULL);
}

/* From here on credentials are on their way: nobody else is tried
 * (design.md, section 2, Failover). False: the attempt is over. */
static bool start_login(struct attempt *attempt)
{
    const struct upstream_login_request request = {
        .credentials = attempt->request.credentials,
        .login_as = attempt->route.login_as == NULL ? NULL : attempt->login_as,
        .tag = attempt->request.tag,
        .known = &attempt->capabilities,
    };
    enum upstream_login_result result;

    stream_set_owner(attempt->upstream, on_upstream, attempt);
    attempt->backend = backend_session_opened(attempt->target->facts);
    attempt->login = upstream_login_new();
    io_arm(&attempt->env->io, &attempt->timer,
           attempt->snapshot->settings->timeouts.login_reply_ms);
    result = upstream_login_start(attempt->login, &request);
    return take_login_result(attempt, result, NULL, 0);
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
    goes_on = is_ready ? start_login(attempt) : try_next(attempt, "no-backend");
    if (!goes_on)
        finish(attempt);
}

const struct attempt_outcome *attempt_outcome(const struct attempt *attempt)
{
    return &attempt->outcome;
}

const struct identity *attempt_identity(const struct attempt *attempt)
{
    return &attempt->identity;
}

struct stream *attempt_take_stream(struct attempt *attempt)
{
    struct stream *stream = attempt->upstream;

    assert(stream != NULL);
    attempt->upstream = NULL;
    return stream;
}

struct backend *attempt_take_backend(struct attempt *attempt)
{
    struct backend *backend = attempt->backend;

    assert(backend != NULL);
    attempt->backend = NULL;
    return backend;
}

void attempt_free(struct attempt **attempt)
{
    struct attempt *mine = *attempt;

    *attempt = NULL;
    if (mine == NULL)
        return;
    io_disarm(&mine->env->io, &mine->timer);
    link_free(&mine->link);
    drop_upstream(mine);
    snapshot_unref(&mine->snapshot);
    free(mine);
}
