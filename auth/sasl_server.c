#include "auth/sasl_server.h"

#include <openssl/mem.h>
#include <string.h>

#include "auth/base64.h"
#include "auth/sasl_message.h"

/* The longest message that makes sense, and the two octets that the decoder
 * asks for beyond what padded text becomes. */
#define MESSAGE_MAX (2 * CREDENTIALS_NAME_MAX + CREDENTIALS_SECRET_MAX + 2 + 2)

const char *sasl_mechanism_name(enum sasl_mechanism mechanism)
{
    switch (mechanism) {
    case SASL_NONE:
        break;
    case SASL_PLAIN:
        return "PLAIN";
    case SASL_LOGIN:
        return "LOGIN";
    case SASL_XOAUTH2:
        return "XOAUTH2";
    case SASL_OAUTHBEARER:
        return "OAUTHBEARER";
    case SASL_EXTERNAL:
        return "EXTERNAL";
    case SASL_SCRAM_SHA_1:
        return "SCRAM-SHA-1";
    case SASL_SCRAM_SHA_256:
        return "SCRAM-SHA-256";
    }
    return "";
}

void sasl_server_start(struct sasl_server *server,
                       enum sasl_mechanism mechanism,
                       struct credentials *credentials)
{
    server->mechanism = mechanism;
    server->stage =
        mechanism == SASL_LOGIN ? SASL_STAGE_USER : SASL_STAGE_MESSAGE;
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

/* RFC 4422, appendix A: who to act as, or nothing. */
static bool take_external(struct credentials *credentials,
                          const uint8_t *message, size_t len)
{
    credentials->kind = CREDENTIALS_CERTIFICATE;
    return credentials_set_authzid(credentials, message, len);
}

static bool take_only_message(struct sasl_server *server,
                              const uint8_t *message, size_t len)
{
    struct credentials *credentials = server->credentials;

    switch (server->mechanism) {
    case SASL_PLAIN:
        return take_plain(credentials, message, len);
    case SASL_XOAUTH2:
        return sasl_message_xoauth2(credentials, message, len);
    case SASL_OAUTHBEARER:
        return sasl_message_oauthbearer(credentials, message, len);
    case SASL_EXTERNAL:
        return take_external(credentials, message, len);
    case SASL_SCRAM_SHA_1:
    case SASL_SCRAM_SHA_256:
        return sasl_message_scram(credentials, message, len);
    case SASL_NONE:
    case SASL_LOGIN:
        break;
    }
    return false;
}

static enum sasl_result take_message(struct sasl_server *server,
                                     const uint8_t *message, size_t len)
{
    struct credentials *credentials = server->credentials;

    switch (server->stage) {
    case SASL_STAGE_MESSAGE:
        return take_only_message(server, message, len) ? SASL_DONE : SASL_BAD;
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
