#include "server_route.h"

#include "backend/pick.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* One question. */
struct route_query {
    struct route_query *next;
    struct server_routes *routes;
    struct admin_request *request;
    struct snapshot *snapshot;
    struct homes *homes; /* borrowed */
    struct identity identity;
    struct user_lookup *lookup; /* while the disk is asked */
};

static void end_query(struct route_query *query)
{
    struct route_query **at = &query->routes->first;

    while (*at != query)
        at = &(*at)->next;
    *at = query->next;
    user_lookup_drop(&query->lookup);
    snapshot_unref(&query->snapshot);
    free(query);
}

static void refuse(struct route_query *query, unsigned status, const char *why)
{
    admin_refuse(query->request, status, why);
    end_query(query);
}

static void add_candidate(struct text *out, const struct snapshot *snapshot,
                          const struct backend_config *config)
{
    struct backend_facts facts;

    backend_read_facts(backend_set_find(snapshot->backends, config), &facts);
    text_add(out, "\n  {\"name\": ");
    text_add_json(out, config->name);
    text_add(out, ", \"state\": \"%s\", \"why\": ",
             facts.state == BACKEND_UP ? "up" : "down");
    text_add_json(out, facts.state_why);
    text_add(out, ", \"mode\": \"%s\", \"sessions\": %u}",
             backend_mode_name(facts.mode), (unsigned)facts.sessions);
}

/* In the order in which a login would try them. */
static void add_candidates(struct text *out, const struct route_query *query,
                           const struct pool *pool)
{
    const struct backend_config *config;
    const char *comma = "";
    struct pick pick;

    pick_start(&pick, pool, query->snapshot->backends,
               (const uint8_t *)query->identity.user, query->identity.user_len);
    text_add(out, ",\n \"backends\": [");
    while ((config = pick_next(&pick, clock_now_ms())) != NULL) {
        text_add(out, "%s", comma);
        add_candidate(out, query->snapshot, config);
        comma = ",";
    }
    text_add(out, "]");
}

/* Where sessions of the user are now, which goes before the pool's order. */
static void add_home(struct text *out, const struct route_query *query)
{
    struct home_claim claim = {.at = NULL};
    bool has_home =
        homes_enter(query->homes, (const uint8_t *)query->identity.user,
                    query->identity.user_len, NULL, &claim);

    text_add(out, ",\n \"home\": ");
    text_add_json_or_null(out, has_home ? backend_name(claim.at) : NULL);
    homes_leave(query->homes, &claim);
}

static void answer(struct route_query *query, const struct route *route)
{
    struct text body = {.bytes = NULL};

    text_add(&body, "{\"name\": ");
    text_add_json(&body, query->identity.user);
    text_add(&body,
             ", \"rule\": \"%s\", \"key\": ", route_kind_name(route->kind));
    text_add_json(&body, route->kind == ROUTE_USER ? query->identity.user
                                                   : route->key);
    text_add(&body, ", \"pool\": ");
    text_add_json(&body, route->pool->name);
    text_add(&body, ", \"hold\": %s", route->hold ? "true" : "false");
    add_home(&body, query);
    add_candidates(&body, query, route->pool);
    text_add(&body, "}\n");
    admin_answer(query->request, ADMIN_OK, ADMIN_JSON, &body);
    end_query(query);
}

static void ask_table(struct route_query *query)
{
    struct route route;

    if (snapshot_find_route(query->snapshot, &query->identity, &route))
        answer(query, &route);
    else
        refuse(query, ADMIN_NOT_FOUND,
               "no rule is for this name, and \"default\" is missing");
}

static void on_looked_up(struct user_lookup *lookup, void *owner)
{
    struct route_query *query = owner;
    struct route route;

    switch (user_lookup_answer(lookup, &route)) {
    case USER_FOUND:
        answer(query, &route);
        break;
    case USER_UNKNOWN:
        ask_table(query);
        break;
    case USER_UNAVAILABLE:
        refuse(query, ADMIN_UNAVAILABLE, "the users on disk cannot be asked");
        break;
    }
}

static void ask_disk(struct route_query *query, uv_loop_t *loop)
{
    query->lookup = user_lookup_start(query->snapshot, loop, &query->identity,
                                      on_looked_up, query);
    if (query->lookup == NULL)
        refuse(query, ADMIN_UNAVAILABLE, "too many ask for users on disk");
}

void server_route_tell(struct server_routes *routes, uv_loop_t *loop,
                       struct admin_request *request,
                       const struct server_view *view)
{
    const struct settings *settings = view->snapshot->settings;
    const char *user = admin_parameter(request, "user");
    struct route_query *query;
    struct identity identity;

    if (user == NULL ||
        identity_normalise(&settings->auth.identity, (const uint8_t *)user,
                           strlen(user), &identity) != IDENTITY_OK) {
        admin_refuse(request, ADMIN_BAD_REQUEST, "\"user\" is no user's name");
        return;
    }
    query = mem_zalloc(sizeof(*query));
    query->routes = routes;
    query->request = request;
    query->snapshot = snapshot_ref(view->snapshot);
    query->homes = view->homes;
    query->identity = identity;
    query->next = routes->first;
    routes->first = query;
    if (query->snapshot->users == NULL)
        ask_table(query);
    else
        ask_disk(query, loop);
}

void server_route_stop(struct server_routes *routes)
{
    while (routes->first != NULL)
        end_query(routes->first);
}
