/* One attempt to log a client in: from the name it gave, over the routing
 * table and the pick, to a backend that has said OK; or to the answer that the
 * client gets instead. */
#ifndef SESSION_ATTEMPT_H
#define SESSION_ATTEMPT_H

#include "auth/credentials.h"
#include "config/identity.h"
#include "config/mem.h"
#include "net/stream.h"
#include "session/login_answer.h"
#include "state/env.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct attempt;

/* Borrowed until the attempt is freed. */
struct attempt_request {
    const struct credentials *credentials;
    const char *tag;
    const char *mechanism; /* for the log */
    const char *session;   /* likewise: the session's id */
    const struct address *peer;
    struct limits_hold *hold; /* the user's share is added to it */
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

/* Called once, never from attempt_start; the attempt may be freed in it. */
typedef void attempt_handler(struct attempt *attempt, void *owner);

/* The snapshot is the one that the attempt goes by; it takes a reference. */
struct attempt *attempt_new(struct env *env,
                            const struct attempt_request *request,
                            attempt_handler *handler, void *owner);

/* False: it is over already, and the handler will not be called. */
MUST_USE bool attempt_start(struct attempt *attempt);

const struct attempt_outcome *attempt_outcome(const struct attempt *attempt);

/* The normalised name; empty before it is known. */
const struct identity *attempt_identity(const struct attempt *attempt);

/* After a login: the stream, whose owner must be set at once, and the
 * backend, whose count of sessions includes this one. Both once. */
struct stream *attempt_take_stream(struct attempt *attempt);
struct backend *attempt_take_backend(struct attempt *attempt);

/* Ends whatever is under way; accepts NULL inside. */
void attempt_free(struct attempt **attempt);

#endif
