#include "auth/sasl_message.h"

#include <openssl/mem.h>
#include <string.h>
#include <strings.h>

#define SEPARATOR 0x01

/* A piece of the message; bytes are NULL where it has none. */
struct field {
    const uint8_t *bytes;
    size_t len;
};

static void skip(struct field *rest, size_t len)
{
    rest->bytes += len;
    rest->len -= len;
}

/* Takes this text off the front; false when another one is there. */
static bool take(struct field *rest, const char *text)
{
    size_t len = strlen(text);

    if (rest->len < len || memcmp(rest->bytes, text, len) != 0)
        return false;
    skip(rest, len);
    return true;
}

static bool take_separator(struct field *rest)
{
    return take(rest, "\x01");
}

/* Takes what comes before the byte, and the byte. */
static bool take_until(struct field *rest, uint8_t byte,
                       struct field *field_out)
{
    const uint8_t *end =
        rest->len == 0 ? NULL : memchr(rest->bytes, byte, rest->len);

    if (end == NULL)
        return false;
    *field_out = (struct field){rest->bytes, (size_t)(end - rest->bytes)};
    skip(rest, field_out->len + 1);
    return true;
}

/* RFC 5801, 4: the flag of channel binding and, perhaps, a name. */
static bool take_gs2_header(struct field *rest, struct field *name_out)
{
    *name_out = (struct field){NULL, 0};
    if (!take(rest, "n,") && !take(rest, "y,"))
        return false;
    return take(rest, "a=") ? take_until(rest, ',', name_out) : take(rest, ",");
}

/* RFC 5802, 5.1: "," and "=" are sent as "=2C" and "=3D", and a "=" before
 * anything else is a failure. The room is CREDENTIALS_NAME_MAX. */
static bool decode_name(struct field name, uint8_t *out, size_t *len_out)
{
    size_t len = 0;

    while (name.len > 0) {
        if (len == CREDENTIALS_NAME_MAX)
            return false;
        if (take(&name, "=2C")) {
            out[len++] = ',';
        } else if (take(&name, "=3D")) {
            out[len++] = '=';
        } else {
            if (name.bytes[0] == '=')
                return false;
            out[len++] = name.bytes[0];
            skip(&name, 1);
        }
    }
    *len_out = len;
    return len > 0;
}

typedef bool set_name(struct credentials *credentials, const uint8_t *bytes,
                      size_t len);

/* A name that the message does not have stays empty. */
static bool keep_name(struct credentials *credentials, struct field name,
                      set_name *set)
{
    uint8_t decoded[CREDENTIALS_NAME_MAX];
    size_t len = 0;
    bool is_good;

    if (name.bytes == NULL)
        return true;
    is_good =
        decode_name(name, decoded, &len) && set(credentials, decoded, len);
    OPENSSL_cleanse(decoded, sizeof(decoded));
    return is_good;
}

static bool keep_message(struct credentials *credentials,
                         const uint8_t *message, size_t len)
{
    credentials->kind = CREDENTIALS_MESSAGE;
    return memchr(message, 0, len) == NULL &&
           credentials_set_secret(credentials, message, len);
}

bool sasl_message_scram(struct credentials *credentials, const uint8_t *message,
                        size_t len)
{
    struct field rest = {message, len};
    struct field authzid, user;

    return take_gs2_header(&rest, &authzid) && take(&rest, "n=") &&
           take_until(&rest, ',', &user) && take(&rest, "r=") &&
           keep_name(credentials, authzid, credentials_set_authzid) &&
           keep_name(credentials, user, credentials_set_user) &&
           keep_message(credentials, message, len);
}

/* RFC 6750, 2.1: "Bearer", whatever its case, and a token of printable octets;
 * the backend knows what it may hold. */
static bool is_bearer(struct field value)
{
    static const char scheme[] = "Bearer ";
    size_t scheme_len = sizeof(scheme) - 1;

    if (value.len < scheme_len ||
        strncasecmp((const char *)value.bytes, scheme, scheme_len) != 0)
        return false;
    skip(&value, scheme_len);
    while (take(&value, " "))
        continue;
    for (size_t i = 0; i < value.len; i++) {
        if (value.bytes[i] <= 0x20 || value.bytes[i] >= 0x7f)
            return false;
    }
    return value.len > 0;
}

static bool is_letter(uint8_t byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

static bool key_is_good(struct field key)
{
    for (size_t i = 0; i < key.len; i++) {
        if (!is_letter(key.bytes[i]))
            return false;
    }
    return key.len > 0;
}

/* VCHAR, SP, HTAB, CR and LF. */
static bool value_is_good(struct field value)
{
    for (size_t i = 0; i < value.len; i++) {
        uint8_t byte = value.bytes[i];

        if ((byte < 0x20 || byte >= 0x7f) && byte != '\t' && byte != '\r' &&
            byte != '\n')
            return false;
    }
    return true;
}

/* Takes a kvpair. "auth" may be there once; an empty one asks the server what
 * it wants (RFC 7628, 4.3). */
static bool take_pair(struct field *rest, bool *has_auth)
{
    struct field pair, key;

    if (!take_until(rest, SEPARATOR, &pair) || !take_until(&pair, '=', &key) ||
        !key_is_good(key) || !value_is_good(pair))
        return false;
    if (key.len != 4 || memcmp(key.bytes, "auth", 4) != 0)
        return true;
    if (*has_auth || (pair.len > 0 && !is_bearer(pair)))
        return false;
    *has_auth = true;
    return true;
}

bool sasl_message_oauthbearer(struct credentials *credentials,
                              const uint8_t *message, size_t len)
{
    struct field rest = {message, len};
    struct field user;
    bool has_auth = false;

    if (!take_gs2_header(&rest, &user) || !take_separator(&rest))
        return false;
    while (!take_separator(&rest)) {
        if (!take_pair(&rest, &has_auth))
            return false;
    }
    return has_auth && rest.len == 0 &&
           keep_name(credentials, user, credentials_set_user) &&
           keep_message(credentials, message, len);
}

bool sasl_message_xoauth2(struct credentials *credentials,
                          const uint8_t *message, size_t len)
{
    struct field rest = {message, len};
    struct field user, token;

    return take(&rest, "user=") && take_until(&rest, SEPARATOR, &user) &&
           user.len > 0 && take(&rest, "auth=") &&
           take_until(&rest, SEPARATOR, &token) && is_bearer(token) &&
           take_separator(&rest) && rest.len == 0 &&
           credentials_set_user(credentials, user.bytes, user.len) &&
           keep_message(credentials, message, len);
}
