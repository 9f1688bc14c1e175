/* Base64 as SASL profiles demand it (RFC 4648, 4): no white space, no line
 * breaks, padding complete and only at the end. */
#ifndef AUTH_BASE64_H
#define AUTH_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/credentials.h"

/* Octets of text that `len` octets become; without a terminator. */
#define BASE64_LENGTH(len) (((len) + 2) / 3 * 4)

/* Encodes into `out`, which has room for BASE64_LENGTH(len) + 1 octets: the
 * last is a NUL. Returns the length of the text without it. */
size_t base64_encode(const uint8_t *bytes, size_t len, uint8_t *out);

/* Whether base64_decode would take the text, were there room. */
AUTH_MUST_USE bool base64_is_strict(const uint8_t *text, size_t len);

/* Decodes; false on anything that is not strict base64, or when the result
 * would not fit. `out` may then hold a part of it: wipe it in any case. */
AUTH_MUST_USE bool base64_decode(const uint8_t *text, size_t len, uint8_t *out,
                                 size_t out_max, size_t *len_out);

#endif
