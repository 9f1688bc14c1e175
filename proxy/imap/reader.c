#include "imap/reader.h"

#include <string.h>

#include "imap/literal.h"

void imap_reader_init(struct imap_reader *reader, size_t line_max,
                      size_t literal_max)
{
    *reader =
        (struct imap_reader){.line_max = line_max, .literal_max = literal_max};
}

void imap_reader_deinit(struct imap_reader *reader)
{
    wiped_buffer_deinit(&reader->held);
}

void imap_reader_reset(struct imap_reader *reader)
{
    struct imap_reader fresh = {.line_max = reader->line_max,
                                .literal_max = reader->literal_max};

    wiped_buffer_clear(&reader->held);
    fresh.held = reader->held;
    *reader = fresh;
}

void imap_reader_expect_line(struct imap_reader *reader)
{
    imap_reader_reset(reader);
    reader->wants_line = true;
}

static enum imap_reader_result close_for(struct imap_reader *reader,
                                         enum imap_reader_fault fault)
{
    reader->fault = fault;
    return IMAP_READER_CLOSE;
}

/* The first fault is the one to tell. */
static void note_fault(struct imap_reader *reader, enum imap_reader_fault fault)
{
    if (reader->fault == IMAP_READER_FAULT_NONE)
        reader->fault = fault;
}

/* Reads the head out of what is held; its last `end_len` octets are no part of
 * the command. */
static void read_head(struct imap_reader *reader, size_t end_len)
{
    struct imap_span held = {reader->held.bytes, reader->held.len - end_len};

    if (!imap_command_parse(held, &reader->command))
        note_fault(reader, IMAP_READER_FAULT_SYNTAX);
}

static enum imap_reader_result end_command(struct imap_reader *reader,
                                           size_t end_len)
{
    read_head(reader, end_len);
    return reader->fault == IMAP_READER_FAULT_NONE ? IMAP_READER_COMMAND
                                                   : IMAP_READER_BAD;
}

static bool literal_fits(const struct imap_reader *reader, size_t len)
{
    return len <= reader->literal_max &&
           len <= 2 * reader->literal_max - reader->body_len;
}

static void begin_literal(struct imap_reader *reader, size_t len)
{
    reader->literal_left = len;
    reader->body_len += len;
    reader->line_at = reader->held.len;
}

/* Not inviting the octets is enough to refuse them: the client waits. */
static enum imap_reader_result meet_sync(struct imap_reader *reader, size_t len)
{
    if (!literal_fits(reader, len))
        note_fault(reader, IMAP_READER_FAULT_TOO_BIG);
    read_head(reader, 0);
    if (reader->fault != IMAP_READER_FAULT_NONE)
        return IMAP_READER_BAD;
    begin_literal(reader, len);
    return IMAP_READER_CONTINUE;
}

/* The octets are on their way. Those of a moderate literal are swallowed; for
 * a large one the connection is not worth it (RFC 7888, 4). */
static enum imap_reader_result meet_nonsync(struct imap_reader *reader,
                                            size_t len)
{
    if (!literal_fits(reader, len))
        return close_for(reader, IMAP_READER_FAULT_TOO_BIG);
    if (len > IMAP_LITERAL_UNASKED_MAX)
        note_fault(reader, IMAP_READER_FAULT_TOO_BIG);
    begin_literal(reader, len);
    return IMAP_READER_MORE;
}

static enum imap_reader_result end_command_line(struct imap_reader *reader,
                                                struct imap_span line,
                                                size_t end_len)
{
    size_t literal_len;

    switch (imap_literal_find(line, &literal_len)) {
    case IMAP_LITERAL_NONE:
        break;
    case IMAP_LITERAL_SYNC:
        return meet_sync(reader, literal_len);
    case IMAP_LITERAL_NONSYNC:
        /* Behind a lone LF, who can say what the client meant? */
        if (reader->fault == IMAP_READER_FAULT_LINE_END)
            return close_for(reader, IMAP_READER_FAULT_LITERAL);
        return meet_nonsync(reader, literal_len);
    case IMAP_LITERAL_ODD:
        note_fault(reader, IMAP_READER_FAULT_LITERAL);
        break;
    case IMAP_LITERAL_UNSAFE:
        return close_for(reader, IMAP_READER_FAULT_LITERAL);
    }
    return end_command(reader, end_len);
}

/* A line is complete, LF included. */
static enum imap_reader_result end_line(struct imap_reader *reader)
{
    struct imap_span line = {reader->held.bytes + reader->line_at,
                             reader->held.len - reader->line_at - 1};
    size_t end_len = 1;

    if (line.len > 0 && line.bytes[line.len - 1] == '\r') {
        line.len--;
        end_len = 2;
    } else {
        /* It ends the line, so that the next one is heard, but whoever counts
         * lines by LF alone is never obeyed (threat A3). */
        note_fault(reader, IMAP_READER_FAULT_LINE_END);
    }
    if (!reader->wants_line)
        return end_command_line(reader, line, end_len);
    return reader->fault == IMAP_READER_FAULT_NONE ? IMAP_READER_LINE
                                                   : IMAP_READER_BAD;
}

static enum imap_reader_result take_text(struct imap_reader *reader,
                                         const uint8_t *bytes, size_t len,
                                         size_t *used_out)
{
    const uint8_t *end = memchr(bytes, '\n', len);
    size_t taken = end == NULL ? len : (size_t)(end - bytes) + 1;

    *used_out = taken;
    if (taken > reader->line_max - reader->text_len)
        return close_for(reader, IMAP_READER_FAULT_TOO_LONG);
    reader->text_len += taken;
    wiped_buffer_append(&reader->held, bytes, taken);
    return end == NULL ? IMAP_READER_MORE : end_line(reader);
}

/* Of a command that is refused already, the octets are only counted. */
static size_t take_literal(struct imap_reader *reader, const uint8_t *bytes,
                           size_t len)
{
    size_t taken = len < reader->literal_left ? len : reader->literal_left;

    if (reader->fault == IMAP_READER_FAULT_NONE)
        wiped_buffer_append(&reader->held, bytes, taken);
    reader->line_at = reader->held.len;
    reader->literal_left -= taken;
    return taken;
}

enum imap_reader_result imap_reader_feed(struct imap_reader *reader,
                                         const uint8_t *bytes, size_t len,
                                         size_t *used_out)
{
    enum imap_reader_result result = IMAP_READER_MORE;
    size_t used = 0;
    size_t step;

    while (used < len && result == IMAP_READER_MORE) {
        if (reader->literal_left > 0) {
            step = take_literal(reader, bytes + used, len - used);
        } else {
            result = take_text(reader, bytes + used, len - used, &step);
        }
        used += step;
    }
    *used_out = used;
    return result;
}

const struct imap_command *imap_reader_command(const struct imap_reader *reader)
{
    return &reader->command;
}

struct imap_span imap_reader_line(const struct imap_reader *reader)
{
    return (struct imap_span){reader->held.bytes, reader->held.len - 2};
}

enum imap_reader_fault imap_reader_fault(const struct imap_reader *reader)
{
    return reader->fault;
}
