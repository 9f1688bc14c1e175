/* Weighted rendezvous hashing in integers only, so that every Gatepost on
 * every platform gives a user the same backend (decision 15). The arithmetic
 * never changes under these names; test vectors stand in test_pick.c.
 *
 *   fnv(bytes)  FNV-1a, 64 bits
 *   mix(x)      x ^= x >> 30; x *= 0xbf58476d1ce4e5b9;
 *               x ^= x >> 27; x *= 0x94d049bb133111eb; x ^= x >> 31
 *   seed(name)  mix(fnv(name) + 0x9e3779b97f4a7c15)
 *   hash(b, u)  mix(seed(b) ^ mix(fnv(u)))
 *   cost(h)     -log2((h | 1) / 2^64), 48 bits after the point
 *
 * The backend of the least cost(h) / weight wins; of equal ones that of the
 * larger h, then of the larger seed. */
#ifndef BACKEND_RENDEZVOUS_H
#define BACKEND_RENDEZVOUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a user's name is hashed to, once a login. */
uint64_t rendezvous_user(const uint8_t *user, size_t len);

/* What a backend's name is hashed to, once a load. */
uint64_t rendezvous_seed(const char *name);

/* What both make together. Of backends of equal weight that of the greater
 * hash comes first. */
uint64_t rendezvous_hash(uint64_t user_hash, uint64_t seed);

/* Where one backend stands for one user. */
struct rendezvous {
    uint64_t hash;
    uint64_t seed;
    uint64_t cost; /* 0 until it is needed: equal weights compare by hash */
    unsigned weight;
};

/* weight must not be 0. */
void rendezvous_init(struct rendezvous *place, uint64_t user_hash,
                     uint64_t seed, unsigned weight);

/* True if one comes before other. A total order. Computes costs on demand. */
bool rendezvous_is_before(struct rendezvous *one, struct rendezvous *other);

/* mix(x) of above, for whoever wants bits that look like chance. */
uint64_t rendezvous_mix(uint64_t x);

/* -log2((hash | 1) / 2^64) with 48 bits after the point, rounded up. */
uint64_t rendezvous_cost(uint64_t hash);

#endif
