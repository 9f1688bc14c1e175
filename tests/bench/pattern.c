#include "pattern.h"

#include <string.h>

enum {
    PERIOD = 8191,
    CHECK_LEN = 8192, /* so that the row's part of a check stays in the cache */
    FIRST_PRINTABLE = '!',
    PRINTABLE_COUNT = '~' - '!' + 1
};

static void fill(uint8_t *row, size_t len);
static size_t count_differences(const uint8_t *left, const uint8_t *right,
                                size_t len);

const uint8_t *pattern_at(uint64_t position)
{
    static uint8_t row[PERIOD + PATTERN_RUN];

    if (row[0] == 0)
        fill(row, sizeof(row));
    return row + position % PERIOD;
}

size_t pattern_count_wrong(uint64_t position, const uint8_t *bytes, size_t len)
{
    size_t wrong = 0;

    while (len > 0) {
        size_t part = len < CHECK_LEN ? len : CHECK_LEN;
        const uint8_t *right = pattern_at(position);

        if (memcmp(bytes, right, part) != 0)
            wrong += count_differences(bytes, right, part);
        bytes += part;
        position += part;
        len -= part;
    }
    return wrong;
}

/* A xorshift generator gives each place a byte that its neighbours do not
 * foretell. */
static void fill(uint8_t *row, size_t len)
{
    uint32_t state = 2463534242;

    for (size_t i = 0; i < PERIOD; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        row[i] = (uint8_t)(FIRST_PRINTABLE + state % PRINTABLE_COUNT);
    }
    for (size_t i = PERIOD; i < len; i++)
        row[i] = row[i - PERIOD];
}

static size_t count_differences(const uint8_t *left, const uint8_t *right,
                                size_t len)
{
    size_t count = 0;

    for (size_t i = 0; i < len; i++)
        count += left[i] != right[i] ? 1 : 0;
    return count;
}
