#include "backend/pick.h"

#include "backend/rendezvous.h"

#include <string.h>

/* Pools up to so many are looked at as a whole, larger ones by draws, which
 * may hit what is down or was given before. */
enum {
    SCAN_MAX = 16,
    DRAWS_MAX = 32
};

/* Where one backend of the pool stands; all of it decides, in this order. */
struct place {
    size_t index;
    bool is_late;   /* takes nobody, is full, or cannot be dialled now */
    bool is_spared; /* has come back, and this login is not its yet */
    uint32_t sessions;
    struct rendezvous rendezvous;
};

static bool find_next(const struct pick *pick, uint64_t now_ms,
                      size_t *index_out);
static bool find_by_turn(const struct pick *pick, uint64_t now_ms,
                         size_t *index_out);
static bool find_by_hash(const struct pick *pick, size_t *index_out);
static bool find_by_load(const struct pick *pick, uint64_t now_ms,
                         size_t *index_out);
static bool find_best(const struct pick *pick, uint64_t now_ms,
                      size_t *index_out);
static bool draw_better(const struct pick *pick, uint64_t now_ms,
                        size_t *index_out);
static size_t draw(const struct pool *pool, uint64_t bits);
static size_t find_share(const struct pool *pool, uint64_t at);
static bool is_open(const struct pick *pick, size_t index);
static uint64_t seed_of(const struct pick *pick, size_t index);
static void find_place(const struct pick *pick, size_t index, uint64_t now_ms,
                       struct place *place);
static bool is_spared(const struct pick *pick, size_t index, uint64_t now_ms);
static bool is_before(struct place *one, struct place *other);
static uint64_t hash_user(const struct pool *pool, const uint8_t *user,
                          size_t len);

void pick_start(struct pick *pick, const struct pool *pool,
                const struct backend_set *set, const uint8_t *user, size_t len)
{
    memset(pick, 0, sizeof(*pick));
    pick->pool = pool;
    pick->set = set;
    pick->user_hash = hash_user(pool, user, len);
}

/* The domain stands behind the last '@' of a normalised name. */
static uint64_t hash_user(const struct pool *pool, const uint8_t *user,
                          size_t len)
{
    const uint8_t *at =
        pool->hash_by == POOL_BY_DOMAIN ? memrchr(user, '@', len) : NULL;

    if (at == NULL)
        return rendezvous_user(user, len);
    return rendezvous_user(at + 1, (size_t)(user + len - at - 1));
}

const struct backend_config *pick_next(struct pick *pick, uint64_t now_ms)
{
    const struct pool *pool = pick->pool;
    size_t index = 0;
    bool is_found;

    if (pick->has_given && pool->when_down == POOL_REFUSE)
        return NULL;
    is_found = find_next(pick, now_ms, &index);
    if (!is_found && pool->has_backups && !pick->at_backups) {
        pick->at_backups = true;
        is_found = find_next(pick, now_ms, &index);
    }
    pick->has_given = true;
    if (!is_found)
        return NULL;
    pick->given[index / 64] |= UINT64_C(1) << index % 64;
    return pool->backends[index];
}

void pick_pass(struct pick *pick, const struct backend_config *config)
{
    size_t index = 0;

    while (pick->pool->backends[index] != config)
        index++;
    pick->given[index / 64] |= UINT64_C(1) << index % 64;
    pick->has_given = true;
}

static bool find_next(const struct pick *pick, uint64_t now_ms,
                      size_t *index_out)
{
    if (pick->set == NULL)
        return find_by_hash(pick, index_out);
    switch (pick->pool->balance) {
    case POOL_HASH:
        return find_by_hash(pick, index_out);
    case POOL_LEAST_SESSIONS:
        return find_by_load(pick, now_ms, index_out);
    case POOL_ROUND_ROBIN:
        return find_by_turn(pick, now_ms, index_out);
    }
    return false;
}

/* Of a large pool nearly all are passed by with their hash alone. */
static bool find_by_hash(const struct pick *pick, size_t *index_out)
{
    const struct pool *pool = pick->pool;
    struct rendezvous best = {.weight = 0};

    for (size_t i = 0; i < pool->backend_count; i++) {
        unsigned weight = pool->backends[i]->weight;
        uint64_t seed = seed_of(pick, i);
        struct rendezvous mine;

        if (weight == best.weight &&
            rendezvous_hash(pick->user_hash, seed) < best.hash)
            continue;
        if (!is_open(pick, i))
            continue;
        rendezvous_init(&mine, pick->user_hash, seed, weight);
        if (best.weight != 0 && !rendezvous_is_before(&mine, &best))
            continue;
        best = mine;
        *index_out = i;
    }
    return best.weight != 0;
}

/* Turns of those who cannot take them are passed on. Where that was so for too
 * long, the load decides. */
static bool find_by_turn(const struct pick *pick, uint64_t now_ms,
                         size_t *index_out)
{
    const struct pool *pool = pick->pool;
    uint32_t places = pool->weight_sums[pool->backend_count - 1];

    for (int i = 0; i < DRAWS_MAX && places > 0; i++) {
        uint64_t turn =
            atomic_fetch_add_explicit(pool->turns, 1, memory_order_relaxed);
        size_t index = find_share(pool, turn * pool->turn_step % places);
        struct place mine;

        if (!is_open(pick, index))
            continue;
        find_place(pick, index, now_ms, &mine);
        if (mine.is_late || mine.is_spared)
            continue;
        *index_out = index;
        return true;
    }
    return find_best(pick, now_ms, index_out);
}

/* The counts of a large pool are spread over as many cache lines, which all
 * workers write. The better of two that are drawn by weight keeps loads nearly
 * as even; where no two can be had, all are looked at. */
static bool find_by_load(const struct pick *pick, uint64_t now_ms,
                         size_t *index_out)
{
    if (pick->pool->backend_count > SCAN_MAX &&
        draw_better(pick, now_ms, index_out))
        return true;
    return find_best(pick, now_ms, index_out);
}

static bool find_best(const struct pick *pick, uint64_t now_ms,
                      size_t *index_out)
{
    struct place best;
    bool is_found = false;

    for (size_t i = 0; i < pick->pool->backend_count; i++) {
        struct place mine;

        if (!is_open(pick, i))
            continue;
        find_place(pick, i, now_ms, &mine);
        if (is_found && !is_before(&mine, &best))
            continue;
        best = mine;
        is_found = true;
    }
    if (is_found)
        *index_out = best.index;
    return is_found;
}

/* Other ones for each user and each millisecond. */
static bool draw_better(const struct pick *pick, uint64_t now_ms,
                        size_t *index_out)
{
    uint64_t bits = rendezvous_mix(pick->user_hash ^ rendezvous_mix(now_ms));
    struct place first;
    bool has_first = false;

    for (int i = 0; i < DRAWS_MAX; i++) {
        struct place mine;
        size_t index;

        bits = rendezvous_mix(bits + 1);
        index = draw(pick->pool, bits);
        if (!is_open(pick, index) || (has_first && index == first.index))
            continue;
        find_place(pick, index, now_ms, &mine);
        if (mine.is_late || mine.is_spared)
            continue;
        if (has_first) {
            *index_out = is_before(&mine, &first) ? index : first.index;
            return true;
        }
        first = mine;
        has_first = true;
    }
    return false;
}

/* One of the pool's, as often as its weight wants. */
static size_t draw(const struct pool *pool, uint64_t bits)
{
    uint64_t total = pool->weight_sums[pool->backend_count - 1];

    return find_share(pool, ((bits >> 32) * total) >> 32);
}

/* Whose share of all weight this is. */
static size_t find_share(const struct pool *pool, uint64_t at)
{
    size_t low = 0;
    size_t high = pool->backend_count - 1;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (pool->weight_sums[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool is_open(const struct pick *pick, size_t index)
{
    const struct backend_config *config = pick->pool->backends[index];

    return config->weight != 0 && config->is_backup == pick->at_backups &&
           (pick->given[index / 64] >> index % 64 & 1) == 0;
}

static uint64_t seed_of(const struct pick *pick, size_t index)
{
    const struct backend_config *config = pick->pool->backends[index];

    return pick->set == NULL ? rendezvous_seed(config->name)
                             : backend_set_seed(pick->set, config);
}

static void find_place(const struct pick *pick, size_t index, uint64_t now_ms,
                       struct place *place)
{
    const struct backend_config *config = pick->pool->backends[index];
    const struct backend *backend = backend_set_find(pick->set, config);

    place->index = index;
    place->is_late = backend_mode(backend) != BACKEND_READY ||
                     !backend_is_dialable(backend, now_ms);
    place->sessions = backend_sessions(backend);
    place->is_late |=
        config->max_sessions != 0 && place->sessions >= config->max_sessions;
    place->is_spared =
        pick->pool->slow_start_ms > 0 && is_spared(pick, index, now_ms);
    rendezvous_init(&place->rendezvous, pick->user_hash, seed_of(pick, index),
                    config->weight);
}

/* The younger the slow start, the more logins are not for it yet: others for
 * each user and millisecond. */
static bool is_spared(const struct pick *pick, size_t index, uint64_t now_ms)
{
    const struct backend_config *config = pick->pool->backends[index];
    uint64_t since_ms =
        backend_up_since_ms(backend_set_find(pick->set, config));
    uint64_t passed_ms = now_ms > since_ms ? now_ms - since_ms : 0;
    uint64_t bits =
        rendezvous_mix(pick->user_hash ^ seed_of(pick, index) ^ now_ms);

    return (bits >> 32) * pick->pool->slow_start_ms >> 32 >= passed_ms;
}

static bool is_before(struct place *one, struct place *other)
{
    uint64_t mine = (uint64_t)one->sessions * other->rendezvous.weight;
    uint64_t others = (uint64_t)other->sessions * one->rendezvous.weight;

    if (one->is_late != other->is_late)
        return other->is_late;
    if (one->is_spared != other->is_spared)
        return other->is_spared;
    if (mine != others)
        return mine < others;
    return rendezvous_is_before(&one->rendezvous, &other->rendezvous);
}
