/* What a client says with LOGIN, AUTHENTICATE and ID. */
#ifndef SESSION_LOGIN_ARGUMENTS_H
#define SESSION_LOGIN_ARGUMENTS_H

#include <stdbool.h>

#include "auth/credentials.h"
#include "config/mem.h"
#include "imap/arguments.h"
#include "imap/span.h"

enum login_arguments_result {
    LOGIN_ARGUMENTS_GOOD,
    LOGIN_ARGUMENTS_BAD,
    LOGIN_ARGUMENTS_TOO_LONG, /* no such user or password can be */
    LOGIN_ARGUMENTS_MORE      /* good so far, a literal is still to come */
};

/* Reads the two astrings of LOGIN (RFC 9051, 6.2.3) into the credentials;
 * NULL: only judges them. */
MUST_USE enum login_arguments_result
login_arguments_login(struct imap_span arguments,
                      struct credentials *credentials);

/* RFC 2971, 3.3: octets of a field and of its value. */
#define LOGIN_ARGUMENTS_ID_KEY_MAX 30
#define LOGIN_ARGUMENTS_ID_VALUE_MAX 1024

/* Is called with each pair of an ID; the bytes of a NIL are NULL. */
typedef void login_arguments_pair(const struct imap_string *key,
                                  const struct imap_string *value, void *owner);

/* Checks the list of ID and its bounds, and hands its pairs over one by one,
 * also those before a fault. NULL: only judges them. */
MUST_USE enum login_arguments_result
login_arguments_id(struct imap_span arguments, login_arguments_pair *take,
                   void *owner);

struct login_authenticate {
    struct imap_span mechanism;
    bool has_initial;
    struct imap_span initial; /* base64; the "=" for none is empty here */
};

/* Reads AUTHENTICATE (RFC 9051, 6.2.2); the spans point into the arguments.
 * False when it is malformed. */
MUST_USE bool
login_arguments_authenticate(struct imap_span arguments,
                             struct login_authenticate *authenticate_out);

#endif
