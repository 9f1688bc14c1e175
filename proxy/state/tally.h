/* How many of each of two kinds there are of each key; holds memory only for
 * keys of which there are any. Keys are keyed hashes. One thread's. */
#ifndef STATE_TALLY_H
#define STATE_TALLY_H

#include "config/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TALLY_MAX = 1000 * 1000 * 1000 /* of one kind and key */
};

struct tally_entry {
    uint64_t key;
    uint32_t ones;
    uint32_t others;
};

/* All zero at first. */
struct tally {
    struct tally_entry *slots;
    size_t slot_count; /* 0 or a power of two */
    size_t used;
};

void tally_deinit(struct tally *tally);

/* False, and nothing is added, where there would be more than TALLY_MAX. */
MUST_USE bool tally_add(struct tally *tally, uint64_t key, uint32_t ones,
                        uint32_t others);

/* False, and nothing is taken, where there are not so many. */
MUST_USE bool tally_take(struct tally *tally, uint64_t key, uint32_t ones,
                         uint32_t others);

/* One after the other, from a cursor of 0; false when there are no more. */
MUST_USE bool tally_next(const struct tally *tally, size_t *cursor,
                         struct tally_entry *out);

#endif
