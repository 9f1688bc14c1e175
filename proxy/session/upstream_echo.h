/* Whether a backend repeats the secret that it was sent. */
#ifndef SESSION_UPSTREAM_ECHO_H
#define SESSION_UPSTREAM_ECHO_H

#include <stdbool.h>

#include "imap/span.h"
#include "session/upstream_command.h"

/* Whether the line holds the secret of this command, in clear or in base64;
 * of a client's own message, a telling part of it within the first
 * UPSTREAM_ECHO_LOOK octets. Where in doubt (a secret of one octet is nearly
 * everywhere): yes. */
bool upstream_echo_tells(const struct upstream_command *command,
                         struct imap_span line);

/* Whether the client may read the line. Its own secret is no secret to it, but
 * a master's is. */
bool upstream_echo_may_pass(const struct upstream_command *command,
                            struct imap_span line);

#define UPSTREAM_ECHO_LOOK 512

#endif
