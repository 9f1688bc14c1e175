#include "command_route.h"

#include "backend/pick.h"
#include "provider.h"
#include "reason_lines.h"
#include "state/config_files.h"
#include "state/user_database.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What there is to be said about one user. */
struct explanation {
    const char *user; /* as the client would send it */
    struct identity identity;
    struct route route;
    FILE *out;
};

/* Where rules stand. */
struct rules {
    struct settings *settings;
    struct route_table *table;
    struct user_database *users; /* NULL: the table has them all */
};

static bool read_rules(const char *config_file, struct rules *rules,
                       struct reasons *reasons);
static int explain(const struct rules *rules, const char *user, FILE *out);
static bool find_route(const struct rules *rules, struct explanation *about);
static int explain_route(struct explanation *about);
static bool explain_login_as(const struct explanation *about);
static bool explain_backend(const struct explanation *about);
static void explain_next(const struct explanation *about,
                         const struct backend_config *first,
                         const struct backend_config *second);

int command_route_run(const char *config_file, const char *user, FILE *out,
                      FILE *problems)
{
    struct reasons *reasons = reasons_new();
    struct rules rules = {.table = NULL};
    int status = EXIT_FAILURE;

    if (read_rules(config_file, &rules, reasons))
        status = explain(&rules, user, out);
    reason_lines_print(reasons, problems);
    user_database_free(&rules.users);
    route_table_free(&rules.table);
    settings_free(&rules.settings);
    reasons_free(&reasons);
    return status;
}

static bool read_rules(const char *config_file, struct rules *rules,
                       struct reasons *reasons)
{
    if (!config_files_settings(provider_files(), config_file, &rules->settings,
                               reasons) ||
        !config_files_table(provider_files(), rules->settings, &rules->table,
                            reasons))
        return false;
    if (!route_table_has_user_database(rules->table))
        return true;
    rules->users =
        user_database_open(rules->table, rules->settings->routes, reasons);
    return rules->users != NULL;
}

__attribute__((format(printf, 3, 4))) static void
say(FILE *out, const char *label, const char *format, ...)
{
    va_list values;

    fprintf(out, "%-9s ", label);
    va_start(values, format);
    vfprintf(out, format, values);
    va_end(values);
    fprintf(out, "\n");
}

static int refuse(FILE *out, const char *why)
{
    say(out, "refused:", "%s", why);
    return EXIT_FAILURE;
}

static int explain(const struct rules *rules, const char *user, FILE *out)
{
    struct explanation about = {.user = user, .out = out};
    enum identity_result result = identity_normalise(
        &rules->settings->auth.identity, (const uint8_t *)user, strlen(user),
        &about.identity);

    if (result != IDENTITY_OK)
        return refuse(out, identity_result_text(result));
    say(out, "name:", "%s", about.identity.user);
    return find_route(rules, &about) ? explain_route(&about) : EXIT_FAILURE;
}

static bool find_route(const struct rules *rules, struct explanation *about)
{
    enum user_answer answer = USER_UNKNOWN;

    if (rules->users != NULL)
        answer =
            user_database_ask(rules->users, &about->identity, &about->route);
    switch (answer) {
    case USER_FOUND:
        about->route.key = about->identity.user;
        return true;
    case USER_UNKNOWN:
        if (route_table_find(rules->table, &about->identity, &about->route))
            return true;
        (void)refuse(about->out, "no rule is for this name, and \"default\" "
                                 "is missing");
        return false;
    case USER_UNAVAILABLE:
        break;
    }
    (void)refuse(about->out, "the database of users is busy or broken, or "
                             "names a pool or a hold that is none");
    return false;
}

static const char *balance_text(enum pool_balance balance)
{
    switch (balance) {
    case POOL_HASH:
        return "hash";
    case POOL_LEAST_SESSIONS:
        return "least-sessions";
    case POOL_ROUND_ROBIN:
        return "round-robin";
    }
    return "";
}

static const char *when_down_text(enum pool_when_down when_down)
{
    switch (when_down) {
    case POOL_REFUSE:
        return "refuse";
    case POOL_NEXT:
        return "next";
    }
    return "";
}

static int explain_route(struct explanation *about)
{
    const struct route *route = &about->route;
    const struct pool *pool = route->pool;
    bool is_good;

    say(about->out, "rule:", "%s %s",
        route->kind == ROUTE_DEFAULT ? "no user and no domain matches, so"
                                     : route_kind_name(route->kind),
        route->key);
    say(about->out, "pool:", "%s (balance %s, when_down %s)", pool->name,
        balance_text(pool->balance), when_down_text(pool->when_down));
    say(about->out, "hold:", "%s", route->hold ? "yes" : "no");
    is_good = explain_login_as(about);
    is_good = explain_backend(about) && is_good;
    say(about->out, "note:",
        "by the table alone; what is up and how busy is not known here%s",
        pool->one_backend_per_user
            ? ", nor where the user has sessions, which decides first"
            : "");
    if (route->hold)
        return refuse(about->out, "the rule holds logins back (\"hold\")");
    return is_good ? EXIT_SUCCESS : refuse(about->out, "for the reason above");
}

static bool explain_login_as(const struct explanation *about)
{
    const struct route *route = &about->route;
    char name[IDENTITY_MAX + 1]; /* as much as a session sends */

    if (route->login_as == NULL) {
        say(about->out, "login as:", "%s, as the client sent it", about->user);
        return true;
    }
    if (!route_login_as(route, &about->identity, name, sizeof(name))) {
        say(about->out, "login as:", "\"%s\" gives no name that can be sent",
            route->login_as);
        return false;
    }
    say(about->out, "login as:", "%s, from \"%s\"", name, route->login_as);
    return true;
}

static const char *tls_text(enum backend_tls tls)
{
    switch (tls) {
    case BACKEND_TLS_NONE:
        return "no TLS";
    case BACKEND_TLS_STARTTLS:
        return "STARTTLS";
    case BACKEND_TLS_IMPLICIT:
        return "implicit TLS";
    }
    return "";
}

static void say_backend(FILE *out, const struct backend_config *config)
{
    bool is_ipv6 = strchr(config->host, ':') != NULL;
    char name[300] = "";

    if (config->tls != BACKEND_TLS_NONE && config->verify)
        snprintf(name, sizeof(name), ", verified as %s", config->tls_name);
    else if (config->tls != BACKEND_TLS_NONE)
        snprintf(name, sizeof(name), ", not verified");
    say(out, "backend:", "%s at %s%s%s:%u, %s%s", config->name,
        is_ipv6 ? "[" : "", config->host, is_ipv6 ? "]" : "",
        (unsigned)config->port, tls_text(config->tls), name);
}

/* Backends that may be chosen, or backups, and the sum of their weights. */
static size_t count_candidates(const struct pool *pool, bool are_backups,
                               unsigned long *sum_out)
{
    size_t count = 0;

    *sum_out = 0;
    for (size_t i = 0; i < pool->backend_count; i++) {
        if (pool->backends[i]->is_backup != are_backups)
            continue;
        *sum_out += pool->backends[i]->weight;
        count += pool->backends[i]->weight > 0;
    }
    return count;
}

static void say_why(const struct explanation *about,
                    const struct backend_config *config)
{
    const struct pool *pool = about->route.pool;
    unsigned long sum;
    size_t count = count_candidates(pool, config->is_backup, &sum);

    if (count == 1) {
        say(about->out, "why:", "the only backend of the pool%s",
            pool->backend_count == 1 ? ""
            : pool->has_backups      ? " with a weight above 0 and no backup"
                                     : " with a weight above 0");
        return;
    }
    switch (pool->balance) {
    case POOL_HASH:
        say(about->out, "why:",
            "first of %zu by the hash of backend and %s; weight %u of %lu",
            count, pool->hash_by == POOL_BY_DOMAIN ? "domain" : "name",
            config->weight, sum);
        break;
    case POOL_LEAST_SESSIONS:
        say(about->out,
            "why:", "first of %zu while all have no sessions; weight %u of %lu",
            count, config->weight, sum);
        break;
    case POOL_ROUND_ROBIN:
        say(about->out, "why:", "one of %zu that take turns; weight %u of %lu",
            count, config->weight, sum);
        break;
    }
}

static const char *proxy_text(enum backend_proxy proxy)
{
    switch (proxy) {
    case BACKEND_PROXY_NONE:
        return "";
    case BACKEND_PROXY_V1:
        return "PROXY v1";
    case BACKEND_PROXY_V2:
        return "PROXY v2";
    }
    return "";
}

/* Said only where there is something to be said. */
static void say_state(const struct explanation *about,
                      const struct backend_config *config)
{
    if (config->mode != BACKEND_READY)
        say(about->out, "state:", "%s, so it takes nobody%s",
            backend_mode_name(config->mode),
            config->mode == BACKEND_DRAINING ? " without a session there" : "");
    if (config->max_sessions > 0)
        say(about->out, "most:", "%u sessions", config->max_sessions);
}

/* Likewise. */
static void say_client(const struct explanation *about,
                       const struct backend_config *config)
{
    const struct master_config *master =
        route_table_master(about->route.pool, config);
    const char *proxy = proxy_text(config->proxy_protocol);

    if (proxy[0] != '\0' || config->send_id)
        say(about->out, "client:", "told by %s%s%s%s", proxy,
            proxy[0] != '\0' && config->send_id ? " and " : "",
            config->send_id ? "ID" : "",
            config->forward_id ? " with what the client's own says" : "");
    if (master != NULL)
        say(about->out, "master:", "%s, set by the %s, for EXTERNAL only",
            master->user, master == &config->master ? "backend" : "pool");
}

static bool explain_backend(const struct explanation *about)
{
    struct pool pool = *about->route.pool;
    const struct backend_config *first;
    struct pick pick;

    /* Past the first also where the pool would refuse: see explain_next. */
    pool.when_down = POOL_NEXT;
    pick_start(&pick, &pool, NULL, (const uint8_t *)about->identity.user,
               about->identity.user_len);
    first = pick_next(&pick, 0);
    if (first == NULL) {
        say(about->out,
            "backend:", "none: every backend of the pool has weight 0");
        return false;
    }
    say_backend(about->out, first);
    say_why(about, first);
    say_state(about, first);
    say_client(about, first);
    explain_next(about, first, pick_next(&pick, 0));
    return first->mode == BACKEND_READY ||
           about->route.pool->when_down == POOL_NEXT;
}

static const char *when_text(enum backend_mode mode)
{
    switch (mode) {
    case BACKEND_READY:
        return "when that one is down";
    case BACKEND_DRAINING:
        return "since that one is draining";
    case BACKEND_MAINTENANCE:
        return "since that one is in maintenance";
    }
    return "";
}

static void explain_next(const struct explanation *about,
                         const struct backend_config *first,
                         const struct backend_config *second)
{
    if (second == NULL)
        say(about->out, "next:", "none");
    else if (about->route.pool->when_down == POOL_NEXT)
        say(about->out, "next:", "%s, %s", second->name,
            when_text(first->mode));
    else
        say(about->out, "next:",
            "none while that one is down (when_down refuse); %s once it is "
            "taken out of the pool",
            second->name);
}
