/* The command that logs in at a backend, with the credentials encoded anew:
 * never a byte as the client wrote it (threat D1). */
#ifndef SESSION_UPSTREAM_COMMAND_H
#define SESSION_UPSTREAM_COMMAND_H

#include <stdbool.h>

#include "auth/credentials.h"
#include "auth/sasl_server.h"
#include "config/mem.h"
#include "imap/capability.h"
#include "imap/span.h"
#include "imap/wiped_buffer.h"
#include "state/master_logins.h"

enum upstream_command_way {
    UPSTREAM_WAY_PLAIN,
    UPSTREAM_WAY_LOGIN,      /* the command */
    UPSTREAM_WAY_LOGIN_SASL, /* for those who take neither of the others */
    UPSTREAM_WAY_MESSAGE     /* the client's own, by its own mechanism */
};

enum upstream_command_part {
    UPSTREAM_PART_MESSAGE, /* of AUTHENTICATE PLAIN, or the client's own */
    UPSTREAM_PART_USER,    /* of LOGIN */
    UPSTREAM_PART_SECRET,
    UPSTREAM_PART_USER_BASE64, /* of AUTHENTICATE LOGIN */
    UPSTREAM_PART_SECRET_BASE64,
    UPSTREAM_PART_NONE
};

enum upstream_command_fault {
    UPSTREAM_COMMAND_GOOD,
    UPSTREAM_COMMAND_NO_MECHANISM, /* the backend takes nothing that we can */
    UPSTREAM_COMMAND_NO_AUTHZID,   /* LOGIN cannot carry it */
    UPSTREAM_COMMAND_NO_MASTER,    /* for a certificate's name */
    UPSTREAM_COMMAND_NO_LOGIN_AS,  /* the name is inside the message */
    UPSTREAM_COMMAND_BAD_CREDENTIALS
};

/* The first five are given, and borrowed until the command is complete. */
struct upstream_command {
    const struct credentials *credentials;
    enum sasl_mechanism sasl;
    const char *login_as;
    const struct master_login *master;
    struct imap_capabilities known;
    enum upstream_command_way way;
    bool was_answered; /* the client has said more than its first message */
    enum upstream_command_part awaited; /* goes out on the next "+" */
};

/* Chooses the way: for a password AUTHENTICATE PLAIN where it is offered and
 * goes in one round trip, else LOGIN, else AUTHENTICATE LOGIN; for a message
 * its own mechanism; for a certificate's name PLAIN in the name of the master,
 * who is never asked for anybody else. */
MUST_USE enum upstream_command_fault
upstream_command_choose(struct upstream_command *command);

/* Writes as much of the chosen command as may be sent unasked. */
void upstream_command_write(struct upstream_command *command, const char *tag,
                            struct wiped_buffer *out);

/* Whether the command is incomplete until the backend says "+". */
bool upstream_command_waits(const struct upstream_command *command);

/* Writes what follows that "+". */
void upstream_command_continue(struct upstream_command *command,
                               struct wiped_buffer *out);

#endif
