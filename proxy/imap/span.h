/* A piece of text inside somebody else's buffer. */
#ifndef IMAP_SPAN_H
#define IMAP_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed, without terminator; any byte may occur. */
struct imap_span {
    const uint8_t *bytes;
    size_t len;
};

/* Whether the span is this text, whatever the case of ASCII letters. */
bool imap_span_is(struct imap_span span, const char *text);

/* Takes the atom at the front off the span and returns it: up to the first
 * byte that cannot be in one (RFC 9051, 9: ATOM-CHAR). May be empty. */
struct imap_span imap_span_take_atom(struct imap_span *span);

/* Takes one such byte off the front; false when another one is there. */
bool imap_span_take(struct imap_span *span, uint8_t byte);

/* RFC 9051, 9: ATOM-CHAR, and ASTRING-CHAR, which adds "]". */
bool imap_is_atom_char(uint8_t byte);
bool imap_is_astring_char(uint8_t byte);

#endif
