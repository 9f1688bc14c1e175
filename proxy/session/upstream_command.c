#include "session/upstream_command.h"

#include <openssl/mem.h>
#include <string.h>

#include "auth/base64.h"
#include "auth/sasl_client.h"
#include "imap/literal.h"

/* Servers bound a command's line, often at 4 or 8 KiB, but not so the lines of
 * an exchange: a long message waits for its "+" even with SASL-IR. */
#define INITIAL_RESPONSE_MAX 2048
#define QUOTED_MAX 1024

static bool has(const struct upstream_command *command,
                enum imap_capability capability)
{
    return imap_capabilities_has(&command->known, capability);
}

static struct imap_span user_of(const struct upstream_command *command)
{
    const struct credentials *credentials = command->credentials;

    if (command->login_as != NULL)
        return (struct imap_span){(const uint8_t *)command->login_as,
                                  strlen(command->login_as)};
    return (struct imap_span){credentials->user, credentials->user_len};
}

static struct imap_span secret_of(const struct upstream_command *command)
{
    return (struct imap_span){command->credentials->secret,
                              command->credentials->secret_len};
}

static bool fits_quotes(struct imap_span text)
{
    if (text.len > QUOTED_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.bytes[i] < 0x20 || text.bytes[i] > 0x7e)
            return false;
    }
    return true;
}

static void write_quoted(struct wiped_buffer *out, struct imap_span text)
{
    wiped_buffer_append_text(out, "\"");
    for (size_t i = 0; i < text.len; i++) {
        if (text.bytes[i] == '"' || text.bytes[i] == '\\')
            wiped_buffer_append_text(out, "\\");
        wiped_buffer_append(out, &text.bytes[i], 1);
    }
    wiped_buffer_append_text(out, "\"");
}

/* RFC 7888, 4 and 5. */
static bool goes_unasked(const struct upstream_command *command, size_t len)
{
    return has(command, IMAP_CAPABILITY_LITERAL_PLUS) ||
           (has(command, IMAP_CAPABILITY_LITERAL_MINUS) &&
            len <= IMAP_LITERAL_UNASKED_MAX);
}

static void write_mark(struct wiped_buffer *out, size_t len, const char *end)
{
    wiped_buffer_append_text(out, "{");
    wiped_buffer_append_number(out, len);
    wiped_buffer_append_text(out, end);
}

/* Writes a string; false when its octets have to wait for the backend. */
static bool write_string(const struct upstream_command *command,
                         struct wiped_buffer *out, struct imap_span text)
{
    if (fits_quotes(text)) {
        write_quoted(out, text);
        return true;
    }
    if (!goes_unasked(command, text.len)) {
        write_mark(out, text.len, "}\r\n");
        return false;
    }
    write_mark(out, text.len, "+}\r\n");
    wiped_buffer_append(out, text.bytes, text.len);
    return true;
}

static void write_secret(struct upstream_command *command,
                         struct wiped_buffer *out)
{
    wiped_buffer_append_text(out, " ");
    if (!write_string(command, out, secret_of(command))) {
        command->awaited = UPSTREAM_PART_SECRET;
        return;
    }
    wiped_buffer_append_text(out, "\r\n");
    command->awaited = UPSTREAM_PART_NONE;
}

static void start_login(struct upstream_command *command,
                        struct wiped_buffer *out)
{
    wiped_buffer_append_text(out, " LOGIN ");
    if (write_string(command, out, user_of(command)))
        write_secret(command, out);
    else
        command->awaited = UPSTREAM_PART_USER;
}

/* False when the credentials cannot be put into a message. */
static bool encode_message(const struct upstream_command *command, uint8_t *out,
                           size_t *len_out)
{
    const struct credentials *credentials = command->credentials;
    const struct master_login *master = command->master;

    switch (credentials->kind) {
    case CREDENTIALS_PASSWORD:
        return sasl_client_plain(credentials, command->login_as, out, len_out);
    case CREDENTIALS_MESSAGE:
        sasl_client_message(credentials, out, len_out);
        return true;
    case CREDENTIALS_CERTIFICATE:
        break;
    }
    return sasl_client_master(credentials, command->login_as, master->user,
                              master->secret, master->secret_len, out, len_out);
}

static bool write_message(const struct upstream_command *command,
                          struct wiped_buffer *out, size_t max)
{
    uint8_t message[SASL_CLIENT_BASE64_MAX];
    size_t len = 0;
    bool fits = encode_message(command, message, &len) && len <= max;

    if (fits)
        wiped_buffer_append(out, message, len);
    OPENSSL_cleanse(message, sizeof(message));
    return fits;
}

static void start_message(struct upstream_command *command,
                          enum sasl_mechanism mechanism,
                          struct wiped_buffer *out)
{
    size_t bare_len;

    wiped_buffer_append_text(out, " AUTHENTICATE ");
    wiped_buffer_append_text(out, sasl_mechanism_name(mechanism));
    bare_len = out->len;
    command->awaited = UPSTREAM_PART_MESSAGE;
    if (has(command, IMAP_CAPABILITY_SASL_IR)) {
        wiped_buffer_append_text(out, " ");
        if (write_message(command, out, INITIAL_RESPONSE_MAX))
            command->awaited = UPSTREAM_PART_NONE;
        else
            wiped_buffer_cut(out, bare_len);
    }
    wiped_buffer_append_text(out, "\r\n");
}

/* What LOGIN cannot say. */
static bool needs_authzid(const struct upstream_command *command)
{
    return credentials_acts_for_another(command->credentials);
}

/* Where PLAIN would have to wait for its "+", LOGIN saves a round trip, and
 * GNU Mailutils, which ends its OK to AUTHENTICATE by a lone LF, is understood.
 * What LOGIN could only say in a literal, or not at all in UTF-8 (RFC 6855, 5),
 * goes by PLAIN. */
static bool is_better_by_login(const struct upstream_command *command)
{
    return !has(command, IMAP_CAPABILITY_SASL_IR) && !needs_authzid(command) &&
           fits_quotes(user_of(command)) && fits_quotes(secret_of(command));
}

static enum upstream_command_fault
choose_for_password(struct upstream_command *command)
{
    bool has_command = !has(command, IMAP_CAPABILITY_LOGINDISABLED);

    if (has(command, IMAP_CAPABILITY_AUTH_PLAIN) &&
        !(has_command && is_better_by_login(command))) {
        command->way = UPSTREAM_WAY_PLAIN;
        return UPSTREAM_COMMAND_GOOD;
    }
    if (!has_command && !has(command, IMAP_CAPABILITY_AUTH_LOGIN))
        return UPSTREAM_COMMAND_NO_MECHANISM;
    if (needs_authzid(command))
        return UPSTREAM_COMMAND_NO_AUTHZID;
    command->way = has_command ? UPSTREAM_WAY_LOGIN : UPSTREAM_WAY_LOGIN_SASL;
    return UPSTREAM_COMMAND_GOOD;
}

static enum upstream_command_fault
choose_for_message(struct upstream_command *command)
{
    if (command->login_as != NULL)
        return UPSTREAM_COMMAND_NO_LOGIN_AS;
    if (!imap_capabilities_offer(&command->known, command->sasl))
        return UPSTREAM_COMMAND_NO_MECHANISM;
    command->way = UPSTREAM_WAY_MESSAGE;
    return UPSTREAM_COMMAND_GOOD;
}

static bool is_usable(const struct master_login *master)
{
    return master != NULL &&
           strnlen(master->user, CREDENTIALS_NAME_MAX + 1) <=
               CREDENTIALS_NAME_MAX &&
           master->secret_len > 0 &&
           master->secret_len <= CREDENTIALS_SECRET_MAX &&
           memchr(master->secret, 0, master->secret_len) == NULL;
}

static enum upstream_command_fault
choose_for_certificate(struct upstream_command *command)
{
    if (!is_usable(command->master))
        return UPSTREAM_COMMAND_NO_MASTER;
    if (!has(command, IMAP_CAPABILITY_AUTH_PLAIN))
        return UPSTREAM_COMMAND_NO_MECHANISM;
    command->way = UPSTREAM_WAY_PLAIN;
    return UPSTREAM_COMMAND_GOOD;
}

enum upstream_command_fault
upstream_command_choose(struct upstream_command *command)
{
    command->awaited = UPSTREAM_PART_NONE;
    if (credentials_check(command->credentials) != CREDENTIALS_GOOD ||
        user_of(command).len > CREDENTIALS_NAME_MAX)
        return UPSTREAM_COMMAND_BAD_CREDENTIALS;
    switch (command->credentials->kind) {
    case CREDENTIALS_PASSWORD:
        return choose_for_password(command);
    case CREDENTIALS_MESSAGE:
        return choose_for_message(command);
    case CREDENTIALS_CERTIFICATE:
        break;
    }
    return choose_for_certificate(command);
}

void upstream_command_write(struct upstream_command *command, const char *tag,
                            struct wiped_buffer *out)
{
    wiped_buffer_append_text(out, tag);
    switch (command->way) {
    case UPSTREAM_WAY_PLAIN:
        start_message(command, SASL_PLAIN, out);
        break;
    case UPSTREAM_WAY_LOGIN:
        start_login(command, out);
        break;
    case UPSTREAM_WAY_LOGIN_SASL:
        wiped_buffer_append_text(out, " AUTHENTICATE LOGIN\r\n");
        command->awaited = UPSTREAM_PART_USER_BASE64;
        break;
    case UPSTREAM_WAY_MESSAGE:
        start_message(command, command->sasl, out);
        break;
    }
}

bool upstream_command_waits(const struct upstream_command *command)
{
    return command->awaited != UPSTREAM_PART_NONE;
}

static void write_line(struct wiped_buffer *out, struct imap_span part)
{
    wiped_buffer_append(out, part.bytes, part.len);
    wiped_buffer_append_text(out, "\r\n");
}

static void write_base64_line(struct wiped_buffer *out, struct imap_span part)
{
    uint8_t digits[BASE64_LENGTH(CREDENTIALS_SECRET_MAX) + 1];
    size_t len = base64_encode(part.bytes, part.len, digits);

    write_line(out, (struct imap_span){digits, len});
    OPENSSL_cleanse(digits, sizeof(digits));
}

void upstream_command_continue(struct upstream_command *command,
                               struct wiped_buffer *out)
{
    enum upstream_command_part part = command->awaited;

    command->awaited = UPSTREAM_PART_NONE;
    switch (part) {
    case UPSTREAM_PART_MESSAGE:
        /* The credentials were checked at the start: it fits. */
        (void)!write_message(command, out, SASL_CLIENT_BASE64_MAX);
        wiped_buffer_append_text(out, "\r\n");
        break;
    case UPSTREAM_PART_USER:
        wiped_buffer_append(out, user_of(command).bytes, user_of(command).len);
        write_secret(command, out);
        break;
    case UPSTREAM_PART_SECRET:
        write_line(out, secret_of(command));
        break;
    case UPSTREAM_PART_USER_BASE64:
        write_base64_line(out, user_of(command));
        command->awaited = UPSTREAM_PART_SECRET_BASE64;
        break;
    case UPSTREAM_PART_SECRET_BASE64:
        write_base64_line(out, secret_of(command));
        break;
    case UPSTREAM_PART_NONE:
        break;
    }
}
