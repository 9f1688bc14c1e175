#include "imap/span.h"

#include <string.h>
#include <strings.h>

bool imap_span_is(struct imap_span span, const char *text)
{
    return span.len == strlen(text) &&
           (span.len == 0 ||
            strncasecmp((const char *)span.bytes, text, span.len) == 0);
}

/* Asked of nearly every byte of a login, too often for a call of strchr. */
bool imap_is_atom_char(uint8_t byte)
{
    switch (byte) {
    case '(':
    case ')':
    case '{':
    case '%':
    case '*':
    case '"':
    case '\\':
    case ']':
        return false;
    }
    return byte > 0x20 && byte < 0x7f;
}

bool imap_is_astring_char(uint8_t byte)
{
    return imap_is_atom_char(byte) || byte == ']';
}

static void skip(struct imap_span *span, size_t len)
{
    span->bytes += len;
    span->len -= len;
}

struct imap_span imap_span_take_atom(struct imap_span *span)
{
    struct imap_span atom = {span->bytes, 0};

    while (atom.len < span->len && imap_is_atom_char(span->bytes[atom.len]))
        atom.len++;
    if (atom.len > 0)
        skip(span, atom.len);
    return atom;
}

bool imap_span_take(struct imap_span *span, uint8_t byte)
{
    if (span->len == 0 || span->bytes[0] != byte)
        return false;
    skip(span, 1);
    return true;
}
