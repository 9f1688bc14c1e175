/* Our login at a backend, in the name of the client: bytes in, bytes for both
 * sides and a verdict out. No I/O, no timers. */
#ifndef SESSION_UPSTREAM_LOGIN_H
#define SESSION_UPSTREAM_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/credentials.h"
#include "auth/sasl_server.h"
#include "config/mem.h"
#include "imap/capability.h"
#include "session/login_answer.h"

enum upstream_login_result {
    UPSTREAM_LOGIN_MORE,      /* send what is for the backend, wait for it */
    UPSTREAM_LOGIN_CHALLENGE, /* likewise, and the client has the next word */
    UPSTREAM_LOGIN_DONE,    /* logged in: send what is for the client, splice */
    UPSTREAM_LOGIN_REFUSED, /* the backend, or our config, says no */
    UPSTREAM_LOGIN_BROKEN   /* the backend does not speak as it should */
};

/* How often a backend may question the client: SCRAM needs two. */
#define UPSTREAM_CHALLENGES_MAX 8

#define UPSTREAM_CODE_MAX 128
#define UPSTREAM_TEXT_MAX 512

enum upstream_refusal_kind {
    UPSTREAM_REFUSAL_OURS,  /* the backend was not asked */
    UPSTREAM_REFUSAL_NO,    /* it understood, and says no */
    UPSTREAM_REFUSAL_BAD,   /* it did not understand our command */
    UPSTREAM_REFUSAL_BROKEN /* it does not speak as it should */
};

/* Why there is no login: what the client may hear, and what the log shall. */
struct upstream_refusal {
    enum upstream_refusal_kind kind;
    enum login_answer answer;
    bool is_config_fault; /* ours: an error in the log */
    const char *reason;   /* a fixed word for the log, such as "backend-no" */
    char code[UPSTREAM_CODE_MAX + 1]; /* with LOGIN_ANSWER_CODED */
    size_t code_len;
    char text[UPSTREAM_TEXT_MAX + 1];
    size_t text_len;
    /* The backend's own line: hostile. Of a NO and of a BYE alone, and not if
     * it echoes a secret, as a BAD may do with the whole command. */
    uint8_t original[UPSTREAM_TEXT_MAX];
    size_t original_len;
};

struct master_login;

/* Borrowed until the verdict, except what is said to be for the call only. */
struct upstream_login_request {
    /* Their kind decides how they are carried: a password by PLAIN, by LOGIN
     * or by the mechanism of that name, as the backend has it; a message as it
     * is, by the mechanism that it was made for; a certificate's name as the
     * one whom the master acts for. */
    const struct credentials *credentials;
    enum sasl_mechanism sasl; /* the client's; used for a message only */
    /* NULL: as the client said. Replaces the user of a password, then without
     * an authorisation identity, and that of a certificate. Cannot replace the
     * one inside a message. */
    const char *login_as;
    const char *tag; /* the client's */
    /* Used for a certificate's name only, whoever gives one. May be NULL. */
    const struct master_login *master;
    /* What this backend announced, after TLS where there is any. For the call
     * only. */
    const struct imap_capabilities *known;
    /* The complete list of an ID command, "(...)", to be sent first where the
     * backend knows ID; none when the length is 0. For the call only. */
    const uint8_t *id;
    size_t id_len;
    bool passes_uncoded_no; /* to the client, in the backend's words */
};

struct upstream_login;

MUST_USE struct upstream_login *upstream_login_new(void);

/* Wipes what it held of the credentials; accepts NULL inside. */
void upstream_login_free(struct upstream_login **login);

/* Writes the first command for the backend: the ID, or else the login, under
 * the client's tag. MORE, or REFUSED when nothing that we can do would log in
 * there: then no byte was written. Called once, after every command of our own
 * was answered. */
MUST_USE enum upstream_login_result
upstream_login_start(struct upstream_login *login,
                     const struct upstream_login_request *request);

/* Takes bytes from the backend. Stops right after the last line that it
 * needs: with DONE, what follows *used_out belongs to the splice. MORE and
 * CHALLENGE use up everything. What the backend says while the client's answer
 * is awaited is fed as well: it may be a NO or a BYE. What is not yet taken
 * from upstream_login_to_backend when an OK comes counts as never sent. */
MUST_USE enum upstream_login_result
upstream_login_feed(struct upstream_login *login, const uint8_t *bytes,
                    size_t len, size_t *used_out);

/* After CHALLENGE, until the next feed: the backend's question to the client,
 * in strict base64, perhaps empty, bounded as a backend's line is. */
const uint8_t *upstream_login_challenge(const struct upstream_login *login,
                                        size_t *len_out);

/* The client's answer to the last CHALLENGE, a line without its end: base64 or
 * empty, bounded by the caller. One that is not would be another command:
 * BROKEN. Otherwise MORE. */
MUST_USE enum upstream_login_result
upstream_login_answer(struct upstream_login *login, const uint8_t *line,
                      size_t len);

/* What to send to the backend: holds the secret, so clear it (which wipes it)
 * as soon as it is sent. Valid until the next call. */
const uint8_t *upstream_login_to_backend(const struct upstream_login *login,
                                         size_t *len_out);
void upstream_login_to_backend_clear(struct upstream_login *login);

/* What to send to the client. With CHALLENGE and with REFUSED: the backend's
 * alerts since the last CHALLENGE, of 4 KiB at most in one login, to go before
 * the challenge, or before the tagged NO that login_failed writes. With DONE:
 * the same, up to and with the tagged OK. With BROKEN nothing. Valid until the
 * next call of feed or answer. */
const uint8_t *upstream_login_to_client(const struct upstream_login *login,
                                        size_t *len_out);

/* After DONE: what the backend announced together with its OK. */
const struct imap_capabilities *
upstream_login_capabilities(const struct upstream_login *login);

/* After REFUSED or BROKEN, until upstream_login_free. */
const struct upstream_refusal *
upstream_login_refusal(const struct upstream_login *login);

#endif
