/* A backend's NO, turned into what the client may hear (design.md, section 2,
 * "Answers to a failed login"). */
#ifndef SESSION_UPSTREAM_REFUSAL_H
#define SESSION_UPSTREAM_REFUSAL_H

#include "auth/credentials.h"
#include "imap/response.h"
#include "session/upstream_login.h"

/* Fills the refusal from the tagged NO or BAD. The `line` of a NO is kept for
 * the log unless it holds the secret of the credentials. */
void upstream_refusal_from(struct upstream_refusal *refusal,
                           const struct imap_response *response,
                           struct imap_span line,
                           const struct credentials *credentials);

/* Fills the refusal with [UNAVAILABLE] for this reason. */
void upstream_refusal_unavailable(struct upstream_refusal *refusal,
                                  enum upstream_refusal_kind kind,
                                  const char *reason);

#endif
