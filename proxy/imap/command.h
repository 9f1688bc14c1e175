/* The head of a command: its tag and its name. */
#ifndef IMAP_COMMAND_H
#define IMAP_COMMAND_H

#include <stdbool.h>

#include "config/mem.h"
#include "imap/span.h"

#define IMAP_TAG_MAX 126

enum imap_command_name {
    IMAP_UNKNOWN, /* also: none could be read */
    IMAP_CAPABILITY,
    IMAP_NOOP,
    IMAP_LOGOUT,
    IMAP_ID,
    IMAP_STARTTLS,
    IMAP_LOGIN,
    IMAP_AUTHENTICATE,
    IMAP_WRONG_STATE /* a known one that needs a login */
};

/* Spans point into the line. */
struct imap_command {
    struct imap_span tag; /* valid, or empty: never echo anything else */
    enum imap_command_name name;
    struct imap_span arguments; /* what follows the name, its space included */
};

/* Reads the head of a line; false when it is not "tag SP name" with nothing,
 * or a space, behind it. What could be read is in command_out all the same. */
MUST_USE bool imap_command_parse(struct imap_span line,
                                 struct imap_command *command_out);

/* Whether a web browser speaks: an HTTP method for a tag, and no IMAP command
 * behind it (threat A9). */
bool imap_command_is_http(const struct imap_command *command);

#endif
