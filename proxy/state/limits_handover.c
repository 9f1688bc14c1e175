/* Counts that our successor has a word in. */
#include "state/heir.h"
#include "state/limits_private.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

void limits_set_heir(struct limits *limits, struct heir *heir)
{
    limits->heir = heir;
}

void limits_read_basis(const struct limits *limits, struct limits_basis *out)
{
    memcpy(out->key, limits->hash_key, sizeof(out->key));
    out->rate_full_at_us = atomic_load(&limits->rate_full_at_us);
}

void limits_set_basis(struct limits *limits, const struct limits_basis *basis)
{
    assert(limits_entries(limits) == 0);
    memcpy(limits->hash_key, basis->key, sizeof(limits->hash_key));
    atomic_store(&limits->rate_full_at_us, basis->rate_full_at_us);
}

static bool is_granted(struct limits *limits, uint64_t hash, unsigned max)
{
    const struct heir_question question = {
        .verb = HEIR_COUNT, .key = hash, .max = max};
    struct backend *nowhere;

    switch (heir_ask(limits->heir, &question, &nowhere)) {
    case HEIR_NOBODY:
    case HEIR_YES:
        return true;
    case HEIR_NO:
    case HEIR_WAIT:
    case HEIR_SILENT:
        break;
    }
    return false;
}

struct limits_entry *limits_take_remotely(struct limits *limits, uint64_t hash,
                                          unsigned max)
{
    struct limits_shard *shard = limits_shard_of(limits, hash);
    struct limits_entry *entry;
    bool is_remote;

    heir_lock(limits->heir);
    pthread_mutex_lock(&shard->lock);
    is_remote = shard->is_remote;
    entry = limits_take_locked(shard, hash, max);
    pthread_mutex_unlock(&shard->lock);
    if (entry != NULL && is_remote && !is_granted(limits, hash, max)) {
        pthread_mutex_lock(&shard->lock);
        limits_release_locked(shard, entry, 1);
        pthread_mutex_unlock(&shard->lock);
        entry = NULL;
    }
    heir_unlock(limits->heir);
    return entry;
}

struct limits_record *limits_give(struct limits *limits, size_t index,
                                  size_t *count_out)
{
    struct limits_shard *shard = &limits->shards[index];
    struct limits_record *records;
    const struct limits_entry *entry;
    size_t count = 0;

    pthread_mutex_lock(&shard->lock);
    records = mem_alloc(shard->entry_count * sizeof(*records));
    for (size_t i = 0; i < shard->bucket_count; i++) {
        for (entry = shard->buckets[i].first; entry != NULL;
             entry = entry->next)
            records[count++] =
                (struct limits_record){entry->hash, entry->count};
    }
    shard->is_remote = true;
    pthread_mutex_unlock(&shard->lock);
    *count_out = count;
    return records;
}

void limits_keep(struct limits *limits)
{
    for (size_t i = 0; i < LIMITS_SHARDS; i++) {
        pthread_mutex_lock(&limits->shards[i].lock);
        limits->shards[i].is_remote = false;
        pthread_mutex_unlock(&limits->shards[i].lock);
    }
}

void limits_add(struct limits *limits, uint64_t hash, uint32_t count)
{
    struct limits_shard *shard = limits_shard_of(limits, hash);
    struct limits_entry *entry;

    assert(count > 0);
    pthread_mutex_lock(&shard->lock);
    entry = limits_take_locked(shard, hash, UINT_MAX);
    if (entry != NULL)
        entry->count += count - 1;
    for (; shard->is_remote && count > 0; count--)
        heir_tell(limits->heir, HEIR_COUNTED, hash, 0, 0);
    pthread_mutex_unlock(&shard->lock);
}

bool limits_count(struct limits *limits, uint64_t hash, unsigned max)
{
    return limits_ask_entry(limits, hash, max) != NULL;
}

void limits_drop(struct limits *limits, uint64_t hash, uint32_t count)
{
    struct limits_shard *shard = limits_shard_of(limits, hash);

    pthread_mutex_lock(&shard->lock);
    limits_release_locked(shard, limits_find_locked(shard, hash), count);
    for (; shard->is_remote && count > 0; count--)
        heir_tell(limits->heir, HEIR_UNCOUNTED, hash, 0, 0);
    pthread_mutex_unlock(&shard->lock);
}
