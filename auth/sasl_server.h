/* One SASL exchange, seen from the server: learns the credentials, and does
 * not judge them. */
#ifndef AUTH_SASL_SERVER_H
#define AUTH_SASL_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "auth/credentials.h"

/* Values are bits, so that a set of mechanisms is their sum. */
enum sasl_mechanism {
    SASL_NONE = 0,          /* no SASL: the command LOGIN */
    SASL_PLAIN = 1,         /* RFC 4616 */
    SASL_LOGIN = 2,         /* never standardised, but Outlook's */
    SASL_XOAUTH2 = 4,       /* Google's, and Microsoft's */
    SASL_OAUTHBEARER = 8,   /* RFC 7628 */
    SASL_EXTERNAL = 16,     /* RFC 4422, appendix A */
    SASL_SCRAM_SHA_1 = 32,  /* RFC 5802; never -PLUS: TLS ends at us, and what
                               it would bind to with it */
    SASL_SCRAM_SHA_256 = 64 /* RFC 7677 */
};
#define SASL_MECHANISM_COUNT 7 /* without SASL_NONE */

enum sasl_result {
    SASL_MORE, /* send sasl_server_challenge, step with the answer */
    SASL_DONE, /* the credentials are complete */
    SASL_BAD   /* malformed; what was learnt is wiped */
};

enum sasl_stage {
    SASL_STAGE_MESSAGE, /* all but LOGIN have one that we read */
    SASL_STAGE_USER,
    SASL_STAGE_SECRET,
    SASL_STAGE_OVER
};

struct sasl_server {
    enum sasl_mechanism mechanism;
    enum sasl_stage stage;
    struct credentials *credentials;
};

/* The name, as capability lists and AUTHENTICATE have it; empty for SASL_NONE.
 */
const char *sasl_mechanism_name(enum sasl_mechanism mechanism);

/* Starts an exchange that fills `credentials` (borrowed until it is over). The
 * client has the next word, by its initial response or as the answer to the
 * challenge. What is said after SCRAM's and a token's first message is between
 * client and backend. EXTERNAL only learns the authorisation identity: whoever
 * saw the certificate sets the user. */
void sasl_server_start(struct sasl_server *server,
                       enum sasl_mechanism mechanism,
                       struct credentials *credentials);

/* The challenge to send, in base64; may be empty. */
const char *sasl_server_challenge(const struct sasl_server *server);

/* Takes one message of the client, in base64 as it came, without line end. */
AUTH_MUST_USE enum sasl_result
sasl_server_step(struct sasl_server *server, const uint8_t *base64, size_t len);

#endif
