/* A backend's bytes, cut into lines, before there is a login. */
#ifndef IMAP_RESPONSE_READER_H
#define IMAP_RESPONSE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/mem.h"
#include "imap/span.h"
#include "imap/wiped_buffer.h"

#define IMAP_RESPONSE_LINE_MAX 8192
#define IMAP_RESPONSE_TOTAL_MAX 65536 /* of one dialogue */

enum imap_line_result {
    IMAP_LINE_MORE,
    IMAP_LINE_READY, /* see imap_response_reader_line */
    IMAP_LINE_BROKEN /* see imap_response_reader_fault; nothing more follows */
};

/* Embedded by value; between lines it keeps what a wiped_buffer keeps, half a
 * kilobyte at most. */
struct imap_response_reader {
    struct wiped_buffer line;
    size_t total;
    bool line_is_ready;
    const char *fault;
};

void imap_response_reader_init(struct imap_response_reader *reader);
void imap_response_reader_deinit(struct imap_response_reader *reader);

/* Takes bytes and stops right after a line: *used_out bytes are consumed.
 * Broken are: a line over IMAP_RESPONSE_LINE_MAX, more than
 * IMAP_RESPONSE_TOTAL_MAX in all, a line end other than CRLF, a NUL or CR
 * inside a line, and a literal in data, which has no place before a login. */
MUST_USE enum imap_line_result
imap_response_reader_feed(struct imap_response_reader *reader,
                          const uint8_t *bytes, size_t len, size_t *used_out);

/* The line without its end; after READY, until the next feed. */
struct imap_span
imap_response_reader_line(const struct imap_response_reader *reader);

/* After BROKEN: a fixed word for the log. */
const char *
imap_response_reader_fault(const struct imap_response_reader *reader);

#endif
