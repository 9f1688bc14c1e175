/* Plays an input in pieces and writes down everything that comes of it, so
 * that two ways of cutting the same input can be compared. */
#ifndef SUPPORT_TRANSCRIPT_H
#define SUPPORT_TRANSCRIPT_H

#include <stddef.h>
#include <stdint.h>

#include "imap/wiped_buffer.h"
#include "session/login.h"
#include "session/upstream_login.h"

/* The first piece, and the size of all that follow. */
struct transcript_cut {
    size_t first;
    size_t rest;
};

/* Plays the session's part: STARTTLS succeeds, user "ok" is logged in (the
 * rest of the input is then the splice's), user "down" has no backend, user
 * "coded" is expired, and every other one has the wrong password. What only a
 * backend can judge is challenged until the client answers "b2s=" (logged in),
 * "AQ==" or nothing (refused). With SASL_EXTERNAL among the mechanisms the
 * client has shown a certificate of "carol". */
void transcript_of_login(const struct login_rules *rules, bool secure,
                         const uint8_t *input, size_t len,
                         struct transcript_cut cut, struct wiped_buffer *out);

/* Invites every literal; the line after AUTHENTICATE is read raw. */
void transcript_of_reader(size_t line_max, size_t literal_max,
                          const uint8_t *input, size_t len,
                          struct transcript_cut cut, struct wiped_buffer *out);

/* The request's `known` is read from the list. */
struct transcript_upstream {
    struct upstream_login_request request;
    const char *capabilities;
};

/* Plays the client's part as well: each challenge is answered. A line of the
 * backend that calls for an answer ends a piece, since no backend that waits
 * for one goes on. */
void transcript_of_upstream(const struct transcript_upstream *upstream,
                            const uint8_t *input, size_t len,
                            struct transcript_cut cut,
                            struct wiped_buffer *out);

#endif
