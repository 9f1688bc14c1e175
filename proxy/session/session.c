#include "session/session.h"

#include "base/clock.h"
#include "base/slab.h"
#include "session/session_private.h"

#include <assert.h>

static void on_client(struct stream *client, enum stream_event event,
                      void *owner);
static void on_timeout(struct wheel_timer *timer);

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

struct session *session_of_node(struct registry_node *node)
{
    return SESSION_OF(node, node);
}

static struct session *session_of_timer(struct wheel_timer *timer)
{
    return SESSION_OF(timer, timer);
}

void session_arm(struct session *session, uint64_t timeout_ms)
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
        session_arm(session, session_settings(session)->timeouts.handshake_ms);
        break;
    case SESSION_COMMAND:
    case SESSION_ATTEMPT:
        session_arm(session, 0);
        break;
    case SESSION_SPLICE:
        session_watch_splice(session);
        break;
    case SESSION_ENDING:
        io_disarm(&session->env->io, &session->timer);
        break;
    }
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

int session_open(struct env *env, int fd, const struct address *peer,
                 struct snapshot *snapshot,
                 const struct listener_config *listener)
{
    struct session *session = new_session(env, snapshot, listener);
    int result =
        stream_open(&env->io, fd, on_client, session, &session->splice.client);

    if (result != 0) {
        session_free_before(session);
        session_vanish(session);
        return result;
    }
    session->open_streams = 1;
    session->facts.peer = *peer;
    counters_add(env->counters, COUNTER_ACCEPTED, 1);
    if (session->before->listener->proxy_from_count > 0) {
        session_arm(session,
                    session_settings(session)->timeouts.proxy_header_ms);
        session_begin_proxy(session);
    } else {
        session_admit(session);
    }
    return 0;
}

void session_start_tls(struct session *session)
{
    const struct before_login *before = session->before;
    SSL *ssl = tls_server_context_open(before->snapshot->tls,
                                       before->listener->client_certificates);

    session_enter(session, SESSION_HANDSHAKE);
    stream_start_tls(session_client(session), &session->env->io.front, ssl);
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
        session_arm(session, ATTEMPT_VERDICT_MS);
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
        session_splice_timeout(session);
        break;
    case SESSION_ENDING:
        session_wait_held_back(session);
        break;
    }
}
