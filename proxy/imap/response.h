/* One line of a backend, classified. */
#ifndef IMAP_RESPONSE_H
#define IMAP_RESPONSE_H

#include <stdbool.h>

#include "config/mem.h"
#include "imap/span.h"

enum imap_response_kind {
    IMAP_RESPONSE_UNTAGGED,
    IMAP_RESPONSE_CONTINUE, /* "+", with or without a space after it */
    IMAP_RESPONSE_TAGGED,   /* see imap_response_is_for */
    IMAP_RESPONSE_INVALID   /* no IMAP */
};

enum imap_status {
    IMAP_STATUS_NONE, /* data such as "* CAPABILITY ..." */
    IMAP_STATUS_OK,
    IMAP_STATUS_NO,
    IMAP_STATUS_BAD,
    IMAP_STATUS_PREAUTH, /* untagged only */
    IMAP_STATUS_BYE      /* untagged only */
};

/* Spans point into the line. */
struct imap_response {
    enum imap_response_kind kind;
    enum imap_status status;
    struct imap_span tag;       /* of a tagged one */
    struct imap_span code;      /* the atom after "[", or empty */
    struct imap_span code_data; /* what follows it up to "]", may be empty */
    struct imap_span text;      /* after the status and the code */
    struct imap_span data;      /* after "* " or "+ ", or after the tag */
};

/* Classifies a line without its end. A tagged line without OK, NO or BAD is
 * invalid, and so is a status with a code that cannot be read; but in a tagged
 * NO or BAD that is text. */
void imap_response_parse(struct imap_span line,
                         struct imap_response *response_out);

/* Whether it is the tagged answer to our command with this tag; the case of
 * letters matters. */
bool imap_response_is_for(const struct imap_response *response,
                          const char *tag);

/* The list of "* CAPABILITY list", or of a status with [CAPABILITY list].
 * False when there is none. */
MUST_USE bool imap_response_capabilities(const struct imap_response *response,
                                         struct imap_span *list_out);

#endif
