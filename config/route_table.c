#include "config/route_table.h"

#include <stdlib.h>
#include <string.h>

#include "config/login_as.h"
#include "config/route_table_private.h"

static const struct key_entry *find_wildcard(const struct route_table *table,
                                             const char *domain, size_t len);
static void fill_route(const struct route_table *table, enum route_kind kind,
                       const struct key_entry *entry, struct route *route);
static void fill_target(const struct route_table *table, uint32_t index,
                        struct route *route);
static void free_backend(struct backend_config *backend);
static void free_master(struct master_config *master);

void route_table_free(struct route_table **table)
{
    struct route_table *mine = *table;

    *table = NULL;
    if (mine == NULL)
        return;
    for (size_t i = 0; i < mine->backend_count; i++)
        free_backend(&mine->backends[i]);
    for (size_t i = 0; i < mine->pool_count; i++) {
        free(mine->pools[i].name);
        free(mine->pools[i].backends);
        free(mine->pools[i].weight_sums);
        free(mine->pools[i].turns);
        free_master(&mine->pools[i].master);
    }
    free(mine->backends);
    free(mine->pools);
    free(mine->rules);
    free(mine->login_as_path);
    free(mine->login_as_file);
    free(mine->users_file);
    key_table_deinit(&mine->users);
    key_table_deinit(&mine->domains);
    key_table_deinit(&mine->wildcards);
    text_blob_deinit(&mine->texts);
    free(mine);
}

bool route_table_find(const struct route_table *table,
                      const struct identity *identity, struct route *route_out)
{
    enum route_kind kind = ROUTE_USER;
    size_t domain_len;
    const char *domain = identity_domain(identity, &domain_len);
    const struct key_entry *entry = key_table_find(
        &table->users, &table->texts, identity->user, identity->user_len);

    if (entry == NULL && domain != NULL) {
        kind = ROUTE_DOMAIN;
        entry =
            key_table_find(&table->domains, &table->texts, domain, domain_len);
    }
    if (entry == NULL && domain != NULL) {
        kind = ROUTE_WILDCARD;
        entry = find_wildcard(table, domain, domain_len);
    }
    if (entry != NULL) {
        fill_route(table, kind, entry, route_out);
        return true;
    }
    return route_table_default(table, route_out);
}

bool route_table_default(const struct route_table *table,
                         struct route *route_out)
{
    if (!table->has_default)
        return false;
    *route_out = (struct route){.kind = ROUTE_DEFAULT, .key = "default"};
    fill_target(table, table->default_rule, route_out);
    return true;
}

const char *route_table_login_as_path(const struct route_table *table)
{
    return table->login_as_path;
}

const char *route_table_login_as_file(const struct route_table *table)
{
    return table->login_as_file;
}

const char *route_table_users_file(const struct route_table *table)
{
    return table->users_file;
}

bool route_table_has_user_database(const struct route_table *table)
{
    return table->has_user_database;
}

bool route_table_user_route(const struct route_table *table, const char *pool,
                            bool hold, struct route *route_out)
{
    for (size_t i = 0; i < table->pool_count; i++) {
        if (strcmp(table->pools[i].name, pool) != 0)
            continue;
        *route_out = (struct route){
            .kind = ROUTE_USER, .pool = &table->pools[i], .hold = hold};
        return true;
    }
    return false;
}

bool route_login_as(const struct route *route, const struct identity *identity,
                    char *out, size_t size)
{
    return route->login_as != NULL &&
           login_as_expand(route->login_as, identity, out, size);
}

const char *route_kind_name(enum route_kind kind)
{
    switch (kind) {
    case ROUTE_USER:
        return "user";
    case ROUTE_DOMAIN:
        return "domain";
    case ROUTE_WILDCARD:
        return "wildcard domain";
    case ROUTE_DEFAULT:
        return "default";
    }
    return "";
}

const struct backend_config *
route_table_backends(const struct route_table *table, size_t *count_out)
{
    *count_out = table->backend_count;
    return table->backends;
}

const struct pool *route_table_pools(const struct route_table *table,
                                     size_t *count_out)
{
    *count_out = table->pool_count;
    return table->pools;
}

const struct master_config *
route_table_master(const struct pool *pool,
                   const struct backend_config *backend)
{
    if (backend->master.user != NULL)
        return &backend->master;
    return pool->master.user != NULL ? &pool->master : NULL;
}

size_t route_table_user_count(const struct route_table *table)
{
    return table->users.count;
}

size_t route_table_domain_count(const struct route_table *table)
{
    return (size_t)table->domains.count + table->wildcards.count;
}

size_t route_table_memory(const struct route_table *table)
{
    size_t slots = (size_t)table->users.capacity + table->domains.capacity +
                   table->wildcards.capacity;

    return sizeof(*table) + slots * sizeof(struct key_entry) +
           table->texts.capacity + table->rule_capacity * sizeof(struct rule) +
           table->backend_count * sizeof(struct backend_config) +
           table->pool_count * (sizeof(struct pool) + sizeof(atomic_uint));
}

/* Longest first. No suffix longer than the longest wildcard is looked at, so
 * that a stranger's name of 250 labels costs no more than ours allow. */
static const struct key_entry *find_wildcard(const struct route_table *table,
                                             const char *domain, size_t len)
{
    size_t max = table->wildcard_len_max;
    size_t first = len > max + 1 ? len - max - 1 : 1;

    if (max == 0)
        return NULL;
    for (size_t i = first; i < len; i++) {
        if (domain[i] != '.')
            continue;

        const struct key_entry *entry = key_table_find(
            &table->wildcards, &table->texts, domain + i + 1, len - i - 1);

        if (entry != NULL)
            return entry;
    }
    return NULL;
}

static void fill_route(const struct route_table *table, enum route_kind kind,
                       const struct key_entry *entry, struct route *route)
{
    const char *key = table->texts.bytes + entry->text_at;

    if (kind == ROUTE_WILDCARD)
        key -= ROUTE_WILDCARD_MARK_LEN;
    *route = (struct route){.kind = kind, .key = key};
    fill_target(table, entry->value, route);
}

static void fill_target(const struct route_table *table, uint32_t index,
                        struct route *route)
{
    const struct rule *rule = &table->rules[index];

    route->pool = &table->pools[rule->pool];
    route->hold = rule->hold;
    route->login_as =
        rule->login_as_at == 0 ? NULL : table->texts.bytes + rule->login_as_at;
}

static void free_backend(struct backend_config *backend)
{
    free(backend->name);
    free(backend->host);
    free(backend->tls_name);
    free(backend->ca);
    free(backend->certificate);
    free(backend->key);
    free_master(&backend->master);
    free(backend->probe.user);
    free(backend->probe.secret_file);
}

static void free_master(struct master_config *master)
{
    free(master->user);
    free(master->secret_file);
}
