#include "state/homes.h"

#include "state/heir.h"
#include "state/homes_private.h"

#include <assert.h>
#include <openssl/rand.h>
#include <openssl/siphash.h>
#include <stdlib.h>

enum {
    FIRST_SLOTS = 8
};

struct homes *homes_new(void)
{
    struct homes *homes = mem_zalloc(sizeof(*homes));

    RAND_bytes((uint8_t *)homes->hash_key, sizeof(homes->hash_key));
    for (size_t i = 0; i < HOMES_SHARDS; i++)
        pthread_mutex_init(&homes->shards[i].lock, NULL);
    return homes;
}

void homes_free(struct homes **homes)
{
    struct homes *mine = *homes;

    *homes = NULL;
    if (mine == NULL)
        return;
    for (size_t i = 0; i < HOMES_SHARDS; i++) {
        assert(mine->shards[i].used == 0);
        pthread_mutex_destroy(&mine->shards[i].lock);
        free(mine->shards[i].slots);
    }
    free(mine);
}

/* The low bits choose the shard, the others the slot. */
struct homes_shard *homes_shard_of(struct homes *homes, uint64_t key)
{
    return &homes->shards[key % HOMES_SHARDS];
}

static size_t first_slot(const struct homes_shard *shard, uint64_t key)
{
    return key / HOMES_SHARDS & (shard->slot_count - 1);
}

/* The user's, or the free one that would be. There is always a free one. */
static struct home *find_locked(const struct homes_shard *shard, uint64_t key)
{
    size_t at = first_slot(shard, key);

    while (shard->slots[at].claims > 0 && shard->slots[at].key != key)
        at = (at + 1) & (shard->slot_count - 1);
    return &shard->slots[at];
}

static void resize_locked(struct homes_shard *shard, size_t slot_count)
{
    struct home *former = shard->slots;
    size_t former_count = shard->slot_count;

    shard->slot_count = slot_count;
    shard->slots =
        slot_count == 0 ? NULL : mem_zalloc(slot_count * sizeof(*shard->slots));
    for (size_t i = 0; i < former_count; i++) {
        if (former[i].claims > 0)
            *find_locked(shard, former[i].key) = former[i];
    }
    free(former);
}

static void make_room_locked(struct homes_shard *shard)
{
    if (shard->slot_count == 0)
        resize_locked(shard, FIRST_SLOTS);
    else if ((shard->used + 1) * 4 > shard->slot_count * 3)
        resize_locked(shard, shard->slot_count * 2);
}

/* Whether what stands at `at` would still be found if `hole` before it were
 * free. */
static bool may_stay(const struct homes_shard *shard, size_t at, size_t hole)
{
    size_t mask = shard->slot_count - 1;
    size_t first = first_slot(shard, shard->slots[at].key);

    return ((at - first) & mask) < ((at - hole) & mask);
}

/* Closes the gap, so that searches may end at any free slot. */
static void remove_locked(struct homes_shard *shard, struct home *home)
{
    size_t mask = shard->slot_count - 1;
    size_t hole = (size_t)(home - shard->slots);

    backend_unref(&home->at);
    for (size_t at = (hole + 1) & mask; shard->slots[at].claims > 0;
         at = (at + 1) & mask) {
        if (may_stay(shard, at, hole))
            continue;
        shard->slots[hole] = shard->slots[at];
        hole = at;
    }
    shard->slots[hole] = (struct home){.claims = 0};
    shard->used--;
    if (shard->used == 0)
        resize_locked(shard, 0);
    else if (shard->slot_count > FIRST_SLOTS &&
             shard->used * 8 < shard->slot_count)
        resize_locked(shard, shard->slot_count / 2);
}

struct home *homes_add_locked(struct homes_shard *shard, uint64_t key,
                              struct backend *at)
{
    struct home *home;

    make_room_locked(shard);
    home = find_locked(shard, key);
    *home = (struct home){.key = key, .at = backend_ref(at)};
    shard->used++;
    return home;
}

struct home *homes_find_locked(const struct homes_shard *shard, uint64_t key)
{
    struct home *home = shard->used == 0 ? NULL : find_locked(shard, key);

    return home == NULL || home->claims == 0 ? NULL : home;
}

static uint64_t key_of(const struct homes *homes, const uint8_t *user,
                       size_t len)
{
    return SIPHASH_24(homes->hash_key, user, len);
}

void homes_enter_locked(struct homes_shard *shard, uint64_t key,
                        struct backend *wanted, struct home_claim *claim)
{
    struct home *home = homes_find_locked(shard, key);

    if (home == NULL && wanted != NULL)
        home = homes_add_locked(shard, key, wanted);
    if (home == NULL)
        return;
    home->claims++;
    home->seekers++;
    *claim = (struct home_claim){
        .at = backend_ref(home->at), .key = key, .is_seeking = true};
}

bool homes_enter_key(struct homes *homes, uint64_t key, struct backend *wanted,
                     struct home_claim *claim)
{
    struct homes_shard *shard = homes_shard_of(homes, key);
    bool is_remote;

    assert(claim->at == NULL);
    pthread_mutex_lock(&shard->lock);
    is_remote = shard->is_remote;
    if (!is_remote)
        homes_enter_locked(shard, key, wanted, claim);
    pthread_mutex_unlock(&shard->lock);
    if (is_remote)
        homes_enter_remotely(homes, key, wanted, claim);
    return claim->at != NULL;
}

bool homes_enter(struct homes *homes, const uint8_t *user, size_t len,
                 struct backend *wanted, struct home_claim *claim)
{
    return homes_enter_key(homes, key_of(homes, user, len), wanted, claim);
}

static void replace(struct backend **held, struct backend *by)
{
    backend_unref(held);
    *held = backend_ref(by);
}

enum homes_answer homes_move_locked(struct home *home, struct home_claim *claim,
                                    struct backend *to)
{
    if (home->at != claim->at) {
        replace(&claim->at, home->at);
        return HOMES_ELSEWHERE;
    }
    if (home->seekers < home->claims)
        return HOMES_WAIT;
    replace(&home->at, to);
    replace(&claim->at, to);
    return HOMES_MOVED;
}

enum homes_answer homes_move(struct homes *homes, struct home_claim *claim,
                             struct backend *to)
{
    struct homes_shard *shard = homes_shard_of(homes, claim->key);
    enum homes_answer answer = HOMES_WAIT;
    bool is_remote;

    assert(claim->at != NULL && claim->is_seeking);
    pthread_mutex_lock(&shard->lock);
    is_remote = shard->is_remote;
    if (!is_remote)
        answer = homes_move_locked(find_locked(shard, claim->key), claim, to);
    pthread_mutex_unlock(&shard->lock);
    return is_remote ? homes_move_remotely(homes, claim, to) : answer;
}

void homes_arrive_locked(struct home *home, struct home_claim *claim)
{
    if (home->at == claim->at) {
        home->seekers--;
        claim->is_seeking = false;
    } else {
        replace(&claim->at, home->at);
    }
}

bool homes_arrive(struct homes *homes, struct home_claim *claim)
{
    struct homes_shard *shard = homes_shard_of(homes, claim->key);
    bool is_remote;

    assert(claim->at != NULL && claim->is_seeking);
    pthread_mutex_lock(&shard->lock);
    is_remote = shard->is_remote;
    if (!is_remote)
        homes_arrive_locked(find_locked(shard, claim->key), claim);
    pthread_mutex_unlock(&shard->lock);
    if (is_remote)
        homes_arrive_remotely(homes, claim);
    return claim->at != NULL && !claim->is_seeking;
}

void homes_leave_locked(struct homes_shard *shard, uint64_t key,
                        uint32_t claims, uint32_t seekers)
{
    struct home *home = find_locked(shard, key);

    assert(claims <= home->claims && seekers <= home->seekers);
    home->claims -= claims;
    home->seekers -= seekers;
    if (home->claims == 0)
        remove_locked(shard, home);
}

static void leave(struct homes *homes, uint64_t key, bool is_seeking)
{
    struct homes_shard *shard = homes_shard_of(homes, key);

    pthread_mutex_lock(&shard->lock);
    homes_leave_locked(shard, key, 1, is_seeking ? 1 : 0);
    if (shard->is_remote)
        heir_tell(homes->heir, is_seeking ? HEIR_LEFT_EARLY : HEIR_LEFT, key, 0,
                  0);
    pthread_mutex_unlock(&shard->lock);
}

void homes_leave(struct homes *homes, struct home_claim *claim)
{
    if (claim->at == NULL)
        return;
    leave(homes, claim->key, claim->is_seeking);
    backend_unref(&claim->at);
    claim->is_seeking = false;
}

void homes_settle(struct home_claim *claim)
{
    assert(!claim->is_seeking);
    backend_unref(&claim->at);
}

void homes_leave_session(struct homes *homes, const uint8_t *user, size_t len)
{
    leave(homes, key_of(homes, user, len), false);
}

size_t homes_count(struct homes *homes)
{
    size_t count = 0;

    for (size_t i = 0; i < HOMES_SHARDS; i++) {
        pthread_mutex_lock(&homes->shards[i].lock);
        count += homes->shards[i].used;
        pthread_mutex_unlock(&homes->shards[i].lock);
    }
    return count;
}
