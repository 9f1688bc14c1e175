/* The mark at the end of a line that announces a literal. */
#ifndef IMAP_LITERAL_H
#define IMAP_LITERAL_H

#include <stdbool.h>
#include <stddef.h>

#include "imap/span.h"

/* RFC 7888, 5: the most that LITERAL- lets a client send unasked. */
#define IMAP_LITERAL_UNASKED_MAX 4096

enum imap_literal_mark {
    IMAP_LITERAL_NONE,
    IMAP_LITERAL_SYNC,    /* {n}: the octets follow when they are invited */
    IMAP_LITERAL_NONSYNC, /* {n+}: the octets follow */
    IMAP_LITERAL_ODD,     /* such as {} or {-1}: no octets follow */
    IMAP_LITERAL_UNSAFE   /* such as {010+} or {3 +}: who knows what follows */
};

/* Looks for the mark at the end of a line (without its CRLF), in whatever
 * stands before it (RFC 7888, 3). The length is that of SYNC and NONSYNC; one
 * beyond 32 bits comes out as SIZE_MAX. */
enum imap_literal_mark imap_literal_find(struct imap_span line,
                                         size_t *len_out);

/* Whether the span is a SYNC or NONSYNC mark and nothing else. */
bool imap_literal_is_mark(struct imap_span span, size_t *len_out);

#endif
