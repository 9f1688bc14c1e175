/* What the files of a session share: session.c (its life) and dialogue.c (what
 * happens before its splice). Private to session/. */
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

/* session.c. */
void session_enter(struct session *session, enum session_state next);
/* Logs, and ends both streams. Nothing happens to one that is ending. */
void session_finish(struct session *session, const char *reason,
                    const char *detail);
/* Frees what the login needed, and splices. */
void session_start_splice(struct session *session,
                          const struct attempt_outcome *outcome);
void session_start_tls(struct session *session);
/* Begins, now that the client's address is known, unless a limit says no. */
void session_admit(struct session *session);
/* What the client connected to: here, or at the balancer in front. */
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
