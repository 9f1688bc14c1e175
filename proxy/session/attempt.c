#include "session/attempt.h"

#include "backend/warm.h"
#include "base/clock.h"
#include "imap/span.h"
#include "session/attempt_private.h"
#include "session/client_words.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void on_gate(struct gate_pass *pass, bool is_in, void *owner);
static void on_link(struct link *link, bool is_ready, void *owner);
static void on_timeout(struct wheel_timer *timer);

void attempt_refuse(struct attempt *attempt, enum login_answer answer,
                    enum counter counter, const char *reason)
{
    attempt->has_verdict = true;
    attempt->outcome.answer = answer;
    counters_add(attempt->env->counters, counter, 1);
    attempt_log_failure(attempt, LOG_INFO, reason, NULL, NULL);
}

void attempt_finish(struct attempt *attempt)
{
    io_disarm(&attempt->env->io, &attempt->timer);
    attempt->handler(attempt, ATTEMPT_OVER, attempt->owner);
}

/* A connection that waits for a login, or else a dial; false when there is
 * neither. What waits at a backend that is down may wait for ever. */
static bool reach(struct attempt *attempt)
{
    const struct link_target *target = attempt->target;
    struct link_rules rules = snapshot_link_rules(attempt->snapshot);

    rules.client = &attempt->client;
    if (backend_state(target->facts) == BACKEND_UP)
        attempt->upstream =
            warm_take(attempt->env->warm, target, &attempt->capabilities);
    if (attempt->upstream != NULL)
        return true;
    if (!backend_may_dial(target->facts, clock_now_ms()))
        return false;
    attempt->link =
        link_open(&attempt->env->io, target, &rules, on_link, attempt);
    return true;
}

enum gate_answer attempt_enter_gate(struct attempt *attempt)
{
    const struct limits_settings *limits = &attempt->snapshot->settings->limits;
    unsigned logins_max = limits->backend_logins;
    enum gate_answer answer;

    if (logins_max != 0 && limits_is_exempt(limits, attempt->request.peer))
        logins_max = 0;
    answer =
        gate_enter(attempt->env->gate, &attempt->pass, attempt->target->facts,
                   logins_max, limits->backend_queue, on_gate, attempt);
    if (answer == GATE_WAITS)
        counters_add(attempt->env->counters, COUNTER_LOGINS_QUEUED, 1);
    return answer;
}

static bool refuse_unavailable(struct attempt *attempt, const char *why)
{
    attempt_refuse(attempt, LOGIN_ANSWER_UNAVAILABLE,
                   COUNTER_LOGINS_UNAVAILABLE, why);
    return false;
}

static bool refuse_crowd(struct attempt *attempt)
{
    counters_add(attempt->env->counters, COUNTER_LOGINS_CROWDED_OUT, 1);
    return refuse_unavailable(attempt, "backend-busy");
}

/* What takes nobody now is passed over as one that is down; where the user is
 * already, a drain changes nothing. */
static bool takes_anybody(const struct attempt *attempt,
                          const struct link_target *target, const char **why)
{
    unsigned max = target->config->max_sessions;
    bool is_there = attempt->is_at_home && target == attempt->target;

    switch (backend_mode(target->facts)) {
    case BACKEND_READY:
        break;
    case BACKEND_DRAINING:
        if (is_there)
            break;
        *why = "backend-draining";
        return false;
    case BACKEND_MAINTENANCE:
        *why = "backend-in-maintenance";
        return false;
    }
    if (max == 0 || backend_sessions(target->facts) < max)
        return true;
    *why = "backend-full";
    return false;
}

/* A connection to the candidate, or one on its way. *goes_on_out tells whether
 * the attempt does. False: to the next candidate. */
static bool take_place(struct attempt *attempt, bool *goes_on_out)
{
    const struct link_target *target = attempt->target;
    const char *why;

    if (takes_anybody(attempt, target, &why))
        attempt->backend =
            backend_session_try(target->facts, target->config->max_sessions);
    if (attempt->backend == NULL || !reach(attempt) ||
        (attempt->upstream != NULL && !attempt_arrive(attempt))) {
        attempt_leave_backend(attempt);
        return false;
    }
    *goes_on_out = attempt->upstream == NULL || attempt_start_login(attempt);
    return true;
}

/* The next of the pick that takes somebody who is new. */
static const struct backend_config *next_open(struct attempt *attempt,
                                              const char **why)
{
    const struct backend_config *config;

    while ((config = pick_next(&attempt->pick, clock_now_ms())) != NULL) {
        if (takes_anybody(attempt, snapshot_target(attempt->snapshot, config),
                          why))
            return config;
        attempt->target = snapshot_target(attempt->snapshot, config);
    }
    return NULL;
}

/* To the target: a backend that is only busy is waited for, since the user's
 * mail is there. Otherwise as take_place. */
static bool go_there(struct attempt *attempt, bool *goes_on_out)
{
    switch (attempt_enter_gate(attempt)) {
    case GATE_ENTERED:
        return take_place(attempt, goes_on_out);
    case GATE_WAITS:
        *goes_on_out = true;
        break;
    case GATE_FULL:
        *goes_on_out = refuse_crowd(attempt);
        break;
    }
    return true;
}

/* Goes to the next candidate. False: the attempt is over; why is the reason
 * when no candidate is left. */
static bool try_next(struct attempt *attempt, const char *why)
{
    for (;;) {
        const struct backend_config *wanted = next_open(attempt, &why);
        bool goes_on;

        switch (attempt_go_home(attempt, wanted)) {
        case HOME_THERE:
            break;
        case HOME_WAIT:
            return true;
        case HOME_NONE:
            return refuse_unavailable(attempt, why);
        }
        if (go_there(attempt, &goes_on))
            return goes_on;
    }
}

/* False: the attempt is over. */
static bool move_on(struct attempt *attempt)
{
    bool goes_on;

    switch (attempt_move_on(attempt)) {
    case HOME_THERE:
        return go_there(attempt, &goes_on) ? goes_on
                                           : try_next(attempt, "no-backend-up");
    case HOME_WAIT:
        return true;
    case HOME_NONE:
        break;
    }
    return refuse_unavailable(attempt, "other-sessions-remain");
}

static void on_gate(struct gate_pass *pass, bool is_in, void *owner)
{
    struct attempt *attempt = owner;
    bool goes_on;

    (void)pass;
    if (attempt->login != NULL)
        goes_on = attempt_resume_login(attempt, is_in);
    else if (!is_in)
        goes_on = refuse_crowd(attempt);
    else if (!take_place(attempt, &goes_on))
        goes_on = try_next(attempt, "no-backend-up");
    if (!goes_on)
        attempt_finish(attempt);
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
    return try_next(attempt, "no-backend-up");
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
        goes_on = refuse_unavailable(attempt, "users-unavailable");
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
        return refuse_unavailable(attempt, "withdrawn-by-reload");
    if (attempt->snapshot->users == NULL || attempt->identity.user_len == 0)
        return go_by_table(attempt, false);
    attempt->lookup =
        user_lookup_start(attempt->snapshot, attempt->env->io.loop,
                          &attempt->identity, on_user, attempt);
    return attempt->lookup != NULL ||
           refuse_unavailable(attempt, "users-unavailable");
}

static bool is_scram(const struct attempt *attempt)
{
    return (attempt->request.sasl & (SASL_SCRAM_SHA_1 | SASL_SCRAM_SHA_256)) !=
           0;
}

static const uint8_t *find_master(const struct attempt *attempt)
{
    const struct credentials *credentials = attempt->request.credentials;
    char separator =
        attempt->snapshot->settings->auth.identity.master_separator;

    return separator == '\0'
               ? NULL
               : memchr(credentials->user, separator, credentials->user_len);
}

bool attempt_is_by_the_user(const struct attempt *attempt)
{
    const struct credentials *credentials = attempt->request.credentials;

    return credentials->kind != CREDENTIALS_PASSWORD ||
           (credentials->authzid_len == 0 && find_master(attempt) == NULL);
}

/* Who acts for another by a name of their own, in whatever way they write it:
 * another way must not be another account to guess at. A master's name, which a
 * backend looks up elsewhere, keeps its separator. False: no user's name. */
static bool name_prover(const struct attempt *attempt, struct identity *out)
{
    const struct credentials *credentials = attempt->request.credentials;

    return find_master(attempt) == NULL &&
           identity_normalise(&attempt->snapshot->settings->auth.identity,
                              credentials->user, credentials->user_len,
                              out) == IDENTITY_OK;
}

/* No user's name is longer than is kept: that such names share their delay
 * harms nobody. */
static void copy_prover(const struct attempt *attempt, struct identity *out)
{
    const struct credentials *credentials = attempt->request.credentials;
    const uint8_t *master = find_master(attempt);
    size_t from = master == NULL ? 0 : (size_t)(master - credentials->user);

    out->user_len = credentials->user_len - from;
    if (out->user_len > IDENTITY_MAX)
        out->user_len = IDENTITY_MAX;
    memcpy(out->user, credentials->user + from, out->user_len);
    identity_lower(out->user, out->user_len);
}

/* Whose password it is that may be guessed: not always the user's whom it is
 * to open (RFC 4616, 2, and the master separator). Else guesses at one who may
 * act for all would be spread over the names of all. */
static struct imap_span prover_of(const struct attempt *attempt,
                                  struct identity *other)
{
    const struct identity *prover = other;

    if (attempt_is_by_the_user(attempt))
        prover = &attempt->identity;
    else if (!name_prover(attempt, other))
        copy_prover(attempt, other);
    return (struct imap_span){(const uint8_t *)prover->user, prover->user_len};
}

/* SCRAM's message is another one each time, whatever the password. */
static struct penalties_attempt describe_try(const struct attempt *attempt,
                                             struct imap_span prover)
{
    const struct credentials *credentials = attempt->request.credentials;

    return (struct penalties_attempt){
        .peer = attempt->request.peer,
        .user = prover.bytes,
        .user_len = prover.len,
        .secret = is_scram(attempt) ? NULL : credentials->secret,
        .secret_len = is_scram(attempt) ? 0 : credentials->secret_len,
    };
}

static void wait_for_leave(struct attempt *attempt, uint64_t wait_ms,
                           bool is_first)
{
    if (is_first)
        counters_add(attempt->env->counters, COUNTER_LOGINS_DELAYED, 1);
    attempt->stage = ATTEMPT_WAIT;
    io_arm(&attempt->env->io, &attempt->timer, wait_ms);
}

/* Who has shown a certificate guesses nothing. */
static bool ask_leave(struct attempt *attempt)
{
    struct identity other;
    const struct penalties_attempt try =
        describe_try(attempt, prover_of(attempt, &other));
    bool is_first = attempt->claim.stage == PENALTY_NEW;
    uint64_t wait_ms;

    if (attempt->request.credentials->kind == CREDENTIALS_CERTIFICATE)
        return ask_table(attempt);
    switch (penalties_ask(attempt->env->penalties, attempt->snapshot->settings,
                          &try, clock_now_ms(), &attempt->claim, &wait_ms)) {
    case PENALTIES_GO:
        return ask_table(attempt);
    case PENALTIES_WAIT:
        wait_for_leave(attempt, wait_ms, is_first);
        return true;
    case PENALTIES_REFUSE:
        break;
    }
    counters_add(attempt->env->counters, COUNTER_LOGINS_PUT_OFF, 1);
    return refuse_unavailable(attempt, "too-many-failures");
}

bool attempt_is_judged(const struct attempt *attempt)
{
    return attempt->claim.stage == PENALTY_GONE &&
           (attempt->stage == ATTEMPT_HOLD ||
            (attempt->login != NULL && !attempt->awaits_client &&
             attempt->pass.place != GATE_QUEUED));
}

bool attempt_start(struct attempt *attempt)
{
    /* A login that has come round to us would go on for ever. */
    if (!client_words_may_pass(attempt->request.proxy_ttl))
        return refuse_unavailable(attempt, "proxy-loop");
    if (is_withdrawn(attempt))
        return refuse_unavailable(attempt, "withdrawn-by-reload");
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
        else if (!move_on(attempt))
            attempt_finish(attempt);
        break;
    case ATTEMPT_HOLD:
        attempt_finish(attempt);
        break;
    }
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
    if (is_ready && attempt_arrive(attempt)) {
        goes_on = attempt_start_login(attempt);
    } else {
        attempt_leave_backend(attempt);
        goes_on = try_next(attempt, "no-backend");
    }
    if (!goes_on)
        attempt_finish(attempt);
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

/* A challenge to a token says what is wrong with it, and SCRAM's second one
 * whether the proof was good: whoever leaves then has learnt it. */
static bool has_learnt_enough(const struct attempt *attempt)
{
    return attempt->challenges >= (is_scram(attempt) ? 2 : 1);
}

/* Ended by us, at its deadline or to make room, before the backend could be
 * expected to have judged: its guess is charged, or else there would be a
 * moment to guess in for free. */
static bool was_cut_short(const struct attempt *attempt)
{
    return attempt->is_cut_short && !attempt->has_verdict &&
           attempt_is_judged(attempt) &&
           clock_now_ms() - attempt->sent_ms < ATTEMPT_VERDICT_MS;
}

void attempt_cut_short(struct attempt *attempt)
{
    attempt->is_cut_short = true;
}

/* What it tells of the credentials. */
static enum penalties_outcome verdict(const struct attempt *attempt)
{
    bool is_answered = attempt->has_verdict &&
                       attempt->outcome.answer != LOGIN_ANSWER_UNAVAILABLE;

    if (attempt->is_proven)
        return PENALTIES_OK;
    if (!is_answered)
        return has_learnt_enough(attempt) || was_cut_short(attempt)
                   ? PENALTIES_FAILED
                   : PENALTIES_OTHER;
    switch (attempt->outcome.answer) {
    case LOGIN_ANSWER_BAD_CREDENTIALS:
    case LOGIN_ANSWER_UNCODED:
        return PENALTIES_FAILED;
    case LOGIN_ANSWER_LIMIT:
    case LOGIN_ANSWER_UNAVAILABLE:
    case LOGIN_ANSWER_CODED:
    case LOGIN_ANSWER_AUTHORIZATION:
        break;
    }
    return PENALTIES_OTHER;
}

void attempt_free(struct attempt **attempt)
{
    struct attempt *mine = *attempt;

    *attempt = NULL;
    if (mine == NULL)
        return;
    gate_leave(&mine->pass);
    penalties_answered(mine->env->penalties, &mine->claim, verdict(mine),
                       clock_now_ms());
    io_disarm(&mine->env->io, &mine->timer);
    link_free(&mine->link);
    user_lookup_drop(&mine->lookup);
    attempt_drop_login(mine);
    snapshot_unref(&mine->snapshot);
    free(mine);
}
