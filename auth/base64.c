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
