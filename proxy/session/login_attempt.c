#include "session/login_attempt.h"

#include <openssl/mem.h>
#include <stdlib.h>
#include <string.h>

#include "auth/base64.h"
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
                          enum sasl_mechanism mechanism)
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
    begin_attempt(login, tag, SASL_NONE);
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
    const char *base64 = sasl_server_challenge(&login->attempt->sasl);

    reply_challenge(&login->output, (struct imap_span){(const uint8_t *)base64,
                                                       strlen(base64)});
    return LOGIN_MORE;
}

/* The answers to a backend's challenges are between it and the client; whoever
 * has seen one and gives up has tried. */
static bool is_relaying(const struct login *login)
{
    return login->attempt->challenges > 0;
}

static enum login_decision end_relay(struct login *login,
                                     enum login_decision decision)
{
    if (decision == LOGIN_MORE)
        decision = login_count_attempt(login, true);
    return decision == LOGIN_MORE ? LOGIN_CANCELLED : decision;
}

/* Ends the attempt; its tag goes with it, so the answer comes first. */
static enum login_decision drop(struct login *login, bool is_cancelled)
{
    bool was_relayed = is_relaying(login);
    enum login_decision decision =
        is_cancelled
            ? login_say(login, REPLY_CANCELLED, login->attempt->tag)
            : login_refuse_bad(login, REPLY_BAD_SASL, login->attempt->tag);

    login_attempt_end(login);
    return was_relayed ? end_relay(login, decision) : decision;
}

bool login_attempt_challenge(struct login *login, struct imap_span base64)
{
    if (login->attempt->challenges == LOGIN_CHALLENGES_MAX ||
        !base64_is_strict(base64.bytes, base64.len))
        return false;
    login->attempt->challenges++;
    reply_challenge(&login->output, base64);
    return true;
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

/* Who the client is was shown by TLS; the client says only who to be. */
static void name_by_certificate(struct login *login)
{
    const char *user = login->certificate_user;

    if (!credentials_set_user(&login->attempt->credentials,
                              (const uint8_t *)user, strlen(user)))
        credentials_wipe(&login->attempt->credentials);
}

/* RFC 4959 would have an initial response refused where the server speaks
 * first. AUTH=LOGIN is under no RFC; clients (curl) send the user name that
 * way and other servers take it, so we do. An empty one names nobody: ask. */
static enum login_decision
start_sasl(struct login *login, const struct login_authenticate *authenticate)
{
    enum sasl_mechanism mechanism = login->attempt->mechanism;

    sasl_server_start(&login->attempt->sasl, mechanism,
                      &login->attempt->credentials);
    if (mechanism == SASL_EXTERNAL)
        name_by_certificate(login);
    if (!authenticate->has_initial ||
        (mechanism == SASL_LOGIN && authenticate->initial.len == 0))
        return challenge(login);
    return step_sasl(login, authenticate->initial);
}

/* Only what the capability list names is run (threat D9). */
static enum sasl_mechanism find_mechanism(const struct login *login,
                                          struct imap_span name)
{
    for (unsigned i = 0; i < SASL_MECHANISM_COUNT; i++) {
        enum sasl_mechanism mechanism = (enum sasl_mechanism)(1u << i);

        if ((login_mechanisms(login) & mechanism) &&
            imap_span_is(name, sasl_mechanism_name(mechanism)))
            return mechanism;
    }
    return SASL_NONE;
}

enum login_decision login_attempt_by_sasl(struct login *login, const char *tag,
                                          struct imap_span arguments)
{
    struct login_authenticate authenticate;
    enum sasl_mechanism mechanism;

    if (!login_arguments_authenticate(arguments, &authenticate))
        return login_refuse_bad(login, REPLY_BAD_ARGUMENTS, tag);
    mechanism = find_mechanism(login, authenticate.mechanism);
    if (mechanism == SASL_NONE)
        return login_refuse_early(login, REPLY_MECHANISM_UNKNOWN, tag);
    begin_attempt(login, tag, mechanism);
    return start_sasl(login, &authenticate);
}

enum login_decision login_attempt_line(struct login *login)
{
    struct imap_span line = imap_reader_line(&login->reader);

    if (imap_span_is(line, "*"))
        return drop(login, true);
    if (!is_relaying(login))
        return step_sasl(login, line);
    return base64_is_strict(line.bytes, line.len) ? LOGIN_RELAY
                                                  : drop(login, false);
}

enum login_decision login_attempt_bad_line(struct login *login)
{
    return drop(login, false);
}
