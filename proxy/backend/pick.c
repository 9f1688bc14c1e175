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
    bool is_late; /* takes nobody, or cannot be dialled now */
    uint32_t sessions;
    struct rendezvous rendezvous;
};

static bool knows_loads(const struct pick *pick);
static bool find_by_hash(const struct pick *pick, size_t *index_out);
static bool find_by_load(const struct pick *pick, uint64_t now_ms,
                         size_t *index_out);
static bool find_best(const struct pick *pick, uint64_t now_ms,
                      size_t *index_out);
static bool draw_better(const struct pick *pick, uint64_t now_ms,
                        size_t *index_out);
static size_t draw(const struct pool *pool, uint64_t bits);
static bool is_open(const struct pick *pick, size_t index);
static uint64_t seed_of(const struct pick *pick, size_t index);
static void find_place(const struct pick *pick, size_t index, uint64_t now_ms,
                       struct place *place);
static bool is_before(struct place *one, struct place *other);

void pick_start(struct pick *pick, const struct pool *pool,
                const struct backend_set *set, const uint8_t *user, size_t len)
{
    memset(pick, 0, sizeof(*pick));
    pick->pool = pool;
    pick->set = set;
    pick->user_hash = rendezvous_user(user, len);
}

const struct backend_config *pick_next(struct pick *pick, uint64_t now_ms)
{
    const struct pool *pool = pick->pool;
    size_t index = 0;
    bool is_found;

    if (pick->has_given && pool->when_down == POOL_REFUSE)
        return NULL;
    is_found = knows_loads(pick) ? find_by_load(pick, now_ms, &index)
                                 : find_by_hash(pick, &index);
    pick->has_given = true;
    if (!is_found)
        return NULL;
    pick->given[index / 64] |= UINT64_C(1) << index % 64;
    return pool->backends[index];
}

static bool knows_loads(const struct pick *pick)
{
    return pick->set != NULL && pick->pool->balance == POOL_LEAST_SESSIONS;
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
        if (mine.is_late)
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
    size_t low = 0;
    size_t high = pool->backend_count - 1;
    uint64_t total = pool->weight_sums[high];
    uint64_t at = ((bits >> 32) * total) >> 32;

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
    return pick->pool->backends[index]->weight != 0 &&
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
    rendezvous_init(&place->rendezvous, pick->user_hash, seed_of(pick, index),
                    config->weight);
}

static bool is_before(struct place *one, struct place *other)
{
    uint64_t mine = (uint64_t)one->sessions * other->rendezvous.weight;
    uint64_t others = (uint64_t)other->sessions * one->rendezvous.weight;

    if (one->is_late != other->is_late)
        return other->is_late;
    if (mine != others)
        return mine < others;
    return rendezvous_is_before(&one->rendezvous, &other->rendezvous);
}
