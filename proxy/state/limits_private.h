/* What the files of limits share: limits.c (our own counts) and
 * limits_handover.c (which our successor has a word in). Private to state/. */
#ifndef STATE_LIMITS_PRIVATE_H
#define STATE_LIMITS_PRIVATE_H

#include "state/limits.h"

#include <pthread.h>
#include <stdatomic.h>

/* Stands for its key by a keyed 64-bit hash alone: a stranger cannot aim at a
 * collision, and by chance it takes billions of sessions. */
struct limits_entry {
    struct limits_entry *next;
    uint64_t hash;
    unsigned count; /* never 0 */
};

struct limits_bucket {
    struct limits_entry *first;
};

struct limits_shard {
    pthread_mutex_t lock;
    struct limits_bucket *buckets;
    size_t bucket_count; /* 0 or a power of two */
    size_t entry_count;
    bool is_remote; /* our successor counts, too */
};

struct limits {
    uint64_t hash_key[2];
    struct heir *heir; /* NULL: not even nobody */
    /* When a bucket that fills at accept_rate will be full again. */
    _Atomic uint64_t rate_full_at_us;
    _Atomic uint64_t disconnects_full_at_us; /* likewise, disconnect_rate */
    atomic_uint before_login;
    struct limits_shard shards[LIMITS_SHARDS];
};

struct limits_shard *limits_shard_of(struct limits *limits, uint64_t hash);

/* These want the shard's lock. */

/* NULL: it counts nothing. */
struct limits_entry *limits_find_locked(const struct limits_shard *shard,
                                        uint64_t hash);
/* Counts one more, or returns NULL when there are max already. */
struct limits_entry *limits_take_locked(struct limits_shard *shard,
                                        uint64_t hash, unsigned max);
/* Counts so many less; frees the entry with the last one. */
void limits_release_locked(struct limits_shard *shard,
                           struct limits_entry *entry, unsigned count);

/* One more for both processes together, wherever it has to be asked. NULL:
 * there are max already, or the successor cannot be asked. */
struct limits_entry *limits_ask_entry(struct limits *limits, uint64_t hash,
                                      unsigned max);

/* limits_handover.c. As limits_take_locked, where the shard was seen to be
 * remote, without its lock. */
struct limits_entry *limits_take_remotely(struct limits *limits, uint64_t hash,
                                          unsigned max);

#endif
