#include "config/reason.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Enough for any path, file name or value that a person wants to read. */
#define TEXT_MAX 400

/* "\xNN" and the dots of a cut text. */
#define ESCAPE_LEN 4
#define DOTS "..."

static struct reason *append(struct reasons *reasons, enum reason_kind kind,
                             const char *file, const char *path,
                             const char *found, const char *expected);
static char *copy_printable(const char *text);
static size_t whole_characters(const char *text, size_t len, char next);
static bool continues_character(char byte);
static size_t control_len(const char *text);
static size_t escape(const char *text, size_t count, char *out);

struct reasons *reasons_new(void)
{
    return mem_zalloc(sizeof(struct reasons));
}

void reasons_free(struct reasons **reasons)
{
    struct reasons *mine = *reasons;

    *reasons = NULL;
    if (mine == NULL)
        return;
    for (size_t i = 0; i < mine->count; i++) {
        free(mine->items[i].file);
        free(mine->items[i].path);
        free(mine->items[i].found);
        free(mine->items[i].expected);
    }
    free(mine->items);
    free(mine);
}

void reasons_add(struct reasons *reasons, enum reason_kind kind,
                 const char *file, const char *path, const char *found,
                 const char *expected)
{
    (void)append(reasons, kind, file, path, found, expected);
}

void reasons_add_syntax(struct reasons *reasons, const char *file,
                        const char *path, unsigned line, unsigned column,
                        const char *found, const char *expected)
{
    struct reason *reason =
        append(reasons, REASON_ERROR, file, path, found, expected);

    if (reason == NULL)
        return;
    reason->line = line;
    reason->column = column;
}

bool reasons_has_errors(const struct reasons *reasons)
{
    return reasons->errors > 0;
}

bool reasons_is_full(const struct reasons *reasons, enum reason_kind kind)
{
    switch (kind) {
    case REASON_ERROR:
        return reasons->errors >= REASONS_MAX;
    case REASON_WARNING:
        return reasons->warnings >= REASONS_MAX;
    }
    return true;
}

size_t reason_format(const struct reason *reason, char *out, size_t size)
{
    char position[32] = "";

    if (reason->line > 0)
        (void)snprintf(position, sizeof(position), ":%u:%u", reason->line,
                       reason->column);

    int len =
        snprintf(out, size, "%s%s%s%s%s: found %s, expected %s", reason->file,
                 position, reason->kind == REASON_WARNING ? ": warning" : "",
                 reason->path == NULL ? "" : ": ",
                 reason->path == NULL ? "" : reason->path, reason->found,
                 reason->expected);

    if (len < 0)
        return 0;
    return (size_t)len < size ? (size_t)len : size - 1;
}

/* Returns NULL when only the count was raised. */
static struct reason *append(struct reasons *reasons, enum reason_kind kind,
                             const char *file, const char *path,
                             const char *found, const char *expected)
{
    bool is_full = reasons_is_full(reasons, kind);

    if (kind == REASON_ERROR)
        reasons->errors++;
    else
        reasons->warnings++;
    if (is_full)
        return NULL;
    if (reasons->count == reasons->capacity) {
        reasons->capacity = reasons->capacity * 2 + 8;
        reasons->items = mem_realloc_array(reasons->items, reasons->capacity,
                                           sizeof(struct reason));
    }

    struct reason *reason = &reasons->items[reasons->count++];

    *reason = (struct reason){
        .kind = kind,
        .file = copy_printable(file),
        .path = path == NULL ? NULL : copy_printable(path),
        .found = copy_printable(found),
        .expected = copy_printable(expected),
    };
    return reason;
}

/* A value from a file must not drive the terminal that shows the reason, so
 * control characters are written as \xNN. */
static char *copy_printable(const char *text)
{
    char copy[TEXT_MAX + sizeof(DOTS)];
    size_t len = 0;

    while (*text != '\0') {
        size_t controls = control_len(text);
        size_t needed = controls > 0 ? controls * ESCAPE_LEN : 1;

        if (len + needed > TEXT_MAX) {
            len = whole_characters(copy, len, *text);
            memcpy(copy + len, DOTS, sizeof(DOTS) - 1);
            len += sizeof(DOTS) - 1;
            break;
        }
        if (controls > 0)
            len += escape(text, controls, copy + len);
        else
            copy[len++] = *text;
        text += controls > 0 ? controls : 1;
    }
    return mem_strndup(copy, len);
}

/* The length without the begun character that `next` would have gone on. */
static size_t whole_characters(const char *text, size_t len, char next)
{
    if (!continues_character(next))
        return len;
    while (len > 0 && continues_character(text[len - 1]))
        len--;
    return len > 0 ? len - 1 : 0;
}

static bool continues_character(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80; /* UTF-8 */
}

/* How many bytes form the control character at text: one of ASCII, two of
 * U+0080..U+009F in UTF-8; 0 for anything else. */
static size_t control_len(const char *text)
{
    unsigned char first = (unsigned char)text[0];

    if (first < 0x20 || first == 0x7f)
        return 1;
    if (first != 0xc2)
        return 0;

    unsigned char second = (unsigned char)text[1];

    return second >= 0x80 && second <= 0x9f ? 2 : 0;
}

static size_t escape(const char *text, size_t count, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < count; i++) {
        unsigned char byte = (unsigned char)text[i];

        *out++ = '\\';
        *out++ = 'x';
        *out++ = digits[byte >> 4];
        *out++ = digits[byte & 0x0f];
    }
    return count * ESCAPE_LEN;
}
