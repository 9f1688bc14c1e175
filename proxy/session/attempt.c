#include "session/attempt.h"

#include "base/clock.h"
#include "session/attempt_private.h"
#include "session/client_words.h"

#include <assert.h>
#include <stdlib.h>

static void on_timeout(struct wheel_timer *timer);

void attempt_refuse(struct attempt *attempt, enum login_answer answer,
                    enum counter counter, const char *reason)
{
    attempt->has_verdict = true;
    attempt->outcome.answer = answer;
    counters_add(attempt->env->counters, counter, 1);
    attempt_log_failure(attempt, LOG_INFO, reason, NULL, NULL);
}

bool attempt_refuse_unavailable(struct attempt *attempt, const char *why)
{
    attempt_refuse(attempt, LOGIN_ANSWER_UNAVAILABLE,
                   COUNTER_LOGINS_UNAVAILABLE, why);
    return false;
}

void attempt_finish(struct attempt *attempt)
{
    io_disarm(&attempt->env->io, &attempt->timer);
    attempt->handler(attempt, ATTEMPT_OVER, attempt->owner);
}

struct attempt *attempt_new(struct env *env,
                            const struct attempt_request *request,
                            attempt_handler *handler, void *owner)
{
    struct attempt *attempt = mem_zalloc(sizeof(*attempt));

    attempt->env = env;
    attempt->request = *request;
    if (request->client != NULL) {
        attempt->client = *request->client;
        attempt->request.client = &attempt->client;
    }
    attempt->handler = handler;
    attempt->owner = owner;
    attempt->snapshot = snapshot_ref(env->snapshot);
    wheel_timer_init(&attempt->timer, on_timeout);
    return attempt;
}

bool attempt_hold_back(struct attempt *attempt, uint64_t delay_ms)
{
    if (attempt->outcome.answer != LOGIN_ANSWER_BAD_CREDENTIALS)
        return false;
    attempt->stage = ATTEMPT_HOLD;
    io_arm(&attempt->env->io, &attempt->timer, delay_ms);
    return true;
}

/* A refusal without asking a backend takes as long as one of theirs, or time
 * would tell which users there are (threat D4). False: the attempt is over. */
static bool pretend_to_ask(struct attempt *attempt)
{
    return attempt_hold_back(
        attempt, failure_times_sample(&attempt->env->failure_times));
}

/* has_route: where the user goes is known already. */
static bool go_by_table(struct attempt *attempt, bool has_route)
{
    if (!(has_route ? attempt_take_route(attempt)
                    : attempt_find_route(attempt)))
        return pretend_to_ask(attempt);
    pick_start(&attempt->pick, attempt->route.pool, attempt->snapshot->backends,
               (const uint8_t *)attempt->identity.user,
               attempt->identity.user_len);
    return attempt_seek(attempt, "no-backend-up");
}

static void on_user(struct user_lookup *lookup, void *owner)
{
    struct attempt *attempt = owner;
    bool goes_on = false;

    attempt->lookup = NULL;
    switch (user_lookup_answer(lookup, &attempt->route)) {
    case USER_FOUND:
        attempt->route.key = attempt->identity.user;
        goes_on = go_by_table(attempt, true);
        break;
    case USER_UNKNOWN:
        goes_on = go_by_table(attempt, false);
        break;
    case USER_UNAVAILABLE:
        goes_on = attempt_refuse_unavailable(attempt, "users-unavailable");
        break;
    }
    if (!goes_on)
        attempt_finish(attempt);
}

/* What was offered and verified before a reload need not hold after it. */
static bool is_withdrawn(const struct attempt *attempt)
{
    const struct attempt_request *request = &attempt->request;
    unsigned needed = request->sasl != SASL_NONE ? (unsigned)request->sasl
                                                 : SASL_PLAIN | SASL_LOGIN;

    return (request->offered & needed) == 0 ||
           (request->credentials->kind == CREDENTIALS_CERTIFICATE &&
            request->is_outdated);
}

/* A reload while leave was waited for changes where the login goes. */
static bool follow_reload(struct attempt *attempt)
{
    if (attempt->snapshot == attempt->env->snapshot)
        return true;
    snapshot_unref(&attempt->snapshot);
    attempt->snapshot = snapshot_ref(attempt->env->snapshot);
    attempt->request.offered = attempt->snapshot->settings->auth.mechanisms;
    return attempt_name_user(attempt);
}

/* The new table may want what was not asked of the client's connection. */
static bool can_follow(const struct attempt *attempt)
{
    return !is_withdrawn(attempt) && (!attempt->snapshot->tells_clients ||
                                      attempt->request.client != NULL);
}

/* A token without a name is nobody's, and looked up nowhere. */
static bool ask_table(struct attempt *attempt)
{
    attempt->stage = ATTEMPT_ASK;
    attempt->asked_ms = clock_now_ms();
    if (!follow_reload(attempt))
        return pretend_to_ask(attempt);
    if (!can_follow(attempt))
        return attempt_refuse_unavailable(attempt, "withdrawn-by-reload");
    if (attempt->snapshot->users == NULL || attempt->identity.user_len == 0)
        return go_by_table(attempt, false);
    attempt->lookup =
        user_lookup_start(attempt->snapshot, attempt->env->io.loop,
                          &attempt->identity, on_user, attempt);
    return attempt->lookup != NULL ||
           attempt_refuse_unavailable(attempt, "users-unavailable");
}

static bool ask_leave(struct attempt *attempt)
{
    switch (attempt_ask_leave(attempt)) {
    case PENALTIES_GO:
        return ask_table(attempt);
    case PENALTIES_WAIT:
        return true;
    case PENALTIES_REFUSE:
        break;
    }
    counters_add(attempt->env->counters, COUNTER_LOGINS_PUT_OFF, 1);
    return attempt_refuse_unavailable(attempt, "too-many-failures");
}

bool attempt_start(struct attempt *attempt)
{
    /* A login that has come round to us would go on for ever. */
    if (!client_words_may_pass(attempt->request.proxy_ttl))
        return attempt_refuse_unavailable(attempt, "proxy-loop");
    if (is_withdrawn(attempt))
        return attempt_refuse_unavailable(attempt, "withdrawn-by-reload");
    if (!attempt_name_user(attempt))
        return pretend_to_ask(attempt);
    return ask_leave(attempt);
}

static void on_timeout(struct wheel_timer *timer)
{
    struct attempt *attempt =
        (struct attempt *)(void *)((char *)timer -
                                   offsetof(struct attempt, timer));

    switch (attempt->stage) {
    case ATTEMPT_WAIT:
        if (!ask_leave(attempt))
            attempt_finish(attempt);
        break;
    case ATTEMPT_ASK:
        attempt_login_timeout(attempt);
        break;
    case ATTEMPT_MOVE:
        if (attempt->login != NULL)
            attempt_finish_login(attempt, attempt_move_in(attempt));
        else if (!attempt_seek_on(attempt))
            attempt_finish(attempt);
        break;
    case ATTEMPT_HOLD:
        attempt_finish(attempt);
        break;
    }
}

const struct attempt_outcome *attempt_outcome(const struct attempt *attempt)
{
    return &attempt->outcome;
}

const struct identity *attempt_identity(const struct attempt *attempt)
{
    return &attempt->identity;
}

bool attempt_take_home(struct attempt *attempt)
{
    if (attempt->home.at == NULL)
        return false;
    homes_settle(&attempt->home);
    return true;
}

bool attempt_is_seeking(const struct attempt *attempt)
{
    return attempt->login == NULL;
}

const struct backend *attempt_backend(const struct attempt *attempt)
{
    /* Who waits to move goes to none yet, as the target was passed over; but
     * who has proved the password there is there. */
    if (attempt->target == NULL ||
        (attempt->stage == ATTEMPT_MOVE && attempt->login == NULL))
        return NULL;
    return attempt->target->facts;
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
    gate_leave(&mine->pass);
    penalties_answered(mine->env->penalties, &mine->claim,
                       attempt_penalty_verdict(mine), clock_now_ms());
    io_disarm(&mine->env->io, &mine->timer);
    link_free(&mine->link);
    user_lookup_drop(&mine->lookup);
    attempt_drop_login(mine);
    snapshot_unref(&mine->snapshot);
    free(mine);
}
