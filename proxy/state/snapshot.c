#include "state/snapshot.h"

#include "state/admin_token.h"
#include "state/certificate_dates.h"
#include "state/certificate_files.h"
#include "state/config_files.h"
#include "state/cross_checks.h"
#include "state/link_targets.h"
#include "state/shrink.h"
#include "state/ticket_key_files.h"
#include "state/trust_store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static bool load(struct snapshot *snapshot, const char *config_file,
                 const struct snapshot_parts *parts, struct reasons *reasons);
static bool load_clients_tls(struct snapshot *snapshot,
                             const struct snapshot_parts *parts,
                             struct reasons *reasons);
static bool load_table(struct snapshot *snapshot,
                       const struct snapshot_parts *parts,
                       struct reasons *reasons);
static bool fits_former(const struct snapshot *snapshot,
                        const struct snapshot_parts *parts,
                        struct reasons *reasons);
static bool load_users(struct snapshot *snapshot, struct reasons *reasons);
static bool load_targets(struct snapshot *snapshot,
                         const struct snapshot_parts *parts,
                         struct reasons *reasons);

struct snapshot *snapshot_load(const char *config_file,
                               const struct snapshot_parts *parts,
                               struct reasons *reasons)
{
    struct snapshot *snapshot = mem_zalloc(sizeof(*snapshot));

    atomic_init(&snapshot->refs, 1);
    snapshot->reaper = parts->reaper;
    if (!load(snapshot, config_file, parts, reasons))
        snapshot_free(&snapshot);
    return snapshot;
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    return snapshot;
}

void snapshot_unref(struct snapshot **snapshot)
{
    struct snapshot *mine = *snapshot;

    *snapshot = NULL;
    if (mine == NULL ||
        atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) > 1)
        return;
    if (mine->reaper != NULL)
        reaper_take(mine->reaper, mine);
    else
        snapshot_free(&mine);
}

void snapshot_free(struct snapshot **snapshot)
{
    struct snapshot *mine = *snapshot;

    *snapshot = NULL;
    if (mine == NULL)
        return;
    link_targets_free(&mine->targets, mine->target_count);
    trust_store_free(&mine->trust);
    backend_set_free(&mine->backends);
    master_logins_free(&mine->masters);
    secret_file_deinit(&mine->admin_token);
    user_database_free(&mine->users);
    route_table_free(&mine->table);
    tls_server_context_unref(&mine->tls);
    for (size_t i = 0; i < mine->certificate_count; i++)
        free(mine->certificate_files[i]);
    free(mine->certificate_files);
    source_addresses_deinit(&mine->sources);
    own_addresses_deinit(&mine->own);
    settings_free(&mine->settings);
    free(mine);
}

size_t snapshot_user_count(const struct snapshot *snapshot)
{
    return snapshot->users == NULL ? route_table_user_count(snapshot->table)
                                   : user_database_count(snapshot->users);
}

bool snapshot_find_route(const struct snapshot *snapshot,
                         const struct identity *identity,
                         struct route *route_out)
{
    return route_table_find(snapshot->table, identity, route_out);
}

struct link_rules snapshot_link_rules(const struct snapshot *snapshot)
{
    return (struct link_rules){.timeouts = &snapshot->settings->timeouts,
                               .sources = &snapshot->sources,
                               .own = &snapshot->own};
}

const struct link_target *snapshot_target(const struct snapshot *snapshot,
                                          const struct backend_config *config)
{
    size_t count;
    const struct backend_config *configs =
        route_table_backends(snapshot->table, &count);
    size_t index = (size_t)(config - configs);

    assert(index < count);
    return &snapshot->targets[index];
}

const struct master_login *snapshot_master(const struct snapshot *snapshot,
                                           const struct pool *pool,
                                           const struct backend_config *backend)
{
    return master_logins_find(snapshot->masters, pool, backend);
}

const struct master_login *
snapshot_probe_login(const struct snapshot *snapshot,
                     const struct backend_config *backend)
{
    return master_logins_probe(snapshot->masters, backend);
}

static struct io_keepalive keepalive_of(const struct settings *settings)
{
    const struct timeouts_settings *timeouts = &settings->timeouts;

    return (struct io_keepalive){
        .idle_s = timeouts->keepalive.idle_s,
        .interval_s = timeouts->keepalive.interval_s,
        .count = timeouts->keepalive.count,
        .user_timeout_ms = (unsigned)timeouts->user_timeout_ms,
    };
}

/* An address may come later, as those do that move between hosts. */
static void warn_of_source(const struct settings *settings, size_t index,
                           int error, struct reasons *reasons)
{
    char path[64], text[NETWORK_TEXT_MAX], found[128];

    snprintf(path, sizeof(path), "$.upstream.source_addresses[%zu]", index);
    network_format_address(&settings->source_addresses[index], text);
    snprintf(found, sizeof(found), "%s, which cannot be used now (%s)", text,
             uv_strerror(error));
    reasons_add(reasons, REASON_WARNING, settings->file, path, found,
                "an address that this host has; until then others are used");
}

static void warn_of_sources(const struct settings *settings,
                            struct reasons *reasons)
{
    for (size_t i = 0; i < settings->source_address_count; i++) {
        struct address address;
        int error;

        address_from_network(&settings->source_addresses[i], &address);
        error = source_address_try(&address);
        if (error != 0)
            warn_of_source(settings, i, error, reasons);
    }
}

/* Goes on after a fault, also with what is left of settings that were refused,
 * so that every file's faults are told at once. */
static bool load(struct snapshot *snapshot, const char *config_file,
                 const struct snapshot_parts *parts, struct reasons *reasons)
{
    bool is_good = config_files_settings(parts->files, config_file,
                                         &snapshot->settings, reasons);

    if (snapshot->settings == NULL)
        return false;
    snapshot->keepalive = keepalive_of(snapshot->settings);
    source_addresses_init(&snapshot->sources,
                          snapshot->settings->source_addresses,
                          snapshot->settings->source_address_count);
    if (is_good) {
        own_addresses_init(&snapshot->own, snapshot->settings->listeners,
                           snapshot->settings->listener_count);
        warn_of_sources(snapshot->settings, reasons);
    }

    bool has_tls = load_clients_tls(snapshot, parts, reasons);
    bool has_table = load_table(snapshot, parts, reasons);
    bool has_token = admin_token_read(parts->files, snapshot->settings,
                                      &snapshot->admin_token, reasons);

    /* Defaults in the place of what was refused say nothing of the table. */
    if (is_good && snapshot->table != NULL)
        is_good = cross_checks_pass(snapshot->settings, snapshot->table,
                                    &snapshot->own, reasons) &&
                  fits_former(snapshot, parts, reasons);
    return is_good && has_tls && has_table && has_token;
}

/* Users who could not be counted have not shrunk: why stands in a reason of
 * its own. */
static bool fits_former(const struct snapshot *snapshot,
                        const struct snapshot_parts *parts,
                        struct reasons *reasons)
{
    bool has_users = snapshot->users != NULL ||
                     !route_table_has_user_database(snapshot->table);

    return parts->former == NULL || parts->may_shrink || !has_users ||
           shrink_is_small(parts->former, snapshot, reasons);
}

static struct tls_server_context *
get_context(const struct snapshot_parts *parts,
            const struct tls_server_config *config, struct reasons *reasons)
{
    const struct snapshot *former = parts->former;

    if (former != NULL && tls_server_context_matches(former->tls, config))
        return tls_server_context_ref(former->tls);
    return tls_server_context_new(config, parts->tickets, reasons);
}

static void keep_names(struct snapshot *snapshot,
                       const struct certificate_files *files)
{
    snapshot->certificate_count = files->count;
    snapshot->certificate_files = mem_realloc_array(
        NULL, files->count, sizeof(*snapshot->certificate_files));
    for (size_t i = 0; i < files->count; i++)
        snapshot->certificate_files[i] = mem_strdup(files->pairs[i].chain_name);
}

/* A new context warns by itself. */
static void use_context(struct snapshot *snapshot,
                        const struct snapshot_parts *parts,
                        const struct tls_server_config *config,
                        struct reasons *reasons)
{
    snapshot->tls = get_context(parts, config, reasons);
    if (parts->former != NULL && snapshot->tls == parts->former->tls)
        certificate_dates_warn(snapshot, config->now, reasons);
}

static bool load_clients_tls(struct snapshot *snapshot,
                             const struct snapshot_parts *parts,
                             struct reasons *reasons)
{
    struct certificate_files files;
    struct ticket_key_files tickets;
    bool has_files = certificate_files_read(&files, parts->files,
                                            snapshot->settings, reasons);
    bool has_tickets = ticket_key_files_read(&tickets, parts->files,
                                             snapshot->settings, reasons);
    const struct tls_server_config config = {
        .certificates = files.certificates,
        .certificate_count = files.count,
        .policy = snapshot->settings->tls.policy,
        .client_ca = files.client_ca,
        .alpn_refused = parts->alpn_refused,
        .client_refused = parts->verify_failed,
        .now = (int64_t)time(NULL),
        .ticket_keys = tickets.keys,
        .ticket_key_count = tickets.count,
    };

    keep_names(snapshot, &files);
    snapshot->ticket_key_made = tickets.made;
    if (has_tickets)
        ticket_key_files_warn(snapshot->settings, tickets.made, config.now,
                              reasons);
    /* Where a file is missing the others are still looked at. */
    if (files.count > 0)
        use_context(snapshot, parts, &config, reasons);
    certificate_files_deinit(&files);
    ticket_key_files_deinit(&tickets);
    return has_files && has_tickets && snapshot->tls != NULL;
}

static bool load_table(struct snapshot *snapshot,
                       const struct snapshot_parts *parts,
                       struct reasons *reasons)
{
    const struct backend_config *configs;
    size_t count;
    bool is_good;

    if (!config_files_table(parts->files, snapshot->settings, &snapshot->table,
                            reasons))
        return false;
    configs = route_table_backends(snapshot->table, &count);
    for (size_t i = 0; i < count; i++)
        snapshot->tells_clients |=
            configs[i].send_id ||
            configs[i].proxy_protocol != BACKEND_PROXY_NONE;
    snapshot->backends = backend_set_new(parts->registry, configs, count);
    snapshot->trust = trust_store_new();
    snapshot->masters = master_logins_load(
        parts->files, snapshot->settings->routes, snapshot->table, reasons);
    is_good = load_users(snapshot, reasons);
    return load_targets(snapshot, parts, reasons) && is_good &&
           snapshot->masters != NULL;
}

static bool load_users(struct snapshot *snapshot, struct reasons *reasons)
{
    if (!route_table_has_user_database(snapshot->table))
        return true;
    snapshot->users = user_database_open(snapshot->table,
                                         snapshot->settings->routes, reasons);
    return snapshot->users != NULL;
}

static bool load_targets(struct snapshot *snapshot,
                         const struct snapshot_parts *parts,
                         struct reasons *reasons)
{
    const struct snapshot *former = parts->former;
    struct link_targets_parts with = {
        .files = parts->files,
        .routes_file = snapshot->settings->routes,
        .backends = snapshot->backends,
        .trust = snapshot->trust,
        .verify_failed = parts->verify_failed,
        .now = (int64_t)time(NULL),
    };

    if (former != NULL)
        with.former = (struct link_targets_former){
            former->targets, former->target_count, former->trust};
    snapshot->target_count = backend_set_count(snapshot->backends);
    return link_targets_load(&snapshot->targets, &with, reasons);
}
