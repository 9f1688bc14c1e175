/* Who goes where by routes.json, and what a user costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "config/route_table.h"
#include "route_case.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

#define FILE_NAME "/etc/gatepost/routes.json"

static struct route_table *parse(const char *text)
{
    struct route_table *table =
        route_case_parse(text, FILE_NAME, route_case_rules(), "");

    assert_non_null(table);
    return table;
}

static struct identity identity_of(const char *name)
{
    struct identity identity;

    assert_int_equal(identity_normalise(route_case_rules(),
                                        (const uint8_t *)name, strlen(name),
                                        &identity),
                     IDENTITY_OK);
    return identity;
}

static void assert_route(const struct route_table *table, const char *name,
                         enum route_kind kind, const char *key,
                         const char *pool)
{
    struct identity identity = identity_of(name);
    struct route route;

    assert_true(route_table_find(table, &identity, &route));
    assert_int_equal(route.kind, kind);
    assert_string_equal(route.key, key);
    assert_string_equal(route.pool->name, pool);
}

static void assert_no_route(const struct route_table *table, const char *name)
{
    struct identity identity = identity_of(name);
    struct route route;

    assert_false(route_table_find(table, &identity, &route));
}

static void a_backend_has_what_the_file_says(void **state)
{
    struct route_table *table = parse(ROUTE_CASE_BACKEND(
        "\"host\": \"imap.example.org\", \"port\": 65535, \"tls\": "
        "\"starttls\", \"tls_name\": \"b.example.org\", \"ca\": "
        "\"ca.pem\", \"certificate\": \"/c.pem\", \"key\": "
        "\"../k.pem\", \"weight\": 1000, \"warm\": 64, \"state\": "
        "\"maintenance\", \"max_sessions\": 7"));
    size_t count;
    const struct backend_config *backend = route_table_backends(table, &count);

    (void)state;
    assert_int_equal(count, 1);
    assert_string_equal(backend->name, "b");
    assert_string_equal(backend->host, "imap.example.org");
    assert_int_equal(backend->port, 65535);
    assert_int_equal(backend->tls, BACKEND_TLS_STARTTLS);
    assert_string_equal(backend->tls_name, "b.example.org");
    assert_string_equal(backend->ca, "/etc/gatepost/ca.pem");
    assert_string_equal(backend->certificate, "/c.pem");
    assert_string_equal(backend->key, "/etc/gatepost/../k.pem");
    assert_int_equal(backend->weight, 1000);
    assert_int_equal(backend->warm, 64);
    assert_int_equal(backend->mode, BACKEND_MAINTENANCE);
    assert_int_equal(backend->max_sessions, 7);
    assert_true(backend->verify);
    assert_false(backend->allow_cleartext);
    route_table_free(&table);
}

static void a_backend_has_the_designed_defaults(void **state)
{
    struct route_table *table = parse(
        ROUTE_CASE_BACKEND("\"host\": \"imap.example.org.\", \"port\": 993, "
                           "\"tls\": \"implicit\""));
    size_t count;
    const struct backend_config *backend = route_table_backends(table, &count);

    (void)state;
    assert_string_equal(backend->host, "imap.example.org.");
    assert_string_equal(backend->tls_name, "imap.example.org");
    assert_null(backend->ca);
    assert_null(backend->certificate);
    assert_null(backend->key);
    assert_true(backend->verify);
    assert_int_equal(backend->weight, 1);
    assert_int_equal(backend->warm, 0);
    assert_int_equal(backend->mode, BACKEND_READY);
    assert_int_equal(backend->max_sessions, 0);
    assert_false(backend->is_backup);
    route_table_free(&table);
}

static void a_pool_has_what_the_file_says(void **state)
{
    struct route_table *table =
        parse(ROUTE_CASE_POOL("\"backends\": [\"b2\", \"b1\"], \"balance\": "
                              "\"least-sessions\", \"when_down\": \"next\", "
                              "\"slow_start\": 1.5, "
                              "\"one_backend_per_user\": false"));
    size_t count;
    const struct pool *pool = route_table_pools(table, &count);

    (void)state;
    assert_int_equal(count, 1);
    assert_string_equal(pool->name, "p");
    assert_int_equal(pool->backend_count, 2);
    assert_string_equal(pool->backends[0]->name, "b2");
    assert_string_equal(pool->backends[1]->name, "b1");
    assert_int_equal(pool->weight_sums[0], pool->backends[0]->weight);
    assert_int_equal(pool->weight_sums[1],
                     pool->backends[0]->weight + pool->backends[1]->weight);
    assert_int_equal(pool->balance, POOL_LEAST_SESSIONS);
    assert_int_equal(pool->slow_start_ms, 1500);
    assert_false(pool->one_backend_per_user);
    assert_int_equal(pool->when_down, POOL_NEXT);
    route_table_free(&table);
}

static void turns_go_round_all_places(void **state)
{
    (void)state;
    for (unsigned weight = 0; weight <= 1000; weight++) {
        char text[512];
        struct route_table *table;
        const struct pool *pool;
        size_t count;
        uint64_t sum;

        snprintf(text, sizeof(text),
                 "{\"backends\": {\"b\": {\"host\": \"::1\", \"port\": 1, "
                 "\"tls\": \"none\", \"weight\": %u}, \"c\": {\"host\": "
                 "\"::1\", \"port\": 2, \"tls\": \"none\"}}, \"pools\": "
                 "{\"p\": {\"backends\": [\"b\", \"c\"], \"balance\": "
                 "\"round-robin\"}}, \"default\": \"p\"}",
                 weight);
        table = parse(text);
        pool = route_table_pools(table, &count);
        sum = pool->weight_sums[1];

        assert_int_equal(pool->balance, POOL_ROUND_ROBIN);
        assert_int_equal(sum, weight + 1);
        for (uint64_t i = 1; i < sum; i++)
            assert_true(i * pool->turn_step % sum != 0);
        route_table_free(&table);
    }
}

static void a_pool_hashes_and_refuses_by_default(void **state)
{
    struct route_table *table =
        parse(ROUTE_CASE_POOL("\"backends\": [\"b1\", \"b2\"]"));
    size_t count;
    const struct pool *pool = route_table_pools(table, &count);

    (void)state;
    assert_int_equal(pool->balance, POOL_HASH);
    assert_int_equal(pool->hash_by, POOL_BY_USER);
    assert_int_equal(pool->slow_start_ms, 0);
    assert_true(pool->one_backend_per_user);
    assert_false(pool->has_backups);
    assert_int_equal(pool->when_down, POOL_REFUSE);
    route_table_free(&table);
}

static void an_exact_user_comes_before_all_else(void **state)
{
    struct route_table *table = parse(ROUTE_CASE_RULES(
        "\"users\": {\"alice@a.example.org\": \"p1\"}, \"domains\": "
        "{\"a.example.org\": \"p2\", \"*.example.org\": \"p2\"}, "
        "\"default\": \"p2\""));

    (void)state;
    assert_route(table, "alice@a.example.org", ROUTE_USER,
                 "alice@a.example.org", "p1");
    assert_int_equal(route_table_user_count(table), 1);
    assert_int_equal(route_table_domain_count(table), 2);
    route_table_free(&table);
}

static void an_exact_domain_comes_before_a_wildcard(void **state)
{
    struct route_table *table = parse(
        ROUTE_CASE_RULES("\"domains\": {\"*.example.org\": \"p2\", "
                         "\"a.example.org\": \"p1\"}, \"default\": \"p2\""));

    (void)state;
    assert_route(table, "bob@a.example.org", ROUTE_DOMAIN, "a.example.org",
                 "p1");
    route_table_free(&table);
}

static void the_longest_wildcard_wins(void **state)
{
    struct route_table *table = parse(ROUTE_CASE_RULES(
        "\"domains\": {\"*.org\": \"p2\", \"*.b.example.org\": "
        "\"p1\", \"*.example.org\": \"p2\"}"));

    (void)state;
    assert_route(table, "x@a.b.example.org", ROUTE_WILDCARD, "*.b.example.org",
                 "p1");
    assert_route(table, "x@b.example.org", ROUTE_WILDCARD, "*.example.org",
                 "p2");
    assert_route(table, "x@example.org", ROUTE_WILDCARD, "*.org", "p2");
    route_table_free(&table);
}

static void a_wildcard_stands_for_one_label_or_more(void **state)
{
    struct route_table *table = parse(
        ROUTE_CASE_RULES("\"domains\": {\"*.example.net\": \"p1\"}, \"users\": "
                         "{\"y\": \"p2\"}"));

    (void)state;
    assert_route(table, "x@a.example.net", ROUTE_WILDCARD, "*.example.net",
                 "p1");
    assert_route(table, "x@a.b.example.net", ROUTE_WILDCARD, "*.example.net",
                 "p1");
    assert_no_route(table, "x@example.net");
    assert_no_route(table, "x@.example.net");
    assert_no_route(table, "x@aexample.net");
    assert_no_route(table, "x@a.example.net.");
    assert_no_route(table, "x@a.example.ne");
    route_table_free(&table);
}

static void the_default_takes_the_rest(void **state)
{
    struct route_table *table = parse(ROUTE_CASE_RULES(
        "\"users\": {\"alice\": \"p1\"}, \"default\": \"p2\""));

    (void)state;
    assert_route(table, "bob", ROUTE_DEFAULT, "default", "p2");
    assert_route(table, "bob@example.org", ROUTE_DEFAULT, "default", "p2");
    assert_route(table, "@", ROUTE_DEFAULT, "default", "p2");
    route_table_free(&table);
}

static void no_rule_and_no_default_is_no_route(void **state)
{
    struct route_table *table =
        parse(ROUTE_CASE_RULES("\"users\": {\"alice\": \"p1\"}, \"domains\": "
                               "{\"example.org\": \"p2\"}"));

    (void)state;
    assert_no_route(table, "bob");
    assert_no_route(table, "bob@example.com");
    assert_no_route(table, "bob@");
    route_table_free(&table);
}

/* threats.md, D2: names of strangers are never patterns. */
static void odd_names_match_nothing(void **state)
{
    static const char *const names[] = {
        "*",
        "*@*",
        "*@*.example.org",
        "%@example.com",
        "a@b@c",
        "@",
        "@@",
        "../@example.com",
        "x@*.",
        "x@.",
        "x@..",
        ".*@example.com",
        "{user}@x",
        "x@example",
        "x@org",
        " alice@example.org",
        "alice@example.org ",
    };
    struct route_table *table = parse(ROUTE_CASE_RULES(
        "\"users\": {\"alice@example.org\": \"p1\"}, \"domains\": "
        "{\"*.example.org\": \"p2\"}"));

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct identity identity = identity_of(names[i]);
        struct route route;
        bool is_found = route_table_find(table, &identity, &route);

        /* "*" is a label like any other. */
        assert_int_equal(is_found, strcmp(names[i], "*@*.example.org") == 0);
    }
    route_table_free(&table);
}

static void keys_are_normalised_like_logins(void **state)
{
    struct route_table *table;

    (void)state;
    route_case_rules()->default_domain = mem_strdup("example.org");
    table =
        parse(ROUTE_CASE_RULES("\"users\": {\"ALICE\": \"p1\", \"Bob@X.org\": "
                               "\"p2\"}, \"domains\": {\"Y.ORG\": \"p1\", "
                               "\"*.Z.org\": \"p2\"}"));

    assert_route(table, "alice@EXAMPLE.org", ROUTE_USER, "alice@example.org",
                 "p1");
    assert_route(table, "bob@x.org", ROUTE_USER, "bob@x.org", "p2");
    assert_route(table, "x@y.org", ROUTE_DOMAIN, "y.org", "p1");
    assert_route(table, "x@A.z.ORG", ROUTE_WILDCARD, "*.z.org", "p2");
    route_table_free(&table);
}

static void a_rule_may_be_an_object(void **state)
{
    struct route_table *table = parse(ROUTE_CASE_RULES(
        "\"users\": {\"a\": {\"pool\": \"p1\"}, \"b\": {\"pool\": "
        "\"p2\", \"login_as\": \"bob\"}, \"c\": {\"pool\": \"p1\", "
        "\"hold\": true}, \"d\": {\"pool\": \"p1\", \"login_as\": "
        "\"d\", \"hold\": false}}, \"default\": {\"pool\": \"p2\", "
        "\"login_as\": \"{local}\"}"));
    static const struct {
        const char *name;
        const char *pool;
        const char *login_as;
        bool hold;
    } cases[] = {
        {"a", "p1", NULL, false},      {"b", "p2", "bob", false},
        {"c", "p1", NULL, true},       {"d", "p1", "d", false},
        {"e", "p2", "{local}", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct identity identity = identity_of(cases[i].name);
        struct route route;

        assert_true(route_table_find(table, &identity, &route));
        assert_string_equal(route.pool->name, cases[i].pool);
        assert_int_equal(route.hold, cases[i].hold);
        if (cases[i].login_as == NULL)
            assert_null(route.login_as);
        else
            assert_string_equal(route.login_as, cases[i].login_as);
    }
    route_table_free(&table);
}

/* What is shared between neighbours must not be mixed up. */
static void equal_rules_share_and_others_do_not(void **state)
{
    struct route_table *table = parse(ROUTE_CASE_RULES(
        "\"users\": {\"a\": {\"pool\": \"p1\", \"login_as\": \"x\"}, \"b\": "
        "{\"pool\": \"p1\", \"login_as\": \"x\"}, \"c\": {\"pool\": \"p2\", "
        "\"login_as\": \"x\"}, \"d\": {\"pool\": \"p2\", \"login_as\": \"x\", "
        "\"hold\": true}, \"e\": {\"pool\": \"p2\", \"hold\": true}, \"f\": "
        "{\"pool\": \"p2\", \"login_as\": \"y\", \"hold\": true}}"));
    static const char *const expected[] = {"p1x-", "p1x-", "p2x-",
                                           "p2x+", "p2+",  "p2y+"};

    (void)state;
    for (size_t i = 0; i < COUNT(expected); i++) {
        char name[2] = {(char)('a' + i), '\0'};
        struct identity identity = identity_of(name);
        struct route route;
        char text[32];

        assert_true(route_table_find(table, &identity, &route));
        (void)snprintf(text, sizeof(text), "%s%s%s", route.pool->name,
                       route.login_as == NULL ? "" : route.login_as,
                       route.hold ? "+" : "-");
        assert_string_equal(text, expected[i]);
    }
    route_table_free(&table);
}

static void assert_login_as(const char *text, const char *name,
                            const char *expected)
{
    struct identity identity = identity_of(name);
    struct route route = {.login_as = text};
    char out[64];

    assert_true(route_login_as(&route, &identity, out, sizeof(out)));
    assert_string_equal(out, expected);
}

static void login_as_expands_the_three_words(void **state)
{
    (void)state;
    assert_login_as("bob", "alice@example.org", "bob");
    assert_login_as("{user}", "Alice@example.org", "alice@example.org");
    assert_login_as("{local}", "alice@example.org", "alice");
    assert_login_as("{domain}/{local}+x", "a@b.org", "b.org/a+x");
    assert_login_as("{local}{local}", "ab", "abab");
    assert_login_as("x{domain}", "bare", "x");
}

/* CVE-2017-2669 */
static void login_as_never_expands_what_a_name_brings(void **state)
{
    (void)state;
    assert_login_as("{local}", "{domain}@example.org", "{domain}");
    assert_login_as("{user}", "{user}", "{user}");
    assert_login_as("{local}r}", "{use@x", "{user}");
}

static void login_as_keeps_within_its_room(void **state)
{
    struct identity identity = identity_of("alice@example.org");
    struct route route = {.login_as = "{local}"};
    char out[8] = "#######";

    (void)state;
    assert_true(route_login_as(&route, &identity, out, 6));
    assert_string_equal(out, "alice");
    assert_false(route_login_as(&route, &identity, out, 5));
    assert_false(route_login_as(&route, &identity, out, 0));
    assert_memory_equal(out + 6, "#", 2);
}

static void login_as_is_never_empty(void **state)
{
    struct identity identity = identity_of("@example.org");
    struct route local = {.login_as = "{local}"};
    struct route none = {.login_as = NULL};
    char out[8];

    (void)state;
    assert_false(route_login_as(&local, &identity, out, sizeof(out)));
    assert_false(route_login_as(&none, &identity, out, sizeof(out)));
}

/* Every user's own login_as is the dearest form of all. */
static char *many_users(size_t count, bool with_login_as, size_t *len_out)
{
    size_t size = count * 100 + 1024;
    char *text = mem_alloc(size);
    size_t len = (size_t)snprintf(text, size, "%.*s",
                                  (int)(strlen(ROUTE_CASE_RULES("")) - 1),
                                  ROUTE_CASE_RULES(""));

    len += (size_t)snprintf(text + len, size - len,
                            "\"default\": \"p1\", \"users\": {\"x\": \"p1\"");
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(
            text + len, size - len,
            with_login_as ? ",\"user%06zu@example.org\":{\"pool\":\"p2\","
                            "\"login_as\":\"u%06zu\"}"
                          : ",\"user%06zu@example.org\":\"p%zu\"",
            i, with_login_as ? i : i % 2 + 1);
    len += (size_t)snprintf(text + len, size - len, "}}");
    *len_out = len;
    return text;
}

static struct route_table *parse_many(size_t count, bool with_login_as)
{
    size_t len;
    char *text = many_users(count, with_login_as, &len);
    struct reasons *reasons = reasons_new();
    struct route_table *table = NULL;

    assert_true(route_table_parse((const uint8_t *)text, len, "f",
                                  route_case_rules(), &table, reasons));
    assert_int_equal(route_table_user_count(table), count + 1);
    reasons_free(&reasons);
    free(text);
    return table;
}

static void a_user_costs_little_beyond_the_name(void **state)
{
    static const size_t limits[] = {20, 42};
    size_t count = 100000;

    (void)state;
    for (size_t kind = 0; kind < 2; kind++) {
        struct route_table *table = parse_many(count, kind == 1);
        size_t names = count * strlen("user000000@example.org");
        size_t each = (route_table_memory(table) - names) / count;

        print_message("%zu bytes a user beyond the name%s\n", each,
                      kind == 1 ? ", with a login_as of its own" : "");
        assert_in_range(each, 10, limits[kind]);
        route_table_free(&table);
    }
}

static void every_one_of_many_users_is_found(void **state)
{
    struct route_table *table = parse_many(100000, true);
    char name[64];

    (void)state;
    for (size_t i = 0; i < 100000; i++) {
        struct identity identity;
        struct route route;
        char login_as[16];

        (void)snprintf(name, sizeof(name), "user%06zu@example.org", i);
        identity = identity_of(name);
        assert_true(route_table_find(table, &identity, &route));
        (void)snprintf(name, sizeof(name), "u%06zu", i);
        assert_true(route_login_as(&route, &identity, login_as, 16));
        assert_string_equal(login_as, name);
    }
    route_table_free(&table);
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) +
           (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static double seconds_to_find(const struct route_table *table,
                              const struct identity *identities, size_t count)
{
    struct timespec start;
    struct route route;

    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    for (size_t i = 0; i < count; i++)
        assert_true(route_table_find(table, &identities[i], &route));
    return seconds_since(&start) / (double)count;
}

/* threats.md, D3. The bounds are wide, for sanitizers and busy machines; the
 * printed figures are what a lookup takes. */
static void a_lookup_is_quick_whoever_asks(void **state)
{
    enum {
        COUNT_OF_USERS = 20000
    };
    struct route_table *table = parse_many(100000, false);
    struct identity *identities =
        mem_realloc_array(NULL, COUNT_OF_USERS, sizeof(*identities));
    char name[IDENTITY_MAX + 1];

    (void)state;
    for (size_t i = 0; i < COUNT_OF_USERS; i++) {
        (void)snprintf(name, sizeof(name), "user%06zu@example.org", i * 5);
        identities[i] = identity_of(name);
    }
    double known = seconds_to_find(table, identities, COUNT_OF_USERS);

    memset(name, 'a', sizeof(name) - 1);
    name[IDENTITY_MAX] = '\0';
    for (size_t i = 6; i < IDENTITY_MAX; i += 2)
        name[i] = i == 6 ? '@' : '.';
    for (size_t i = 0; i < COUNT_OF_USERS; i++) {
        name[i % 6] = (char)('a' + i % 26);
        identities[i] = identity_of(name);
    }
    double hostile = seconds_to_find(table, identities, COUNT_OF_USERS);

    print_message("%.0f ns for a user of the table, %.0f ns for 512 bytes\n",
                  known * 1e9, hostile * 1e9);
    assert_true(known < 1e-4);
    assert_true(hostile < 1e-3);
    free(identities);
    route_table_free(&table);
}

#define CLAIM(claim)                                                           \
    cmocka_unit_test_setup_teardown(claim, route_case_set_up,                  \
                                    route_case_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_backend_has_what_the_file_says),
        CLAIM(a_backend_has_the_designed_defaults),
        CLAIM(a_pool_has_what_the_file_says),
        CLAIM(a_pool_hashes_and_refuses_by_default),
        CLAIM(turns_go_round_all_places),
        CLAIM(an_exact_user_comes_before_all_else),
        CLAIM(an_exact_domain_comes_before_a_wildcard),
        CLAIM(the_longest_wildcard_wins),
        CLAIM(a_wildcard_stands_for_one_label_or_more),
        CLAIM(the_default_takes_the_rest),
        CLAIM(no_rule_and_no_default_is_no_route),
        CLAIM(odd_names_match_nothing),
        CLAIM(keys_are_normalised_like_logins),
        CLAIM(a_rule_may_be_an_object),
        CLAIM(equal_rules_share_and_others_do_not),
        CLAIM(login_as_expands_the_three_words),
        CLAIM(login_as_never_expands_what_a_name_brings),
        CLAIM(login_as_keeps_within_its_room),
        CLAIM(login_as_is_never_empty),
        CLAIM(a_user_costs_little_beyond_the_name),
        CLAIM(every_one_of_many_users_is_found),
        CLAIM(a_lookup_is_quick_whoever_asks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
