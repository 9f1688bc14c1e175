/* routes.json: who goes where, what is refused, what a user costs. */
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
#include "reasons_text.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

#define FILE_NAME "/etc/gatepost/routes.json"

/* Two backends and two pools, with room for rules. */
#define RULES(members)                                                         \
    "{\"backends\": {\"b1\": {\"host\": \"10.0.0.1\", \"port\": 993, "         \
    "\"tls\": \"implicit\"}, \"b2\": {\"host\": \"b2.example.org\", "          \
    "\"port\": 143, \"tls\": \"starttls\"}}, \"pools\": {\"p1\": "             \
    "{\"backends\": [\"b1\", \"b2\"]}, \"p2\": {\"backends\": "                \
    "[\"b2\"]}}, " members "}"

/* One backend of these members. */
#define BACKEND(members)                                                       \
    "{\"backends\": {\"b\": {" members "}}, \"pools\": {\"p\": "               \
    "{\"backends\": [\"b\"]}}, \"default\": \"p\"}"

/* One pool of these members. */
#define POOL(members)                                                          \
    "{\"backends\": {\"b1\": {\"host\": \"::1\", \"port\": 1, \"tls\": "       \
    "\"none\"}, \"b2\": {\"host\": \"::1\", \"port\": 2, \"tls\": "            \
    "\"none\"}}, \"pools\": {\"p\": {" members "}}, \"default\": \"p\"}"

static struct identity_rules rules;

static int set_up(void **state)
{
    (void)state;
    identity_rules_init(&rules);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    identity_rules_deinit(&rules);
    return 0;
}

/* NULL when the table was refused; expected: all reasons, also warnings. */
static struct route_table *parse_as(const char *text, const char *file,
                                    const char *expected)
{
    struct reasons *reasons = reasons_new();
    struct route_table *table = NULL;
    bool is_parsed = route_table_parse((const uint8_t *)text, strlen(text),
                                       file, &rules, &table, reasons);
    char *lines = reasons_text(reasons);

    assert_string_equal(lines, expected);
    assert_int_equal(is_parsed, table != NULL);
    assert_int_equal(is_parsed, !reasons_has_errors(reasons));
    free(lines);
    reasons_free(&reasons);
    return table;
}

static struct route_table *parse(const char *text)
{
    struct route_table *table = parse_as(text, FILE_NAME, "");

    assert_non_null(table);
    return table;
}

static void assert_warned(const char *text, const char *expected)
{
    struct route_table *table = parse_as(text, "f", expected);

    assert_non_null(table);
    route_table_free(&table);
    assert_null(table);
}

struct refusal {
    const char *text;
    const char *reason;
};

static void assert_all_refused(const struct refusal *refusals, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_null(parse_as(refusals[i].text, "f", refusals[i].reason));
}

static struct identity identity_of(const char *name)
{
    struct identity identity;

    assert_int_equal(identity_normalise(&rules, (const uint8_t *)name,
                                        strlen(name), &identity),
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
    struct route_table *table = parse(
        BACKEND("\"host\": \"imap.example.org\", \"port\": 65535, \"tls\": "
                "\"starttls\", \"tls_name\": \"b.example.org\", \"ca\": "
                "\"ca.pem\", \"certificate\": \"/c.pem\", \"key\": "
                "\"../k.pem\", \"weight\": 1000"));
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
    assert_true(backend->verify);
    assert_false(backend->allow_cleartext);
    route_table_free(&table);
}

static void a_backend_has_the_designed_defaults(void **state)
{
    struct route_table *table =
        parse(BACKEND("\"host\": \"imap.example.org.\", \"port\": 993, "
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
    route_table_free(&table);
}

static void a_pool_has_what_the_file_says(void **state)
{
    struct route_table *table =
        parse(POOL("\"backends\": [\"b2\", \"b1\"], \"balance\": "
                   "\"least-sessions\", \"when_down\": \"next\""));
    size_t count;
    const struct pool *pool = route_table_pools(table, &count);

    (void)state;
    assert_int_equal(count, 1);
    assert_string_equal(pool->name, "p");
    assert_int_equal(pool->backend_count, 2);
    assert_string_equal(pool->backends[0]->name, "b2");
    assert_string_equal(pool->backends[1]->name, "b1");
    assert_int_equal(pool->balance, POOL_LEAST_SESSIONS);
    assert_int_equal(pool->when_down, POOL_NEXT);
    route_table_free(&table);
}

static void a_pool_hashes_and_refuses_by_default(void **state)
{
    struct route_table *table = parse(POOL("\"backends\": [\"b1\", \"b2\"]"));
    size_t count;
    const struct pool *pool = route_table_pools(table, &count);

    (void)state;
    assert_int_equal(pool->balance, POOL_HASH);
    assert_int_equal(pool->when_down, POOL_REFUSE);
    route_table_free(&table);
}

static void an_exact_user_comes_before_all_else(void **state)
{
    struct route_table *table = parse(
        RULES("\"users\": {\"alice@a.example.org\": \"p1\"}, \"domains\": "
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
    struct route_table *table =
        parse(RULES("\"domains\": {\"*.example.org\": \"p2\", "
                    "\"a.example.org\": \"p1\"}, \"default\": \"p2\""));

    (void)state;
    assert_route(table, "bob@a.example.org", ROUTE_DOMAIN, "a.example.org",
                 "p1");
    route_table_free(&table);
}

static void the_longest_wildcard_wins(void **state)
{
    struct route_table *table =
        parse(RULES("\"domains\": {\"*.org\": \"p2\", \"*.b.example.org\": "
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
    struct route_table *table =
        parse(RULES("\"domains\": {\"*.example.net\": \"p1\"}, \"users\": "
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
    struct route_table *table =
        parse(RULES("\"users\": {\"alice\": \"p1\"}, \"default\": \"p2\""));

    (void)state;
    assert_route(table, "bob", ROUTE_DEFAULT, "default", "p2");
    assert_route(table, "bob@example.org", ROUTE_DEFAULT, "default", "p2");
    assert_route(table, "@", ROUTE_DEFAULT, "default", "p2");
    route_table_free(&table);
}

static void no_rule_and_no_default_is_no_route(void **state)
{
    struct route_table *table =
        parse(RULES("\"users\": {\"alice\": \"p1\"}, \"domains\": "
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
    struct route_table *table =
        parse(RULES("\"users\": {\"alice@example.org\": \"p1\"}, \"domains\": "
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
    rules.default_domain = mem_strdup("example.org");
    table = parse(RULES("\"users\": {\"ALICE\": \"p1\", \"Bob@X.org\": "
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
    struct route_table *table =
        parse(RULES("\"users\": {\"a\": {\"pool\": \"p1\"}, \"b\": {\"pool\": "
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
    struct route_table *table = parse(RULES(
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

static void what_must_be_there_is_missed(void **state)
{
    static const struct refusal refusals[] = {
        {"{}", "f: $.backends: found nothing, expected an object of backends\n"
               "f: $.pools: found nothing, expected an object of pools\n"
               "f: warning: $: found neither users, domains nor default, "
               "expected a rule: every login is refused\n"},
        {BACKEND(""),
         "f: $.backends.b.host: found nothing, expected a host name or an IP "
         "address\n"
         "f: $.backends.b.port: found nothing, expected a port\n"
         "f: $.backends.b.tls: found nothing, expected \"implicit\", "
         "\"starttls\" or \"none\"\n"},
        {POOL(""),
         "f: $.pools.p.backends: found nothing, expected a list of backends\n"},
        {RULES("\"default\": {\"login_as\": \"x\"}"),
         "f: $.default.pool: found nothing, expected the name of a pool\n"},
    };

    (void)state;
    assert_all_refused(refusals, COUNT(refusals));
}

/* threats.md, H8 */
static void empty_objects_and_lists_are_refused(void **state)
{
    static const struct refusal refusals[] = {
        {"{\"backends\": {}, \"pools\": {}, \"default\": \"p\"}",
         "f: $.backends: found an empty object, expected an object with at "
         "least one entry\n"
         "f: $.pools: found an empty object, expected an object with at least "
         "one entry\n"},
        {POOL("\"backends\": []"),
         "f: $.pools.p.backends: found an empty list, expected a list of 1 to "
         "65535 items\n"},
        {RULES("\"default\": \"\""),
         "f: $.default: found \"\", expected the name of a pool\n"},
        {RULES("\"users\": {\"\": \"p1\"}"),
         "f: $.users[\"\"]: found this key, expected a user name of 1 to 512 "
         "bytes, without control characters and without a master user\n"},
    };

    (void)state;
    assert_all_refused(refusals, COUNT(refusals));
}

static void backends_are_checked(void **state)
{
    static const struct refusal refusals[] = {
        {BACKEND("\"host\": \"a b\", \"port\": 65536, \"tls\": \"ssl\", "
                 "\"weight\": 1001, \"verify\": false, \"wieght\": 1"),
         "f: $.backends.b.host: found \"a b\", expected a host name or an IP "
         "address\n"
         "f: $.backends.b.port: found 65536, expected a whole number from 1 "
         "to 65535\n"
         "f: $.backends.b.tls: found \"ssl\", expected \"implicit\", "
         "\"starttls\" or \"none\"\n"
         "f: $.backends.b.verify: found false, expected \"full\" or "
         "\"none\"\n"
         "f: $.backends.b.weight: found 1001, expected a whole number from 0 "
         "to 1000\n"
         "f: $.backends.b.wieght: found an unknown key, expected "
         "\"weight\"\n"},
        {BACKEND("\"host\": \"h\", \"port\": 1, \"tls\": \"implicit\", "
                 "\"certificate\": \"c\""),
         "f: $.backends.b.key: found nothing, expected the private key of the "
         "certificate\n"},
        {BACKEND("\"host\": \"h\", \"port\": 1, \"tls\": \"implicit\", "
                 "\"key\": \"k\""),
         "f: $.backends.b.certificate: found nothing, expected the "
         "certificate of the key\n"},
        {BACKEND("\"host\": \"h\", \"port\": 1, \"tls\": \"implicit\", "
                 "\"tls_name\": \"*.example.org\""),
         "f: $.backends.b.tls_name: found \"*.example.org\", expected a host "
         "name or an IP address\n"},
    };

    (void)state;
    assert_all_refused(refusals, COUNT(refusals));
}

/* CVE-2026-28753: odd bytes of a name end up in a protocol. */
static void hosts_have_no_odd_bytes(void **state)
{
    static const char *const bad[] = {
        "a/b",       "a@b",         "a%b",  "[::1]",     "a\\u0020",
        "a\\r\\nb",  "10.0.0.256",  "10.0", "1234",      "a:b",
        "::1%lo",    "\xc3\xa4.de", "*",    "a\\u0000b", "",
        "10.0.0.1.", ".",           "a,b",  "'a'",       "2001:db8::x",
    };
    static const char *const good[] = {
        "a",           "a.b-c_d.E9", "10.0.0.1",  "::1",
        "2001:db8::1", "localhost.", "1.example",
    };
    char text[512];

    (void)state;
    for (size_t i = 0; i < COUNT(bad) + COUNT(good); i++) {
        bool is_good = i >= COUNT(bad);
        struct reasons *reasons = reasons_new();
        struct route_table *table = NULL;

        (void)snprintf(
            text, sizeof(text),
            BACKEND("\"host\": \"%s\", \"port\": 1, \"tls\": \"implicit\""),
            is_good ? good[i - COUNT(bad)] : bad[i]);
        assert_int_equal(route_table_parse((const uint8_t *)text, strlen(text),
                                           "f", &rules, &table, reasons),
                         is_good);
        assert_int_equal(reasons->errors, is_good ? 0 : 1);
        route_table_free(&table);
        reasons_free(&reasons);
    }
}

static void cleartext_is_for_loopback_or_in_so_many_words(void **state)
{
    static const char *const loopback[] = {"127.0.0.1", "::1", "localhost"};
    char text[512];

    (void)state;
    for (size_t i = 0; i < COUNT(loopback); i++) {
        (void)snprintf(
            text, sizeof(text),
            BACKEND("\"host\": \"%s\", \"port\": 1, \"tls\": \"none\""),
            loopback[i]);
        assert_warned(text, "");
    }
    assert_null(parse_as(
        BACKEND("\"host\": \"10.0.0.1\", \"port\": 1, \"tls\": \"none\""), "f",
        "f: $.backends.b.tls: found \"none\", expected \"implicit\" or "
        "\"starttls\" towards a host that is not loopback, or "
        "\"allow_cleartext\": true\n"));
    assert_null(parse_as(
        BACKEND("\"host\": \"imap\", \"port\": 1, \"tls\": \"none\", "
                "\"allow_cleartext\": false"),
        "f",
        "f: $.backends.b.tls: found \"none\", expected \"implicit\" or "
        "\"starttls\" towards a host that is not loopback, or "
        "\"allow_cleartext\": true\n"));
    assert_warned(
        BACKEND("\"host\": \"imap\", \"port\": 1, \"tls\": \"none\", "
                "\"allow_cleartext\": true"),
        "f: warning: $.backends.b.tls: found passwords in clear on the "
        "network, expected \"implicit\" or \"starttls\"\n");
}

static void what_asks_for_tls_is_refused_without_it(void **state)
{
    static const struct refusal refusals[] = {
        {BACKEND("\"host\": \"::1\", \"port\": 1, \"tls\": \"none\", \"ca\": "
                 "\"ca.pem\""),
         "f: $.backends.b.ca: found \"ca.pem\", expected nothing, since tls "
         "is \"none\"\n"},
        {BACKEND("\"host\": \"::1\", \"port\": 1, \"tls\": \"none\", "
                 "\"tls_name\": \"b\", \"verify\": \"full\""),
         "f: $.backends.b.tls_name: found \"b\", expected nothing, since tls "
         "is \"none\"\n"
         "f: $.backends.b.verify: found \"full\", expected nothing, since tls "
         "is \"none\"\n"},
        {BACKEND("\"host\": \"::1\", \"port\": 1, \"tls\": \"none\", "
                 "\"certificate\": \"c\", \"key\": \"k\""),
         "f: $.backends.b.certificate: found \"c\", expected nothing, since "
         "tls is \"none\"\n"
         "f: $.backends.b.key: found \"k\", expected nothing, since tls is "
         "\"none\"\n"},
    };

    (void)state;
    assert_all_refused(refusals, COUNT(refusals));
}

static void verify_none_is_warned_about_and_takes_no_ca(void **state)
{
    (void)state;
    assert_warned(BACKEND("\"host\": \"h\", \"port\": 1, \"tls\": "
                          "\"implicit\", \"verify\": \"none\""),
                  "f: warning: $.backends.b.verify: found a backend that "
                  "anybody can pretend to be, expected \"full\"\n");
    assert_null(parse_as(
        BACKEND("\"host\": \"h\", \"port\": 1, \"tls\": \"implicit\", "
                "\"verify\": \"none\", \"ca\": \"c\""),
        "f",
        "f: warning: $.backends.b.verify: found a backend that anybody can "
        "pretend to be, expected \"full\"\n"
        "f: $.backends.b.ca: found \"c\", expected nothing, since verify is "
        "\"none\"\n"));
}

static void verify_none_is_readable(void **state)
{
    struct reasons *reasons = reasons_new();
    struct route_table *table = NULL;
    const char *text = BACKEND("\"host\": \"h\", \"port\": 1, \"tls\": "
                               "\"implicit\", \"verify\": \"none\"");
    size_t count;

    (void)state;
    assert_true(route_table_parse((const uint8_t *)text, strlen(text), "f",
                                  &rules, &table, reasons));
    assert_false(route_table_backends(table, &count)->verify);
    route_table_free(&table);
    reasons_free(&reasons);
}

static void allow_cleartext_beside_tls_is_warned_about(void **state)
{
    (void)state;
    assert_warned(BACKEND("\"host\": \"h\", \"port\": 1, \"tls\": "
                          "\"implicit\", \"allow_cleartext\": true"),
                  "f: warning: $.backends.b.allow_cleartext: found true, "
                  "expected nothing, since tls is not \"none\"\n");
}

static void pools_are_checked(void **state)
{
    static const struct refusal refusals[] = {
        {POOL("\"backends\": [\"b1\", \"b3\", \"x\", 5], \"balance\": "
              "\"random\", \"when_down\": \"wait\", \"backend\": \"b1\""),
         "f: $.pools.p.backends[1]: found \"b3\", expected the backend "
         "\"b1\"\n"
         "f: $.pools.p.backends[2]: found \"x\", expected the name of a "
         "backend\n"
         "f: $.pools.p.backends[3]: found 5, expected the name of a backend\n"
         "f: $.pools.p.balance: found \"random\", expected \"hash\" or "
         "\"least-sessions\"\n"
         "f: $.pools.p.when_down: found \"wait\", expected \"refuse\" or "
         "\"next\"\n"
         "f: $.pools.p.backend: found an unknown key, expected "
         "\"backends\"\n"},
        {POOL("\"backends\": [\"b1\", \"b2\", \"b1\"]"),
         "f: $.pools.p.backends[2]: found \"b1\", expected each backend "
         "once\n"},
        {"{\"backends\": {\"b\": 1}, \"pools\": 2, \"default\": \"p\"}",
         "f: $.backends.b: found 1, expected an object\n"
         "f: $.pools: found 2, expected an object with at least one entry\n"},
    };

    (void)state;
    assert_all_refused(refusals, COUNT(refusals));
}

static void names_have_no_control_characters(void **state)
{
    static const struct refusal refusals[] = {
        {"{\"backends\": {\"b\\u001b\": {\"host\": \"::1\", \"port\": 1, "
         "\"tls\": \"none\"}}, \"pools\": {\"p\\n\": {\"backends\": "
         "[\"b\\u001b\"]}}, \"default\": \"p\\n\"}",
         "f: $.backends[\"b\\x1b\"]: found a name of 2 bytes, expected 1 to "
         "128 characters, none of them a control character\n"
         "f: $.pools[\"p\\x0a\"]: found a name of 2 bytes, expected 1 to 128 "
         "characters, none of them a control character\n"},
    };

    (void)state;
    assert_all_refused(refusals, COUNT(refusals));
}

static void rules_are_checked(void **state)
{
    static const struct refusal refusals[] = {
        {RULES("\"users\": {\"a\": \"p3\", \"b\": \"x\", \"c\": 5, \"d\": "
               "{\"pool\": 6, \"hold\": 1, \"loginas\": \"x\"}}"),
         "f: $.users.a: found \"p3\", expected the pool \"p1\"\n"
         "f: $.users.b: found \"x\", expected the name of a pool\n"
         "f: $.users.c: found 5, expected the name of a pool, or an object "
         "with one\n"
         "f: $.users.d.pool: found 6, expected the name of a pool\n"
         "f: $.users.d.hold: found 1, expected true or false\n"
         "f: $.users.d.loginas: found an unknown key, expected "
         "\"login_as\"\n"},
        {RULES("\"users\": [], \"domains\": \"p1\", \"default\": null"),
         "f: $.users: found an empty list, expected an object of users\n"
         "f: $.domains: found \"p1\", expected an object of domains\n"
         "f: $.default: found null, expected the name of a pool, or an object "
         "with one\n"},
        {RULES("\"users\": {\"a\\r\\nb\": \"p1\"}"),
         "f: $.users[\"a\\x0d\\x0ab\"]: found this key, expected a user name "
         "of 1 to 512 bytes, without control characters and without a master "
         "user\n"},
        {RULES("\"default\": \"p1\", \"defaults\": \"p1\""),
         "f: $.defaults: found an unknown key, expected \"default\"\n"},
    };

    (void)state;
    assert_all_refused(refusals, COUNT(refusals));
}

static void login_as_is_checked(void **state)
{
    static const char *const bad[] = {
        "{",     "}",        "{}",      "{users}", "{User}", "{user",
        "user}", "{{user}}", "{ user}", "",        "a\\nb",  "{local}{x}"};
    char text[1024];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct reasons *reasons = reasons_new();
        struct route_table *table = NULL;

        (void)snprintf(text, sizeof(text),
                       RULES("\"default\": {\"pool\": \"p1\", \"login_as\": "
                             "\"%s\"}"),
                       bad[i]);
        assert_false(route_table_parse((const uint8_t *)text, strlen(text), "f",
                                       &rules, &table, reasons));
        assert_int_equal(reasons->errors, 1);
        assert_string_equal(reasons->items[0].path, "$.default.login_as");
        reasons_free(&reasons);
    }
}

static void domain_keys_are_checked(void **state)
{
    static const char *const bad[] = {"",
                                      "*",
                                      "*.",
                                      ".example.org",
                                      "example.org.",
                                      "a..b",
                                      "*a.org",
                                      "a.*.org",
                                      "**.org",
                                      "*.*.org",
                                      "a@b",
                                      "a b",
                                      "*.a.*",
                                      ".",
                                      "a\\u007f",
                                      "*..org",
                                      "*org",
                                      "example.*"};
    char text[1024];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct reasons *reasons = reasons_new();
        struct route_table *table = NULL;

        (void)snprintf(text, sizeof(text),
                       RULES("\"domains\": {\"%s\": \"p1\"}"), bad[i]);
        assert_false(route_table_parse((const uint8_t *)text, strlen(text), "f",
                                       &rules, &table, reasons));
        assert_int_equal(reasons->errors, 1);
        assert_string_equal(
            reasons->items[0].expected,
            "a domain such as example.org, or *.example.org for all that end "
            "so");
        reasons_free(&reasons);
    }
}

static void a_domain_key_holds_no_separator(void **state)
{
    (void)state;
    free(rules.separators);
    rules.separators = mem_strdup("@+");
    assert_null(parse_as(RULES("\"domains\": {\"a+b\": \"p1\"}"), "f",
                         "f: $.domains[\"a+b\"]: found this key, expected a "
                         "domain such as example.org, or *.example.org for "
                         "all that end so\n"));
}

static void a_user_key_names_no_master_user(void **state)
{
    (void)state;
    rules.master_separator = '*';
    assert_null(parse_as(
        RULES("\"users\": {\"alice*admin\": \"p1\"}"), "f",
        "f: $.users[\"alice*admin\"]: found this key, expected a user name of "
        "1 to 512 bytes, without control characters and without a master "
        "user\n"));
}

static void two_keys_that_become_equal_are_refused_by_name(void **state)
{
    (void)state;
    free(rules.separators);
    rules.separators = mem_strdup("@%");
    rules.default_domain = mem_strdup("example.org");
    assert_null(parse_as(
        RULES("\"users\": {\"x\": \"p1\", \"Alice@example.org\": \"p1\", "
              "\"alice\": \"p2\", \"ALICE%example.org\": \"p1\"}, "
              "\"domains\": {\"A.org\": \"p1\", \"*.A.org\": \"p1\", "
              "\"a.ORG\": \"p1\", \"*.a.org\": \"p1\"}"),
        "f",
        "f: $.users.alice: found the same name as \"Alice@example.org\", "
        "expected each name once\n"
        "f: $.users[\"ALICE%example.org\"]: found the same name as "
        "\"Alice@example.org\", expected each name once\n"
        "f: $.domains[\"a.ORG\"]: found the same name as \"A.org\", expected "
        "each name once\n"
        "f: $.domains[\"*.a.org\"]: found the same name as \"*.A.org\", "
        "expected each name once\n"));
}

static void what_nobody_refers_to_is_warned_about(void **state)
{
    (void)state;
    assert_warned(
        "{\"backends\": {\"b\": {\"host\": \"::1\", \"port\": 1, \"tls\": "
        "\"none\"}, \"lost\": {\"host\": \"::1\", \"port\": 2, \"tls\": "
        "\"none\"}}, \"pools\": {\"p\": {\"backends\": [\"b\"]}, \"lonely\": "
        "{\"backends\": [\"b\"]}}, \"default\": \"p\"}",
        "f: warning: $.backends.lost: found no pool that names it, expected "
        "one\n"
        "f: warning: $.pools.lonely: found no rule that names it, expected "
        "one\n");
}

static void a_table_without_rules_is_warned_about(void **state)
{
    (void)state;
    assert_warned(
        "{\"backends\": {\"b\": {\"host\": \"::1\", \"port\": 1, \"tls\": "
        "\"none\"}}, \"pools\": {\"p\": {\"backends\": [\"b\"]}}}",
        "f: warning: $: found neither users, domains nor default, expected a "
        "rule: every login is refused\n"
        "f: warning: $.pools.p: found no rule that names it, expected one\n");
}

static void a_pool_of_weightless_backends_is_warned_about(void **state)
{
    (void)state;
    assert_warned(
        "{\"backends\": {\"b\": {\"host\": \"::1\", \"port\": 1, \"tls\": "
        "\"none\", \"weight\": 0}}, \"pools\": {\"p\": {\"backends\": "
        "[\"b\"]}}, \"default\": \"p\"}",
        "f: warning: $.pools.p.backends: found a weight of 0 for each of "
        "them, expected one above 0: every login is refused\n");
}

/* threats.md, H1 */
static void a_table_that_was_cut_off_is_refused(void **state)
{
    const char *text = RULES("\"users\": {\"a\": {\"pool\": \"p1\"}}");

    (void)state;
    for (size_t len = 0; len < strlen(text); len++) {
        struct reasons *reasons = reasons_new();
        struct route_table *table = NULL;

        assert_false(route_table_parse((const uint8_t *)text, len, "f", &rules,
                                       &table, reasons));
        assert_true(reasons->items[0].line > 0);
        reasons_free(&reasons);
    }
}

/* A million mistakes cost a bounded number of lines. */
static void many_faults_are_counted(void **state)
{
    struct reasons *reasons = reasons_new();
    struct route_table *table = NULL;
    size_t count = 20000;
    size_t size = count * 24 + 1024;
    char *text = mem_alloc(size);
    size_t len = 0;

    (void)state;
    len += (size_t)snprintf(text, size,
                            "{\"backends\": 1, \"pools\": {\"p\": 1}, "
                            "\"users\": {\"x\": \"p\"");
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, size - len, ",\"%zu\": \"q\"", i);
    len += (size_t)snprintf(text + len, size - len, "}}");

    assert_false(route_table_parse((const uint8_t *)text, len, "f", &rules,
                                   &table, reasons));
    assert_int_equal(reasons->errors, count + 2);
    assert_int_equal(reasons->count, REASONS_MAX);
    reasons_free(&reasons);
    free(text);
}

/* Every user's own login_as is the dearest form of all. */
static char *many_users(size_t count, bool with_login_as, size_t *len_out)
{
    size_t size = count * 100 + 1024;
    char *text = mem_alloc(size);
    size_t len = (size_t)snprintf(text, size, "%.*s",
                                  (int)(strlen(RULES("")) - 1), RULES(""));

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

    assert_true(route_table_parse((const uint8_t *)text, len, "f", &rules,
                                  &table, reasons));
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

#define CLAIM(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_backend_has_what_the_file_says),
        CLAIM(a_backend_has_the_designed_defaults),
        CLAIM(a_pool_has_what_the_file_says),
        CLAIM(a_pool_hashes_and_refuses_by_default),
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
        CLAIM(what_must_be_there_is_missed),
        CLAIM(empty_objects_and_lists_are_refused),
        CLAIM(backends_are_checked),
        CLAIM(hosts_have_no_odd_bytes),
        CLAIM(cleartext_is_for_loopback_or_in_so_many_words),
        CLAIM(what_asks_for_tls_is_refused_without_it),
        CLAIM(verify_none_is_warned_about_and_takes_no_ca),
        CLAIM(verify_none_is_readable),
        CLAIM(allow_cleartext_beside_tls_is_warned_about),
        CLAIM(pools_are_checked),
        CLAIM(names_have_no_control_characters),
        CLAIM(rules_are_checked),
        CLAIM(login_as_is_checked),
        CLAIM(domain_keys_are_checked),
        CLAIM(a_domain_key_holds_no_separator),
        CLAIM(a_user_key_names_no_master_user),
        CLAIM(two_keys_that_become_equal_are_refused_by_name),
        CLAIM(what_nobody_refers_to_is_warned_about),
        CLAIM(a_table_without_rules_is_warned_about),
        CLAIM(a_pool_of_weightless_backends_is_warned_about),
        CLAIM(a_table_that_was_cut_off_is_refused),
        CLAIM(many_faults_are_counted),
        CLAIM(a_user_costs_little_beyond_the_name),
        CLAIM(every_one_of_many_users_is_found),
        CLAIM(a_lookup_is_quick_whoever_asks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
