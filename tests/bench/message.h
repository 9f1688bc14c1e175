/* A message of the pattern (pattern.h), on its way out of a wire or into a
 * program. Neither way holds more than a piece of it. */
#ifndef BENCH_MESSAGE_H
#define BENCH_MESSAGE_H

#include "wire.h"

struct message_out {
    uint64_t position; /* of the next byte in the pattern */
    uint64_t left;
};

struct message_in {
    uint64_t position;
    uint64_t left;
    uint64_t wrong; /* bytes that differed from the pattern */
};

/* Sends a piece; the wire asks for the next one by WIRE_DRAINED. False when
 * none was left. */
bool message_send(struct message_out *message, struct wire *wire);

/* Checks what *bytes have of the message and moves past it. True when the
 * message is whole. */
bool message_take(struct message_in *message, const uint8_t **bytes,
                  size_t *len);

#endif
