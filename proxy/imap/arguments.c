#include "imap/arguments.h"

#include <string.h>

#include "imap/literal.h"

static void skip(struct imap_span *span, size_t len)
{
    span->bytes += len;
    span->len -= len;
}

/* RFC 9051, 9: quoted; the span stands behind the opening quote. */
static enum imap_argument_result take_quoted(struct imap_span *arguments,
                                             struct imap_string *string_out)
{
    const uint8_t *bytes = arguments->bytes;
    size_t i = 0;

    *string_out = (struct imap_string){{bytes, 0}, false};
    for (; i < arguments->len && bytes[i] != '"'; i++) {
        if (bytes[i] == '\r' || bytes[i] == '\n' || bytes[i] == 0)
            return IMAP_ARGUMENT_BAD;
        if (bytes[i] != '\\')
            continue;
        string_out->is_escaped = true;
        i++;
        if (i == arguments->len || (bytes[i] != '"' && bytes[i] != '\\'))
            return IMAP_ARGUMENT_BAD;
    }
    if (i == arguments->len)
        return IMAP_ARGUMENT_BAD;
    string_out->raw.len = i;
    skip(arguments, i + 1);
    return IMAP_ARGUMENT_GOOD;
}

/* The span stands at "{". */
static enum imap_argument_result take_literal(struct imap_span *arguments,
                                              struct imap_string *string_out)
{
    const uint8_t *end =
        memchr(arguments->bytes, '\n', arguments->len); /* of the mark */
    struct imap_span mark = {arguments->bytes, 0};
    size_t len;

    if (end == NULL || end == mark.bytes || end[-1] != '\r')
        return IMAP_ARGUMENT_BAD;
    mark.len = (size_t)(end - 1 - mark.bytes);
    if (!imap_literal_is_mark(mark, &len))
        return IMAP_ARGUMENT_BAD;
    skip(arguments, mark.len + 2);
    *string_out = (struct imap_string){{NULL, len}, false};
    if (len > arguments->len)
        return IMAP_ARGUMENT_MORE;
    string_out->raw.bytes = arguments->bytes;
    skip(arguments, len);
    return IMAP_ARGUMENT_GOOD;
}

enum imap_argument_result imap_arguments_string(struct imap_span *arguments,
                                                struct imap_string *string_out)
{
    if (arguments->len > 0 && arguments->bytes[0] == '{')
        return take_literal(arguments, string_out);
    if (imap_span_take(arguments, '"'))
        return take_quoted(arguments, string_out);
    return IMAP_ARGUMENT_BAD;
}

enum imap_argument_result imap_arguments_astring(struct imap_span *arguments,
                                                 struct imap_string *string_out)
{
    struct imap_span bare = {arguments->bytes, 0};

    while (bare.len < arguments->len &&
           imap_is_astring_char(arguments->bytes[bare.len]))
        bare.len++;
    if (bare.len == 0)
        return imap_arguments_string(arguments, string_out);
    skip(arguments, bare.len);
    *string_out = (struct imap_string){bare, false};
    return IMAP_ARGUMENT_GOOD;
}

enum imap_argument_result imap_arguments_nstring(struct imap_span *arguments,
                                                 struct imap_string *string_out)
{
    struct imap_span rest = *arguments;
    struct imap_span atom = imap_span_take_atom(&rest);

    if (!imap_span_is(atom, "NIL"))
        return imap_arguments_string(arguments, string_out);
    *arguments = rest;
    *string_out = (struct imap_string){{NULL, 0}, false};
    return IMAP_ARGUMENT_GOOD;
}

bool imap_string_decode(const struct imap_string *string, uint8_t *out,
                        size_t max, size_t *len_out)
{
    size_t len = 0;

    for (size_t i = 0; i < string->raw.len; i++) {
        if (string->is_escaped && string->raw.bytes[i] == '\\')
            i++;
        if (len == max)
            return false;
        out[len++] = string->raw.bytes[i];
    }
    *len_out = len;
    return true;
}
