/* What is remembered of a backend beyond the life of a process: given to the
 * one that takes its place (state/handover.h). From any thread. */
#ifndef BACKEND_BACKEND_MEMORY_H
#define BACKEND_BACKEND_MEMORY_H

#include "backend/backend.h"
#include "config/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Times are on base/clock's scale, which is the host's. */
struct backend_memory {
    bool is_failing;
    uint32_t failures; /* in a row */
    uint32_t failed_dials;
    uint32_t successes;
    uint64_t retry_at_ms;
    uint64_t last_failure_ms;
    uint64_t state_since_ms;
    char state_why[BACKEND_WHY_MAX];
    enum backend_mode mode;
    enum backend_mode configured_mode; /* the latest table's */
    uint64_t mode_since_ms;
    char mode_why[BACKEND_WHY_MAX];
    uint32_t notes; /* see backend_notes */
    size_t address_count;
    struct address addresses[BACKEND_ADDRESSES_MAX];
};

void backend_remember(struct backend *backend, struct backend_memory *out);

/* All becomes as it was. Addresses count only where none is known yet. */
void backend_recall(struct backend *backend,
                    const struct backend_memory *memory);

/* Sessions of another process that count here as if they were ours. */
void backend_add_sessions(struct backend *backend, uint32_t count);
void backend_drop_sessions(struct backend *backend, uint32_t count);

/* Tells the backends of this registry from each other for as long as it
 * lives. */
uint32_t backend_number(const struct backend *backend);

/* All that there are now, each with a reference that the caller owns, as an
 * array that the caller frees; the newest first. */
MUST_USE struct backend **
backend_registry_list(struct backend_registry *registry, size_t *count_out);

#endif
