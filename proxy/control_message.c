#include "control_message.h"

#include <assert.h>
#include <string.h>

/* kind, flags, number; then each text: its length, its bytes, a NUL. */
enum {
    HEAD_LEN = 1 + 4 + 8,
    NO_TEXT = 0xffff
};

static_assert(HEAD_LEN + CONTROL_TEXTS_MAX * (2 + CONTROL_TEXT_MAX + 1) <=
                  CONTROL_MESSAGE_MAX,
              "the longest texts fit in a message");

static bool is_kind(unsigned number)
{
    return number >= CONTROL_HELLO && number <= CONTROL_KIND_LAST;
}

static size_t text_count(enum control_kind kind)
{
    switch (kind) {
    case CONTROL_REASON:
        return CONTROL_REASON_TEXTS;
    case CONTROL_KICK:
        return CONTROL_KICK_TEXTS;
    case CONTROL_MODE:
        return CONTROL_MODE_TEXTS;
    case CONTROL_HELLO:
    case CONTROL_SOCKETS:
    case CONTROL_END:
    case CONTROL_PREPARED:
    case CONTROL_FAILED:
    case CONTROL_SERVING:
    case CONTROL_NO_MORE_LOGINS:
    case CONTROL_DRAIN:
    case CONTROL_ADMIN:
    case CONTROL_UPGRADE_DRAIN:
        return 0;
    }
    return 0;
}

static void put_number(uint8_t *at, uint64_t number, size_t len)
{
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(number >> (8 * i));
}

static uint64_t get_number(const uint8_t *at, size_t len)
{
    uint64_t number = 0;

    for (size_t i = len; i > 0; i--)
        number = number << 8 | at[i - 1];
    return number;
}

static size_t put_text(uint8_t *at, const char *text)
{
    size_t len = text == NULL ? 0 : strnlen(text, CONTROL_TEXT_MAX);

    put_number(at, text == NULL ? NO_TEXT : len, 2);
    if (text == NULL)
        return 2;
    memcpy(at + 2, text, len);
    at[2 + len] = '\0';
    return 2 + len + 1;
}

size_t control_message_write(const struct control_message *message,
                             uint8_t out[CONTROL_MESSAGE_MAX])
{
    size_t count = text_count(message->kind);
    size_t len = HEAD_LEN;

    out[0] = (uint8_t)message->kind;
    put_number(out + 1, message->flags, 4);
    put_number(out + 5, message->number, 8);
    for (size_t i = 0; i < count; i++)
        len += put_text(out + len, message->texts[i]);
    return len;
}

/* Takes one text off the rest. */
static bool get_text(const uint8_t **at, size_t *len, const char **text_out)
{
    size_t text_len;

    if (*len < 2)
        return false;
    text_len = (size_t)get_number(*at, 2);
    *at += 2;
    *len -= 2;
    *text_out = NULL;
    if (text_len == NO_TEXT)
        return true;
    if (text_len > CONTROL_TEXT_MAX || *len < text_len + 1 ||
        memchr(*at, '\0', text_len + 1) != *at + text_len)
        return false;
    *text_out = (const char *)*at;
    *at += text_len + 1;
    *len -= text_len + 1;
    return true;
}

bool control_message_read(const uint8_t *bytes, size_t len,
                          struct control_message *message_out)
{
    struct control_message message = {.number = 0};
    const uint8_t *at;
    size_t rest;

    if (len < HEAD_LEN || !is_kind(bytes[0]))
        return false;
    at = bytes + HEAD_LEN;
    rest = len - HEAD_LEN;
    message.kind = (enum control_kind)bytes[0];
    message.flags = (uint32_t)get_number(bytes + 1, 4);
    message.number = get_number(bytes + 5, 8);
    for (size_t i = 0; i < text_count(message.kind); i++) {
        if (!get_text(&at, &rest, &message.texts[i]))
            return false;
    }
    if (rest != 0)
        return false;
    *message_out = message;
    return true;
}
