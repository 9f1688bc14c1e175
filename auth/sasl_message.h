/* The client's first message, of the mechanisms whose exchange is the
 * backend's: read for its names only. */
#ifndef AUTH_SASL_MESSAGE_H
#define AUTH_SASL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/credentials.h"

/* Each keeps the message as the secret and the names in it as user and
 * authorisation identity; false when it is malformed or too long, with the
 * credentials in an unknown state. The bytes may not lie in them. */

/* client-first-message of RFC 5802, 7: the user is "n=", the authorisation
 * identity "a=". A client that insists on channel binding is malformed: it was
 * never offered. Its nonce is the backend's to judge. */
AUTH_MUST_USE bool sasl_message_scram(struct credentials *credentials,
                                      const uint8_t *message, size_t len);

/* RFC 7628, 3.1. The user is "a=", and may be missing. */
AUTH_MUST_USE bool sasl_message_oauthbearer(struct credentials *credentials,
                                            const uint8_t *message, size_t len);

/* "user=NAME ^A auth=Bearer TOKEN ^A ^A", without the spaces around ^A. */
AUTH_MUST_USE bool sasl_message_xoauth2(struct credentials *credentials,
                                        const uint8_t *message, size_t len);

#endif
