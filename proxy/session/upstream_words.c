#include "session/upstream_words.h"

#include "imap/reply.h"
#include "session/upstream_echo.h"

/* Alerts reach the user (RFC 9051, 7.1), but not without end. */
#define ALERTS_MAX 4096

void upstream_words_deinit(struct upstream_words *words)
{
    wiped_buffer_deinit(&words->to_client);
    wiped_buffer_deinit(&words->capabilities);
    wiped_buffer_deinit(&words->success);
}

bool upstream_words_take_list(struct upstream_words *words,
                              const struct imap_response *response)
{
    struct imap_span list;

    if (!imap_response_capabilities(response, &list))
        return false;
    wiped_buffer_clear(&words->capabilities);
    imap_capabilities_filter(list.bytes, list.len, &words->capabilities,
                             &words->announced);
    return true;
}

/* For a client's eyes: nothing that could steer a terminal. */
static void append_printable(struct wiped_buffer *out, struct imap_span span)
{
    size_t i = out->len;

    wiped_buffer_append(out, span.bytes, span.len);
    for (; i < out->len; i++) {
        if (out->bytes[i] < 0x20 || out->bytes[i] == 0x7f)
            out->bytes[i] = '?';
    }
}

static bool is_alert(const struct imap_response *response)
{
    return (response->status == IMAP_STATUS_OK ||
            response->status == IMAP_STATUS_NO) &&
           imap_span_is(response->code, "ALERT");
}

void upstream_words_take_alert(struct upstream_words *words,
                               const struct upstream_command *command,
                               const struct imap_response *response,
                               struct imap_span line)
{
    size_t len = line.len + 2;

    if (!is_alert(response) || words->alerts_len + len > ALERTS_MAX ||
        !upstream_echo_may_pass(command, line))
        return;
    words->alerts_len += len;
    append_printable(&words->to_client, line);
    wiped_buffer_append_text(&words->to_client, "\r\n");
}

void upstream_words_take_success(struct upstream_words *words,
                                 const struct upstream_command *command,
                                 struct imap_span line)
{
    if (upstream_echo_may_pass(command, line))
        append_printable(&words->success, line);
}

/* Whether the tagged OK has a code that the client shall see as it is. */
static bool has_code_to_keep(const struct imap_response *response)
{
    return response->code.len > 0 &&
           !imap_span_is(response->code, "CAPABILITY") &&
           !imap_span_is(response->code, "REFERRAL");
}

void upstream_words_finish(struct upstream_words *words, const char *tag)
{
    struct imap_span line = {words->success.bytes, words->success.len};
    struct imap_span list = {words->capabilities.bytes,
                             words->capabilities.len};
    struct imap_response response;
    bool keeps_code;

    imap_response_parse(line, &response);
    keeps_code = has_code_to_keep(&response);
    if (list.len > 0 && (words->volunteered || keeps_code))
        reply_backend_capability(&words->to_client, list);
    if (keeps_code) {
        wiped_buffer_append(&words->to_client, line.bytes, line.len);
        wiped_buffer_append_text(&words->to_client, "\r\n");
    } else {
        reply_logged_in(&words->to_client, tag, list, response.text);
    }
}

void upstream_words_forget_shown(struct upstream_words *words)
{
    if (words->has_shown)
        wiped_buffer_clear(&words->to_client);
    words->has_shown = false;
}
