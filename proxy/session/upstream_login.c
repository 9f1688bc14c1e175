#include "session/upstream_login.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth/base64.h"
#include "imap/response.h"
#include "imap/response_reader.h"
#include "session/upstream_command.h"
#include "session/upstream_refusal.h"
#include "session/upstream_words.h"

enum upstream_stage {
    UPSTREAM_STAGE_ID,     /* the answer to our ID is awaited */
    UPSTREAM_STAGE_LOGIN,  /* the backend's next word about the login */
    UPSTREAM_STAGE_CLIENT, /* the client's answer to a challenge */
    UPSTREAM_STAGE_ASK     /* logged in; the answer to CAPABILITY is awaited */
};

struct upstream_login {
    enum upstream_stage stage;
    const char *tag;
    const char *own_tag;
    bool passes_uncoded_no;
    struct upstream_command command;
    struct imap_response_reader reader;
    struct wiped_buffer to_backend;
    struct upstream_words words;
    struct wiped_buffer challenge;
    unsigned challenges;
    unsigned answers; /* of the client, to challenges */
    struct upstream_refusal refusal;
};

struct upstream_login *upstream_login_new(void)
{
    struct upstream_login *login = mem_zalloc(sizeof(*login));

    imap_response_reader_init(&login->reader);
    return login;
}

void upstream_login_free(struct upstream_login **login)
{
    struct upstream_login *mine = *login;

    *login = NULL;
    if (mine == NULL)
        return;
    imap_response_reader_deinit(&mine->reader);
    wiped_buffer_deinit(&mine->to_backend);
    upstream_words_deinit(&mine->words);
    wiped_buffer_deinit(&mine->challenge);
    free(mine);
}

static enum upstream_login_result refuse_start(struct upstream_login *login,
                                               const char *reason)
{
    upstream_refusal_unavailable(&login->refusal, UPSTREAM_REFUSAL_OURS,
                                 reason);
    login->refusal.is_config_fault = true;
    return UPSTREAM_LOGIN_REFUSED;
}

static enum upstream_login_result
refuse_credentials(struct upstream_login *login)
{
    upstream_refusal_unavailable(&login->refusal, UPSTREAM_REFUSAL_OURS,
                                 "bad-credentials");
    login->refusal.answer = LOGIN_ANSWER_BAD_CREDENTIALS;
    return UPSTREAM_LOGIN_REFUSED;
}

static enum upstream_login_result begin_login(struct upstream_login *login)
{
    login->stage = UPSTREAM_STAGE_LOGIN;
    upstream_command_write(&login->command, login->tag, &login->to_backend);
    return UPSTREAM_LOGIN_MORE;
}

static enum upstream_login_result
begin(struct upstream_login *login,
      const struct upstream_login_request *request)
{
    if (request->id_len == 0 ||
        !imap_capabilities_has(request->known, IMAP_CAPABILITY_ID))
        return begin_login(login);
    login->stage = UPSTREAM_STAGE_ID;
    wiped_buffer_append_text(&login->to_backend, login->own_tag);
    wiped_buffer_append_text(&login->to_backend, " ID ");
    wiped_buffer_append(&login->to_backend, request->id, request->id_len);
    wiped_buffer_append_text(&login->to_backend, "\r\n");
    return UPSTREAM_LOGIN_MORE;
}

enum upstream_login_result
upstream_login_start(struct upstream_login *login,
                     const struct upstream_login_request *request)
{
    login->tag = request->tag;
    /* Never the client's: the answers must be told apart (decision 12). */
    login->own_tag = strcasecmp(request->tag, "G2") == 0 ? "H2" : "G2";
    login->passes_uncoded_no = request->passes_uncoded_no;
    login->command =
        (struct upstream_command){.credentials = request->credentials,
                                  .sasl = request->sasl,
                                  .login_as = request->login_as,
                                  .master = request->master,
                                  .known = *request->known};
    switch (upstream_command_choose(&login->command)) {
    case UPSTREAM_COMMAND_GOOD:
        return begin(login, request);
    case UPSTREAM_COMMAND_NO_MECHANISM:
        return refuse_start(login, "backend-lacks-mechanism");
    case UPSTREAM_COMMAND_NO_AUTHZID:
        return refuse_start(login, "backend-lacks-authzid");
    case UPSTREAM_COMMAND_NO_MASTER:
        return refuse_start(login, "no-master");
    case UPSTREAM_COMMAND_NO_LOGIN_AS:
        return refuse_start(login, "login-as-in-message");
    case UPSTREAM_COMMAND_BAD_CREDENTIALS:
        break;
    }
    return refuse_credentials(login);
}

/* The backend cannot be believed any more: nothing of it reaches anybody, and
 * a secret that it has just asked for stays here. */
static enum upstream_login_result break_off(struct upstream_login *login,
                                            const char *reason)
{
    upstream_refusal_unavailable(&login->refusal, UPSTREAM_REFUSAL_BROKEN,
                                 reason);
    wiped_buffer_clear(&login->to_backend);
    wiped_buffer_clear(&login->words.to_client);
    return UPSTREAM_LOGIN_BROKEN;
}

static enum upstream_login_result finish(struct upstream_login *login)
{
    upstream_words_finish(&login->words, login->tag);
    return UPSTREAM_LOGIN_DONE;
}

static enum upstream_login_result
on_success(struct upstream_login *login, const struct imap_response *response,
           struct imap_span line)
{
    upstream_words_take_success(&login->words, &login->command, line);
    (void)upstream_words_take_list(&login->words, response);
    if (login->words.capabilities.len > 0)
        return finish(login);
    /* A client goes by the list in this OK: without one it would go on with
     * ours, which lacks what the backend can do. */
    login->stage = UPSTREAM_STAGE_ASK;
    wiped_buffer_append_text(&login->to_backend, login->own_tag);
    wiped_buffer_append_text(&login->to_backend, " CAPABILITY\r\n");
    return UPSTREAM_LOGIN_MORE;
}

/* Who is content without the password, or before the client has proved that it
 * knows it, has not checked it. */
static bool is_early(const struct upstream_login *login)
{
    bool is_scram = login->command.way == UPSTREAM_WAY_MESSAGE &&
                    (login->command.sasl == SASL_SCRAM_SHA_1 ||
                     login->command.sasl == SASL_SCRAM_SHA_256);

    return upstream_command_waits(&login->command) ||
           login->stage == UPSTREAM_STAGE_CLIENT || login->to_backend.len > 0 ||
           (is_scram && login->answers == 0);
}

static enum upstream_login_result
on_login_answer(struct upstream_login *login,
                const struct imap_response *response, struct imap_span line)
{
    if (!imap_response_is_for(response, login->tag))
        return break_off(login, "backend-wrong-tag");
    if (response->status != IMAP_STATUS_OK) {
        upstream_refusal_from(&login->refusal, &login->command, response, line,
                              login->passes_uncoded_no);
        wiped_buffer_clear(&login->to_backend);
        return UPSTREAM_LOGIN_REFUSED;
    }
    if (is_early(login))
        return break_off(login, "backend-early-ok");
    return on_success(login, response, line);
}

static enum upstream_login_result
on_tagged(struct upstream_login *login, const struct imap_response *response,
          struct imap_span line)
{
    bool is_for_us = imap_response_is_for(response, login->own_tag);

    switch (login->stage) {
    case UPSTREAM_STAGE_LOGIN:
    case UPSTREAM_STAGE_CLIENT:
        return on_login_answer(login, response, line);
    case UPSTREAM_STAGE_ID:
        /* Who does not like our ID may like the login. */
        if (is_for_us)
            return begin_login(login);
        break;
    case UPSTREAM_STAGE_ASK:
        /* A NO to our question is no reason to lose the login. */
        if (is_for_us)
            return finish(login);
        break;
    }
    return break_off(login, "backend-wrong-tag");
}

/* A list that comes before the login was asked for is not what holds after
 * it. */
static void learn(struct upstream_login *login,
                  const struct imap_response *response)
{
    if (login->stage == UPSTREAM_STAGE_ID ||
        !upstream_words_take_list(&login->words, response))
        return;
    if (login->stage != UPSTREAM_STAGE_ASK &&
        response->status == IMAP_STATUS_NONE)
        login->words.volunteered = true;
}

static enum upstream_login_result say_bye(struct upstream_login *login,
                                          struct imap_span line)
{
    (void)break_off(login, "backend-bye");
    upstream_refusal_keep(&login->refusal, &login->command, line);
    return UPSTREAM_LOGIN_BROKEN;
}

static enum upstream_login_result
on_untagged(struct upstream_login *login, const struct imap_response *response,
            struct imap_span line)
{
    if (response->status == IMAP_STATUS_BYE)
        return say_bye(login, line);
    if (response->status == IMAP_STATUS_PREAUTH)
        return break_off(login, "backend-preauth");
    upstream_words_take_alert(&login->words, &login->command, response, line);
    learn(login, response);
    return UPSTREAM_LOGIN_MORE;
}

/* Nothing but base64 goes on: whatever else there is after the "+" would be a
 * backend's raw words in the middle of our dialogue. */
static enum upstream_login_result challenge_client(struct upstream_login *login,
                                                   struct imap_span base64)
{
    if (!base64_is_strict(base64.bytes, base64.len))
        return break_off(login, "backend-challenge");
    if (login->challenges == UPSTREAM_CHALLENGES_MAX)
        return break_off(login, "backend-challenges");
    login->challenges++;
    login->stage = UPSTREAM_STAGE_CLIENT;
    wiped_buffer_clear(&login->challenge);
    wiped_buffer_append(&login->challenge, base64.bytes, base64.len);
    return UPSTREAM_LOGIN_CHALLENGE;
}

static enum upstream_login_result
on_continue(struct upstream_login *login, const struct imap_response *response)
{
    if (login->stage != UPSTREAM_STAGE_LOGIN)
        return break_off(login, "backend-continuation");
    if (upstream_command_waits(&login->command)) {
        upstream_command_continue(&login->command, &login->to_backend);
        return UPSTREAM_LOGIN_MORE;
    }
    if (login->command.way != UPSTREAM_WAY_MESSAGE)
        return break_off(login, "backend-continuation");
    return challenge_client(login, response->data);
}

static enum upstream_login_result on_line(struct upstream_login *login)
{
    struct imap_span line = imap_response_reader_line(&login->reader);
    struct imap_response response;

    imap_response_parse(line, &response);
    switch (response.kind) {
    case IMAP_RESPONSE_UNTAGGED:
        return on_untagged(login, &response, line);
    case IMAP_RESPONSE_TAGGED:
        return on_tagged(login, &response, line);
    case IMAP_RESPONSE_CONTINUE:
        return on_continue(login, &response);
    case IMAP_RESPONSE_INVALID:
        break;
    }
    return break_off(login, "backend-garbage");
}

static enum upstream_login_result take_line(struct upstream_login *login,
                                            const uint8_t *bytes, size_t len,
                                            size_t *used_out)
{
    switch (imap_response_reader_feed(&login->reader, bytes, len, used_out)) {
    case IMAP_LINE_MORE:
        return UPSTREAM_LOGIN_MORE;
    case IMAP_LINE_READY:
        return on_line(login);
    case IMAP_LINE_BROKEN:
        break;
    }
    return break_off(login, imap_response_reader_fault(&login->reader));
}

static bool goes_on(enum upstream_login_result result)
{
    return result == UPSTREAM_LOGIN_MORE || result == UPSTREAM_LOGIN_CHALLENGE;
}

enum upstream_login_result upstream_login_feed(struct upstream_login *login,
                                               const uint8_t *bytes, size_t len,
                                               size_t *used_out)
{
    enum upstream_login_result result = UPSTREAM_LOGIN_MORE;
    bool has_challenge = false;
    size_t used = 0;
    size_t step;

    upstream_words_forget_shown(&login->words);
    while (used < len && goes_on(result)) {
        result = take_line(login, bytes + used, len - used, &step);
        has_challenge = has_challenge || result == UPSTREAM_LOGIN_CHALLENGE;
        used += step;
    }
    *used_out = used;
    if (!goes_on(result) || !has_challenge)
        return result;
    login->words.has_shown = true;
    return UPSTREAM_LOGIN_CHALLENGE;
}

const uint8_t *upstream_login_to_backend(const struct upstream_login *login,
                                         size_t *len_out)
{
    *len_out = login->to_backend.len;
    return login->to_backend.bytes;
}

void upstream_login_to_backend_clear(struct upstream_login *login)
{
    wiped_buffer_clear(&login->to_backend);
}

const uint8_t *upstream_login_to_client(const struct upstream_login *login,
                                        size_t *len_out)
{
    *len_out = login->words.to_client.len;
    return login->words.to_client.bytes;
}

const struct imap_capabilities *
upstream_login_capabilities(const struct upstream_login *login)
{
    return &login->words.announced;
}

const uint8_t *upstream_login_challenge(const struct upstream_login *login,
                                        size_t *len_out)
{
    *len_out = login->challenge.len;
    return login->challenge.bytes;
}

enum upstream_login_result upstream_login_answer(struct upstream_login *login,
                                                 const uint8_t *line,
                                                 size_t len)
{
    assert(login->stage == UPSTREAM_STAGE_CLIENT);
    upstream_words_forget_shown(&login->words);
    if (!base64_is_strict(line, len))
        return break_off(login, "client-answer");
    login->answers++;
    login->command.was_answered = true;
    login->stage = UPSTREAM_STAGE_LOGIN;
    wiped_buffer_append(&login->to_backend, line, len);
    wiped_buffer_append_text(&login->to_backend, "\r\n");
    return UPSTREAM_LOGIN_MORE;
}

const struct upstream_refusal *
upstream_login_refusal(const struct upstream_login *login)
{
    return &login->refusal;
}
