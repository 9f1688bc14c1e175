#include "backend/backend_memory.h"

#include "backend/backend_private.h"

#include <stdio.h>
#include <string.h>

void backend_remember(struct backend *backend, struct backend_memory *out)
{
    *out = (struct backend_memory){.notes = backend_notes(backend)};
    out->address_count = backend_addresses(backend, out->addresses);
    pthread_mutex_lock(&backend->lock);
    out->is_failing = atomic_load(&backend->is_failing);
    out->failures = atomic_load(&backend->failures);
    out->failed_dials = atomic_load(&backend->failed_dials);
    out->successes = backend->successes;
    out->retry_at_ms = atomic_load(&backend->retry_at_ms);
    out->last_failure_ms = atomic_load(&backend->last_failure_ms);
    out->state_since_ms = atomic_load(&backend->state_since_ms);
    memcpy(out->state_why, backend->state_why, sizeof(out->state_why));
    out->mode = backend_mode(backend);
    out->configured_mode = backend->configured_mode;
    out->mode_since_ms = atomic_load(&backend->mode_since_ms);
    memcpy(out->mode_why, backend->mode_why, sizeof(out->mode_why));
    pthread_mutex_unlock(&backend->lock);
}

static void recall_state_locked(struct backend *backend,
                                const struct backend_memory *memory)
{
    atomic_store(&backend->failures, memory->failures);
    atomic_store(&backend->failed_dials, memory->failed_dials);
    backend->successes = memory->successes;
    atomic_store(&backend->retry_at_ms, memory->retry_at_ms);
    atomic_store(&backend->last_failure_ms, memory->last_failure_ms);
    atomic_store(&backend->state_since_ms, memory->state_since_ms);
    snprintf(backend->state_why, sizeof(backend->state_why), "%s",
             memory->state_why);
    atomic_store(&backend->is_failing, memory->is_failing);
}

static void recall_mode_locked(struct backend *backend,
                               const struct backend_memory *memory)
{
    atomic_store(&backend->mode, memory->mode);
    backend->configured_mode = memory->configured_mode;
    atomic_store(&backend->mode_since_ms, memory->mode_since_ms);
    snprintf(backend->mode_why, sizeof(backend->mode_why), "%s",
             memory->mode_why);
}

void backend_recall(struct backend *backend,
                    const struct backend_memory *memory)
{
    struct address known[BACKEND_ADDRESSES_MAX];

    pthread_mutex_lock(&backend->lock);
    recall_state_locked(backend, memory);
    recall_mode_locked(backend, memory);
    if (backend_addresses(backend, known) == 0 && memory->address_count > 0)
        backend_publish_locked(backend, memory->addresses,
                               memory->address_count);
    pthread_mutex_unlock(&backend->lock);
    atomic_fetch_or(&backend->notes, memory->notes);
}

void backend_add_sessions(struct backend *backend, uint32_t count)
{
    atomic_fetch_add_explicit(&backend->sessions, count, memory_order_relaxed);
}

void backend_drop_sessions(struct backend *backend, uint32_t count)
{
    atomic_fetch_sub_explicit(&backend->sessions, count, memory_order_relaxed);
}

uint32_t backend_number(const struct backend *backend)
{
    return backend->number;
}

struct backend **backend_registry_list(struct backend_registry *registry,
                                       size_t *count_out)
{
    struct backend **list = NULL;
    struct backend *backend;
    size_t count = 0;

    pthread_mutex_lock(&registry->lock);
    for (backend = registry->first; backend != NULL; backend = backend->next) {
        list = mem_realloc_array(list, count + 1, sizeof(struct backend *));
        list[count++] = backend_ref(backend);
    }
    pthread_mutex_unlock(&registry->lock);
    *count_out = count;
    return list;
}
