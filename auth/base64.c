#include "auth/base64.h"

#include <openssl/base64.h>

size_t base64_encode(const uint8_t *bytes, size_t len, uint8_t *out)
{
    return EVP_EncodeBlock(out, bytes, len);
}

bool base64_decode(const uint8_t *text, size_t len, uint8_t *out,
                   size_t out_max, size_t *len_out)
{
    return EVP_DecodeBase64(out, len_out, out_max, text, len) == 1;
}
