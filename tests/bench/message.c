#include "message.h"

#include "pattern.h"

bool message_send(struct message_out *message, struct wire *wire)
{
    size_t len =
        message->left < PATTERN_RUN ? (size_t)message->left : PATTERN_RUN;

    if (len == 0)
        return false;
    wire_stream(wire, pattern_at(message->position), len);
    message->position += len;
    message->left -= len;
    return true;
}

bool message_take(struct message_in *message, const uint8_t **bytes,
                  size_t *len)
{
    size_t taken = message->left < *len ? (size_t)message->left : *len;

    message->wrong += pattern_count_wrong(message->position, *bytes, taken);
    message->position += taken;
    message->left -= taken;
    *bytes += taken;
    *len -= taken;
    return message->left == 0;
}
