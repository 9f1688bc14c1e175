/* The dialogue with a client before its login: bytes in, replies and a
 * decision out. No I/O, no timers. */
#ifndef SESSION_LOGIN_H
#define SESSION_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/credentials.h"
#include "config/mem.h"
#include "session/login_answer.h"

/* What a listener allows; copied by login_new. */
struct login_rules {
    size_t line_max;    /* octets of one command outside its literals */
    size_t literal_max; /* octets of one literal */
    unsigned login_tries;
    unsigned bad_commands;         /* unknown or broken ones before the BYE */
    unsigned wrong_state_commands; /* known ones that need a login */
    unsigned mechanisms; /* for AUTHENTICATE: a set of enum sasl_mechanism */
    bool starttls;       /* offered while the connection is clear */
};

/* Attempts of one connection, however they were answered. */
enum {
    LOGIN_ATTEMPTS_MAX = 10
};

enum login_decision {
    LOGIN_MORE,     /* nothing to decide yet */
    LOGIN_STARTTLS, /* the tagged OK is in the output; see login_secured */
    LOGIN_TRY,      /* tag and credentials are ready; see login_failed */
    LOGIN_END       /* send the output, close; see login_end_reason */
};

/* What happened in a dialogue, for the counters; never set back. */
struct login_tally {
    unsigned bad_commands;     /* unknown, broken or in the wrong state */
    unsigned cleartext_logins; /* tried without TLS, and refused */
    bool spoke_http;
};

struct login;

/* One dialogue. `secure` says that TLS is already up, so that the mechanisms
 * are offered and STARTTLS is not. */
MUST_USE struct login *login_new(const struct login_rules *rules, bool secure);

/* Wipes everything that the client ever sent; accepts NULL inside. */
void login_free(struct login **login);

/* Writes the greeting with the capability list. */
void login_greet(struct login *login);

/* Takes bytes from the client. Stops right after the command that calls for a
 * decision: *used_out bytes are consumed, the rest stays with the caller. With
 * LOGIN_MORE the rest is empty unless the output has grown long: then send and
 * clear it, and feed the rest. Not to be called between LOGIN_TRY and
 * login_failed, between LOGIN_STARTTLS and login_secured, or after LOGIN_END.
 * The bytes may hold a password: wiping them is the caller's part. */
MUST_USE enum login_decision login_feed(struct login *login,
                                        const uint8_t *bytes, size_t len,
                                        size_t *used_out);

/* TLS is up after LOGIN_STARTTLS: whatever was learnt in clear, counters
 * included, is dropped (RFC 9051, 6.2.1). The greeting is not repeated. */
void login_secured(struct login *login);

/* After LOGIN_TRY, until login_failed or login_free. The tag is a valid IMAP
 * tag, at most 126 characters. */
const char *login_tag(const struct login *login);
const struct credentials *login_credentials(const struct login *login);

/* "LOGIN", "PLAIN" or "AUTH=LOGIN": for the log. Valid like login_tag. */
const char *login_mechanism(const struct login *login);

/* Answers the attempt with a tagged NO, wipes the credentials, and counts the
 * try: LOGIN_MORE, or LOGIN_END with a BYE once the tries are spent. `code`
 * and `text` matter with LOGIN_ANSWER_CODED only: the inside of the brackets
 * and what follows them. A code that no client could parse becomes the fixed
 * LOGIN_ANSWER_BAD_CREDENTIALS; odd bytes of the text become '?'. Answers that
 * are no try are bounded too, at LOGIN_ATTEMPTS_MAX in all: a backend that has
 * only such answers is no way around the limit of tries. */
MUST_USE enum login_decision login_failed(struct login *login,
                                          enum login_answer answer,
                                          const char *code, size_t code_len,
                                          const char *text, size_t text_len);

/* Writes "* BYE " and the text (ours, such as "[UNAVAILABLE] Going down.");
 * the caller closes. */
void login_bye(struct login *login, const char *text);

/* What to send to the client. Valid until the next call that may write. */
const uint8_t *login_output(const struct login *login, size_t *len_out);
void login_output_clear(struct login *login);

const struct login_tally *login_tally(const struct login *login);

/* After LOGIN_END: a fixed word for the log, such as "logout". */
const char *login_end_reason(const struct login *login);

#endif
