#include "session/upstream_refusal.h"

#include <string.h>

static size_t copy_cut(void *out, size_t max, struct imap_span span)
{
    size_t len = span.len < max ? span.len : max;

    if (len > 0)
        memcpy(out, span.bytes, len);
    return len;
}

void upstream_refusal_unavailable(struct upstream_refusal *refusal,
                                  const char *reason, struct imap_span line)
{
    *refusal = (struct upstream_refusal){
        .answer = LOGIN_ANSWER_UNAVAILABLE,
        .is_config_fault = false,
        .reason = reason,
    };
    refusal->original_len =
        copy_cut(refusal->original, sizeof(refusal->original), line);
}

/* The whole inside of the brackets; empty when it is too long to pass. */
static struct imap_span whole_code(const struct imap_response *response)
{
    struct imap_span code = response->code;

    if (response->code_data.len > 0)
        code.len = (size_t)(response->code_data.bytes +
                            response->code_data.len - code.bytes);
    if (code.len > UPSTREAM_CODE_MAX)
        code.len = 0;
    return code;
}

/* A NO that says nothing of its own: without a code, with one that is not for
 * failures, or with one too long. An original text could tell a stranger which
 * users there are. */
static bool is_plain_no(const struct imap_response *response)
{
    return whole_code(response).len == 0 ||
           imap_span_is(response->code, "AUTHENTICATIONFAILED") ||
           imap_span_is(response->code, "CAPABILITY");
}

void upstream_refusal_from(struct upstream_refusal *refusal,
                           const struct imap_response *response,
                           struct imap_span line)
{
    upstream_refusal_unavailable(refusal, "backend-no", line);
    if (response->status == IMAP_STATUS_BAD ||
        imap_span_is(response->code, "PRIVACYREQUIRED")) {
        refusal->is_config_fault = true;
        refusal->reason = response->status == IMAP_STATUS_BAD
                              ? "backend-bad"
                              : "backend-wants-tls";
    } else if (imap_span_is(response->code, "REFERRAL")) {
        refusal->reason = "backend-referral";
    } else if (is_plain_no(response)) {
        refusal->answer = LOGIN_ANSWER_BAD_CREDENTIALS;
    } else {
        refusal->answer = LOGIN_ANSWER_CODED;
        refusal->code_len =
            copy_cut(refusal->code, UPSTREAM_CODE_MAX, whole_code(response));
        refusal->text_len =
            copy_cut(refusal->text, UPSTREAM_TEXT_MAX, response->text);
    }
}
