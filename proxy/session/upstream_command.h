/* The command that logs in at a backend, with the credentials encoded anew:
 * never a byte as the client wrote it (threat D1). */
#ifndef SESSION_UPSTREAM_COMMAND_H
#define SESSION_UPSTREAM_COMMAND_H

#include <stdbool.h>

#include "auth/credentials.h"
#include "config/mem.h"
#include "imap/capability.h"
#include "imap/span.h"
#include "imap/wiped_buffer.h"

enum upstream_command_part {
    UPSTREAM_PART_MESSAGE, /* of AUTHENTICATE PLAIN */
    UPSTREAM_PART_USER,    /* of LOGIN */
    UPSTREAM_PART_SECRET,
    UPSTREAM_PART_NONE
};

enum upstream_command_fault {
    UPSTREAM_COMMAND_GOOD,
    UPSTREAM_COMMAND_NO_MECHANISM, /* the backend takes nothing that we can */
    UPSTREAM_COMMAND_NO_AUTHZID,   /* LOGIN cannot carry it */
    UPSTREAM_COMMAND_BAD_CREDENTIALS
};

/* Borrows the credentials and texts until the command is complete. */
struct upstream_command {
    const struct credentials *credentials;
    const char *login_as;
    struct imap_capabilities known;
    enum upstream_command_part awaited; /* goes out on the next "+" */
};

/* Chooses AUTHENTICATE PLAIN where it is offered, else LOGIN, and writes as
 * much of it as may be sent unasked. Nothing is written on a fault. */
MUST_USE enum upstream_command_fault
upstream_command_start(struct upstream_command *command, const char *tag,
                       struct wiped_buffer *out);

/* Whether the command is incomplete until the backend says "+". */
bool upstream_command_waits(const struct upstream_command *command);

/* Writes what follows that "+". */
void upstream_command_continue(struct upstream_command *command,
                               struct wiped_buffer *out);

#endif
