#include "imap/response_reader.h"

#include <string.h>

#include "imap/literal.h"
#include "imap/response.h"

void imap_response_reader_init(struct imap_response_reader *reader)
{
    *reader = (struct imap_response_reader){0};
}

void imap_response_reader_deinit(struct imap_response_reader *reader)
{
    wiped_buffer_deinit(&reader->line);
}

static enum imap_line_result break_off(struct imap_response_reader *reader,
                                       const char *fault)
{
    reader->fault = fault;
    return IMAP_LINE_BROKEN;
}

/* Whether octets follow the line. The text of a status and of a continuation
 * may end in anything: it has no literals (RFC 9051, 9: resp-text). */
static bool announces_literal(struct imap_span line)
{
    struct imap_response response;
    enum imap_literal_mark mark;
    size_t len;

    mark = imap_literal_find(line, &len);
    if (mark != IMAP_LITERAL_SYNC && mark != IMAP_LITERAL_NONSYNC)
        return false;
    imap_response_parse(line, &response);
    return response.status == IMAP_STATUS_NONE &&
           response.kind != IMAP_RESPONSE_CONTINUE;
}

static enum imap_line_result end_line(struct imap_response_reader *reader)
{
    struct imap_span line = {reader->line.bytes, reader->line.len - 1};

    if (line.len == 0 || line.bytes[line.len - 1] != '\r')
        return break_off(reader, "lone-lf");
    line.len--;
    if (line.len > 0 && (memchr(line.bytes, 0, line.len) != NULL ||
                         memchr(line.bytes, '\r', line.len) != NULL))
        return break_off(reader, "odd-byte");
    if (announces_literal(line))
        return break_off(reader, "literal");
    reader->line_is_ready = true;
    return IMAP_LINE_READY;
}

/* Takes up to the line's end; stops short at a limit. */
static size_t take(struct imap_response_reader *reader, const uint8_t *bytes,
                   size_t len)
{
    const uint8_t *end = memchr(bytes, '\n', len);
    size_t room = IMAP_RESPONSE_LINE_MAX - reader->line.len;
    size_t taken = end == NULL ? len : (size_t)(end - bytes) + 1;

    if (room > IMAP_RESPONSE_TOTAL_MAX - reader->total)
        room = IMAP_RESPONSE_TOTAL_MAX - reader->total;
    if (taken > room)
        taken = room;
    wiped_buffer_append(&reader->line, bytes, taken);
    reader->total += taken;
    return taken;
}

enum imap_line_result
imap_response_reader_feed(struct imap_response_reader *reader,
                          const uint8_t *bytes, size_t len, size_t *used_out)
{
    size_t taken;

    *used_out = 0;
    if (reader->fault != NULL)
        return IMAP_LINE_BROKEN;
    if (reader->line_is_ready) {
        wiped_buffer_clear(&reader->line);
        reader->line_is_ready = false;
    }
    if (len == 0)
        return IMAP_LINE_MORE;
    taken = take(reader, bytes, len);
    *used_out = taken;
    if (taken > 0 && bytes[taken - 1] == '\n')
        return end_line(reader);
    return taken < len ? break_off(reader, "too-long") : IMAP_LINE_MORE;
}

struct imap_span
imap_response_reader_line(const struct imap_response_reader *reader)
{
    if (!reader->line_is_ready)
        return (struct imap_span){reader->line.bytes, 0};
    return (struct imap_span){reader->line.bytes, reader->line.len - 2};
}

const char *
imap_response_reader_fault(const struct imap_response_reader *reader)
{
    return reader->fault;
}
