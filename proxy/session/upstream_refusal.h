/* A backend's NO, turned into what the client may hear (design.md, section 2,
 * "Answers to a failed login"). */
#ifndef SESSION_UPSTREAM_REFUSAL_H
#define SESSION_UPSTREAM_REFUSAL_H

#include "imap/response.h"
#include "session/upstream_login.h"

/* Fills the refusal from the tagged NO or BAD; `line` is kept for the log. */
void upstream_refusal_from(struct upstream_refusal *refusal,
                           const struct imap_response *response,
                           struct imap_span line);

/* Fills the refusal with [UNAVAILABLE] for this reason; `line` may be empty. */
void upstream_refusal_unavailable(struct upstream_refusal *refusal,
                                  const char *reason, struct imap_span line);

#endif
