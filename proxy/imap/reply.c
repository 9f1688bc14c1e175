#include "imap/reply.h"

#include <string.h>

#include "auth/sasl_server.h"

static const char *const texts[REPLY_COUNT] = {
    [REPLY_CAPABILITY_DONE] = "OK CAPABILITY completed.",
    [REPLY_NOOP_DONE] = "OK NOOP completed.",
    [REPLY_LOGOUT_DONE] = "OK LOGOUT completed.",
    [REPLY_ID_DONE] = "OK ID completed.",
    [REPLY_STARTTLS_DONE] = "OK Begin TLS negotiation now.",
    [REPLY_STARTTLS_UNAVAILABLE] = "NO STARTTLS is not available.",
    [REPLY_STARTTLS_TWICE] = "BAD TLS is already active.",
    [REPLY_PRIVACY_REQUIRED] =
        "NO [PRIVACYREQUIRED] Logging in needs TLS: use STARTTLS first.",
    [REPLY_AUTHENTICATION_FAILED] =
        "NO [AUTHENTICATIONFAILED] Authentication failed.",
    [REPLY_AUTHORIZATION_FAILED] =
        "NO [AUTHORIZATIONFAILED] Not allowed to act as that user.",
    [REPLY_UNAVAILABLE] =
        "NO [UNAVAILABLE] Temporarily unavailable, try again later.",
    [REPLY_LIMIT] = "NO [LIMIT] Too many sessions, close one first.",
    [REPLY_LOGIN_DISABLED] = "NO LOGIN is disabled, use AUTHENTICATE.",
    [REPLY_MECHANISM_UNKNOWN] = "NO Unsupported authentication mechanism.",
    [REPLY_CANCELLED] = "BAD AUTHENTICATE cancelled.",
    [REPLY_BAD_SASL] = "BAD Invalid authentication data.",
    [REPLY_BAD_COMMAND] = "BAD Unknown command.",
    [REPLY_BAD_ARGUMENTS] = "BAD Invalid arguments.",
    [REPLY_BAD_LINE_END] = "BAD Lines end in CRLF.",
    [REPLY_LITERAL_TOO_BIG] = "BAD [TOOBIG] Literal too large.",
    [REPLY_TOO_LONG] = "BAD Command too long.",
    [REPLY_WRONG_STATE] = "BAD Log in first.",
    [REPLY_BYE_LOGOUT] = "BYE Logging out.",
    [REPLY_BYE_BAD_COMMANDS] = "BYE Too many bad commands.",
    [REPLY_BYE_COMMANDS] = "BYE Too many commands without a login.",
    [REPLY_BYE_LOGINS] = "BYE Too many failed logins.",
    [REPLY_BYE_UNREADABLE] = "BYE Closing, this cannot be read on.",
    [REPLY_BYE_HTTP] = "BYE This is an IMAP server.",
};

void reply_write(struct wiped_buffer *out, enum reply reply, const char *tag)
{
    wiped_buffer_append_text(out, tag == NULL ? "*" : tag);
    wiped_buffer_append_text(out, " ");
    wiped_buffer_append_text(out, texts[reply]);
    wiped_buffer_append_text(out, "\r\n");
}

bool reply_offers_login(const struct reply_offer *offer)
{
    return offer->is_secure && (offer->mechanisms & (SASL_PLAIN | SASL_LOGIN));
}

static void write_list(struct wiped_buffer *out,
                       const struct reply_offer *offer)
{
    wiped_buffer_append_text(out, "CAPABILITY IMAP4rev1");
    if (offer->imap4rev2)
        wiped_buffer_append_text(out, " IMAP4rev2");
    wiped_buffer_append_text(out, " LITERAL- SASL-IR ID");
    if (!offer->is_secure) {
        if (offer->starttls)
            wiped_buffer_append_text(out, " STARTTLS");
        wiped_buffer_append_text(out, " LOGINDISABLED");
        return;
    }
    if (!reply_offers_login(offer))
        wiped_buffer_append_text(out, " LOGINDISABLED");
    for (unsigned i = 0; i < SASL_MECHANISM_COUNT; i++) {
        enum sasl_mechanism mechanism = (enum sasl_mechanism)(1u << i);

        if (!(offer->mechanisms & mechanism))
            continue;
        wiped_buffer_append_text(out, " AUTH=");
        wiped_buffer_append_text(out, sasl_mechanism_name(mechanism));
    }
}

void reply_greeting(struct wiped_buffer *out, const struct reply_offer *offer)
{
    wiped_buffer_append_text(out, "* OK [");
    write_list(out, offer);
    wiped_buffer_append_text(out, "] Gatepost ready\r\n");
}

void reply_capability(struct wiped_buffer *out, const struct reply_offer *offer)
{
    wiped_buffer_append_text(out, "* ");
    write_list(out, offer);
    wiped_buffer_append_text(out, "\r\n");
}

void reply_id(struct wiped_buffer *out)
{
    wiped_buffer_append_text(out, "* ID (\"name\" \"Gatepost\")\r\n");
}

void reply_continue(struct wiped_buffer *out)
{
    wiped_buffer_append_text(out, "+ OK\r\n");
}

void reply_challenge(struct wiped_buffer *out, struct imap_span base64)
{
    wiped_buffer_append_text(out, "+ ");
    wiped_buffer_append(out, base64.bytes, base64.len);
    wiped_buffer_append_text(out, "\r\n");
}

static bool is_printable(char byte)
{
    return byte >= 0x20 && byte < 0x7f;
}

static bool code_is_good(const char *code, size_t len)
{
    if (len == 0 || len > REPLY_CODE_MAX || code[0] == ' ')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_printable(code[i]) || code[i] == ']')
            return false;
    }
    return true;
}

static void write_text(struct wiped_buffer *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len && i < REPLY_TEXT_MAX; i++)
        wiped_buffer_append(out, is_printable(text[i]) ? &text[i] : "?", 1);
}

bool reply_coded_no(struct wiped_buffer *out, const char *tag, const char *code,
                    size_t code_len, const char *text, size_t text_len)
{
    if (!code_is_good(code, code_len))
        return false;
    wiped_buffer_append_text(out, tag);
    wiped_buffer_append_text(out, " NO [");
    wiped_buffer_append(out, code, code_len);
    wiped_buffer_append_text(out, "] ");
    write_text(out, text, text_len);
    if (text_len == 0)
        wiped_buffer_append_text(out, "Login failed.");
    wiped_buffer_append_text(out, "\r\n");
    return true;
}

/* Whether a client would take its beginning for a response code. */
static bool begins_with_code(struct imap_span text)
{
    while (imap_span_take(&text, ' ') || imap_span_take(&text, '\t'))
        continue;
    return text.len > 0 && text.bytes[0] == '[';
}

bool reply_uncoded_no(struct wiped_buffer *out, const char *tag,
                      const char *text, size_t text_len)
{
    struct imap_span span = {(const uint8_t *)text, text_len};

    if (text_len == 0 || begins_with_code(span))
        return false;
    wiped_buffer_append_text(out, tag);
    wiped_buffer_append_text(out, " NO ");
    write_text(out, text, text_len);
    wiped_buffer_append_text(out, "\r\n");
    return true;
}

void reply_backend_capability(struct wiped_buffer *out, struct imap_span list)
{
    wiped_buffer_append_text(out, "* CAPABILITY ");
    wiped_buffer_append(out, list.bytes, list.len);
    wiped_buffer_append_text(out, "\r\n");
}

void reply_logged_in(struct wiped_buffer *out, const char *tag,
                     struct imap_span list, struct imap_span text)
{
    wiped_buffer_append_text(out, tag);
    wiped_buffer_append_text(out, " OK ");
    if (list.len > 0) {
        wiped_buffer_append_text(out, "[CAPABILITY ");
        wiped_buffer_append(out, list.bytes, list.len);
        wiped_buffer_append_text(out, "] ");
    }
    if (text.len == 0 || begins_with_code(text))
        wiped_buffer_append_text(out, "Logged in.");
    else
        wiped_buffer_append(out, text.bytes, text.len);
    wiped_buffer_append_text(out, "\r\n");
}

void reply_bye(struct wiped_buffer *out, const char *text)
{
    wiped_buffer_append_text(out, "* BYE ");
    wiped_buffer_append_text(out, text);
    wiped_buffer_append_text(out, "\r\n");
}
