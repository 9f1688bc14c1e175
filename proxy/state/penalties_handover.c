/* What a successor is given of penalties. */
#include "state/heir.h"
#include "state/penalties_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)PENALTIES_SHARDS == (int)BOUNDED_TABLE_SHARDS,
               "shards are copied one by one");

/* Between our clock and the moment of a record. */
enum {
    LATER_MS = 60 * 1000
};

void penalties_set_heir(struct penalties *penalties, struct heir *heir)
{
    penalties->heir = heir;
}

void penalties_read_key(const struct penalties *penalties, uint64_t key_out[2])
{
    memcpy(key_out, penalties->hash_key, sizeof(penalties->hash_key));
}

void penalties_set_key(struct penalties *penalties, const uint64_t key[2])
{
    memcpy(penalties->hash_key, key, sizeof(penalties->hash_key));
}

static struct bounded_table *table_of(const struct penalties *penalties,
                                      enum penalties_table table)
{
    return table == PENALTIES_ADDRESSES ? penalties->addresses
                                        : penalties->users;
}

/* Attempts that are under way stay with this process. */
struct failing_record *penalties_copy_failing(struct penalties *penalties,
                                              enum penalties_table table,
                                              size_t shard, size_t *count_out)
{
    struct failing *entries =
        bounded_table_copy(table_of(penalties, table), shard, count_out);
    struct failing_record *records =
        mem_alloc(*count_out * sizeof(struct failing_record));

    for (size_t i = 0; i < *count_out; i++)
        records[i] =
            (struct failing_record){entries[i].key.hash, entries[i].penalty};
    free(entries);
    return records;
}

struct known_record *penalties_copy_known(struct penalties *penalties,
                                          size_t shard, size_t *count_out)
{
    struct known *entries =
        bounded_table_copy(penalties->known, shard, count_out);
    struct known_record *records =
        mem_alloc(*count_out * sizeof(struct known_record));

    for (size_t i = 0; i < *count_out; i++)
        records[i] = (struct known_record){
            entries[i].key.hash, entries[i].seen_s, entries[i].turn_ms};
    free(entries);
    return records;
}

static bool is_possible(const struct penalty *penalty, uint64_t now_ms)
{
    return penalty->since_ms <= now_ms + LATER_MS &&
           penalty->turn_ms <= now_ms + LATER_MS &&
           penalty->failures <= PENALTY_FAILURES_MAX &&
           penalty->next_secret < PENALTY_SECRETS;
}

bool penalties_add_failing(struct penalties *penalties,
                           enum penalties_table which,
                           const struct failing_record *record, uint64_t now_ms)
{
    struct bounded_table *table = table_of(penalties, which);
    struct failing *entry;

    if (record->hash == 0 || !is_possible(&record->penalty, now_ms))
        return false;
    if (penalty_is_blank(&record->penalty, now_ms))
        return true;
    bounded_table_lock(table, record->hash);
    entry = bounded_table_get(table, record->hash, now_ms);
    if (entry != NULL)
        entry->penalty = record->penalty;
    bounded_table_unlock(table, record->hash);
    return true;
}

bool penalties_add_known(struct penalties *penalties,
                         const struct known_record *record, uint64_t now_ms)
{
    struct known *entry;

    if (record->hash == 0 || record->seen_s > (now_ms + LATER_MS) / 1000)
        return false;
    bounded_table_lock(penalties->known, record->hash);
    entry = bounded_table_get(penalties->known, record->hash, now_ms);
    if (entry != NULL) {
        entry->seen_s = record->seen_s;
        entry->turn_ms = record->turn_ms;
    }
    bounded_table_unlock(penalties->known, record->hash);
    return true;
}

void penalties_hear(struct penalties *penalties, uint64_t address,
                    uint64_t user, uint32_t secret, uint64_t now_ms)
{
    penalties_fail_in(penalties->addresses, address, secret, now_ms);
    penalties_fail_in(penalties->users, user, secret, now_ms);
    heir_tell(penalties->heir, HEIR_LOGIN_FAILED, address, user, secret);
}
