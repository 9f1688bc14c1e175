#include "session/upstream_refusal.h"

#include <string.h>

#include "session/upstream_echo.h"

static size_t copy_cut(void *out, size_t max, struct imap_span span)
{
    size_t len = span.len < max ? span.len : max;

    if (len > 0)
        memcpy(out, span.bytes, len);
    return len;
}

void upstream_refusal_unavailable(struct upstream_refusal *refusal,
                                  enum upstream_refusal_kind kind,
                                  const char *reason)
{
    *refusal = (struct upstream_refusal){
        .kind = kind,
        .answer = LOGIN_ANSWER_UNAVAILABLE,
        .is_config_fault = false,
        .reason = reason,
    };
}

void upstream_refusal_keep(struct upstream_refusal *refusal,
                           const struct upstream_command *command,
                           struct imap_span line)
{
    if (!upstream_echo_tells(command, line))
        refusal->original_len =
            copy_cut(refusal->original, sizeof(refusal->original), line);
}

/* The inside of the brackets; its atom alone when the whole is too long to
 * pass, and empty when that is too long as well. */
static struct imap_span passing_code(const struct imap_response *response)
{
    struct imap_span atom = response->code;
    struct imap_span whole = atom;

    if (response->code_data.len > 0)
        whole.len = (size_t)(response->code_data.bytes +
                             response->code_data.len - whole.bytes);
    if (whole.len <= UPSTREAM_CODE_MAX)
        return whole;
    if (atom.len > UPSTREAM_CODE_MAX)
        atom.len = 0;
    return atom;
}

/* A NO that says nothing of its own: with a code for a wrong password, or with
 * one too long to pass. An original text could tell a stranger which users
 * there are. */
static bool is_plain_no(const struct imap_response *response)
{
    return passing_code(response).len == 0 ||
           imap_span_is(response->code, "AUTHENTICATIONFAILED");
}

/* Without a code, or with one that is not for failures. */
static bool is_uncoded(const struct imap_response *response)
{
    return response->code.len == 0 ||
           imap_span_is(response->code, "CAPABILITY");
}

static void copy_text(struct upstream_refusal *refusal,
                      const struct imap_response *response)
{
    refusal->text_len =
        copy_cut(refusal->text, UPSTREAM_TEXT_MAX, response->text);
}

static void take_bad(struct upstream_refusal *refusal,
                     const struct upstream_command *command)
{
    refusal->kind = UPSTREAM_REFUSAL_BAD;
    refusal->reason = "backend-bad";
    /* What the client wrote itself is not our fault. */
    if (command->way == UPSTREAM_WAY_MESSAGE)
        refusal->answer = LOGIN_ANSWER_BAD_CREDENTIALS;
    else
        refusal->is_config_fault = true;
}

static void take_no(struct upstream_refusal *refusal,
                    const struct imap_response *response,
                    bool passes_uncoded_no)
{
    if (imap_span_is(response->code, "PRIVACYREQUIRED")) {
        refusal->is_config_fault = true;
        refusal->reason = "backend-wants-tls";
    } else if (imap_span_is(response->code, "REFERRAL")) {
        refusal->reason = "backend-referral";
    } else if (is_uncoded(response)) {
        refusal->answer = passes_uncoded_no && response->text.len > 0
                              ? LOGIN_ANSWER_UNCODED
                              : LOGIN_ANSWER_BAD_CREDENTIALS;
        if (refusal->answer == LOGIN_ANSWER_UNCODED)
            copy_text(refusal, response);
    } else if (is_plain_no(response)) {
        refusal->answer = LOGIN_ANSWER_BAD_CREDENTIALS;
    } else {
        refusal->answer = LOGIN_ANSWER_CODED;
        refusal->code_len =
            copy_cut(refusal->code, UPSTREAM_CODE_MAX, passing_code(response));
        copy_text(refusal, response);
    }
}

void upstream_refusal_from(struct upstream_refusal *refusal,
                           const struct upstream_command *command,
                           const struct imap_response *response,
                           struct imap_span line, bool passes_uncoded_no)
{
    upstream_refusal_unavailable(refusal, UPSTREAM_REFUSAL_NO, "backend-no");
    if (response->status == IMAP_STATUS_BAD) {
        take_bad(refusal, command);
        return;
    }
    upstream_refusal_keep(refusal, command, line);
    if (!upstream_echo_may_pass(command, line))
        refusal->answer = LOGIN_ANSWER_BAD_CREDENTIALS;
    else
        take_no(refusal, response, passes_uncoded_no);
}
