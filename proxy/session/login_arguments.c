#include "session/login_arguments.h"

#define ID_PAIRS_MAX 30

static enum login_arguments_result judge(enum imap_argument_result result,
                                         const struct imap_string *string,
                                         size_t max)
{
    switch (result) {
    case IMAP_ARGUMENT_GOOD:
        return LOGIN_ARGUMENTS_GOOD;
    case IMAP_ARGUMENT_MORE:
        /* What could never be taken is not invited either. */
        return string->raw.len > max ? LOGIN_ARGUMENTS_TOO_LONG
                                     : LOGIN_ARGUMENTS_MORE;
    case IMAP_ARGUMENT_BAD:
        break;
    }
    return LOGIN_ARGUMENTS_BAD;
}

/* Takes a space and an astring; decodes it unless `bytes` is NULL. */
static enum login_arguments_result
take_field(struct imap_span *arguments, uint8_t *bytes, size_t max, size_t *len)
{
    struct imap_string string = {{NULL, 0}, false};
    enum login_arguments_result result;

    if (!imap_span_take(arguments, ' '))
        return LOGIN_ARGUMENTS_BAD;
    result = judge(imap_arguments_astring(arguments, &string), &string, max);
    if (result != LOGIN_ARGUMENTS_GOOD || bytes == NULL)
        return result;
    return imap_string_decode(&string, bytes, max, len)
               ? LOGIN_ARGUMENTS_GOOD
               : LOGIN_ARGUMENTS_TOO_LONG;
}

enum login_arguments_result
login_arguments_login(struct imap_span arguments,
                      struct credentials *credentials)
{
    uint8_t *user = credentials == NULL ? NULL : credentials->user;
    uint8_t *secret = credentials == NULL ? NULL : credentials->secret;
    size_t *user_len = credentials == NULL ? NULL : &credentials->user_len;
    size_t *secret_len = credentials == NULL ? NULL : &credentials->secret_len;
    enum login_arguments_result result;

    result = take_field(&arguments, user, CREDENTIALS_NAME_MAX, user_len);
    if (result == LOGIN_ARGUMENTS_GOOD)
        result =
            take_field(&arguments, secret, CREDENTIALS_SECRET_MAX, secret_len);
    if (result == LOGIN_ARGUMENTS_GOOD && arguments.len > 0)
        return LOGIN_ARGUMENTS_BAD;
    return result;
}

/* An ID beyond the bounds of the RFC is malformed, not merely long. */
static enum login_arguments_result bound(enum imap_argument_result result,
                                         const struct imap_string *string,
                                         size_t max)
{
    if (result != IMAP_ARGUMENT_BAD && string->raw.len > max)
        return LOGIN_ARGUMENTS_BAD;
    return judge(result, string, max);
}

static enum login_arguments_result take_id_pair(struct imap_span *arguments,
                                                login_arguments_pair *take,
                                                void *owner)
{
    struct imap_string key = {{NULL, 0}, false};
    struct imap_string value = key;
    enum login_arguments_result result;

    result = bound(imap_arguments_string(arguments, &key), &key,
                   LOGIN_ARGUMENTS_ID_KEY_MAX);
    if (result != LOGIN_ARGUMENTS_GOOD)
        return result;
    if (!imap_span_take(arguments, ' '))
        return LOGIN_ARGUMENTS_BAD;
    result = bound(imap_arguments_nstring(arguments, &value), &value,
                   LOGIN_ARGUMENTS_ID_VALUE_MAX);
    if (result == LOGIN_ARGUMENTS_GOOD && take != NULL)
        take(&key, &value, owner);
    return result;
}

/* The span stands behind the opening parenthesis. */
static enum login_arguments_result take_id_list(struct imap_span *arguments,
                                                login_arguments_pair *take,
                                                void *owner)
{
    enum login_arguments_result result;

    for (int pairs = 0; !imap_span_take(arguments, ')'); pairs++) {
        if (pairs == ID_PAIRS_MAX ||
            (pairs > 0 && !imap_span_take(arguments, ' ')))
            return LOGIN_ARGUMENTS_BAD;
        result = take_id_pair(arguments, take, owner);
        if (result != LOGIN_ARGUMENTS_GOOD)
            return result;
    }
    return LOGIN_ARGUMENTS_GOOD;
}

enum login_arguments_result login_arguments_id(struct imap_span arguments,
                                               login_arguments_pair *take,
                                               void *owner)
{
    enum login_arguments_result result;

    if (!imap_span_take(&arguments, ' '))
        return LOGIN_ARGUMENTS_BAD;
    if (!imap_span_take(&arguments, '('))
        return imap_span_is(arguments, "NIL") ? LOGIN_ARGUMENTS_GOOD
                                              : LOGIN_ARGUMENTS_BAD;
    result = take_id_list(&arguments, take, owner);
    if (result == LOGIN_ARGUMENTS_GOOD && arguments.len > 0)
        return LOGIN_ARGUMENTS_BAD;
    return result;
}

bool login_arguments_authenticate(struct imap_span arguments,
                                  struct login_authenticate *authenticate_out)
{
    struct login_authenticate parsed = {{NULL, 0}, false, {NULL, 0}};

    if (!imap_span_take(&arguments, ' '))
        return false;
    parsed.mechanism = imap_span_take_atom(&arguments);
    if (parsed.mechanism.len == 0)
        return false;
    parsed.has_initial = imap_span_take(&arguments, ' ');
    if (arguments.len > 0 && !parsed.has_initial)
        return false;
    if (parsed.has_initial && arguments.len == 0)
        return false;
    parsed.initial = arguments;
    if (imap_span_is(arguments, "="))
        parsed.initial.len = 0; /* RFC 4959, 3 */
    *authenticate_out = parsed;
    return true;
}
