#include "session/login_attempt.h"

#include <openssl/mem.h>
#include <stdlib.h>
#include <string.h>

#include "session/login_arguments.h"

void login_attempt_end(struct login *login)
{
    if (login->attempt == NULL)
        return;
    OPENSSL_cleanse(login->attempt, sizeof(*login->attempt));
    free(login->attempt);
    login->attempt = NULL;
}

static void begin_attempt(struct login *login, const char *tag,
                          const char *mechanism)
{
    login_attempt_end(login);
    login->attempt = mem_zalloc(sizeof(*login->attempt));
    memcpy(login->attempt->tag, tag, strlen(tag) + 1);
    login->attempt->mechanism = mechanism;
}

/* The credentials are complete. Those that no backend could take are refused
 * like wrong ones, and never leave us. */
static enum login_decision try_login(struct login *login)
{
    if (credentials_check(&login->attempt->credentials) == CREDENTIALS_GOOD)
        return LOGIN_TRY;
    return login_failed(login, LOGIN_ANSWER_BAD_CREDENTIALS, NULL, 0, NULL, 0);
}

enum login_decision login_attempt_by_login(struct login *login, const char *tag,
                                           struct imap_span arguments)
{
    begin_attempt(login, tag, "LOGIN");
    switch (login_arguments_login(arguments, &login->attempt->credentials)) {
    case LOGIN_ARGUMENTS_GOOD:
        return try_login(login);
    case LOGIN_ARGUMENTS_TOO_LONG:
        return login_failed(login, LOGIN_ANSWER_BAD_CREDENTIALS, NULL, 0, NULL,
                            0);
    case LOGIN_ARGUMENTS_BAD:
    case LOGIN_ARGUMENTS_MORE:
        break;
    }
    login_attempt_end(login);
    return login_refuse_bad(login, REPLY_BAD_ARGUMENTS, tag);
}

static enum login_decision challenge(struct login *login)
{
    reply_challenge(&login->output,
                    sasl_server_challenge(&login->attempt->sasl));
    return LOGIN_MORE;
}

/* Ends the attempt; its tag goes with it, so the answer comes first. */
static enum login_decision drop(struct login *login, bool is_cancelled)
{
    enum login_decision decision =
        is_cancelled
            ? login_say(login, REPLY_CANCELLED, login->attempt->tag)
            : login_refuse_bad(login, REPLY_BAD_SASL, login->attempt->tag);

    login_attempt_end(login);
    return decision;
}

static enum login_decision step_sasl(struct login *login,
                                     struct imap_span base64)
{
    switch (sasl_server_step(&login->attempt->sasl, base64.bytes, base64.len)) {
    case SASL_MORE:
        return challenge(login);
    case SASL_DONE:
        return try_login(login);
    case SASL_BAD:
        break;
    }
    return drop(login, false);
}

/* RFC 4959 would have an initial response refused where the server speaks
 * first. AUTH=LOGIN is under no RFC; clients (curl) send the user name that
 * way and other servers take it, so we do. An empty one names nobody: ask. */
static enum login_decision
start_sasl(struct login *login, enum sasl_mechanism mechanism,
           const struct login_authenticate *authenticate)
{
    sasl_server_start(&login->attempt->sasl, mechanism,
                      &login->attempt->credentials);
    if (!authenticate->has_initial ||
        (mechanism == SASL_LOGIN && authenticate->initial.len == 0))
        return challenge(login);
    return step_sasl(login, authenticate->initial);
}

/* Only what the capability list names is run (threat D9). */
enum login_decision login_attempt_by_sasl(struct login *login, const char *tag,
                                          struct imap_span arguments)
{
    struct login_authenticate authenticate;

    if (!login_arguments_authenticate(arguments, &authenticate))
        return login_refuse_bad(login, REPLY_BAD_ARGUMENTS, tag);
    if (imap_span_is(authenticate.mechanism, "PLAIN") &&
        (login->rules.mechanisms & SASL_PLAIN)) {
        begin_attempt(login, tag, "PLAIN");
        return start_sasl(login, SASL_PLAIN, &authenticate);
    }
    if (imap_span_is(authenticate.mechanism, "LOGIN") &&
        (login->rules.mechanisms & SASL_LOGIN)) {
        begin_attempt(login, tag, "AUTH=LOGIN");
        return start_sasl(login, SASL_LOGIN, &authenticate);
    }
    return login_refuse_early(login, REPLY_MECHANISM_UNKNOWN, tag);
}

enum login_decision login_attempt_line(struct login *login)
{
    struct imap_span line = imap_reader_line(&login->reader);

    if (imap_span_is(line, "*"))
        return drop(login, true);
    return step_sasl(login, line);
}

enum login_decision login_attempt_bad_line(struct login *login)
{
    return drop(login, false);
}
