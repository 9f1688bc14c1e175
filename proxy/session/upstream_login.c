#include "session/upstream_login.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "imap/reply.h"
#include "imap/response.h"
#include "imap/response_reader.h"
#include "session/upstream_command.h"
#include "session/upstream_refusal.h"

/* Alerts reach the user (RFC 9051, 7.1), but not without end. */
#define ALERTS_MAX 4096

enum upstream_stage {
    UPSTREAM_STAGE_LOGIN, /* the tagged answer to the login is awaited */
    UPSTREAM_STAGE_ASK    /* logged in; the answer to CAPABILITY is awaited */
};

struct upstream_login {
    enum upstream_stage stage;
    const char *tag;
    const char *own_tag;
    struct upstream_command command;
    struct imap_response_reader reader;
    struct wiped_buffer to_backend;
    struct wiped_buffer to_client;
    struct wiped_buffer capabilities;   /* the last list heard, filtered */
    struct imap_capabilities announced; /* by it */
    struct wiped_buffer challenge;
    bool volunteered;            /* it came as "* CAPABILITY" */
    struct wiped_buffer success; /* the tagged OK, without its end */
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
    wiped_buffer_deinit(&mine->to_client);
    wiped_buffer_deinit(&mine->capabilities);
    wiped_buffer_deinit(&mine->success);
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

enum upstream_login_result
upstream_login_start(struct upstream_login *login,
                     const struct upstream_login_request *request)
{
    const char *tag = request->tag;

    login->tag = tag;
    /* Never the client's: the answers must be told apart (decision 12). */
    login->own_tag = strcasecmp(tag, "G2") == 0 ? "H2" : "G2";
    login->command =
        (struct upstream_command){.credentials = request->credentials,
                                  .login_as = request->login_as,
                                  .known = *request->known,
                                  .awaited = UPSTREAM_PART_NONE};
    switch (upstream_command_start(&login->command, tag, &login->to_backend)) {
    case UPSTREAM_COMMAND_GOOD:
        return UPSTREAM_LOGIN_MORE;
    case UPSTREAM_COMMAND_NO_MECHANISM:
        return refuse_start(login, "backend-lacks-mechanism");
    case UPSTREAM_COMMAND_NO_AUTHZID:
        return refuse_start(login, "backend-lacks-authzid");
    case UPSTREAM_COMMAND_BAD_CREDENTIALS:
        break;
    }
    refuse_start(login, "bad-credentials");
    login->refusal.is_config_fault = false;
    login->refusal.answer = LOGIN_ANSWER_BAD_CREDENTIALS;
    return UPSTREAM_LOGIN_REFUSED;
}

/* The backend cannot be believed any more: nothing of it reaches anybody, and
 * a secret that it has just asked for stays here. */
static enum upstream_login_result break_off(struct upstream_login *login,
                                            const char *reason)
{
    upstream_refusal_unavailable(&login->refusal, UPSTREAM_REFUSAL_BROKEN,
                                 reason);
    wiped_buffer_clear(&login->to_backend);
    wiped_buffer_clear(&login->to_client);
    return UPSTREAM_LOGIN_BROKEN;
}

static void append_span(struct wiped_buffer *out, struct imap_span span)
{
    wiped_buffer_append(out, span.bytes, span.len);
}

/* Keeps the list if there is one in the response. */
static bool take_capabilities(struct upstream_login *login,
                              const struct imap_response *response)
{
    struct imap_span list;

    if (!imap_response_capabilities(response, &list))
        return false;
    wiped_buffer_clear(&login->capabilities);
    imap_capabilities_filter(list.bytes, list.len, &login->capabilities,
                             &login->announced);
    return true;
}

/* Whether the tagged OK has a code that the client shall see as it is. */
static bool has_code_to_keep(const struct imap_response *response)
{
    return response->code.len > 0 &&
           !imap_span_is(response->code, "CAPABILITY") &&
           !imap_span_is(response->code, "REFERRAL");
}

/* Writes the end of the dialogue: one untagged list at most, and the OK. */
static enum upstream_login_result finish(struct upstream_login *login)
{
    struct imap_span line = {login->success.bytes, login->success.len};
    struct imap_span list = {login->capabilities.bytes,
                             login->capabilities.len};
    struct imap_response response;
    bool keeps_code;

    imap_response_parse(line, &response);
    keeps_code = has_code_to_keep(&response);
    if (list.len > 0 && (login->volunteered || keeps_code))
        reply_backend_capability(&login->to_client, list);
    if (keeps_code) {
        append_span(&login->to_client, line);
        wiped_buffer_append_text(&login->to_client, "\r\n");
    } else {
        reply_logged_in(&login->to_client, login->tag, list, response.text);
    }
    return UPSTREAM_LOGIN_DONE;
}

static enum upstream_login_result
on_success(struct upstream_login *login, const struct imap_response *response,
           struct imap_span line)
{
    append_span(&login->success, line);
    take_capabilities(login, response);
    if (login->capabilities.len > 0)
        return finish(login);
    /* A client goes by the list in this OK: without one it would go on with
     * ours, which lacks what the backend can do. */
    login->stage = UPSTREAM_STAGE_ASK;
    wiped_buffer_append_text(&login->to_backend, login->own_tag);
    wiped_buffer_append_text(&login->to_backend, " CAPABILITY\r\n");
    return UPSTREAM_LOGIN_MORE;
}

static enum upstream_login_result
on_login_answer(struct upstream_login *login,
                const struct imap_response *response, struct imap_span line)
{
    if (!imap_response_is_for(response, login->tag))
        return break_off(login, "backend-wrong-tag");
    if (response->status != IMAP_STATUS_OK) {
        upstream_refusal_from(&login->refusal, response, line,
                              login->command.credentials);
        return UPSTREAM_LOGIN_REFUSED;
    }
    /* Who is content without the password has not checked it. */
    if (upstream_command_waits(&login->command))
        return break_off(login, "backend-early-ok");
    return on_success(login, response, line);
}

static enum upstream_login_result
on_tagged(struct upstream_login *login, const struct imap_response *response,
          struct imap_span line)
{
    switch (login->stage) {
    case UPSTREAM_STAGE_LOGIN:
        return on_login_answer(login, response, line);
    case UPSTREAM_STAGE_ASK:
        /* A NO to our question is no reason to lose the login. */
        if (imap_response_is_for(response, login->own_tag))
            return finish(login);
        break;
    }
    return break_off(login, "backend-wrong-tag");
}

static bool is_alert(const struct imap_response *response)
{
    return (response->status == IMAP_STATUS_OK ||
            response->status == IMAP_STATUS_NO) &&
           imap_span_is(response->code, "ALERT");
}

static enum upstream_login_result
on_untagged(struct upstream_login *login, const struct imap_response *response,
            struct imap_span line)
{
    if (response->status == IMAP_STATUS_BYE)
        return break_off(login, "backend-bye");
    if (response->status == IMAP_STATUS_PREAUTH)
        return break_off(login, "backend-preauth");
    if (is_alert(response) && login->to_client.len + line.len <= ALERTS_MAX) {
        append_span(&login->to_client, line);
        wiped_buffer_append_text(&login->to_client, "\r\n");
    }
    if (take_capabilities(login, response) &&
        login->stage == UPSTREAM_STAGE_LOGIN &&
        response->status == IMAP_STATUS_NONE)
        login->volunteered = true;
    return UPSTREAM_LOGIN_MORE;
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
        if (!upstream_command_waits(&login->command))
            return break_off(login, "backend-continuation");
        upstream_command_continue(&login->command, &login->to_backend);
        return UPSTREAM_LOGIN_MORE;
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

enum upstream_login_result upstream_login_feed(struct upstream_login *login,
                                               const uint8_t *bytes, size_t len,
                                               size_t *used_out)
{
    enum upstream_login_result result = UPSTREAM_LOGIN_MORE;
    size_t used = 0;
    size_t step;

    while (used < len && result == UPSTREAM_LOGIN_MORE) {
        result = take_line(login, bytes + used, len - used, &step);
        used += step;
    }
    *used_out = used;
    return result;
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
    *len_out = login->to_client.len;
    return login->to_client.bytes;
}

void upstream_login_to_client_clear(struct upstream_login *login)
{
    wiped_buffer_clear(&login->to_client);
}

const struct imap_capabilities *
upstream_login_capabilities(const struct upstream_login *login)
{
    return &login->announced;
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
    wiped_buffer_append(&login->to_backend, line, len);
    wiped_buffer_append_text(&login->to_backend, "\r\n");
    return UPSTREAM_LOGIN_MORE;
}

const struct upstream_refusal *
upstream_login_refusal(const struct upstream_login *login)
{
    return &login->refusal;
}
