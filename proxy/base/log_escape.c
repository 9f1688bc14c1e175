#include "base/log_escape.h"

#include <string.h>

/* One byte or character as it will be written. */
struct piece {
    char text[8];
    size_t len;
    size_t used; /* bytes of the value that it stands for */
};

static const char hex_digits[] = "0123456789abcdef";
static const char cut_mark[3] = {'.', '.', '.'};

static struct piece raw_piece(const uint8_t *bytes, size_t len)
{
    struct piece piece = {.len = len, .used = len};

    memcpy(piece.text, bytes, len);
    return piece;
}

static struct piece backslashed_piece(uint8_t byte)
{
    struct piece piece = {.text = {'\\', (char)byte}, .len = 2, .used = 1};

    return piece;
}

static struct piece hex_piece(uint8_t byte)
{
    struct piece piece = {
        .text = {'\\', 'x', hex_digits[byte >> 4], hex_digits[byte & 15]},
        .len = 4,
        .used = 1};

    return piece;
}

/* A code point below 0x10000. */
static struct piece unicode_piece(uint32_t code, size_t used)
{
    struct piece piece = {.text = {'\\', 'u', hex_digits[code >> 12 & 15],
                                   hex_digits[code >> 8 & 15],
                                   hex_digits[code >> 4 & 15],
                                   hex_digits[code & 15]},
                          .len = 6,
                          .used = used};

    return piece;
}

static bool is_printable(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x7f;
}

static struct piece text_piece(uint8_t byte)
{
    if (byte == '"' || byte == '\\')
        return backslashed_piece(byte);
    return is_printable(byte) ? raw_piece(&byte, 1) : hex_piece(byte);
}

static size_t utf8_length(uint8_t first)
{
    if (first >= 0xc2 && first <= 0xdf)
        return 2;
    if (first >= 0xe0 && first <= 0xef)
        return 3;
    if (first >= 0xf0 && first <= 0xf4)
        return 4;
    return 0;
}

/* One character beyond ASCII (RFC 3629); returns its length, 0 if invalid. */
static size_t utf8_decode(const uint8_t *bytes, size_t len, uint32_t *code_out)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t need = utf8_length(bytes[0]);
    uint32_t code;

    if (need == 0 || need > len)
        return 0;
    code = bytes[0] & (0xffU >> (need + 1));
    for (size_t i = 1; i < need; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (bytes[i] & 0x3fU);
    }
    if (code < least[need] || code > 0x10ffff ||
        (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *code_out = code;
    return need;
}

/* C1 controls move terminals; separators and marks of direction make one
 * line look like another. */
static bool is_deceptive(uint32_t code)
{
    return code < 0xa0 || code == 0x61c || code == 0x200e || code == 0x200f ||
           (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

static struct piece json_piece(const uint8_t *bytes, size_t len)
{
    uint32_t code;
    size_t used;

    if (bytes[0] == '"' || bytes[0] == '\\')
        return backslashed_piece(bytes[0]);
    if (is_printable(bytes[0]))
        return raw_piece(bytes, 1);
    used = utf8_decode(bytes, len, &code);
    if (used == 0)
        return unicode_piece(bytes[0], 1);
    return is_deceptive(code) ? unicode_piece(code, used)
                              : raw_piece(bytes, used);
}

size_t log_escape(enum log_format format, const uint8_t *bytes, size_t len,
                  char out[LOG_ESCAPED_MAX])
{
    size_t written = 0;
    size_t at = 0;

    while (at < len) {
        struct piece piece = format == LOG_TEXT
                                 ? text_piece(bytes[at])
                                 : json_piece(bytes + at, len - at);

        if (piece.len > LOG_VALUE_MAX - written) {
            memcpy(out + written, cut_mark, sizeof(cut_mark));
            return written + sizeof(cut_mark);
        }
        memcpy(out + written, piece.text, piece.len);
        written += piece.len;
        at += piece.used;
    }
    return written;
}

static bool is_bare(uint8_t byte)
{
    return is_printable(byte) && byte != ' ' && byte != '=' && byte != '"' &&
           byte != '\\';
}

bool log_escape_is_bare(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_bare(bytes[i]))
            return false;
    }
    return len > 0;
}
