/* What the files of an attempt share: attempt.c (its stages), attempt_route.c
 * (who the client is and where the table sends it) and attempt_log.c. Private
 * to session/. */
#ifndef SESSION_ATTEMPT_PRIVATE_H
#define SESSION_ATTEMPT_PRIVATE_H

#include "backend/link.h"
#include "backend/pick.h"
#include "base/log.h"
#include "session/attempt.h"
#include "session/upstream_login.h"

struct attempt {
    struct env *env;
    struct attempt_request request;
    attempt_handler *handler;
    void *owner;
    struct snapshot *snapshot;
    struct attempt_outcome outcome;

    struct identity identity;
    struct route route;
    char login_as[IDENTITY_MAX + 1];
    struct pick pick;
    const struct link_target *target;

    struct link *link; /* while it is under way */
    struct stream *upstream;
    struct imap_capabilities capabilities; /* what it announced */
    struct backend *backend;               /* counted as a session there */
    struct upstream_login *login;
    struct wheel_timer timer;
};

/* attempt_route.c. Each: false when the attempt is over, its answer set. */
MUST_USE bool attempt_name_user(struct attempt *attempt);
MUST_USE bool attempt_find_route(struct attempt *attempt);

/* attempt_log.c. */
void attempt_begin_log(const struct attempt *attempt, struct log_entry *entry,
                       enum log_level level, const char *event);
void attempt_log_route(const struct attempt *attempt);
void attempt_log_dial_failed(const struct attempt *attempt,
                             const struct link *link);
/* detail is in our words, the refusal in the backend's: either may be NULL. */
void attempt_log_failure(const struct attempt *attempt, enum log_level level,
                         const char *reason, const char *detail,
                         const struct upstream_refusal *refusal);

/* Sets the answer of an attempt that no backend has refused, and logs why. */
void attempt_refuse(struct attempt *attempt, enum login_answer answer,
                    enum counter counter, const char *reason);

#endif
