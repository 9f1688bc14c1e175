/* A client's bytes before its login, cut into whole commands. */
#ifndef IMAP_READER_H
#define IMAP_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/mem.h"
#include "imap/command.h"
#include "imap/span.h"
#include "imap/wiped_buffer.h"

enum imap_reader_result {
    IMAP_READER_MORE,
    IMAP_READER_CONTINUE, /* a literal waits to be invited: send "+" and feed
                           * on, or refuse the command and reset */
    IMAP_READER_COMMAND,  /* see imap_reader_command, then reset */
    IMAP_READER_LINE,     /* see imap_reader_line, then reset */
    IMAP_READER_BAD,      /* a whole command, but a broken one: reset */
    IMAP_READER_CLOSE     /* what follows cannot be told from commands */
};

enum imap_reader_fault {
    IMAP_READER_FAULT_NONE,
    IMAP_READER_FAULT_LINE_END, /* a lone LF; it ends the line, no more */
    IMAP_READER_FAULT_SYNTAX,   /* no valid tag, or no command */
    IMAP_READER_FAULT_LITERAL,  /* not a well-formed literal */
    IMAP_READER_FAULT_TOO_BIG,  /* a literal over a limit */
    IMAP_READER_FAULT_TOO_LONG  /* a line over its limit */
};

/* Embedded by value; between commands it keeps what a wiped_buffer keeps, half
 * a kilobyte at most. */
struct imap_reader {
    struct wiped_buffer held; /* the command so far, kept literals included */
    size_t line_max;
    size_t literal_max;
    size_t text_len;     /* octets outside literals */
    size_t body_len;     /* octets of literals, those not kept included */
    size_t line_at;      /* where in `held` the last line begins */
    size_t literal_left; /* octets of a literal still to come */
    bool wants_line;
    enum imap_reader_fault fault;
    struct imap_command command;
};

/* `line_max` bounds a command's octets outside its literals, `literal_max`
 * each literal; all literals of one command together may be twice that, which
 * is a user and a password at their longest. */
void imap_reader_init(struct imap_reader *reader, size_t line_max,
                      size_t literal_max);

/* Wipes and frees. */
void imap_reader_deinit(struct imap_reader *reader);

/* Wipes the command; the next byte begins a new one. */
void imap_reader_reset(struct imap_reader *reader);

/* Resets, and takes the next bytes for one raw line: an answer within
 * AUTHENTICATE. */
void imap_reader_expect_line(struct imap_reader *reader);

/* Takes bytes and stops right after what calls for an act: *used_out bytes are
 * consumed, and what was pipelined behind stays with the caller. A line that
 * ends in a well-formed {n+} is followed by a literal, whatever stands before
 * it (RFC 7888, 3): its octets never become commands. */
MUST_USE enum imap_reader_result imap_reader_feed(struct imap_reader *reader,
                                                  const uint8_t *bytes,
                                                  size_t len, size_t *used_out);

/* After COMMAND, CONTINUE (arguments up to and with the literal's mark and
 * CRLF) and BAD (as far as it could be read); until the next feed or reset. */
const struct imap_command *
imap_reader_command(const struct imap_reader *reader);

/* After LINE, without its end; until reset. */
struct imap_span imap_reader_line(const struct imap_reader *reader);

/* After BAD and CLOSE. */
enum imap_reader_fault imap_reader_fault(const struct imap_reader *reader);

#endif
