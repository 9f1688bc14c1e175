#include "session/session.h"

#include "base/clock.h"
#include "base/slab.h"
#include "session/evict.h"
#include "session/parting.h"
#include "session/session_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_client(struct stream *client, enum stream_event event,
                      void *owner);
static void on_timeout(struct wheel_timer *timer);

/* A session that has lasted so long gets the socket options that find a dead
 * backend, which takes minutes at best; most are gone by then and are spared
 * the system calls. */
enum {
    KEEPALIVE_AFTER_MS = 60000
};

/* How often those who are held back are looked at. */
enum {
    HELD_LOOK_MS = 1000
};

/* Clients at work say a word more often than that. */
enum {
    QUIET_MS = 5000
};

static bool may_enter(enum session_state from, enum session_state next)
{
    static const bool edges[SESSION_STATE_COUNT][SESSION_STATE_COUNT] = {
        [SESSION_ACCEPTED] = {[SESSION_HANDSHAKE] = true,
                              [SESSION_COMMAND] = true,
                              [SESSION_ENDING] = true},
        [SESSION_HANDSHAKE] =
            {[SESSION_COMMAND] = true, [SESSION_ENDING] = true},
        [SESSION_COMMAND] = {[SESSION_HANDSHAKE] = true,
                             [SESSION_ATTEMPT] = true,
                             [SESSION_ENDING] = true},
        [SESSION_ATTEMPT] = {[SESSION_COMMAND] = true,
                             [SESSION_SPLICE] = true,
                             [SESSION_ENDING] = true},
        [SESSION_SPLICE] = {[SESSION_ENDING] = true},
    };

    return edges[from][next];
}

#define SESSION_OF(member, name)                                               \
    ((struct session *)(void *)((char *)(member)-offsetof(struct session,      \
                                                          name)))

struct session *session_of_node(struct registry_node *node)
{
    return SESSION_OF(node, node);
}

static struct session *session_of_splice(struct splice *splice)
{
    return SESSION_OF(splice, splice);
}

static struct session *session_of_timer(struct wheel_timer *timer)
{
    return SESSION_OF(timer, timer);
}

/* The state's own time limit, within the absolute one before login. */
static void arm(struct session *session, uint64_t timeout_ms)
{
    if (session->before != NULL) {
        uint64_t now_ms = clock_now_ms();
        uint64_t left_ms = session->before->deadline_ms > now_ms
                               ? session->before->deadline_ms - now_ms
                               : 0;

        if (timeout_ms == 0 || timeout_ms > left_ms)
            timeout_ms = left_ms;
    } else if (timeout_ms == 0) {
        io_disarm(&session->env->io, &session->timer);
        return;
    }
    io_arm(&session->env->io, &session->timer, timeout_ms);
}

static uint64_t keepalive_after_ms(const struct session *session)
{
    uint64_t idle_ms =
        UINT64_C(1000) * session->env->snapshot->keepalive.idle_s;

    return idle_ms != 0 && idle_ms < KEEPALIVE_AFTER_MS ? idle_ms
                                                        : KEEPALIVE_AFTER_MS;
}

void session_enter(struct session *session, enum session_state next)
{
    assert(may_enter(session->state, next));
    if (session->before != NULL && next == SESSION_ENDING)
        registry_settle(session->env->registry, &session->node);
    session->state = next;
    switch (next) {
    case SESSION_ACCEPTED:
        break; /* nobody comes back to it */
    case SESSION_HANDSHAKE:
        arm(session, session_settings(session)->timeouts.handshake_ms);
        break;
    case SESSION_COMMAND:
    case SESSION_ATTEMPT:
        arm(session, 0);
        break;
    case SESSION_SPLICE:
        arm(session, keepalive_after_ms(session));
        break;
    case SESSION_ENDING:
        io_disarm(&session->env->io, &session->timer);
        break;
    }
}

static void count_dialogue(struct counters *counters, const struct login *login)
{
    const struct login_tally *tally = login_tally(login);

    counters_add(counters, COUNTER_BAD_COMMANDS, tally->bad_commands);
    counters_add(counters, COUNTER_CLEARTEXT_LOGINS, tally->cleartext_logins);
    counters_add(counters, COUNTER_HTTP_REQUESTS, tally->spoke_http ? 1 : 0);
}

static void free_before(struct session *session)
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

static void vanish(struct session *session)
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

static void on_ending(struct stream *stream, enum stream_event event,
                      void *owner)
{
    struct session *session = owner;

    switch (event) {
    case STREAM_CLOSED:
        if (stream == session->splice.client) {
            session->splice.client = NULL;
        } else {
            session->splice.upstream = NULL;
            leave_home(session);
        }
        if (--session->open_streams == 0)
            vanish(session);
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

/* The client hears now that its session is over. */
static void let_go(struct session *session)
{
    io_disarm(&session->env->io, &session->timer);
    end_stream(session, session_client(session));
}

static void on_held_back(struct stream *client, enum stream_event event,
                         void *owner)
{
    struct session *session = owner;

    switch (event) {
    case STREAM_DATA: /* it wants something: it shall get it elsewhere */
    case STREAM_EOF:
    case STREAM_FAILED:
        let_go(session);
        break;
    case STREAM_CLOSED:
        io_disarm(&session->env->io, &session->timer);
        on_ending(client, event, owner);
        break;
    case STREAM_SECURE:
    case STREAM_DRAINED:
        break;
    }
}

/* A drain shall not wait for those who are held back. */
static void wait_held_back(struct session *session)
{
    uint64_t now_ms = clock_now_ms();
    uint64_t until_ms = session->splice.active_ms;
    uint64_t left_ms = until_ms > now_ms ? until_ms - now_ms : 0;

    if (left_ms == 0 || session->env->is_draining)
        let_go(session);
    else
        io_arm(&session->env->io, &session->timer,
               left_ms < HELD_LOOK_MS ? left_ms : HELD_LOOK_MS);
}

static void hold_client_back(struct session *session, uint64_t hold_ms)
{
    struct stream *client = session_client(session);

    counters_add(session->env->counters, COUNTER_CLIENTS_HELD_BACK, 1);
    session->splice.active_ms = clock_now_ms() + hold_ms;
    stream_set_owner(client, on_held_back, session);
    stream_resume(client);
    wait_held_back(session);
}

/* All of it but its client, who may hear of it later. */
static void finish_but_client(struct session *session, const char *reason,
                              const char *detail)
{
    log_end_of(session, reason, detail);
    session_enter(session, SESSION_ENDING);
    limits_release(session->env->limits, &session->hold);
    if (session->backend != NULL)
        backend_session_closed(&session->backend);
    end_stream(session, session->splice.upstream);
    free_before(session);
}

void session_finish(struct session *session, const char *reason,
                    const char *detail)
{
    if (session->state == SESSION_ENDING)
        return;
    finish_but_client(session, reason, detail);
    end_stream(session, session_client(session));
}

/* Of those that a backend has left, only the quiet ones may have to wait: who
 * is at work, or says good-bye, has a use for the answer. */
static uint64_t hold_back_ms(const struct session *session)
{
    const struct env *env = session->env;

    if (env->is_draining || !session_is_quiet(session))
        return 0;
    return limits_hold_back_ms(env->limits, &session_settings(session)->limits,
                               &session->facts.peer, clock_now_ms());
}

static bool lose_backend(struct session *session, const char *detail)
{
    uint64_t hold_ms = hold_back_ms(session);

    if (hold_ms == 0)
        return false;
    finish_but_client(session, session->splice.reason, detail);
    hold_client_back(session, hold_ms);
    return true;
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

void session_watch_idle(struct session *session)
{
    if (session->state == SESSION_SPLICE &&
        !wheel_timer_is_armed(&session->timer))
        arm(session, session_settings(session)->timeouts.idle_ms);
}

static void on_splice(struct splice *splice, enum splice_event event,
                      const char *detail)
{
    struct session *session = session_of_splice(splice);

    switch (event) {
    case SPLICE_HALF_CLOSED:
        arm(session, session_settings(session)->timeouts.half_closed_ms);
        break;
    case SPLICE_BACKEND_ENDED:
        if (!lose_backend(session, detail))
            splice_pass_end(splice);
        break;
    case SPLICE_OVER:
        if (!splice_has_lost_backend(splice) || !lose_backend(session, detail))
            session_finish(session, splice->reason, detail);
        break;
    }
}

void session_start_tls(struct session *session)
{
    const struct before_login *before = session->before;
    SSL *ssl = tls_server_context_open(before->snapshot->tls,
                                       before->listener->client_certificates);

    session_enter(session, SESSION_HANDSHAKE);
    stream_start_tls(session_client(session), &session->env->io.front, ssl);
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
    free_before(session);
    limits_settle(session->env->limits, &session->hold);
    registry_settle(session->env->registry, &session->node);
    session_enter(session, SESSION_SPLICE);
}

static void on_secure(struct session *session)
{
    const SSL *ssl = stream_tls(session_client(session));
    struct before_login *before = session->before;

    session_facts_take_tls(&session->facts, ssl);
    counters_add(session->env->counters,
                 SSL_session_reused(ssl) ? COUNTER_HANDSHAKES_RESUMED
                                         : COUNTER_HANDSHAKES_FULL,
                 1);
    session_enter(session, SESSION_COMMAND);
    if (before->login == NULL)
        session_begin_dialogue(session, true);
    else
        session_dialogue_secured(session);
}

/* Who leaves between guess and answer would guess for free: the session stays
 * until the backend has judged, or longer than any delays a refusal. */
static void on_left(struct session *session, const char *reason,
                    const char *detail)
{
    if (session->state == SESSION_ATTEMPT &&
        attempt_is_judged(session->before->attempt)) {
        session->before->left = reason;
        arm(session, ATTEMPT_VERDICT_MS);
    } else {
        session_finish(session, reason, detail);
    }
}

static void on_failed(struct session *session)
{
    const char *why = stream_failure(session_client(session));

    if (session->state != SESSION_HANDSHAKE) {
        on_left(session, "client-failed", why);
        return;
    }
    /* A balancer that looks whether we are there goes when we are. */
    if (!session->facts.is_probe)
        counters_add(session->env->counters, COUNTER_HANDSHAKE_FAILURES, 1);
    session_finish(session, "handshake-failed", why);
}

static void on_client(struct stream *client, enum stream_event event,
                      void *owner)
{
    struct session *session = owner;

    switch (event) {
    case STREAM_SECURE:
        on_secure(session);
        break;
    case STREAM_DATA:
        if (session->state == SESSION_ACCEPTED)
            session_take_proxy(session);
        else
            session_take_bytes(session);
        break;
    case STREAM_DRAINED:
        session_resume(session);
        break;
    case STREAM_EOF:
        on_left(session,
                stream_was_truncated(client) ? "client-truncated"
                                             : "client-closed",
                NULL);
        break;
    case STREAM_FAILED:
        on_failed(session);
        break;
    case STREAM_CLOSED:
        break;
    }
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
        arm(session, limit_ms);
    else if (quiet_ms < limit_ms)
        arm(session, limit_ms - quiet_ms);
    else
        session_finish(session, "half-closed-timeout", NULL);
}

/* Activity only stamps a time; the timer looks at the stamp when it fires. */
static void on_splice_timeout(struct session *session)
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
        arm(session, 0);
    else if (quiet_ms < limit_ms)
        arm(session, limit_ms - quiet_ms);
    else
        session_finish(session, "idle-timeout", NULL);
}

void session_cut_short(struct session *session)
{
    if (session->before != NULL && session->before->attempt != NULL)
        attempt_cut_short(session->before->attempt);
}

static void on_timeout(struct wheel_timer *timer)
{
    struct session *session = session_of_timer(timer);

    switch (session->state) {
    case SESSION_ACCEPTED:
        counters_add(session->env->counters, COUNTER_TIMEOUTS, 1);
        session_refuse_proxy(session, "proxy-timeout", NULL);
        break;
    case SESSION_HANDSHAKE:
        counters_add(session->env->counters, COUNTER_TIMEOUTS, 1);
        counters_add(session->env->counters, COUNTER_HANDSHAKE_FAILURES, 1);
        session_finish(session, "handshake-timeout", NULL);
        break;
    case SESSION_COMMAND:
    case SESSION_ATTEMPT:
        session_cut_short(session);
        if (session->before->left != NULL) {
            session_finish(session, session->before->left, NULL);
            break;
        }
        counters_add(session->env->counters, COUNTER_TIMEOUTS, 1);
        session_end(session, "login-timeout", "Too slow. Bye.");
        break;
    case SESSION_SPLICE:
        on_splice_timeout(session);
        break;
    case SESSION_ENDING:
        wait_held_back(session);
        break;
    }
}

static void start(struct session *session)
{
    if (session->before->listener->tls == LISTENER_TLS_IMPLICIT) {
        session_start_tls(session);
        return;
    }
    session_enter(session, SESSION_COMMAND);
    session_begin_dialogue(session, false);
}

static struct before_login *new_before(struct session *session,
                                       struct snapshot *snapshot,
                                       const struct listener_config *listener)
{
    struct before_login *before = mem_zalloc(sizeof(*before));

    before->snapshot = snapshot_ref(snapshot);
    before->listener = listener;
    before->deadline_ms =
        clock_now_ms() + session_settings(session)->timeouts.before_login_ms;
    session_facts_id(&session->facts, before->id);
    counters_add(session->env->counters, COUNTER_SESSIONS_BEFORE_LOGIN, 1);
    return before;
}

static struct session *new_session(struct env *env, struct snapshot *snapshot,
                                   const struct listener_config *listener)
{
    struct session *session = slab_zalloc(sizeof(*session));

    session->env = env;
    session->state = SESSION_ACCEPTED;
    session->facts.worker = (uint16_t)env->worker;
    session->facts.number = ++env->sessions_made;
    session->facts.started_ms = clock_now_ms();
    wheel_timer_init(&session->timer, on_timeout);
    registry_add(env->registry, &session->node);
    counters_add(env->counters, COUNTER_SESSIONS_OPEN, 1);
    session->before = new_before(session, snapshot, listener);
    return session;
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

void session_local_address(const struct session *session,
                           struct address *address_out)
{
    const struct proxy_stage *proxy = session->before->proxy;

    if (proxy != NULL && proxy->header.has_addresses)
        *address_out = proxy->header.to;
    else
        (void)stream_local_address(session_client(session), address_out);
}

int session_open(struct env *env, int fd, const struct address *peer,
                 struct snapshot *snapshot,
                 const struct listener_config *listener)
{
    struct session *session = new_session(env, snapshot, listener);
    int result =
        stream_open(&env->io, fd, on_client, session, &session->splice.client);

    if (result != 0) {
        free_before(session);
        vanish(session);
        return result;
    }
    session->open_streams = 1;
    session->facts.peer = *peer;
    counters_add(env->counters, COUNTER_ACCEPTED, 1);
    if (session->before->listener->proxy_from_count > 0) {
        arm(session, session_settings(session)->timeouts.proxy_header_ms);
        session_begin_proxy(session);
    } else {
        session_admit(session);
    }
    return 0;
}

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

void session_cut_backend(struct session *session)
{
    if (session->splice.upstream != NULL)
        stream_close(session->splice.upstream);
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
