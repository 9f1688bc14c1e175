/* Our login at a backend, in the name of the client: bytes in, bytes for both
 * sides and a verdict out. No I/O, no timers. */
#ifndef SESSION_UPSTREAM_LOGIN_H
#define SESSION_UPSTREAM_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/credentials.h"
#include "config/mem.h"
#include "imap/capability.h"
#include "session/login_answer.h"

enum upstream_login_result {
    UPSTREAM_LOGIN_MORE,    /* send what is for the backend, wait for it */
    UPSTREAM_LOGIN_DONE,    /* logged in: send what is for the client, splice */
    UPSTREAM_LOGIN_REFUSED, /* the backend, or our config, says no */
    UPSTREAM_LOGIN_BROKEN   /* the backend does not speak as it should */
};

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
    /* The backend's own line: hostile. Of a NO alone, and not if it echoes the
     * secret, as a BAD may do with the whole command. */
    uint8_t original[UPSTREAM_TEXT_MAX];
    size_t original_len;
};

struct upstream_login;

MUST_USE struct upstream_login *upstream_login_new(void);

/* Wipes what it held of the credentials; accepts NULL inside. */
void upstream_login_free(struct upstream_login **login);

/* Writes the first command for the backend, under the client's tag. The
 * credentials, `login_as` and the tag are borrowed until the verdict;
 * `login_as` (NULL: as the client said) replaces the user, then without an
 * authorisation identity. `known` is what the backend announced, after TLS
 * where there is any. MORE, or REFUSED
 * when nothing that we can do would log in there: then no byte was written.
 * Called once, after every command of our own was answered. */
MUST_USE enum upstream_login_result
upstream_login_start(struct upstream_login *login,
                     const struct credentials *credentials,
                     const char *login_as, const char *tag,
                     const struct imap_capabilities *known);

/* Takes bytes from the backend. Stops right after the last line that it
 * needs: with DONE, what follows *used_out belongs to the splice. */
MUST_USE enum upstream_login_result
upstream_login_feed(struct upstream_login *login, const uint8_t *bytes,
                    size_t len, size_t *used_out);

/* What to send to the backend: holds the secret, so clear it (which wipes it)
 * as soon as it is sent. Valid until the next call. */
const uint8_t *upstream_login_to_backend(const struct upstream_login *login,
                                         size_t *len_out);
void upstream_login_to_backend_clear(struct upstream_login *login);

/* What to send to the client, ready at the verdict: with DONE up to and with
 * the tagged OK; with REFUSED the backend's alerts, to go before the tagged
 * NO that login_failed writes; empty otherwise. */
const uint8_t *upstream_login_to_client(const struct upstream_login *login,
                                        size_t *len_out);

/* After REFUSED or BROKEN, until upstream_login_free. */
const struct upstream_refusal *
upstream_login_refusal(const struct upstream_login *login);

#endif
