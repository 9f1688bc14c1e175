#include "state/cross_checks.h"

#include "config/json_path.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* As much of a backend's name as anybody reads. */
#define NAME_SHOWN_MAX 128

struct checking {
    const struct settings *settings;
    const struct route_table *table;
    const struct own_addresses *own;
    struct reasons *reasons;
};

static bool check_login_as(const struct checking *checking);
static void warn_of_missing_masters(const struct checking *checking);
static void warn_of_unused_masters(const struct checking *checking);
static void warn_of_loops(const struct checking *checking);
static void warn(const struct checking *checking, const char *section,
                 const char *name, const char *member, const char *found,
                 const char *expected);

bool cross_checks_pass(const struct settings *settings,
                       const struct route_table *table,
                       const struct own_addresses *own, struct reasons *reasons)
{
    const struct checking checking = {settings, table, own, reasons};

    if (settings->auth.mechanisms & AUTH_MECHANISM_EXTERNAL)
        warn_of_missing_masters(&checking);
    else
        warn_of_unused_masters(&checking);
    warn_of_loops(&checking);
    return check_login_as(&checking);
}

/* SCRAM signs the name, and a token is of somebody. */
static bool check_login_as(const struct checking *checking)
{
    const char *path = route_table_login_as_path(checking->table);

    if (path == NULL || (checking->settings->auth.mechanisms &
                         AUTH_MECHANISMS_WITH_MESSAGE) == 0)
        return true;
    reasons_add(checking->reasons, REASON_ERROR,
                route_table_login_as_file(checking->table), path,
                "login_as, while $.auth.mechanisms offers SCRAM or a token",
                "one or the other: the name inside what the client sends "
                "cannot be rewritten");
    return false;
}

/* The first backend without one, or NULL. */
static const struct backend_config *without_master(const struct pool *pool)
{
    for (size_t i = 0; i < pool->backend_count; i++) {
        if (route_table_master(pool, pool->backends[i]) == NULL)
            return pool->backends[i];
    }
    return NULL;
}

static void warn_of_missing_masters(const struct checking *checking)
{
    size_t count;
    const struct pool *pools = route_table_pools(checking->table, &count);
    char found[NAME_SHOWN_MAX + 64];

    for (size_t i = 0; i < count; i++) {
        const struct backend_config *backend = without_master(&pools[i]);

        if (backend == NULL)
            continue;
        snprintf(found, sizeof(found), "no master user for \"%.*s\"",
                 NAME_SHOWN_MAX, backend->name);
        warn(checking, "pools", pools[i].name, "master", found,
             "one for each backend: without it EXTERNAL, which "
             "$.auth.mechanisms offers, fails there");
    }
}

static void warn_of_unused_masters(const struct checking *checking)
{
    static const char found[] = "a master user whom no login uses";
    static const char expected[] =
        "EXTERNAL in $.auth.mechanisms, or no secret that lies about";
    size_t count;
    const struct backend_config *backends =
        route_table_backends(checking->table, &count);

    for (size_t i = 0; i < count; i++) {
        if (backends[i].master.user != NULL)
            warn(checking, "backends", backends[i].name, "master", found,
                 expected);
    }

    const struct pool *pools = route_table_pools(checking->table, &count);

    for (size_t i = 0; i < count; i++) {
        if (pools[i].master.user != NULL)
            warn(checking, "pools", pools[i].name, "master", found, expected);
    }
}

/* Names other than "localhost" are not resolved here: what they mean is looked
 * at before each dial. */
static bool is_ourselves(const struct checking *checking,
                         const struct backend_config *backend)
{
    bool is_local = strcasecmp(backend->host, "localhost") == 0;
    struct network network;
    struct address address;

    if (!network_parse_address(is_local ? "127.0.0.1" : backend->host,
                               &network))
        return false;
    address_from_network(&network, &address);
    address.port = backend->port;
    return own_addresses_include(checking->own, &address);
}

static void warn_of_loops(const struct checking *checking)
{
    size_t count;
    const struct backend_config *backends =
        route_table_backends(checking->table, &count);

    for (size_t i = 0; i < count; i++) {
        if (is_ourselves(checking, &backends[i]))
            warn(checking, "backends", backends[i].name, "host",
                 "an address where Gatepost itself listens",
                 "a backend: a login would be passed on to ourselves, and is "
                 "refused");
    }
}

static void warn(const struct checking *checking, const char *section,
                 const char *name, const char *member, const char *found,
                 const char *expected)
{
    struct json_path path;

    json_path_init(&path);
    json_path_add_key(&path, section, strlen(section));
    json_path_add_key(&path, name, strlen(name));
    json_path_add_key(&path, member, strlen(member));
    reasons_add(checking->reasons, REASON_WARNING, checking->settings->routes,
                path.text, found, expected);
}
