/* Whether a login that a backend has granted still leads there, after a reload
 * while it was under way. */
#include "session/attempt_private.h"

#include <string.h>

/* Under the rules for names of now. False: it is another user, or none. */
static bool is_same_user(const struct attempt *attempt,
                         const struct snapshot *now)
{
    const struct credentials *credentials = attempt->request.credentials;
    bool acts_for = credentials->authzid_len > 0;
    const uint8_t *name = acts_for ? credentials->authzid : credentials->user;
    size_t len = acts_for ? credentials->authzid_len : credentials->user_len;
    struct identity identity;

    return identity_normalise(&now->settings->auth.identity, name, len,
                              &identity) == IDENTITY_OK &&
           identity.user_len == attempt->identity.user_len &&
           memcmp(identity.user, attempt->identity.user, identity.user_len) ==
               0;
}

/* A database of users is no part of a reload: what it said still holds, of a
 * pool of that name. */
static bool look_up(const struct attempt *attempt, const struct snapshot *now,
                    struct route *route_out)
{
    if (attempt->identity.user_len == 0)
        return route_table_default(now->table, route_out) &&
               route_out->pool->balance != POOL_HASH;
    if (!is_same_user(attempt, now))
        return false;
    if (attempt->route.kind == ROUTE_USER &&
        route_table_has_user_database(now->table))
        return route_table_user_route(now->table, attempt->route.pool->name,
                                      false, route_out);
    return snapshot_find_route(now, &attempt->identity, route_out);
}

static bool is_same_name(const struct attempt *attempt,
                         const struct route *route)
{
    char login_as[sizeof(attempt->login_as)];

    if (route->login_as == NULL || attempt->route.login_as == NULL)
        return route->login_as == attempt->route.login_as;
    return route_login_as(route, &attempt->identity, login_as,
                          sizeof(login_as)) &&
           strcmp(login_as, attempt->login_as) == 0;
}

/* Whom a pool would choose first if all were well, or NULL. */
static const struct backend *first_choice(const struct attempt *attempt,
                                          const struct snapshot *snapshot,
                                          const struct pool *pool)
{
    const struct backend_config *config;
    struct pick pick;

    pick_start(&pick, pool, NULL, (const uint8_t *)attempt->identity.user,
               attempt->identity.user_len);
    config = pick_next(&pick, 0);
    return config == NULL ? NULL : backend_set_find(snapshot->backends, config);
}

static bool is_among(const struct backend *backend,
                     const struct snapshot *snapshot, const struct pool *pool)
{
    for (size_t i = 0; i < pool->backend_count; i++) {
        const struct backend_config *config = pool->backends[i];

        if (config->weight > 0 &&
            backend_set_find(snapshot->backends, config) == backend)
            return true;
    }
    return false;
}

/* Health is no part of the answer: who was sent to the second choice since the
 * first was down stays there while the first remains the same; and so does who
 * has sessions there. Backends are the same where name, host and port are. */
static bool still_leads_there(const struct attempt *attempt,
                              const struct snapshot *now,
                              const struct pool *pool)
{
    const struct backend *backend = attempt->target->facts;
    const struct backend *first;

    if (!is_among(backend, now, pool))
        return false;
    if (pool->balance != POOL_HASH || attempt->is_at_home)
        return true;
    first = first_choice(attempt, now, pool);
    return first == backend ||
           (attempt->route.pool->balance == POOL_HASH &&
            first ==
                first_choice(attempt, attempt->snapshot, attempt->route.pool));
}

bool attempt_route_holds(const struct attempt *attempt)
{
    const struct snapshot *now = attempt->env->snapshot;
    struct route route;

    if (attempt->env->takes_no_logins) /* what holds now is not known here */
        return false;
    return now == attempt->snapshot ||
           (look_up(attempt, now, &route) && !route.hold &&
            is_same_name(attempt, &route) &&
            still_leads_there(attempt, now, route.pool));
}
