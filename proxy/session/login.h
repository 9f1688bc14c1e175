/* The dialogue with a client before its login: bytes in, replies and a
 * decision out. No I/O, no timers. */
#ifndef SESSION_LOGIN_H
#define SESSION_LOGIN_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/credentials.h"
#include "auth/sasl_server.h"
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
    bool imap4rev2;      /* offered, since every backend has it */
    bool keeps_id;       /* what the client says with ID is kept */
};

/* Attempts of one connection, however they were answered, and challenges of a
 * backend within one attempt: SCRAM has two, a token one. */
enum {
    LOGIN_ATTEMPTS_MAX = 10,
    LOGIN_CHALLENGES_MAX = 8
};

enum login_decision {
    LOGIN_MORE,     /* nothing to decide yet */
    LOGIN_STARTTLS, /* the tagged OK is in the output; see login_secured */
    LOGIN_TRY,      /* tag and credentials are ready; see login_failed */
    LOGIN_RELAY,    /* the answer to login_challenge; see login_relayed */
    /* The client gave its attempt up, or answered with what is no base64. The
     * tagged BAD is in the output, the credentials are gone, and it was a try.
     * Drop what went on at the backend, and feed on. */
    LOGIN_CANCELLED,
    LOGIN_END /* send the output, close; see login_end_reason */
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

/* TLS has shown a certificate of this user (not empty; NULL: none). Only then
 * EXTERNAL is offered, where the rules have it. */
void login_set_certificate_user(struct login *login, const char *user);

/* Writes the greeting with the capability list. */
void login_greet(struct login *login);

/* Takes bytes from the client. Stops right after the command that calls for a
 * decision: *used_out bytes are consumed, the rest stays with the caller. With
 * LOGIN_MORE the rest is empty unless the output has grown long: then send and
 * clear it, and feed the rest. Not to be called between LOGIN_TRY or
 * LOGIN_RELAY and login_challenge or login_failed, between LOGIN_STARTTLS and
 * login_secured, or after LOGIN_END. After login_challenge LOGIN_END takes the
 * attempt away as LOGIN_CANCELLED does.
 * The bytes may hold a password: wiping them is the caller's part. */
MUST_USE enum login_decision login_feed(struct login *login,
                                        const uint8_t *bytes, size_t len,
                                        size_t *used_out);

/* TLS is up after LOGIN_STARTTLS: whatever was learnt in clear, counters
 * included, is dropped (RFC 9051, 6.2.1). The greeting is not repeated. */
void login_secured(struct login *login);

/* After LOGIN_TRY, until login_failed, login_free or a feed that says
 * LOGIN_CANCELLED or LOGIN_END. The tag is a valid IMAP
 * tag, at most 126 characters. */
const char *login_tag(const struct login *login);
const struct credentials *login_credentials(const struct login *login);

/* The mechanism of AUTHENTICATE, or SASL_NONE. Valid like login_tag. */
enum sasl_mechanism login_sasl(const struct login *login);

/* The same for the log: "LOGIN", "AUTH=LOGIN" and otherwise the mechanism's
 * name. Valid like login_tag. */
const char *login_mechanism(const struct login *login);

/* After LOGIN_TRY and LOGIN_RELAY: passes a challenge of the backend on (base64
 * as it came, perhaps empty); the client's next line is the answer. False, with
 * nothing written, when it is no base64 or one more than LOGIN_CHALLENGES_MAX:
 * then login_failed is due. */
MUST_USE bool login_challenge(struct login *login, const uint8_t *base64,
                              size_t len);

/* After LOGIN_RELAY, until the next call that takes the dialogue on: the
 * client's line without its CRLF. It is strict base64, or empty. */
const uint8_t *login_relayed(const struct login *login, size_t *len_out);

/* Answers the attempt with a tagged NO, wipes the credentials, and counts the
 * try: LOGIN_MORE, or LOGIN_END with a BYE once the tries are spent. `code`
 * and `text` matter with LOGIN_ANSWER_CODED: the inside of the brackets and
 * what follows them; the text alone with LOGIN_ANSWER_UNCODED. What no client
 * could parse becomes the fixed LOGIN_ANSWER_BAD_CREDENTIALS; odd bytes of the
 * text become '?'. Answers that
 * are no try are bounded too, at LOGIN_ATTEMPTS_MAX in all: a backend that has
 * only such answers is no way around the limit of tries. */
MUST_USE enum login_decision login_failed(struct login *login,
                                          enum login_answer answer,
                                          const char *code, size_t code_len,
                                          const char *text, size_t text_len);

/* What the client said of itself by its last ID (RFC 2971), ready to be sent
 * on: pairs such as `"name" "x" "os" NIL`. Left out are those that a backend
 * would take for a proxy's word, those that no quoted string can hold, and what
 * is more than LOGIN_ID_PAIRS_MAX pairs or LOGIN_ID_TEXT_MAX octets. */
struct login_id {
    const uint8_t *pairs;
    size_t len;
    unsigned count;
};
enum {
    LOGIN_ID_PAIRS_MAX = 24,
    LOGIN_ID_TEXT_MAX = 2048
};

/* Never NULL; empty without rules.keeps_id. Valid until the next feed. */
const struct login_id *login_client_id(const struct login *login);

/* The smallest "x-proxy-ttl" that the client has sent by ID: how often it may
 * be passed on. Known with and without rules.keeps_id. */
unsigned login_proxy_ttl(const struct login *login);
#define LOGIN_PROXY_TTL_NONE UINT_MAX

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
