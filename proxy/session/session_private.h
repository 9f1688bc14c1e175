/* What the files of a session share: session.c (its states, and what moves it
 * from one to the next), session_admit.c, dialogue.c (what happens before its
 * splice), session_spliced.c (from then on), session_hold_back.c,
 * session_end.c and session_questions.c. Private to session/. */
#ifndef SESSION_SESSION_PRIVATE_H
#define SESSION_SESSION_PRIVATE_H

#include "imap/wiped_buffer.h"
#include "net/stream.h"
#include "session/attempt.h"
#include "session/login.h"
#include "session/proxy_stage.h"
#include "session/session.h"
#include "session/session_log.h"
#include "session/splice.h"

#include <stddef.h>

enum session_state {
    SESSION_ACCEPTED, /* awaits a balancer's header, if one is to come */
    SESSION_HANDSHAKE,
    SESSION_COMMAND,
    SESSION_ATTEMPT,
    SESSION_SPLICE,
    SESSION_ENDING
};
enum {
    SESSION_STATE_COUNT = SESSION_ENDING + 1
};

/* Everything that only matters before the splice: freed at one moment. */
struct before_login {
    struct snapshot *snapshot; /* of the accept: its TLS context is in use */
    struct proxy_stage *proxy; /* NULL: the client itself connected to us */
    struct login *login;
    struct attempt *attempt;
    struct wiped_buffer ahead; /* sent by the client behind its login */
    uint64_t deadline_ms;      /* absolute; bytes do not extend it */
    const struct listener_config *listener; /* lent by the snapshot */
    const char *left; /* why the client is gone; NULL: it is there */
    char id[SESSION_ID_MAX];
};

struct session {
    struct registry_node node;
    struct env *env;
    struct splice splice; /* names both streams */
    struct wheel_timer timer;
    struct before_login *before; /* NULL from the splice on */
    struct backend *backend;     /* from the splice on */
    struct session_facts facts;
    struct limits_hold hold;
    enum session_state state;
    uint8_t open_streams;
    bool keeps_alive; /* towards the backend */
    bool has_home;    /* from the splice on: state/homes.h */
};

#define SESSION_OF(member, name)                                               \
    ((struct session *)(void *)((char *)(member)-offsetof(struct session,      \
                                                          name)))

/* session.c. */
void session_enter(struct session *session, enum session_state next);
/* The state's own time limit, within the absolute one before login. 0: it has
 * none. */
void session_arm(struct session *session, uint64_t timeout_ms);
void session_start_tls(struct session *session);

/* session_admit.c: begins, now that the client's address is known, unless a
 * limit says no. */
void session_admit(struct session *session);

/* session_spliced.c: frees what the login needed, and splices. */
void session_start_splice(struct session *session,
                          const struct attempt_outcome *outcome);
/* The first look at one that has entered its splice is due in a while. */
void session_watch_splice(struct session *session);
/* A look is due. */
void session_splice_timeout(struct session *session);

/* session_hold_back.c. The backend has left: false when the client may hear of
 * it now, and nothing was done; else the session ends, and the client is told
 * later. */
MUST_USE bool session_lose_backend(struct session *session, const char *detail);
/* Tells the client when it is time, or arms the next look. A drain shall not
 * wait for those who are held back. */
void session_wait_held_back(struct session *session);

/* session_end.c. Logs, and ends both streams. Nothing happens to one that is
 * ending. */
void session_finish(struct session *session, const char *reason,
                    const char *detail);
/* Likewise all of it but its client, who may hear of it later, by
 * session_end_client. */
void session_finish_but_client(struct session *session, const char *reason,
                               const char *detail);
void session_end_client(struct session *session);
/* One of an ending session's streams is gone, and with the last one the
 * session. */
void session_stream_closed(struct session *session,
                           const struct stream *stream);
void session_free_before(struct session *session);
/* Without streams. */
void session_vanish(struct session *session);

/* session_questions.c: what the client connected to, here or at the balancer
 * in front. */
void session_local_address(const struct session *session,
                           struct address *address_out);

static inline const struct settings *
session_settings(const struct session *session)
{
    return session->env->snapshot->settings;
}

static inline struct stream *session_client(const struct session *session)
{
    return session->splice.client;
}

/* dialogue.c: greets, unless the worker drains. */
void session_begin_dialogue(struct session *session, bool is_secure);
/* The TLS that STARTTLS began is up. */
void session_dialogue_secured(struct session *session);
/* Takes the lent bytes of the client, and wipes them. */
void session_take_bytes(struct session *session);
/* Reads on, unless the client has sent enough ahead of its login's verdict. */
void session_resume(struct session *session);
/* Sends what the dialogue has to say. A client that does not take it is not
 * read from until it does. */
void session_send_output(struct session *session);

#endif
