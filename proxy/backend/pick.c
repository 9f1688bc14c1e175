#include "backend/pick.h"

#include "backend/rendezvous.h"

#include <string.h>

/* Where one backend of the pool stands; all of it decides, in this order. */
struct place {
    bool is_late; /* least-sessions: cannot be dialled now */
    uint32_t sessions;
    struct rendezvous rendezvous;
};

void pick_start(struct pick *pick, const struct pool *pool,
                const struct backend_set *set, const uint8_t *user, size_t len)
{
    memset(pick, 0, sizeof(*pick));
    pick->pool = pool;
    pick->set = set;
    pick->user_hash = rendezvous_user(user, len);
}

static struct place place_of(const struct pick *pick,
                             const struct backend_config *config,
                             uint64_t now_ms)
{
    const struct backend_set *set = pick->set;
    struct place place = {.is_late = false};
    uint64_t seed = set == NULL ? rendezvous_seed(config->name)
                                : backend_set_seed(set, config);

    rendezvous_init(&place.rendezvous, pick->user_hash, seed, config->weight);
    if (set != NULL && pick->pool->balance == POOL_LEAST_SESSIONS) {
        const struct backend *backend = backend_set_find(set, config);

        place.is_late = !backend_is_dialable(backend, now_ms);
        place.sessions = backend_sessions(backend);
    }
    return place;
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

static bool was_given(const struct pick *pick, size_t index)
{
    return (pick->given[index / 64] >> index % 64 & 1) != 0;
}

const struct backend_config *pick_next(struct pick *pick, uint64_t now_ms)
{
    const struct pool *pool = pick->pool;
    const struct backend_config *best = NULL;
    struct place best_place;
    size_t best_index = 0;

    if (pick->has_given && pool->when_down == POOL_REFUSE)
        return NULL;
    for (size_t i = 0; i < pool->backend_count; i++) {
        struct place place;

        if (pool->backends[i]->weight == 0 || was_given(pick, i))
            continue;
        place = place_of(pick, pool->backends[i], now_ms);
        if (best != NULL && !is_before(&place, &best_place))
            continue;
        best = pool->backends[i];
        best_place = place;
        best_index = i;
    }
    if (best != NULL)
        pick->given[best_index / 64] |= UINT64_C(1) << best_index % 64;
    pick->has_given = true;
    return best;
}
