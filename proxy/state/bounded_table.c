#include "state/bounded_table.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* An entry may stand in any of the few places of its one set: so finding it,
 * making it, and choosing who gives way cost the same whatever is in there. */
struct shard {
    pthread_mutex_t lock;
    uint8_t *entries; /* NULL at first */
    size_t sets;      /* 0 or a power of two */
    size_t count;
};

struct bounded_table {
    size_t entry_size;
    size_t ways;     /* places of a set */
    size_t sets_max; /* per shard, a power of two */
    bounded_table_worth *worth;
    struct shard shards[BOUNDED_TABLE_SHARDS];
};

struct bounded_table *bounded_table_new(size_t entry_size, size_t ways,
                                        size_t entries_max,
                                        bounded_table_worth *worth)
{
    struct bounded_table *table = mem_zalloc(sizeof(*table));

    table->entry_size = entry_size;
    table->ways = ways;
    table->worth = worth;
    table->sets_max = 1;
    while (table->sets_max * BOUNDED_TABLE_SHARDS * ways < entries_max)
        table->sets_max *= 2;
    for (size_t i = 0; i < BOUNDED_TABLE_SHARDS; i++)
        pthread_mutex_init(&table->shards[i].lock, NULL);
    return table;
}

void bounded_table_free(struct bounded_table **table)
{
    struct bounded_table *mine = *table;

    *table = NULL;
    if (mine == NULL)
        return;
    for (size_t i = 0; i < BOUNDED_TABLE_SHARDS; i++) {
        pthread_mutex_destroy(&mine->shards[i].lock);
        free(mine->shards[i].entries);
    }
    free(mine);
}

/* The low bits choose the shard, the others the set. */
static struct shard *shard_of(struct bounded_table *table, uint64_t hash)
{
    return &table->shards[hash % BOUNDED_TABLE_SHARDS];
}

void bounded_table_lock(struct bounded_table *table, uint64_t hash)
{
    pthread_mutex_lock(&shard_of(table, hash)->lock);
}

void bounded_table_unlock(struct bounded_table *table, uint64_t hash)
{
    pthread_mutex_unlock(&shard_of(table, hash)->lock);
}

static struct bounded_table_key *way_of(const struct bounded_table *table,
                                        const struct shard *shard,
                                        uint64_t hash, size_t way)
{
    size_t set = hash / BOUNDED_TABLE_SHARDS & (shard->sets - 1);

    return (struct bounded_table_key *)(void *)(shard->entries +
                                                (set * table->ways + way) *
                                                    table->entry_size);
}

/* The place of this hash, or of none (0), in the set of `of`. */
static struct bounded_table_key *find_locked(const struct bounded_table *table,
                                             const struct shard *shard,
                                             uint64_t of, uint64_t hash)
{
    if (shard->sets == 0)
        return NULL;
    for (size_t way = 0; way < table->ways; way++) {
        struct bounded_table_key *entry = way_of(table, shard, of, way);

        if (entry->hash == hash)
            return entry;
    }
    return NULL;
}

void *bounded_table_find(struct bounded_table *table, uint64_t hash)
{
    assert(hash != 0);
    return find_locked(table, shard_of(table, hash), hash, hash);
}

/* A set becomes two, so each of its entries finds a place. */
static void grow_locked(struct bounded_table *table, struct shard *shard)
{
    struct shard former = *shard;
    size_t places = former.sets * table->ways;

    shard->sets = former.sets == 0 ? 1 : former.sets * 2;
    shard->entries = mem_zalloc(shard->sets * table->ways * table->entry_size);
    for (size_t i = 0; i < places; i++) {
        const struct bounded_table_key *entry =
            (const void *)(former.entries + i * table->entry_size);

        if (entry->hash != 0)
            memcpy(find_locked(table, shard, entry->hash, 0), entry,
                   table->entry_size);
    }
    free(former.entries);
}

/* Who is worth least; NULL where all stay. */
static struct bounded_table_key *least_locked(const struct bounded_table *table,
                                              const struct shard *shard,
                                              uint64_t hash, uint64_t now_ms,
                                              uint64_t *worth_out)
{
    struct bounded_table_key *least = NULL;

    *worth_out = BOUNDED_TABLE_STAYS;
    for (size_t way = 0; way < table->ways; way++) {
        struct bounded_table_key *entry = way_of(table, shard, hash, way);
        uint64_t worth = table->worth(entry, now_ms);

        if (worth < *worth_out) {
            *worth_out = worth;
            least = entry;
        }
    }
    return least;
}

/* A place for one more, empty or not. */
static struct bounded_table_key *make_place(struct bounded_table *table,
                                            struct shard *shard, uint64_t hash,
                                            uint64_t now_ms)
{
    for (;;) {
        struct bounded_table_key *entry = find_locked(table, shard, hash, 0);
        uint64_t worth;

        if (entry != NULL)
            return entry;
        if (shard->sets > 0) {
            entry = least_locked(table, shard, hash, now_ms, &worth);
            if (worth == BOUNDED_TABLE_WORTHLESS ||
                shard->sets == table->sets_max)
                return entry;
        }
        grow_locked(table, shard);
    }
}

void *bounded_table_get(struct bounded_table *table, uint64_t hash,
                        uint64_t now_ms)
{
    struct shard *shard = shard_of(table, hash);
    struct bounded_table_key *entry = bounded_table_find(table, hash);

    if (entry != NULL)
        return entry;
    entry = make_place(table, shard, hash, now_ms);
    if (entry == NULL)
        return NULL;
    if (entry->hash == 0)
        shard->count++;
    memset(entry, 0, table->entry_size);
    entry->hash = hash;
    return entry;
}

void bounded_table_remove(struct bounded_table *table, void *entry)
{
    struct bounded_table_key *key = entry;
    struct shard *shard = shard_of(table, key->hash);

    key->hash = 0;
    shard->count--;
}

void *bounded_table_copy(struct bounded_table *table, size_t index,
                         size_t *count_out)
{
    struct shard *shard = &table->shards[index];
    uint8_t *copy;
    size_t count = 0;

    pthread_mutex_lock(&shard->lock);
    copy = mem_alloc(shard->count * table->entry_size);
    for (size_t i = 0; i < shard->sets * table->ways; i++) {
        const struct bounded_table_key *entry =
            (const void *)(shard->entries + i * table->entry_size);

        if (entry->hash != 0)
            memcpy(copy + count++ * table->entry_size, entry,
                   table->entry_size);
    }
    pthread_mutex_unlock(&shard->lock);
    *count_out = count;
    return copy;
}

size_t bounded_table_count(struct bounded_table *table)
{
    size_t count = 0;

    for (size_t i = 0; i < BOUNDED_TABLE_SHARDS; i++) {
        bounded_table_lock(table, i);
        count += table->shards[i].count;
        bounded_table_unlock(table, i);
    }
    return count;
}

size_t bounded_table_bytes(struct bounded_table *table)
{
    size_t places = 0;

    for (size_t i = 0; i < BOUNDED_TABLE_SHARDS; i++) {
        bounded_table_lock(table, i);
        places += table->shards[i].sets * table->ways;
        bounded_table_unlock(table, i);
    }
    return sizeof(*table) + places * table->entry_size;
}
