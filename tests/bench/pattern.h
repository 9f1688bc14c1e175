/* The bytes that streams are made of: one endless row, the same for sender and
 * receiver, so that each byte that arrives can be checked. Its period is a
 * prime: what got lost or came twice in blocks of a usual size does not fit.
 * The bytes are printable and hold no line ends. */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include <stddef.h>
#include <stdint.h>

enum {
    PATTERN_RUN = 128 * 1024
};

/* PATTERN_RUN bytes of the row from `position` on, which stay for ever. */
const uint8_t *pattern_at(uint64_t position);

/* How many of `bytes` differ from the row at `position`. */
size_t pattern_count_wrong(uint64_t position, const uint8_t *bytes, size_t len);

#endif
