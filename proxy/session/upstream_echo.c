#include "session/upstream_echo.h"

#include <openssl/mem.h>
#include <string.h>

#include "auth/base64.h"

/* Of a message (a token with a name before it) so many octets in a row tell
 * too much. */
#define RUN 12

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

static bool tells_secret(struct imap_span line, struct imap_span secret)
{
    return holds_in_clear(line, secret) || holds_in_base64(line, secret, 0) ||
           holds_in_base64(line, secret, 1) || holds_in_base64(line, secret, 2);
}

static bool shares_run(struct imap_span line, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i + RUN <= line.len; i++) {
        if (memmem(bytes, len, line.bytes + i, RUN) != NULL)
            return true;
    }
    return false;
}

/* Base64 of the message from so many octets on, modulo 3: whoever encodes a
 * part of it begins anywhere. */
static bool shares_base64(struct imap_span line,
                          const struct credentials *credentials, size_t lead)
{
    uint8_t digits[BASE64_LENGTH(CREDENTIALS_SECRET_MAX) + 1];
    size_t len;
    bool shares;

    if (lead > credentials->secret_len)
        return false;
    len = base64_encode(credentials->secret + lead,
                        credentials->secret_len - lead, digits);
    shares = shares_run(line, digits, len);
    OPENSSL_cleanse(digits, sizeof(digits));
    return shares;
}

/* A backend may take the message apart and repeat the token alone. */
static bool tells_message(struct imap_span line,
                          const struct credentials *credentials)
{
    if (line.len > UPSTREAM_ECHO_LOOK)
        line.len = UPSTREAM_ECHO_LOOK;
    return shares_run(line, credentials->secret, credentials->secret_len) ||
           shares_base64(line, credentials, 0) ||
           shares_base64(line, credentials, 1) ||
           shares_base64(line, credentials, 2);
}

bool upstream_echo_tells(const struct upstream_command *command,
                         struct imap_span line)
{
    const struct credentials *credentials = command->credentials;
    const struct master_login *master = command->master;

    switch (credentials->kind) {
    case CREDENTIALS_PASSWORD:
        return tells_secret(line, (struct imap_span){credentials->secret,
                                                     credentials->secret_len});
    case CREDENTIALS_MESSAGE:
        /* What the client answered was not kept: it may be any of it. */
        return command->was_answered || tells_message(line, credentials);
    case CREDENTIALS_CERTIFICATE:
        break;
    }
    return tells_secret(line,
                        (struct imap_span){master->secret, master->secret_len});
}

bool upstream_echo_may_pass(const struct upstream_command *command,
                            struct imap_span line)
{
    return command->credentials->kind != CREDENTIALS_CERTIFICATE ||
           !upstream_echo_tells(command, line);
}
