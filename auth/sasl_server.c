#include "auth/sasl_server.h"

#include <openssl/mem.h>
#include <string.h>

#include "auth/base64.h"

/* The longest message that makes sense, and the two octets that the decoder
 * asks for beyond what padded text becomes. */
#define MESSAGE_MAX (2 * CREDENTIALS_NAME_MAX + CREDENTIALS_SECRET_MAX + 2 + 2)

void sasl_server_start(struct sasl_server *server,
                       enum sasl_mechanism mechanism,
                       struct credentials *credentials)
{
    switch (mechanism) {
    case SASL_PLAIN:
        server->stage = SASL_STAGE_MESSAGE;
        break;
    case SASL_LOGIN:
        server->stage = SASL_STAGE_USER;
        break;
    }
    server->credentials = credentials;
    credentials_wipe(credentials);
}

const char *sasl_server_challenge(const struct sasl_server *server)
{
    switch (server->stage) {
    case SASL_STAGE_USER:
        return "VXNlcm5hbWU6"; /* Username: */
    case SASL_STAGE_SECRET:
        return "UGFzc3dvcmQ6"; /* Password: */
    case SASL_STAGE_MESSAGE:
    case SASL_STAGE_OVER:
        break;
    }
    return "";
}

/* RFC 4616, 2: [authzid] NUL authcid NUL passwd. The lengths come from the
 * message, never from a terminator. */
static bool take_plain(struct credentials *credentials, const uint8_t *message,
                       size_t len)
{
    const uint8_t *end = message + len;
    const uint8_t *first = memchr(message, 0, len);
    const uint8_t *user = first == NULL ? end : first + 1;
    const uint8_t *second = memchr(user, 0, (size_t)(end - user));
    const uint8_t *secret = second == NULL ? end : second + 1;

    if (second == NULL || second == user ||
        memchr(secret, 0, (size_t)(end - secret)) != NULL)
        return false;
    return credentials_set_authzid(credentials, message,
                                   (size_t)(first - message)) &&
           credentials_set_user(credentials, user, (size_t)(second - user)) &&
           credentials_set_secret(credentials, secret, (size_t)(end - secret));
}

static enum sasl_result take_message(struct sasl_server *server,
                                     const uint8_t *message, size_t len)
{
    struct credentials *credentials = server->credentials;

    switch (server->stage) {
    case SASL_STAGE_MESSAGE:
        return take_plain(credentials, message, len) ? SASL_DONE : SASL_BAD;
    case SASL_STAGE_USER:
        if (len == 0 || !credentials_set_user(credentials, message, len))
            return SASL_BAD;
        server->stage = SASL_STAGE_SECRET;
        return SASL_MORE;
    case SASL_STAGE_SECRET:
        return credentials_set_secret(credentials, message, len) ? SASL_DONE
                                                                 : SASL_BAD;
    case SASL_STAGE_OVER:
        break;
    }
    return SASL_BAD;
}

enum sasl_result sasl_server_step(struct sasl_server *server,
                                  const uint8_t *base64, size_t len)
{
    uint8_t message[MESSAGE_MAX];
    size_t message_len = 0;
    enum sasl_result result = SASL_BAD;

    if (base64_decode(base64, len, message, sizeof(message), &message_len))
        result = take_message(server, message, message_len);
    OPENSSL_cleanse(message, sizeof(message));
    if (result != SASL_MORE)
        server->stage = SASL_STAGE_OVER;
    if (result == SASL_BAD)
        credentials_wipe(server->credentials);
    return result;
}
