#include "auth/base64.h"

#include <openssl/base64.h>
#include <openssl/mem.h>
#include <string.h>

size_t base64_encode(const uint8_t *bytes, size_t len, uint8_t *out)
{
    return EVP_EncodeBlock(out, bytes, len);
}

/* Bits that the padding leaves over must be zero (RFC 4648, 3.5): only then
 * does the last group, encoded again, read as it came. */
static bool tail_is_canonical(const uint8_t *text, size_t len,
                              const uint8_t *bytes, size_t bytes_len)
{
    size_t rest = bytes_len % 3;
    uint8_t again[5];
    bool is_same;

    if (rest == 0)
        return true;
    EVP_EncodeBlock(again, bytes + bytes_len - rest, rest);
    is_same = memcmp(again, text + len - 4, 4) == 0;
    OPENSSL_cleanse(again, sizeof(again));
    return is_same;
}

bool base64_decode(const uint8_t *text, size_t len, uint8_t *out,
                   size_t out_max, size_t *len_out)
{
    return EVP_DecodeBase64(out, len_out, out_max, text, len) == 1 &&
           tail_is_canonical(text, len, out, *len_out);
}

/* What the digit stands for; 64 when it is none. */
static unsigned value_of(uint8_t digit)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26u;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52u;
    if (digit == '+')
        return 62;
    return digit == '/' ? 63 : 64;
}

bool base64_is_strict(const uint8_t *text, size_t len)
{
    size_t padding = 0;
    unsigned spare;

    if (len == 0 || len % 4 != 0)
        return len == 0;
    while (padding < 2 && text[len - 1 - padding] == '=')
        padding++;
    for (size_t i = 0; i < len - padding; i++) {
        if (value_of(text[i]) == 64)
            return false;
    }
    spare = padding == 0 ? 0 : padding == 1 ? 3 : 15;
    return (value_of(text[len - 1 - padding]) & spare) == 0;
}
