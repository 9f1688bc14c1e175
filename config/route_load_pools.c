/* The "pools" of routes.json. */
#include "config/route_load.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/json_read.h"

static void add_plain_rules(struct route_table *table, size_t count);
static void read_pool(struct route_loader *loader,
                      const struct json_place *place, struct pool *pool,
                      const struct pool **last_users);
static void read_members(struct route_loader *loader,
                         const struct json_place *list, struct pool *pool,
                         const struct pool **last_users);
static void sum_weights(struct pool *pool);
static void check_master(struct json_members *members, const struct pool *pool);
static void warn_weights(const struct json_place *list,
                         const struct pool *pool);

void route_load_pools(struct route_loader *loader,
                      const struct json_place *place)
{
    struct route_table *table = loader->table;
    size_t count = json_object_size(place->value);
    /* For each backend the last pool that took it, which finds one that a pool
     * names twice. */
    const struct pool **last_users =
        mem_zalloc(loader->backends.count * sizeof(const struct pool *));
    const char *name;
    json_t *value;

    table->pools = mem_zalloc(count * sizeof(*table->pools));
    add_plain_rules(table, count);
    json_object_foreach(place->value, name, value)
    {
        struct json_place member = json_place_member(place, name, value);
        struct pool *pool = &table->pools[table->pool_count++];

        pool->name = mem_strdup(name);
        read_pool(loader, &member, pool, last_users);
    }
    free(last_users);
}

/* What a user gets who is sent to a pool and nothing else. */
static void add_plain_rules(struct route_table *table, size_t count)
{
    table->rules = mem_realloc_array(NULL, count, sizeof(*table->rules));
    table->rule_count = count;
    table->rule_capacity = count;
    for (size_t i = 0; i < count; i++)
        table->rules[i] = (struct rule){.pool = (uint32_t)i};
}

static void read_pool(struct route_loader *loader,
                      const struct json_place *place, struct pool *pool,
                      const struct pool **last_users)
{
    static const struct json_choice balances[] = {
        {"hash", POOL_HASH},
        {"least-sessions", POOL_LEAST_SESSIONS},
    };
    static const struct json_choice answers[] = {
        {"refuse", POOL_REFUSE},
        {"next", POOL_NEXT},
    };
    struct json_members members;
    struct json_place list;
    unsigned balance = POOL_HASH;
    unsigned when_down = POOL_REFUSE;

    if (!json_read_open(&members, place))
        return;
    if (json_read_require(&members, "backends", "a list of backends", &list))
        read_members(loader, &list, pool, last_users);
    json_read_optional_choice(&members, "balance", balances, 2, &balance);
    json_read_optional_choice(&members, "when_down", answers, 2, &when_down);
    pool->balance = (enum pool_balance)balance;
    pool->when_down = (enum pool_when_down)when_down;
    route_load_master(&members, &pool->master);
    check_master(&members, pool);
    json_read_close(&members);
}

static void read_members(struct route_loader *loader,
                         const struct json_place *list, struct pool *pool,
                         const struct pool **last_users)
{
    size_t count;

    if (!json_read_list(list, 1, POOL_BACKENDS_MAX, &count))
        return;
    pool->backends =
        mem_realloc_array(NULL, count, sizeof(const struct backend_config *));
    for (size_t i = 0; i < count; i++) {
        struct json_place place = json_place_item(list, i);
        uint32_t index;

        if (!route_names_find(loader, &loader->backends, "backend", &place,
                              &index))
            continue;
        if (last_users[index] == pool) {
            json_place_fault(&place, NULL, "each backend once");
            continue;
        }
        last_users[index] = pool;
        pool->backends[pool->backend_count++] = &loader->table->backends[index];
    }
    sum_weights(pool);
    warn_weights(list, pool);
}

static void sum_weights(struct pool *pool)
{
    uint32_t sum = 0;

    pool->weight_sums =
        mem_realloc_array(NULL, pool->backend_count, sizeof(uint32_t));
    for (size_t i = 0; i < pool->backend_count; i++) {
        sum += pool->backends[i]->weight;
        pool->weight_sums[i] = sum;
    }
}

static void warn_weights(const struct json_place *list, const struct pool *pool)
{
    for (size_t i = 0; i < pool->backend_count; i++) {
        if (pool->backends[i]->weight > 0)
            return;
    }
    if (pool->backend_count > 0)
        json_place_warning(list, "a weight of 0 for each of them",
                           "one above 0: every login is refused");
}

/* Backends with a master of their own were looked at by themselves. */
static void check_master(struct json_members *members, const struct pool *pool)
{
    struct json_place place;
    char found[ROUTE_NAME_MAX * 4 + 64];

    if (!json_read_get(members, "master", &place))
        return;
    for (size_t i = 0; i < pool->backend_count; i++) {
        const struct backend_config *backend = pool->backends[i];
        const char *danger = route_load_master_danger(backend);

        if (danger == NULL || backend->master.user != NULL)
            continue;
        (void)snprintf(found, sizeof(found), "%s, \"%s\"", danger,
                       backend->name);
        json_place_fault(&place, found,
                         "backends with TLS that prove who they are: a master "
                         "user's secret opens every mailbox");
        return;
    }
}
