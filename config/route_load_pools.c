/* The "pools" of routes.json. */
#include "config/route_load.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/json_read.h"

#define SLOW_START_MAX_MS UINT64_C(3600000)

static void add_plain_rules(struct route_table *table, size_t count);
static void read_pool(struct route_loader *loader,
                      const struct json_place *place, struct pool *pool,
                      const struct pool **last_users);
static void read_members(struct route_loader *loader,
                         const struct json_place *list, struct pool *pool,
                         const struct pool **last_users);
static void sum_weights(struct pool *pool);
static void read_balance(struct json_members *members, struct pool *pool);
static void check_backups(const struct json_place *list,
                          const struct pool *pool);
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
    static const struct json_choice answers[] = {
        {"refuse", POOL_REFUSE},
        {"next", POOL_NEXT},
    };
    struct json_members members;
    struct json_place list;
    bool has_list;
    unsigned when_down = POOL_REFUSE;

    if (!json_read_open(&members, place))
        return;
    has_list =
        json_read_require(&members, "backends", "a list of backends", &list);
    if (has_list)
        read_members(loader, &list, pool, last_users);
    read_balance(&members, pool);
    json_read_optional_choice(&members, "when_down", answers, 2, &when_down);
    pool->when_down = (enum pool_when_down)when_down;
    pool->one_backend_per_user = true;
    json_read_optional_flag(&members, "one_backend_per_user",
                            &pool->one_backend_per_user);
    if (has_list)
        check_backups(&list, pool);
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

/* What would move users of a hash pool, or says nothing of another. */
static void check_balance(struct json_members *members, const struct pool *pool)
{
    struct json_place place;

    if (pool->balance == POOL_HASH && pool->slow_start_ms > 0 &&
        json_read_get(members, "slow_start", &place))
        json_place_fault(&place, NULL,
                         "nothing, since balance is \"hash\": it would move "
                         "users");
    if (pool->balance != POOL_HASH && json_read_get(members, "hash_by", &place))
        json_place_fault(&place, NULL,
                         "nothing, since balance is not \"hash\"");
}

static void read_balance(struct json_members *members, struct pool *pool)
{
    static const struct json_choice balances[] = {
        {"hash", POOL_HASH},
        {"least-sessions", POOL_LEAST_SESSIONS},
        {"round-robin", POOL_ROUND_ROBIN},
    };
    static const struct json_choice hashes[] = {
        {"user", POOL_BY_USER},
        {"domain", POOL_BY_DOMAIN},
    };
    unsigned balance = POOL_HASH;
    unsigned hash_by = POOL_BY_USER;

    json_read_optional_choice(members, "balance", balances, 3, &balance);
    json_read_optional_choice(members, "hash_by", hashes, 2, &hash_by);
    json_read_optional_seconds(members, "slow_start", 0, SLOW_START_MAX_MS,
                               &pool->slow_start_ms);
    pool->balance = (enum pool_balance)balance;
    pool->hash_by = (enum pool_hash_by)hash_by;
    check_balance(members, pool);
}

/* A user's mail is not on a backup, unless the backends share a store. */
static void check_backups(const struct json_place *list,
                          const struct pool *pool)
{
    size_t backups = 0;

    for (size_t i = 0; i < pool->backend_count; i++)
        backups += pool->backends[i]->is_backup ? 1 : 0;
    if (backups > 0 && pool->when_down == POOL_REFUSE)
        json_place_fault(list, "a backup among them",
                         "none, or \"when_down\": \"next\" in this pool");
    else if (backups > 0 && backups == pool->backend_count)
        json_place_warning(list, "nothing but backups",
                           "one that is none: they are all used");
}

static uint32_t greatest_divisor(uint32_t one, uint32_t other)
{
    while (other != 0) {
        uint32_t rest = one % other;

        one = other;
        other = rest;
    }
    return one;
}

/* About the golden part of all places and without a common divisor, so that
 * each place has its turn once in a round, and a backend's turns lie apart. */
static uint32_t step_among(uint32_t places)
{
    uint32_t step = (uint32_t)((uint64_t)places * 618 / 1000);

    while (step < 1 || greatest_divisor(places, step) != 1)
        step++;
    return step;
}

static void sum_weights(struct pool *pool)
{
    uint32_t sum = 0;

    pool->weight_sums =
        mem_realloc_array(NULL, pool->backend_count, sizeof(uint32_t));
    for (size_t i = 0; i < pool->backend_count; i++) {
        sum += pool->backends[i]->weight;
        pool->weight_sums[i] = sum;
        pool->has_backups |= pool->backends[i]->is_backup;
    }
    pool->turns = mem_zalloc(sizeof(*pool->turns));
    pool->turn_step = sum == 0 ? 1 : step_among(sum);
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
