/* What the files of homes share: homes.c (our own book) and homes_handover.c
 * (which our successor goes by). Private to state/. */
#ifndef STATE_HOMES_PRIVATE_H
#define STATE_HOMES_PRIVATE_H

#include "state/homes.h"

#include <pthread.h>

/* Stands for its user by a keyed 64-bit hash alone: a stranger cannot aim at a
 * collision, and by chance it takes billions of users. */
struct home {
    uint64_t key;
    struct backend *at;
    uint32_t claims;  /* 0: the slot is free */
    uint32_t seekers; /* those of them that have not arrived */
};

/* Open addressing, at most three quarters full. */
struct homes_shard {
    pthread_mutex_t lock;
    struct home *slots;
    size_t slot_count; /* 0 or a power of two */
    size_t used;
    bool is_remote; /* our successor decides */
};

struct homes {
    uint64_t hash_key[2];
    struct heir *heir; /* NULL: not even nobody */
    struct homes_shard shards[HOMES_SHARDS];
};

/* The shard of a key, and whether the key's home is our successor's matter. */
struct homes_shard *homes_shard_of(struct homes *homes, uint64_t key);

/* These want the shard's lock. */

/* NULL: the user is nowhere. */
struct home *homes_find_locked(const struct homes_shard *shard, uint64_t key);
struct home *homes_add_locked(struct homes_shard *shard, uint64_t key,
                              struct backend *at);

/* What the functions of homes.h do where nobody else is asked. */
void homes_enter_locked(struct homes_shard *shard, uint64_t key,
                        struct backend *wanted, struct home_claim *claim);
enum homes_answer homes_move_locked(struct home *home, struct home_claim *claim,
                                    struct backend *to);
void homes_arrive_locked(struct home *home, struct home_claim *claim);
void homes_leave_locked(struct homes_shard *shard, uint64_t key,
                        uint32_t claims, uint32_t seekers);

/* homes_handover.c. The same where the shard was seen to be remote, without its
 * lock. */
void homes_enter_remotely(struct homes *homes, uint64_t key,
                          struct backend *wanted, struct home_claim *claim);
enum homes_answer homes_move_remotely(struct homes *homes,
                                      struct home_claim *claim,
                                      struct backend *to);
void homes_arrive_remotely(struct homes *homes, struct home_claim *claim);

#endif
