#include "command_check.h"

#include "backend/backend.h"
#include "base/clock.h"
#include "capacity.h"
#include "provider.h"
#include "reason_lines.h"
#include "state/snapshot.h"

#include <stdlib.h>

static struct snapshot *load(const char *config_file,
                             struct backend_registry *registry,
                             struct reasons *reasons)
{
    struct ticket_keys *tickets = ticket_keys_new(clock_now_ms());
    const struct snapshot_parts parts = {
        .files = provider_files(), .registry = registry, .tickets = tickets};
    struct snapshot *snapshot = snapshot_load(config_file, &parts, reasons);

    ticket_keys_unref(&tickets);
    if (snapshot != NULL &&
        !capacity_suffices(snapshot, capacity_workers(snapshot->settings),
                           reasons))
        snapshot_unref(&snapshot);
    return snapshot;
}

static void print_good(const struct snapshot *snapshot,
                       const struct reasons *reasons, FILE *out)
{
    const struct {
        size_t count;
        const char *noun;
    } parts[] = {
        {snapshot->settings->listener_count, "listener"},
        {snapshot->certificate_count, "certificate"},
        {snapshot->target_count, "backend"},
        {snapshot_user_count(snapshot), "user"},
        {route_table_domain_count(snapshot->table), "domain"},
        {reasons->warnings, "warning"},
    };

    fprintf(out, "%s: ok", snapshot->settings->file);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        fprintf(out, ", ");
        reason_lines_count(parts[i].count, parts[i].noun, out);
    }
    fprintf(out, "\n");
}

static void print_bad(const char *config_file, const struct reasons *reasons,
                      FILE *out)
{
    fprintf(out, "%s: ", config_file);
    reason_lines_count(reasons->errors, "error", out);
    fprintf(out, ", ");
    reason_lines_count(reasons->warnings, "warning", out);
    fprintf(out, "\n");
}

int command_check_run(const char *config_file, FILE *out, FILE *problems)
{
    struct backend_registry *registry = backend_registry_new();
    struct reasons *reasons = reasons_new();
    struct snapshot *snapshot = load(config_file, registry, reasons);
    int status = snapshot != NULL ? EXIT_SUCCESS : EXIT_FAILURE;

    reason_lines_print(reasons, problems);
    if (snapshot != NULL)
        print_good(snapshot, reasons, out);
    else
        print_bad(config_file, reasons, out);
    snapshot_unref(&snapshot);
    reasons_free(&reasons);
    backend_registry_free(&registry);
    return status;
}
