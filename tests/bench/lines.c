#include "lines.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_MAX_LEN = 64 * 1024
};

static bool kept_is_whole(const struct lines *lines);
static enum lines_result keep(struct lines *lines, const uint8_t *bytes,
                              size_t len);
static size_t without_cr(const uint8_t *line, size_t len);

enum lines_result lines_next(struct lines *lines, const uint8_t **bytes,
                             size_t *len, const uint8_t **line_out,
                             size_t *line_len_out)
{
    const uint8_t *start = *bytes;
    const uint8_t *end;
    size_t taken;

    if (kept_is_whole(lines))
        lines_clear(lines);
    if (*len == 0)
        return LINES_MORE;
    end = memchr(start, '\n', *len);
    taken = end != NULL ? (size_t)(end - start) + 1 : *len;
    *bytes += taken;
    *len -= taken;
    if (end != NULL && lines->kept_len == 0) {
        *line_out = start;
        *line_len_out = without_cr(start, taken - 1);
        return LINES_LINE;
    }
    if (keep(lines, start, taken) == LINES_TOO_LONG)
        return LINES_TOO_LONG;
    if (end == NULL)
        return LINES_MORE;
    *line_out = lines->kept;
    *line_len_out = without_cr(lines->kept, lines->kept_len - 1);
    return LINES_LINE;
}

void lines_clear(struct lines *lines)
{
    free(lines->kept);
    lines->kept = NULL;
    lines->kept_len = 0;
}

bool lines_announce(const uint8_t *line, size_t len, uint64_t *size_out,
                    bool *must_wait_out)
{
    size_t digits = len;

    if (len < 3 || line[len - 1] != '}')
        return false;
    digits--;
    *must_wait_out = line[digits - 1] != '+';
    if (!*must_wait_out)
        digits--;
    while (digits > 0 && isdigit(line[digits - 1]))
        digits--;
    if (digits == 0 || line[digits - 1] != '{')
        return false;
    *size_out = strtoull((const char *)line + digits, NULL, 10);
    return true;
}

static bool kept_is_whole(const struct lines *lines)
{
    return lines->kept_len > 0 && lines->kept[lines->kept_len - 1] == '\n';
}

static enum lines_result keep(struct lines *lines, const uint8_t *bytes,
                              size_t len)
{
    size_t needed = lines->kept_len + len;

    if (needed > LINE_MAX_LEN)
        return LINES_TOO_LONG;
    lines->kept = realloc(lines->kept, needed);
    if (lines->kept == NULL)
        abort();
    memcpy(lines->kept + lines->kept_len, bytes, len);
    lines->kept_len = needed;
    return LINES_MORE;
}

static size_t without_cr(const uint8_t *line, size_t len)
{
    return len > 0 && line[len - 1] == '\r' ? len - 1 : len;
}
