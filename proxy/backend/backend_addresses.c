#include "backend/backend_private.h"

#include <string.h>

void backend_publish_locked(struct backend *backend,
                            const struct address *addresses, size_t count)
{
    uint64_t next = atomic_load(&backend->generation) + 1;
    struct packed_addresses *to = &backend->addresses[next % 2];

    for (size_t i = 0; i < count; i++) {
        _Atomic uint64_t *words = to->words + i * WORDS_PER_ADDRESS;
        uint64_t ip[2];

        memcpy(ip, addresses[i].ip, sizeof(ip));
        atomic_store_explicit(&words[0], ip[0], memory_order_release);
        atomic_store_explicit(&words[1], ip[1], memory_order_release);
        atomic_store_explicit(
            &words[2], (uint64_t)backend->port << 1 | addresses[i].is_ipv6,
            memory_order_release);
    }
    atomic_store_explicit(&to->count, count, memory_order_release);
    atomic_store_explicit(&backend->generation, next, memory_order_release);
}

static void unpack(const struct packed_addresses *from, size_t index,
                   struct address *out)
{
    const _Atomic uint64_t *words = from->words + index * WORDS_PER_ADDRESS;
    uint64_t ip[2];
    uint64_t rest;

    ip[0] = atomic_load_explicit(&words[0], memory_order_acquire);
    ip[1] = atomic_load_explicit(&words[1], memory_order_acquire);
    rest = atomic_load_explicit(&words[2], memory_order_acquire);
    *out = (struct address){.port = (uint16_t)(rest >> 1),
                            .is_ipv6 = (rest & 1) != 0};
    memcpy(out->ip, ip, sizeof(ip));
}

/* A writer raises the generation before it touches this set again, and each
 * of its words is released after that and acquired here: if one of them was
 * seen, the second look sees the raised generation too. */
size_t backend_addresses(const struct backend *backend,
                         struct address out[BACKEND_ADDRESSES_MAX])
{
    uint64_t generation =
        atomic_load_explicit(&backend->generation, memory_order_acquire);

    for (;;) {
        const struct packed_addresses *from =
            &backend->addresses[generation % 2];
        uint64_t before = generation;
        size_t count = atomic_load_explicit(&from->count, memory_order_acquire);

        for (size_t i = 0; i < count; i++)
            unpack(from, i, &out[i]);
        generation =
            atomic_load_explicit(&backend->generation, memory_order_acquire);
        if (generation == before)
            return count;
    }
}

bool backend_has_addresses(const struct backend *backend)
{
    uint64_t generation =
        atomic_load_explicit(&backend->generation, memory_order_acquire);

    return atomic_load_explicit(&backend->addresses[generation % 2].count,
                                memory_order_relaxed) > 0;
}

static bool is_same(const struct backend *backend,
                    const struct address *addresses, size_t count)
{
    struct address known[BACKEND_ADDRESSES_MAX];

    if (backend_addresses(backend, known) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!address_same_host(&known[i], &addresses[i]))
            return false;
    }
    return true;
}

bool backend_set_addresses(struct backend *backend,
                           const struct address *addresses, size_t count)
{
    bool has_changed;

    if (count > BACKEND_ADDRESSES_MAX)
        count = BACKEND_ADDRESSES_MAX;
    pthread_mutex_lock(&backend->lock);
    has_changed = !is_same(backend, addresses, count);
    if (has_changed) {
        backend_heed_addresses_locked(backend, backend_has_addresses(backend),
                                      count > 0);
        backend_publish_locked(backend, addresses, count);
        atomic_store(&backend->retry_at_ms, 0);
    }
    pthread_mutex_unlock(&backend->lock);
    return has_changed;
}
