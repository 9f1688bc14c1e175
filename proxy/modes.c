#include "modes.h"

#include "session/kick.h"

#include <string.h>

static void end_sessions(const struct snapshot *snapshot,
                         struct worker **workers, unsigned count, char *name)
{
    const struct kick kick = {.backend = name,
                              .reason = "maintenance",
                              .spread_ms =
                                  snapshot->settings->timeouts.drain_ms,
                              .while_in_maintenance = true};

    for (unsigned i = 0; i < count; i++)
        worker_kick(workers[i], &kick);
}

void modes_follow(const struct snapshot *snapshot, struct worker **workers,
                  unsigned count)
{
    for (size_t i = 0; i < backend_set_count(snapshot->backends); i++) {
        const struct backend_config *config;
        struct backend *backend =
            backend_set_at(snapshot->backends, i, &config);

        if (backend_configure_mode(backend, config->mode) &&
            config->mode == BACKEND_MAINTENANCE)
            end_sessions(snapshot, workers, count, config->name);
    }
}

bool modes_set(const struct snapshot *snapshot, struct worker **workers,
               unsigned count, const char *name, enum backend_mode mode,
               const char *why)
{
    for (size_t i = 0; i < backend_set_count(snapshot->backends); i++) {
        const struct backend_config *config;
        struct backend *backend =
            backend_set_at(snapshot->backends, i, &config);

        if (strcmp(config->name, name) != 0)
            continue;
        if (backend_set_mode(backend, mode, why) && mode == BACKEND_MAINTENANCE)
            end_sessions(snapshot, workers, count, config->name);
        return true;
    }
    return false;
}
