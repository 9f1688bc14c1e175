/* Who wants to log in, and by which secret: bounded, and wiped after use. */
#ifndef AUTH_CREDENTIALS_H
#define AUTH_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AUTH_MUST_USE __attribute__((warn_unused_result))

#define CREDENTIALS_NAME_MAX 1024
#define CREDENTIALS_SECRET_MAX 8192 /* tokens are long */

/* What there is to show to a backend. */
enum credentials_kind {
    CREDENTIALS_PASSWORD, /* the secret is the user's password */
    /* The secret is the client's first message, decoded, to be passed on as it
     * is; the names were read out of it. */
    CREDENTIALS_MESSAGE,
    /* TLS has shown who the user is; there is no secret. */
    CREDENTIALS_CERTIFICATE
};

/* The names and the secret as the client sent them, decoded; no terminator,
 * any byte may occur until credentials_check. */
struct credentials {
    uint8_t user[CREDENTIALS_NAME_MAX]; /* who authenticates */
    size_t user_len;
    uint8_t authzid[CREDENTIALS_NAME_MAX]; /* who to act as; empty: the user */
    size_t authzid_len;
    uint8_t secret[CREDENTIALS_SECRET_MAX];
    size_t secret_len;
    enum credentials_kind kind;
};

enum credentials_fault {
    CREDENTIALS_GOOD,
    CREDENTIALS_NO_USER,
    CREDENTIALS_NO_SECRET, /* some directories take it for success */
    CREDENTIALS_CONTROL_IN_NAME,
    CREDENTIALS_NUL_IN_SECRET
};

/* Each copies; false, with nothing changed, when too long. */
AUTH_MUST_USE bool credentials_set_user(struct credentials *credentials,
                                        const uint8_t *bytes, size_t len);
AUTH_MUST_USE bool credentials_set_authzid(struct credentials *credentials,
                                           const uint8_t *bytes, size_t len);
AUTH_MUST_USE bool credentials_set_secret(struct credentials *credentials,
                                          const uint8_t *bytes, size_t len);

/* Whether these may be carried to a backend. A message may name no user: a
 * token can be enough (RFC 7628, 3.1). */
AUTH_MUST_USE enum credentials_fault
credentials_check(const struct credentials *credentials);

/* Whether somebody else is to be acted for than the one who authenticates. */
bool credentials_acts_for_another(const struct credentials *credentials);

/* Leaves all zero, in memory too. */
void credentials_wipe(struct credentials *credentials);

#endif
