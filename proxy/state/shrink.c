#include "state/shrink.h"

#include "state/snapshot.h"

#include <stdint.h>
#include <stdio.h>

/* Of one kind, what there was and what there is. */
struct change {
    const char *noun;
    const char *file; /* that they stand in */
    const char *path;
    size_t former;
    size_t now;
};

static const char *users_file(const struct settings *settings,
                              const struct route_table *table)
{
    const char *file = route_table_users_file(table);

    return file == NULL ? settings->routes : file;
}

/* A database is written to while it is in force: how many it had at its load
 * says nothing of what a reload would change, and that is nothing. */
static size_t former_user_count(const struct snapshot *former,
                                const struct snapshot *snapshot)
{
    if (former->users != NULL && snapshot->users != NULL &&
        user_database_is_same(former->users, snapshot->users))
        return snapshot_user_count(snapshot);
    return snapshot_user_count(former);
}

static size_t backend_count(const struct route_table *table)
{
    size_t count;

    (void)route_table_backends(table, &count);
    return count;
}

/* Rounded up, so that a part of a user counts as one. */
static size_t least_of(size_t former, unsigned max_shrink)
{
    return (size_t)(((uint64_t)former * (100 - max_shrink) + 99) / 100);
}

static bool is_small(const struct settings *settings,
                     const struct change *change, struct reasons *reasons)
{
    size_t least = least_of(change->former, settings->max_shrink);
    char found[96], expected[192];

    if (change->now >= least)
        return true;
    snprintf(found, sizeof(found), "%zu %s%s, while %zu %s in force",
             change->now, change->noun, change->now == 1 ? "" : "s",
             change->former, change->former == 1 ? "is" : "are");
    snprintf(expected, sizeof(expected),
             "%zu or more, as $.max_shrink is %u %%; 100 there takes any table",
             least, settings->max_shrink);
    reasons_add(reasons, REASON_ERROR, change->file, change->path, found,
                expected);
    return false;
}

bool shrink_is_small(const struct snapshot *former,
                     const struct snapshot *snapshot, struct reasons *reasons)
{
    const struct settings *settings = snapshot->settings;
    const struct route_table *table = snapshot->table;
    const struct change changes[] = {
        {"user", users_file(settings, table),
         route_table_users_file(table) == NULL ? "$.users" : NULL,
         former_user_count(former, snapshot), snapshot_user_count(snapshot)},
        {"domain", settings->routes, "$.domains",
         route_table_domain_count(former->table),
         route_table_domain_count(table)},
        {"backend", settings->routes, "$.backends",
         backend_count(former->table), backend_count(table)},
    };
    bool are_small = true;

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        are_small = is_small(settings, &changes[i], reasons) && are_small;
    return are_small;
}
