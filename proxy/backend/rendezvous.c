#include "backend/rendezvous.h"

#include <assert.h>
#include <string.h>

/* Pedantic C11 has no name for it. */
__extension__ typedef unsigned __int128 wide;

enum {
    COST_FRACTION_BITS = 48
};

static uint64_t hash_fnv(const uint8_t *bytes, size_t len)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint64_t rendezvous_user(const uint8_t *user, size_t len)
{
    return mix(hash_fnv(user, len));
}

uint64_t rendezvous_seed(const char *name)
{
    uint64_t hash = hash_fnv((const uint8_t *)name, strlen(name));

    return mix(hash + UINT64_C(0x9e3779b97f4a7c15));
}

/* Bit by bit: squaring a number doubles its logarithm. */
uint64_t rendezvous_cost(uint64_t hash)
{
    uint64_t number = hash | 1;
    unsigned leading = (unsigned)__builtin_clzll(number);
    uint64_t mantissa = number << leading; /* in [1, 2), 63 bits of fraction */
    uint64_t log2 = 63 - leading;

    for (int i = 0; i < COST_FRACTION_BITS; i++) {
        wide square = (wide)mantissa * mantissa;
        bool is_two_or_more = square >> 127 != 0;

        mantissa = (uint64_t)(square >> (is_two_or_more ? 64 : 63));
        log2 = log2 << 1 | is_two_or_more;
    }
    return (UINT64_C(64) << COST_FRACTION_BITS) - log2;
}

uint64_t rendezvous_mix(uint64_t x)
{
    return mix(x);
}

uint64_t rendezvous_hash(uint64_t user_hash, uint64_t seed)
{
    return mix(seed ^ user_hash);
}

void rendezvous_init(struct rendezvous *place, uint64_t user_hash,
                     uint64_t seed, unsigned weight)
{
    assert(weight > 0);
    *place = (struct rendezvous){.hash = rendezvous_hash(user_hash, seed),
                                 .seed = seed,
                                 .weight = weight};
}

/* No hash costs 0, so 0 says that it was not asked for yet. */
static uint64_t cost_of(struct rendezvous *place)
{
    if (place->cost == 0)
        place->cost = rendezvous_cost(place->hash);
    return place->cost;
}

/* Between what and what the cost lies, without its 48 steps: over one octave
 * the logarithm lies above its chord and below its tangent at the upper end,
 * whose slope there, 0.7213, is more than 184 / 256. The cost's own rounding
 * is less than SLACK. */
struct bounds {
    uint64_t least;
    uint64_t most;
};

enum {
    SLACK = 16
};

static struct bounds bounds_of(const struct rendezvous *place)
{
    uint64_t number = place->hash | 1;
    unsigned leading = (unsigned)__builtin_clzll(number);
    uint64_t missing = (UINT64_MAX - (number << leading)) >>
                       (63 - COST_FRACTION_BITS); /* to the next octave */
    uint64_t octaves = (uint64_t)leading << COST_FRACTION_BITS;
    struct bounds bounds = {place->cost, place->cost};

    if (place->cost == 0) {
        bounds.least = octaves + missing / 256 * 184;
        bounds.most = octaves + missing + SLACK;
    }
    return bounds;
}

enum verdict {
    VERDICT_BEFORE,
    VERDICT_AFTER,
    VERDICT_OPEN
};

/* one's cost by its weight against other's, where the bounds can tell. */
static enum verdict compare_bounds(const struct rendezvous *one,
                                   const struct rendezvous *other)
{
    struct bounds mine = bounds_of(one);
    struct bounds others = bounds_of(other);

    if ((wide)mine.most * other->weight < (wide)others.least * one->weight)
        return VERDICT_BEFORE;
    if ((wide)mine.least * other->weight > (wide)others.most * one->weight)
        return VERDICT_AFTER;
    return VERDICT_OPEN;
}

static enum verdict compare_costs(struct rendezvous *one,
                                  struct rendezvous *other)
{
    enum verdict verdict = compare_bounds(one, other);
    wide mine;
    wide others;

    if (verdict != VERDICT_OPEN)
        return verdict;
    mine = (wide)cost_of(one) * other->weight;
    others = (wide)cost_of(other) * one->weight;
    if (mine == others)
        return VERDICT_OPEN;
    return mine < others ? VERDICT_BEFORE : VERDICT_AFTER;
}

bool rendezvous_is_before(struct rendezvous *one, struct rendezvous *other)
{
    if (one->weight != other->weight) {
        enum verdict verdict = compare_costs(one, other);

        if (verdict != VERDICT_OPEN)
            return verdict == VERDICT_BEFORE;
    }
    /* The cost falls as the hash rises: of equal weights this decides. */
    if (one->hash != other->hash)
        return one->hash > other->hash;
    return one->seed > other->seed;
}
