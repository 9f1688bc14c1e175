#include "session/login.h"

#include <openssl/mem.h>
#include <stdlib.h>
#include <string.h>

#include "session/login_attempt.h"
#include "session/login_command.h"
#include "session/login_id.h"
#include "session/login_state.h"

/* Answers can be longer than their questions: above this much of them the
 * caller sends before it feeds more. */
#define OUTPUT_HIGH 4096
#define TLS_HANDSHAKE_RECORD 0x16

struct login *login_new(const struct login_rules *rules, bool secure)
{
    struct login *login = mem_zalloc(sizeof(*login));

    login->rules = *rules;
    login->is_secure = secure;
    login->proxy_ttl = LOGIN_PROXY_TTL_NONE;
    imap_reader_init(&login->reader, rules->line_max, rules->literal_max);
    return login;
}

/* Frees it, wiped as all that came from the client. */
static void forget_certificate_user(struct login *login)
{
    if (login->certificate_user == NULL)
        return;
    OPENSSL_cleanse(login->certificate_user, strlen(login->certificate_user));
    free(login->certificate_user);
    login->certificate_user = NULL;
}

void login_free(struct login **login)
{
    if (*login == NULL)
        return;
    login_attempt_end(*login);
    login_id_forget(*login);
    forget_certificate_user(*login);
    imap_reader_deinit(&(*login)->reader);
    wiped_buffer_deinit(&(*login)->output);
    free(*login);
    *login = NULL;
}

void login_set_certificate_user(struct login *login, const char *user)
{
    forget_certificate_user(login);
    if (user != NULL && user[0] != '\0' &&
        strnlen(user, CREDENTIALS_NAME_MAX + 1) <= CREDENTIALS_NAME_MAX)
        login->certificate_user = mem_strdup(user);
}

void login_greet(struct login *login)
{
    struct reply_offer offer = login_offer(login);

    reply_greeting(&login->output, &offer);
}

void login_secured(struct login *login)
{
    login_attempt_end(login);
    login_id_forget(login);
    imap_reader_reset(&login->reader);
    wiped_buffer_clear(&login->output);
    login->is_secure = true;
    login->commands = 0;
    login->bad_commands = 0;
    login->wrong_state_commands = 0;
    login->tries = 0;
    login->attempts = 0;
}

/* What a command has left in the reader may be a password: it is wiped as soon
 * as the command was run, unless that asked for another line. */
static enum login_decision decide(struct login *login,
                                  enum imap_reader_result result)
{
    enum login_decision decision = LOGIN_MORE;

    switch (result) {
    case IMAP_READER_MORE:
        return LOGIN_MORE;
    case IMAP_READER_CONTINUE:
        if (login_command_wants_literal(login)) {
            reply_continue(&login->output);
            return LOGIN_MORE;
        }
        decision = login_command_run(login);
        break;
    case IMAP_READER_COMMAND:
        decision = login_command_run(login);
        break;
    case IMAP_READER_LINE:
        decision = login_attempt_line(login);
        break;
    case IMAP_READER_BAD:
        decision = login->attempt == NULL ? login_command_bad(login)
                                          : login_attempt_bad_line(login);
        break;
    case IMAP_READER_CLOSE:
        decision = login_command_close(login);
        break;
    }
    if (decision == LOGIN_RELAY)
        return decision; /* the line is lent */
    if (login->attempt != NULL && decision == LOGIN_MORE)
        imap_reader_expect_line(&login->reader);
    else
        imap_reader_reset(&login->reader);
    return decision;
}

enum login_decision login_feed(struct login *login, const uint8_t *bytes,
                               size_t len, size_t *used_out)
{
    enum login_decision decision = LOGIN_MORE;
    size_t used = 0;
    size_t step;

    /* Somebody speaks TLS to a clear port: no text of ours would be read. */
    if (!login->is_secure && !login->has_heard && len > 0 &&
        bytes[0] == TLS_HANDSHAKE_RECORD) {
        *used_out = len;
        return login_end_for(login, "tls-on-clear");
    }
    login->has_heard = login->has_heard || len > 0;
    while (used < len && decision == LOGIN_MORE) {
        decision = decide(login, imap_reader_feed(&login->reader, bytes + used,
                                                  len - used, &step));
        used += step;
        if (login->output.len >= OUTPUT_HIGH)
            break;
    }
    *used_out = used;
    return decision;
}

const char *login_tag(const struct login *login)
{
    return login->attempt->tag;
}

const struct credentials *login_credentials(const struct login *login)
{
    return &login->attempt->credentials;
}

enum sasl_mechanism login_sasl(const struct login *login)
{
    return login->attempt->mechanism;
}

const char *login_mechanism(const struct login *login)
{
    switch (login->attempt->mechanism) {
    case SASL_NONE:
        return "LOGIN";
    case SASL_LOGIN:
        return "AUTH=LOGIN";
    case SASL_PLAIN:
    case SASL_XOAUTH2:
    case SASL_OAUTHBEARER:
    case SASL_EXTERNAL:
    case SASL_SCRAM_SHA_1:
    case SASL_SCRAM_SHA_256:
        break;
    }
    return sasl_mechanism_name(login->attempt->mechanism);
}

bool login_challenge(struct login *login, const uint8_t *base64, size_t len)
{
    if (!login_attempt_challenge(login, (struct imap_span){base64, len}))
        return false;
    imap_reader_expect_line(&login->reader);
    return true;
}

const uint8_t *login_relayed(const struct login *login, size_t *len_out)
{
    struct imap_span line = imap_reader_line(&login->reader);

    *len_out = line.len;
    return line.bytes;
}

const struct login_id *login_client_id(const struct login *login)
{
    return &login->id;
}

unsigned login_proxy_ttl(const struct login *login)
{
    return login->proxy_ttl;
}

/* Whether the answer speaks of the credentials, rather than of the service. */
static bool is_a_try(enum login_answer answer, const char *code,
                     size_t code_len)
{
    struct imap_span span = {(const uint8_t *)code, code_len};

    switch (answer) {
    case LOGIN_ANSWER_BAD_CREDENTIALS:
    case LOGIN_ANSWER_AUTHORIZATION:
    case LOGIN_ANSWER_UNCODED:
        return true;
    case LOGIN_ANSWER_CODED:
        return !imap_span_is(span, "UNAVAILABLE");
    case LOGIN_ANSWER_UNAVAILABLE:
    case LOGIN_ANSWER_LIMIT:
        break;
    }
    return false;
}

static void write_no(struct login *login, enum login_answer answer,
                     const char *code, size_t code_len, const char *text,
                     size_t text_len)
{
    const char *tag = login->attempt->tag;
    enum reply reply = REPLY_AUTHENTICATION_FAILED;

    switch (answer) {
    case LOGIN_ANSWER_CODED:
        if (reply_coded_no(&login->output, tag, code, code_len, text, text_len))
            return;
        break;
    case LOGIN_ANSWER_UNAVAILABLE:
        reply = REPLY_UNAVAILABLE;
        break;
    case LOGIN_ANSWER_LIMIT:
        reply = REPLY_LIMIT;
        break;
    case LOGIN_ANSWER_AUTHORIZATION:
        reply = REPLY_AUTHORIZATION_FAILED;
        break;
    case LOGIN_ANSWER_UNCODED:
        if (reply_uncoded_no(&login->output, tag, text, text_len))
            return;
        break;
    case LOGIN_ANSWER_BAD_CREDENTIALS:
        break;
    }
    reply_write(&login->output, reply, tag);
}

enum login_decision login_failed(struct login *login, enum login_answer answer,
                                 const char *code, size_t code_len,
                                 const char *text, size_t text_len)
{
    bool was_relayed = login->attempt->challenges > 0;

    write_no(login, answer, code, code_len, text, text_len);
    login_attempt_end(login);
    if (was_relayed)
        imap_reader_reset(&login->reader);
    return login_count_attempt(login, is_a_try(answer, code, code_len));
}

const struct login_tally *login_tally(const struct login *login)
{
    return &login->tally;
}

void login_bye(struct login *login, const char *text)
{
    reply_bye(&login->output, text);
}

const uint8_t *login_output(const struct login *login, size_t *len_out)
{
    *len_out = login->output.len;
    return login->output.bytes;
}

void login_output_clear(struct login *login)
{
    wiped_buffer_clear(&login->output);
}

const char *login_end_reason(const struct login *login)
{
    return login->end_reason == NULL ? "none" : login->end_reason;
}
