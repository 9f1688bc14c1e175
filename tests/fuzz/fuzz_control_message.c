/* Any packet as a message of the process before us or after us: what is read
 * lies within the packet, is written again as it came, and no part of it, nor
 * anything longer, is a message too. */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_text(const char *text, const uint8_t *bytes, size_t len)
{
    const uint8_t *at = (const uint8_t *)text;

    assert(at > bytes && at < bytes + len);
    assert(strnlen(text, (size_t)(bytes + len - at)) <= CONTROL_TEXT_MAX);
}

static void check_written(const struct control_message *message,
                          const uint8_t *bytes, size_t len)
{
    uint8_t again[CONTROL_MESSAGE_MAX];

    assert(len <= sizeof(again));
    assert(control_message_write(message, again) == len);
    assert(memcmp(again, bytes, len) == 0);
}

/* In memory of its own, so that a byte too far is found. */
static bool is_message(const uint8_t *bytes, size_t len, size_t copied)
{
    uint8_t *copy = calloc(1, len);
    struct control_message message;
    bool is_one;

    memcpy(copy, bytes, copied);
    is_one = control_message_read(copy, len, &message);
    free(copy);
    return is_one;
}

static void check_lengths(const uint8_t *bytes, size_t len)
{
    size_t first = len > 64 ? len - 64 : 1;

    for (size_t cut = first; cut < len; cut++)
        assert(!is_message(bytes, cut, cut));
    assert(!is_message(bytes, len + 1, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct control_message message;

    if (!control_message_read(bytes, len, &message))
        return 0;
    for (size_t i = 0; i < CONTROL_TEXTS_MAX; i++) {
        if (message.texts[i] != NULL)
            check_text(message.texts[i], bytes, len);
    }
    check_written(&message, bytes, len);
    check_lengths(bytes, len);
    return 0;
}
