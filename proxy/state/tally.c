#include "state/tally.h"

#include <stdlib.h>

enum {
    FIRST_SLOTS = 64,
    LOW_BITS = 6 /* which may be the same for neighbours: they choose a shard
                    where the keys come from */
};

static bool is_free(const struct tally_entry *entry)
{
    return entry->ones == 0 && entry->others == 0;
}

void tally_deinit(struct tally *tally)
{
    free(tally->slots);
    *tally = (struct tally){.slots = NULL};
}

static size_t first_slot(const struct tally *tally, uint64_t key)
{
    return key >> LOW_BITS & (tally->slot_count - 1);
}

/* The key's, or the free one that would be. There is always a free one. */
static struct tally_entry *find(const struct tally *tally, uint64_t key)
{
    size_t at = first_slot(tally, key);

    while (!is_free(&tally->slots[at]) && tally->slots[at].key != key)
        at = (at + 1) & (tally->slot_count - 1);
    return &tally->slots[at];
}

static void grow(struct tally *tally)
{
    struct tally former = *tally;

    tally->slot_count =
        former.slot_count == 0 ? FIRST_SLOTS : former.slot_count * 2;
    tally->slots = mem_zalloc(tally->slot_count * sizeof(*tally->slots));
    for (size_t i = 0; i < former.slot_count; i++) {
        if (!is_free(&former.slots[i]))
            *find(tally, former.slots[i].key) = former.slots[i];
    }
    free(former.slots);
}

bool tally_add(struct tally *tally, uint64_t key, uint32_t ones,
               uint32_t others)
{
    struct tally_entry *entry;

    if ((tally->used + 1) * 4 > tally->slot_count * 3)
        grow(tally);
    entry = find(tally, key);
    if (ones > TALLY_MAX - entry->ones || others > TALLY_MAX - entry->others)
        return false;
    if (ones == 0 && others == 0)
        return true;
    tally->used += is_free(entry) ? 1 : 0;
    entry->key = key;
    entry->ones += ones;
    entry->others += others;
    return true;
}

/* Whether what stands at `at` would still be found if `hole` before it were
 * free. */
static bool may_stay(const struct tally *tally, size_t at, size_t hole)
{
    size_t mask = tally->slot_count - 1;
    size_t first = first_slot(tally, tally->slots[at].key);

    return ((at - first) & mask) < ((at - hole) & mask);
}

/* Closes the gap, so that searches may end at any free slot. */
static void close_gap(struct tally *tally, size_t hole)
{
    size_t mask = tally->slot_count - 1;

    for (size_t at = (hole + 1) & mask; !is_free(&tally->slots[at]);
         at = (at + 1) & mask) {
        if (may_stay(tally, at, hole))
            continue;
        tally->slots[hole] = tally->slots[at];
        hole = at;
    }
    tally->slots[hole] = (struct tally_entry){.key = 0};
}

bool tally_take(struct tally *tally, uint64_t key, uint32_t ones,
                uint32_t others)
{
    struct tally_entry *entry = tally->used == 0 ? NULL : find(tally, key);

    if (entry == NULL || ones > entry->ones || others > entry->others)
        return false;
    if (is_free(entry))
        return true;
    entry->ones -= ones;
    entry->others -= others;
    if (!is_free(entry))
        return true;
    if (--tally->used == 0)
        tally_deinit(tally);
    else
        close_gap(tally, (size_t)(entry - tally->slots));
    return true;
}

bool tally_next(const struct tally *tally, size_t *cursor,
                struct tally_entry *out)
{
    while (*cursor < tally->slot_count) {
        *out = tally->slots[(*cursor)++];
        if (!is_free(out))
            return true;
    }
    return false;
}
