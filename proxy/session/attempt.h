/* One attempt to log a client in: from the name it gave, over the routing
 * table and the pick, to a backend that has said OK; or to the answer that the
 * client gets instead. */
#ifndef SESSION_ATTEMPT_H
#define SESSION_ATTEMPT_H

#include "auth/credentials.h"
#include "config/identity.h"
#include "config/mem.h"
#include "net/proxy_header.h"
#include "net/stream.h"
#include "session/login.h"
#include "state/env.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct attempt;

/* How long a verdict is waited for where nobody else waits for it; servers
 * delay refusals by up to 17 s. */
enum {
    ATTEMPT_VERDICT_MS = 20000
};

/* Borrowed until the attempt is freed, except what is said to be copied. */
struct attempt_request {
    const struct credentials *credentials;
    enum sasl_mechanism sasl;
    const char *tag;
    const char *mechanism; /* for the log */
    const char *session;   /* likewise: the session's id */
    const struct address *peer;
    struct limits_hold *hold; /* the user's share is added to it */
    unsigned offered; /* a set of enum sasl_mechanism: the listener's offer */
    bool is_outdated; /* a reload has changed what was verified of the client */
    const struct login_id *client_id; /* what the client said by ID */
    unsigned proxy_ttl;               /* likewise; LOGIN_PROXY_TTL_NONE */
    /* Who the client is to those backends that are told; copied. NULL only
     * where snapshot->tells_clients is false. */
    const struct proxy_client *client;
};

/* Everything in it is lent by the attempt, unless said otherwise. */
struct attempt_outcome {
    bool is_logged_in;
    const uint8_t *to_client; /* the backend's own lines, may be empty */
    size_t to_client_len;

    /* Logged in. */
    const uint8_t *rest; /* the backend's bytes after its tagged OK */
    size_t rest_len;

    /* Not logged in. */
    enum login_answer answer;
    const char *code;
    size_t code_len;
    const char *text;
    size_t text_len;
};

enum attempt_event {
    ATTEMPT_CHALLENGE, /* see attempt_challenge and attempt_answer */
    ATTEMPT_OVER       /* the last one: see attempt_outcome */
};

/* Never called from a verb; the attempt may be freed in it. */
typedef void attempt_handler(struct attempt *attempt, enum attempt_event event,
                             void *owner);

/* The snapshot is the one that the attempt goes by; it takes a reference. */
struct attempt *attempt_new(struct env *env,
                            const struct attempt_request *request,
                            attempt_handler *handler, void *owner);

/* False: it is over already, and the handler will not be called. */
MUST_USE bool attempt_start(struct attempt *attempt);

/* After ATTEMPT_CHALLENGE: the backend's question in base64, and its alerts, to
 * go before it; valid until the next call. */
const uint8_t *attempt_challenge(const struct attempt *attempt,
                                 size_t *len_out);
const uint8_t *attempt_alerts(const struct attempt *attempt, size_t *len_out);

/* Whether the client has the word: not before a challenge, nor any longer once
 * the backend has gone on without it. */
bool attempt_awaits_client(const struct attempt *attempt);

/* The client's answer, a line of base64 without its end, lent until the handler
 * is called or the attempt is freed. False: the attempt is over, and the
 * handler will not be called. */
MUST_USE bool attempt_answer(struct attempt *attempt, const uint8_t *line,
                             size_t len);

/* Whether credentials are out and their verdict counts: a client that leaves
 * now has made its guess, and the attempt is to be kept until it is known what
 * that was worth. Held-back answers are no different. */
bool attempt_is_judged(const struct attempt *attempt);

/* It is about to be freed for what its client did, by coming so late or by
 * filling the house: a guess that is out counts all the same. */
void attempt_cut_short(struct attempt *attempt);

/* Ends it because of what the backend asks: it is over, and the handler will
 * not be called. The reason is a fixed word for the log. */
void attempt_give_up(struct attempt *attempt, const char *reason);

/* After attempt_start or attempt_answer said false, or with ATTEMPT_OVER. */
const struct attempt_outcome *attempt_outcome(const struct attempt *attempt);

/* The normalised name; empty before it is known. */
const struct identity *attempt_identity(const struct attempt *attempt);

/* Whether no backend has seen the credentials yet. */
bool attempt_is_seeking(const struct attempt *attempt);

/* Where it dials, waits or logs in; NULL: nowhere yet. */
const struct backend *attempt_backend(const struct attempt *attempt);

/* After a login: the stream, whose owner must be set at once, and the
 * backend, whose count of sessions includes this one. Each once. */
struct stream *attempt_take_stream(struct attempt *attempt);
struct backend *attempt_take_backend(struct attempt *attempt);

/* Likewise the claim to the user's home; false: there is none. */
MUST_USE bool attempt_take_home(struct attempt *attempt);

/* Ends whatever is under way; accepts NULL inside. */
void attempt_free(struct attempt **attempt);

#endif
