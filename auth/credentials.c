#include "auth/credentials.h"

#include <openssl/mem.h>
#include <string.h>

static bool set_field(uint8_t *field, size_t *field_len, size_t max,
                      const uint8_t *bytes, size_t len)
{
    if (len > max)
        return false;
    if (len > 0)
        memmove(field, bytes, len);
    if (*field_len > len)
        OPENSSL_cleanse(field + len, *field_len - len);
    *field_len = len;
    return true;
}

bool credentials_set_user(struct credentials *credentials, const uint8_t *bytes,
                          size_t len)
{
    return set_field(credentials->user, &credentials->user_len,
                     sizeof(credentials->user), bytes, len);
}

bool credentials_set_authzid(struct credentials *credentials,
                             const uint8_t *bytes, size_t len)
{
    return set_field(credentials->authzid, &credentials->authzid_len,
                     sizeof(credentials->authzid), bytes, len);
}

bool credentials_set_secret(struct credentials *credentials,
                            const uint8_t *bytes, size_t len)
{
    return set_field(credentials->secret, &credentials->secret_len,
                     sizeof(credentials->secret), bytes, len);
}

bool credentials_acts_for_another(const struct credentials *credentials)
{
    return credentials->authzid_len > 0 &&
           (credentials->authzid_len != credentials->user_len ||
            memcmp(credentials->authzid, credentials->user,
                   credentials->user_len) != 0);
}

static bool has_control(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] < 0x20 || bytes[i] == 0x7f)
            return true;
    }
    return false;
}

enum credentials_fault credentials_check(const struct credentials *credentials)
{
    if (credentials->user_len == 0 && credentials->kind != CREDENTIALS_MESSAGE)
        return CREDENTIALS_NO_USER;
    if (has_control(credentials->user, credentials->user_len) ||
        has_control(credentials->authzid, credentials->authzid_len))
        return CREDENTIALS_CONTROL_IN_NAME;
    if (credentials->secret_len == 0)
        return credentials->kind == CREDENTIALS_CERTIFICATE
                   ? CREDENTIALS_GOOD
                   : CREDENTIALS_NO_SECRET;
    if (memchr(credentials->secret, 0, credentials->secret_len) != NULL)
        return CREDENTIALS_NUL_IN_SECRET;
    return CREDENTIALS_GOOD;
}

void credentials_wipe(struct credentials *credentials)
{
    OPENSSL_cleanse(credentials, sizeof(*credentials));
}
