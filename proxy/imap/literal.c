#include "imap/literal.h"

#include <stdint.h>
#include <string.h>

/* Digits only. A leading zero is refused: some read it as octal. */
static bool read_count(struct imap_span digits, size_t *count_out)
{
    uint64_t count = 0;

    if (digits.len == 0 || (digits.len > 1 && digits.bytes[0] == '0'))
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.bytes[i] < '0' || digits.bytes[i] > '9')
            return false;
        if (count <= UINT32_MAX)
            count = count * 10 + (uint64_t)(digits.bytes[i] - '0');
    }
    *count_out = count > UINT32_MAX ? SIZE_MAX : (size_t)count;
    return true;
}

static enum imap_literal_mark judge(struct imap_span inside, size_t *len_out)
{
    struct imap_span digits = inside;
    bool has_plus = inside.len > 0 && inside.bytes[inside.len - 1] == '+';

    if (has_plus)
        digits.len--;
    if (read_count(digits, len_out))
        return has_plus ? IMAP_LITERAL_NONSYNC : IMAP_LITERAL_SYNC;
    /* Whoever writes "{3 +}" may well send octets after it: read as commands,
     * they would be run (threat C2). */
    return has_plus ? IMAP_LITERAL_UNSAFE : IMAP_LITERAL_ODD;
}

enum imap_literal_mark imap_literal_find(struct imap_span line, size_t *len_out)
{
    const uint8_t *brace;
    struct imap_span inside;

    *len_out = 0;
    if (line.len == 0 || line.bytes[line.len - 1] != '}')
        return IMAP_LITERAL_NONE;
    brace = memrchr(line.bytes, '{', line.len);
    if (brace == NULL)
        return IMAP_LITERAL_NONE;
    inside.bytes = brace + 1;
    inside.len = (size_t)(line.bytes + line.len - 1 - inside.bytes);
    /* With a quote between them, the "{" belongs to a quoted string and the
     * "}" to an atom. No other "{" but a mark's is valid. */
    if (memchr(inside.bytes, '"', inside.len) != NULL)
        return IMAP_LITERAL_NONE;
    return judge(inside, len_out);
}

bool imap_literal_is_mark(struct imap_span span, size_t *len_out)
{
    enum imap_literal_mark mark = imap_literal_find(span, len_out);

    return span.len > 0 && span.bytes[0] == '{' &&
           memrchr(span.bytes, '{', span.len) == span.bytes &&
           (mark == IMAP_LITERAL_SYNC || mark == IMAP_LITERAL_NONSYNC);
}
