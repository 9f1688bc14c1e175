/* What a login shows of a backend that its operator should know of. */
#ifndef SESSION_UPSTREAM_NOTES_H
#define SESSION_UPSTREAM_NOTES_H

#include "backend/backend.h"
#include "imap/capability.h"

/* Before a login: whether the backend lacks what the client's listener offers
 * (`mechanisms`, a set of enum sasl_mechanism), or binds channels where SCRAM
 * is relayed. Each thing is logged once, with how to mend it. */
void upstream_notes_before(struct backend *backend,
                           const struct imap_capabilities *known,
                           unsigned mechanisms);

/* After a login: whether the backend offers what leads a session past us. */
void upstream_notes_after(struct backend *backend,
                          const struct imap_capabilities *known);

/* The backend does not take the probe user's password, or not this user. */
void upstream_notes_probe(struct backend *backend);

#endif
