#include "backend/backend_private.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

enum backend_mode backend_mode(const struct backend *backend)
{
    return atomic_load_explicit(&backend->mode, memory_order_relaxed);
}

const char *backend_mode_name(enum backend_mode mode)
{
    switch (mode) {
    case BACKEND_READY:
        return "ready";
    case BACKEND_DRAINING:
        return "draining";
    case BACKEND_MAINTENANCE:
        return "maintenance";
    }
    return "";
}

static void log_mode(const struct backend *backend)
{
    struct log_entry entry;

    log_begin(&entry, LOG_INFO, "backend-mode");
    log_text(&entry, "backend", backend->name);
    log_text(&entry, "mode", backend_mode_name(backend->mode));
    log_text(&entry, "reason", backend->mode_why);
    log_end(&entry);
}

static bool set_mode_locked(struct backend *backend, enum backend_mode mode,
                            const char *why)
{
    if (backend_mode(backend) == mode)
        return false;
    atomic_store(&backend->mode, mode);
    atomic_store(&backend->mode_since_ms, clock_now_ms());
    snprintf(backend->mode_why, sizeof(backend->mode_why), "%s", why);
    log_mode(backend);
    return true;
}

bool backend_set_mode(struct backend *backend, enum backend_mode mode,
                      const char *why)
{
    bool has_changed;

    pthread_mutex_lock(&backend->lock);
    has_changed = set_mode_locked(backend, mode, why);
    pthread_mutex_unlock(&backend->lock);
    return has_changed;
}

bool backend_configure_mode(struct backend *backend, enum backend_mode mode)
{
    bool has_changed = false;

    pthread_mutex_lock(&backend->lock);
    if (backend->configured_mode != mode)
        has_changed = set_mode_locked(backend, mode, "routing table");
    backend->configured_mode = mode;
    pthread_mutex_unlock(&backend->lock);
    return has_changed;
}

void backend_read_mode(struct backend *backend, struct backend_facts *out)
{
    pthread_mutex_lock(&backend->lock);
    out->mode = backend_mode(backend);
    out->since_ms = atomic_load(&backend->mode_since_ms);
    memcpy(out->why, backend->mode_why, sizeof(out->why));
    pthread_mutex_unlock(&backend->lock);
}
