#include "auth/sasl_client.h"

#include <openssl/mem.h>
#include <string.h>

/* Appends one field and, unless it is the last, its NUL. */
static bool put_field(uint8_t *message, size_t *len, const uint8_t *bytes,
                      size_t field_len, bool is_last)
{
    if (field_len > 0) {
        if (memchr(bytes, 0, field_len) != NULL)
            return false;
        memcpy(message + *len, bytes, field_len);
        *len += field_len;
    }
    if (!is_last)
        message[(*len)++] = 0;
    return true;
}

static bool put_name(uint8_t *message, size_t *len, const char *name)
{
    size_t name_len = strnlen(name, CREDENTIALS_NAME_MAX + 1);

    return name_len <= CREDENTIALS_NAME_MAX &&
           put_field(message, len, (const uint8_t *)name, name_len, false);
}

static bool put_names(uint8_t *message, size_t *len,
                      const struct credentials *credentials,
                      const char *login_as)
{
    if (login_as == NULL)
        return put_field(message, len, credentials->authzid,
                         credentials->authzid_len, false) &&
               put_field(message, len, credentials->user, credentials->user_len,
                         false);
    if (credentials_acts_for_another(credentials))
        return put_name(message, len, login_as) &&
               put_field(message, len, credentials->user, credentials->user_len,
                         false);
    return put_field(message, len, NULL, 0, false) &&
           put_name(message, len, login_as);
}

/* Who to act as, and the master. */
static bool put_master(uint8_t *message, size_t *len,
                       const struct credentials *credentials,
                       const char *login_as, const char *master)
{
    bool is_good = login_as == NULL ? put_field(message, len, credentials->user,
                                                credentials->user_len, false)
                                    : put_name(message, len, login_as);

    return is_good && put_name(message, len, master);
}

bool sasl_client_plain(const struct credentials *credentials,
                       const char *login_as, uint8_t *out, size_t *len_out)
{
    uint8_t message[SASL_CLIENT_PLAIN_MAX];
    size_t len = 0;
    bool is_good = put_names(message, &len, credentials, login_as) &&
                   put_field(message, &len, credentials->secret,
                             credentials->secret_len, true);

    if (is_good)
        *len_out = base64_encode(message, len, out);
    OPENSSL_cleanse(message, sizeof(message));
    return is_good;
}

bool sasl_client_master(const struct credentials *credentials,
                        const char *login_as, const char *master,
                        const uint8_t *secret, size_t secret_len, uint8_t *out,
                        size_t *len_out)
{
    uint8_t message[SASL_CLIENT_PLAIN_MAX];
    size_t len = 0;
    bool is_good = secret_len <= CREDENTIALS_SECRET_MAX &&
                   put_master(message, &len, credentials, login_as, master) &&
                   put_field(message, &len, secret, secret_len, true);

    if (is_good)
        *len_out = base64_encode(message, len, out);
    OPENSSL_cleanse(message, sizeof(message));
    return is_good;
}

void sasl_client_message(const struct credentials *credentials, uint8_t *out,
                         size_t *len_out)
{
    *len_out = base64_encode(credentials->secret, credentials->secret_len, out);
}
