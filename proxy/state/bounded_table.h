/* A table of small entries that strangers can make us fill: it begins empty,
 * grows with what is in it, and never beyond its bound; then what is worth
 * least gives way. Its keys are hashes by a key of this process, so nobody can
 * aim at a neighbour. Any thread may use it: the shard of a key is locked from
 * bounded_table_lock to bounded_table_unlock, for which no loop may wait. */
#ifndef STATE_BOUNDED_TABLE_H
#define STATE_BOUNDED_TABLE_H

#include "config/mem.h"

#include <stddef.h>
#include <stdint.h>

/* Every entry begins with it; 0 marks a free place. */
struct bounded_table_key {
    uint64_t hash;
};

/* What an entry is worth keeping: the least goes first. */
typedef uint64_t bounded_table_worth(const struct bounded_table_key *entry,
                                     uint64_t now_ms);
enum {
    BOUNDED_TABLE_WORTHLESS = 0 /* is replaced before the table grows */
};
#define BOUNDED_TABLE_STAYS UINT64_MAX

struct bounded_table;

enum {
    BOUNDED_TABLE_SHARDS = 64
};

/* An entry has its choice of `ways` places: more fill the table better before
 * it grows, and take longer to look at. entries_max is rounded up to what
 * shards of a power of two can hold. */
struct bounded_table *bounded_table_new(size_t entry_size, size_t ways,
                                        size_t entries_max,
                                        bounded_table_worth *worth);
void bounded_table_free(struct bounded_table **table);

void bounded_table_lock(struct bounded_table *table, uint64_t hash);
void bounded_table_unlock(struct bounded_table *table, uint64_t hash);

/* These want the hash's lock, which is not 0. What they return is valid until
 * the next of these functions for a hash of the same shard. */

/* NULL: there is none. */
void *bounded_table_find(struct bounded_table *table, uint64_t hash);

/* The entry, made when there is none: all zero but for the hash. NULL: there
 * is no place, since all that could give way stay. */
void *bounded_table_get(struct bounded_table *table, uint64_t hash,
                        uint64_t now_ms);

/* Of an entry just found: its place is free. */
void bounded_table_remove(struct bounded_table *table, void *entry);

/* Copies the entries of one shard, without its lock; the caller frees. */
MUST_USE void *bounded_table_copy(struct bounded_table *table, size_t shard,
                                  size_t *count_out);

/* For tests and for those who look on. */
size_t bounded_table_count(struct bounded_table *table);
size_t bounded_table_bytes(struct bounded_table *table);

#endif
