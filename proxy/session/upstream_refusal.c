#include "session/upstream_refusal.h"

#include <openssl/mem.h>
#include <string.h>

#include "auth/base64.h"

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

static bool holds(struct imap_span line, const uint8_t *bytes, size_t len)
{
    return len == 0 || memmem(line.bytes, line.len, bytes, len) != NULL;
}

static void append_without_escapes(struct wiped_buffer *out,
                                   struct imap_span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.bytes[i] != '\\')
            wiped_buffer_append(out, &text.bytes[i], 1);
    }
}

/* As it is, or as a quoted string has it. */
static bool holds_in_clear(struct imap_span line, struct imap_span secret)
{
    struct wiped_buffer bare_line = {0};
    struct wiped_buffer bare_secret = {0};
    bool is_held;

    append_without_escapes(&bare_line, line);
    append_without_escapes(&bare_secret, secret);
    is_held = holds((struct imap_span){bare_line.bytes, bare_line.len},
                    bare_secret.bytes, bare_secret.len);
    wiped_buffer_deinit(&bare_line);
    wiped_buffer_deinit(&bare_secret);
    return is_held;
}

/* Base64 of a message that has the secret behind so many octets, modulo 3. The
 * digits at both ends depend on the neighbours, so they are left out. */
static bool holds_in_base64(struct imap_span line, struct imap_span secret,
                            size_t lead)
{
    uint8_t message[CREDENTIALS_SECRET_MAX + 2] = {0};
    uint8_t digits[BASE64_LENGTH(CREDENTIALS_SECRET_MAX + 2) + 1];
    size_t from = (lead * 8 + 5) / 6;
    size_t to = (lead + secret.len) * 8 / 6;
    bool is_held;

    memcpy(message + lead, secret.bytes, secret.len);
    base64_encode(message, lead + secret.len, digits);
    is_held = holds(line, digits + from, to - from);
    OPENSSL_cleanse(message, sizeof(message));
    OPENSSL_cleanse(digits, sizeof(digits));
    return is_held;
}

/* Where in doubt (a secret of one octet is nearly everywhere): yes. */
static bool tells_secret(struct imap_span line,
                         const struct credentials *credentials)
{
    struct imap_span secret = {credentials->secret, credentials->secret_len};

    return holds_in_clear(line, secret) || holds_in_base64(line, secret, 0) ||
           holds_in_base64(line, secret, 1) || holds_in_base64(line, secret, 2);
}

static void keep_original(struct upstream_refusal *refusal,
                          struct imap_span line,
                          const struct credentials *credentials)
{
    if (refusal->kind == UPSTREAM_REFUSAL_NO &&
        !tells_secret(line, credentials))
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

/* A NO that says nothing of its own: without a code, with one that is not for
 * failures, or with one too long. An original text could tell a stranger which
 * users there are. */
static bool is_plain_no(const struct imap_response *response)
{
    return passing_code(response).len == 0 ||
           imap_span_is(response->code, "AUTHENTICATIONFAILED") ||
           imap_span_is(response->code, "CAPABILITY");
}

void upstream_refusal_from(struct upstream_refusal *refusal,
                           const struct imap_response *response,
                           struct imap_span line,
                           const struct credentials *credentials)
{
    upstream_refusal_unavailable(refusal,
                                 response->status == IMAP_STATUS_BAD
                                     ? UPSTREAM_REFUSAL_BAD
                                     : UPSTREAM_REFUSAL_NO,
                                 "backend-no");
    keep_original(refusal, line, credentials);
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
            copy_cut(refusal->code, UPSTREAM_CODE_MAX, passing_code(response));
        refusal->text_len =
            copy_cut(refusal->text, UPSTREAM_TEXT_MAX, response->text);
    }
}
