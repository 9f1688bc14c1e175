/* What becomes of a client whose backend has left it. */
#include "base/clock.h"
#include "session/session_private.h"

/* How often those who are held back are looked at. */
enum {
    HELD_LOOK_MS = 1000
};

/* The client hears now that its session is over. */
static void let_go(struct session *session)
{
    io_disarm(&session->env->io, &session->timer);
    session_end_client(session);
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
        session_stream_closed(session, client);
        break;
    case STREAM_SECURE:
    case STREAM_DRAINED:
        break;
    }
}

void session_wait_held_back(struct session *session)
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
    session_wait_held_back(session);
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

bool session_lose_backend(struct session *session, const char *detail)
{
    uint64_t hold_ms = hold_back_ms(session);

    if (hold_ms == 0)
        return false;
    session_finish_but_client(session, session->splice.reason, detail);
    hold_client_back(session, hold_ms);
    return true;
}
