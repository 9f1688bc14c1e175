/* A backend's NO, turned into what the client may hear (design.md, section 2,
 * "Answers to a failed login"). */
#ifndef SESSION_UPSTREAM_REFUSAL_H
#define SESSION_UPSTREAM_REFUSAL_H

#include "imap/response.h"
#include "session/upstream_command.h"
#include "session/upstream_login.h"

/* Fills the refusal from the tagged NO or BAD that answers the command. */
void upstream_refusal_from(struct upstream_refusal *refusal,
                           const struct upstream_command *command,
                           const struct imap_response *response,
                           struct imap_span line, bool passes_uncoded_no);

/* Keeps the backend's line for the log, unless it holds the secret. */
void upstream_refusal_keep(struct upstream_refusal *refusal,
                           const struct upstream_command *command,
                           struct imap_span line);

/* Fills the refusal with [UNAVAILABLE] for this reason. */
void upstream_refusal_unavailable(struct upstream_refusal *refusal,
                                  enum upstream_refusal_kind kind,
                                  const char *reason);

#endif
