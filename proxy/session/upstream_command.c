#include "session/upstream_command.h"

#include <openssl/mem.h>
#include <string.h>

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

static void start_login(struct upstream_command *command, const char *tag,
                        struct wiped_buffer *out)
{
    wiped_buffer_append_text(out, tag);
    wiped_buffer_append_text(out, " LOGIN ");
    if (write_string(command, out, user_of(command)))
        write_secret(command, out);
    else
        command->awaited = UPSTREAM_PART_USER;
}

/* False when the credentials cannot be put into a message. */
static bool write_message(const struct upstream_command *command,
                          struct wiped_buffer *out, size_t max)
{
    uint8_t message[SASL_CLIENT_BASE64_MAX];
    size_t len = 0;
    bool fits = sasl_client_plain(command->credentials, command->login_as,
                                  message, &len) &&
                len <= max;

    if (fits)
        wiped_buffer_append(out, message, len);
    OPENSSL_cleanse(message, sizeof(message));
    return fits;
}

static void start_plain(struct upstream_command *command, const char *tag,
                        struct wiped_buffer *out)
{
    size_t bare_len;

    wiped_buffer_append_text(out, tag);
    wiped_buffer_append_text(out, " AUTHENTICATE PLAIN");
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

/* Whether acting for somebody else is asked for, which LOGIN cannot say. */
static bool needs_authzid(const struct upstream_command *command)
{
    const struct credentials *credentials = command->credentials;

    return command->login_as == NULL && credentials->authzid_len > 0 &&
           (credentials->authzid_len != credentials->user_len ||
            memcmp(credentials->authzid, credentials->user,
                   credentials->user_len) != 0);
}

enum upstream_command_fault
upstream_command_start(struct upstream_command *command, const char *tag,
                       struct wiped_buffer *out)
{
    if (credentials_check(command->credentials) != CREDENTIALS_GOOD ||
        user_of(command).len > CREDENTIALS_NAME_MAX)
        return UPSTREAM_COMMAND_BAD_CREDENTIALS;
    if (has(command, IMAP_CAPABILITY_AUTH_PLAIN)) {
        start_plain(command, tag, out);
        return UPSTREAM_COMMAND_GOOD;
    }
    if (has(command, IMAP_CAPABILITY_LOGINDISABLED))
        return UPSTREAM_COMMAND_NO_MECHANISM;
    if (needs_authzid(command))
        return UPSTREAM_COMMAND_NO_AUTHZID;
    start_login(command, tag, out);
    return UPSTREAM_COMMAND_GOOD;
}

bool upstream_command_waits(const struct upstream_command *command)
{
    return command->awaited != UPSTREAM_PART_NONE;
}

void upstream_command_continue(struct upstream_command *command,
                               struct wiped_buffer *out)
{
    struct imap_span part;

    switch (command->awaited) {
    case UPSTREAM_PART_MESSAGE:
        /* The credentials were checked at the start: it fits. */
        (void)!write_message(command, out, SASL_CLIENT_BASE64_MAX);
        wiped_buffer_append_text(out, "\r\n");
        command->awaited = UPSTREAM_PART_NONE;
        break;
    case UPSTREAM_PART_USER:
        part = user_of(command);
        wiped_buffer_append(out, part.bytes, part.len);
        write_secret(command, out);
        break;
    case UPSTREAM_PART_SECRET:
        part = secret_of(command);
        wiped_buffer_append(out, part.bytes, part.len);
        wiped_buffer_append_text(out, "\r\n");
        command->awaited = UPSTREAM_PART_NONE;
        break;
    case UPSTREAM_PART_NONE:
        break;
    }
}
