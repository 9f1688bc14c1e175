/* The arguments of a command, taken one by one. */
#ifndef IMAP_ARGUMENTS_H
#define IMAP_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/mem.h"
#include "imap/span.h"

enum imap_argument_result {
    IMAP_ARGUMENT_GOOD,
    IMAP_ARGUMENT_BAD,
    IMAP_ARGUMENT_MORE /* a literal whose octets are not here yet */
};

/* A string as it was sent; imap_string_decode gives what it means. */
struct imap_string {
    struct imap_span raw; /* with MORE: the announced length, no bytes */
    bool is_escaped;      /* quoted, with at least one backslash */
};

/* Takes an astring: ASTRING-CHARs, quoted or literal (RFC 9051, 9). In quoted
 * strings only \" and \\ are escapes; CR, LF and NUL are refused; octets over
 * 127 pass as they are (4.3.1). In literals everything passes. */
MUST_USE enum imap_argument_result
imap_arguments_astring(struct imap_span *arguments,
                       struct imap_string *string_out);

/* The same without the bare form. */
MUST_USE enum imap_argument_result
imap_arguments_string(struct imap_span *arguments,
                      struct imap_string *string_out);

/* The same, or NIL, which comes out empty, its bytes NULL. */
MUST_USE enum imap_argument_result
imap_arguments_nstring(struct imap_span *arguments,
                       struct imap_string *string_out);

/* Copies the octets that the string stands for; false if they are more than
 * `max`. */
MUST_USE bool imap_string_decode(const struct imap_string *string, uint8_t *out,
                                 size_t max, size_t *len_out);

#endif
