#include "ops/text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_SIZE = 4096
};

void text_deinit(struct text *text)
{
    free(text->bytes);
    *text = (struct text){.bytes = NULL};
}

/* Room for len bytes and a NUL behind what is there. */
static void make_room(struct text *text, size_t len)
{
    size_t needed = text->len + len + 1;
    size_t size = text->size > 0 ? text->size : FIRST_SIZE;

    if (needed <= text->size)
        return;
    while (size < needed)
        size *= 2;
    text->bytes = mem_realloc(text->bytes, size);
    text->size = size;
}

void text_add_bytes(struct text *text, const char *bytes, size_t len)
{
    make_room(text, len);
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
    text->bytes[text->len] = '\0';
}

void text_add(struct text *text, const char *format, ...)
{
    va_list values, again;
    int len;

    va_start(values, format);
    va_copy(again, values);
    len = vsnprintf(NULL, 0, format, values);
    va_end(values);
    if (len > 0) {
        make_room(text, (size_t)len);
        (void)vsnprintf(text->bytes + text->len, (size_t)len + 1, format,
                        again);
        text->len += (size_t)len;
    }
    va_end(again);
}

static size_t continuation_bytes(uint8_t first)
{
    if (first >= 0xc2 && first <= 0xdf)
        return 1;
    if (first >= 0xe0 && first <= 0xef)
        return 2;
    return first >= 0xf0 && first <= 0xf4 ? 3 : 0;
}

/* The second byte alone tells overlong forms, surrogates and what lies beyond
 * Unicode (RFC 3629, 4). */
static bool second_fits(uint8_t first, uint8_t second)
{
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

    return second >= low && second <= high;
}

/* The length of the character that is no ASCII, 0 if it is none at all. The
 * NUL at the end stops every comparison. */
static size_t character_len(const uint8_t *at)
{
    size_t more = continuation_bytes(at[0]);

    if (more == 0 || !second_fits(at[0], at[1]))
        return 0;
    for (size_t i = 2; i <= more; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    return more + 1;
}

/* Adds one character of a JSON string; returns how many bytes it took. */
static size_t add_character(struct text *text, const uint8_t *at)
{
    size_t len = 1;

    if (*at == '"' || *at == '\\')
        text_add(text, "\\%c", *at);
    else if (*at < 0x20 || *at == 0x7f)
        text_add(text, "\\u%04x", *at);
    else if (*at < 0x80)
        text_add_bytes(text, (const char *)at, 1);
    else if ((len = character_len(at)) > 0)
        text_add_bytes(text, (const char *)at, len);
    else
        text_add_bytes(text, "\xef\xbf\xbd", 3);
    return len > 0 ? len : 1;
}

void text_add_json(struct text *text, const char *value)
{
    const uint8_t *at = (const uint8_t *)value;

    text_add_bytes(text, "\"", 1);
    while (*at != '\0')
        at += add_character(text, at);
    text_add_bytes(text, "\"", 1);
}

void text_add_json_or_null(struct text *text, const char *value)
{
    if (value == NULL)
        text_add(text, "null");
    else
        text_add_json(text, value);
}

/* Prometheus knows three escapes; JSON writes two of them alike, a line's
 * end is the third. Other control bytes have none. */
void text_add_label(struct text *text, const char *value)
{
    const uint8_t *at = (const uint8_t *)value;

    text_add_bytes(text, "\"", 1);
    while (*at != '\0') {
        if (*at == '\n') {
            text_add_bytes(text, "\\n", 2);
            at++;
        } else if (*at < 0x20 || *at == 0x7f) {
            text_add_bytes(text, "?", 1);
            at++;
        } else {
            at += add_character(text, at);
        }
    }
    text_add_bytes(text, "\"", 1);
}
