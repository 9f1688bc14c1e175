/* What of a routes.json is refused or warned about, and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/route_table.h"
#include "route_case.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* NULL when the table was refused. */
static struct route_table *parse_as(const char *text, const char *expected)
{
    return route_case_parse(text, "f", route_case_rules(), expected);
}

static void assert_warned(const char *text, const char *expected)
{
    struct route_table *table = parse_as(text, expected);

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
        assert_null(parse_as(refusals[i].text, refusals[i].reason));
}

static void what_must_be_there_is_missed(void **state)
{
    static const struct refusal refusals[] = {
        {"{}", "f: $.backends: found nothing, expected an object of backends\n"
               "f: $.pools: found nothing, expected an object of pools\n"
               "f: warning: $: found neither users, domains nor default, "
               "expected a rule: every login is refused\n"},
        {ROUTE_CASE_BACKEND(""),
         "f: $.backends.b.host: found nothing, expected a host name or an IP "
         "address\n"
         "f: $.backends.b.port: found nothing, expected a port\n"
         "f: $.backends.b.tls: found nothing, expected \"implicit\", "
         "\"starttls\" or \"none\"\n"},
        {ROUTE_CASE_POOL(""),
         "f: $.pools.p.backends: found nothing, expected a list of backends\n"},
        {ROUTE_CASE_RULES("\"default\": {\"login_as\": \"x\"}"),
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
        {ROUTE_CASE_POOL("\"backends\": []"),
         "f: $.pools.p.backends: found an empty list, expected a list of 1 to "
         "1024 items\n"},
        {ROUTE_CASE_RULES("\"default\": \"\""),
         "f: $.default: found \"\", expected the name of a pool\n"},
        {ROUTE_CASE_RULES("\"users\": {\"\": \"p1\"}"),
         "f: $.users[\"\"]: found this key, expected a user name of 1 to 512 "
         "bytes, without control characters and without a master user\n"},
    };

    (void)state;
    assert_all_refused(refusals, COUNT(refusals));
}

static void backends_are_checked(void **state)
{
    static const struct refusal refusals[] = {
        {ROUTE_CASE_BACKEND(
             "\"host\": \"a b\", \"port\": 65536, \"tls\": \"ssl\", "
             "\"weight\": 1001, \"warm\": 65, \"verify\": false, "
             "\"wieght\": 1"),
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
         "f: $.backends.b.warm: found 65, expected a whole number from 0 to "
         "64\n"
         "f: $.backends.b.wieght: found an unknown key, expected "
         "\"weight\"\n"},
        {ROUTE_CASE_BACKEND(
             "\"host\": \"h\", \"port\": 1, \"tls\": \"implicit\", "
             "\"certificate\": \"c\""),
         "f: $.backends.b.key: found nothing, expected the private key of the "
         "certificate\n"},
        {ROUTE_CASE_BACKEND(
             "\"host\": \"h\", \"port\": 1, \"tls\": \"implicit\", "
             "\"key\": \"k\""),
         "f: $.backends.b.certificate: found nothing, expected the "
         "certificate of the key\n"},
        {ROUTE_CASE_BACKEND(
             "\"host\": \"h\", \"port\": 1, \"tls\": \"implicit\", "
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
            ROUTE_CASE_BACKEND(
                "\"host\": \"%s\", \"port\": 1, \"tls\": \"implicit\""),
            is_good ? good[i - COUNT(bad)] : bad[i]);
        assert_int_equal(route_table_parse((const uint8_t *)text, strlen(text),
                                           "f", route_case_rules(), &table,
                                           reasons),
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
        (void)snprintf(text, sizeof(text),
                       ROUTE_CASE_BACKEND(
                           "\"host\": \"%s\", \"port\": 1, \"tls\": \"none\""),
                       loopback[i]);
        assert_warned(text, "");
    }
    assert_null(parse_as(
        ROUTE_CASE_BACKEND(
            "\"host\": \"10.0.0.1\", \"port\": 1, \"tls\": \"none\""),
        "f: $.backends.b.tls: found \"none\", expected \"implicit\" or "
        "\"starttls\" towards a host that is not loopback, or "
        "\"allow_cleartext\": true\n"));
    assert_null(parse_as(
        ROUTE_CASE_BACKEND(
            "\"host\": \"imap\", \"port\": 1, \"tls\": \"none\", "
            "\"allow_cleartext\": false"),
        "f: $.backends.b.tls: found \"none\", expected \"implicit\" or "
        "\"starttls\" towards a host that is not loopback, or "
        "\"allow_cleartext\": true\n"));
    assert_warned(
        ROUTE_CASE_BACKEND(
            "\"host\": \"imap\", \"port\": 1, \"tls\": \"none\", "
            "\"allow_cleartext\": true"),
        "f: warning: $.backends.b.tls: found passwords in clear on the "
        "network, expected \"implicit\" or \"starttls\"\n");
}

static void what_asks_for_tls_is_refused_without_it(void **state)
{
    static const struct refusal refusals[] = {
        {ROUTE_CASE_BACKEND(
             "\"host\": \"::1\", \"port\": 1, \"tls\": \"none\", \"ca\": "
             "\"ca.pem\""),
         "f: $.backends.b.ca: found \"ca.pem\", expected nothing, since tls "
         "is \"none\"\n"},
        {ROUTE_CASE_BACKEND(
             "\"host\": \"::1\", \"port\": 1, \"tls\": \"none\", "
             "\"tls_name\": \"b\", \"verify\": \"full\""),
         "f: $.backends.b.tls_name: found \"b\", expected nothing, since tls "
         "is \"none\"\n"
         "f: $.backends.b.verify: found \"full\", expected nothing, since tls "
         "is \"none\"\n"},
        {ROUTE_CASE_BACKEND(
             "\"host\": \"::1\", \"port\": 1, \"tls\": \"none\", "
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
    assert_warned(ROUTE_CASE_BACKEND("\"host\": \"h\", \"port\": 1, \"tls\": "
                                     "\"implicit\", \"verify\": \"none\""),
                  "f: warning: $.backends.b.verify: found a backend that "
                  "anybody can pretend to be, expected \"full\"\n");
    assert_null(parse_as(
        ROUTE_CASE_BACKEND(
            "\"host\": \"h\", \"port\": 1, \"tls\": \"implicit\", "
            "\"verify\": \"none\", \"ca\": \"c\""),
        "f: warning: $.backends.b.verify: found a backend that anybody can "
        "pretend to be, expected \"full\"\n"
        "f: $.backends.b.ca: found \"c\", expected nothing, since verify is "
        "\"none\"\n"));
}

static void verify_none_is_readable(void **state)
{
    struct reasons *reasons = reasons_new();
    struct route_table *table = NULL;
    const char *text =
        ROUTE_CASE_BACKEND("\"host\": \"h\", \"port\": 1, \"tls\": "
                           "\"implicit\", \"verify\": \"none\"");
    size_t count;

    (void)state;
    assert_true(route_table_parse((const uint8_t *)text, strlen(text), "f",
                                  route_case_rules(), &table, reasons));
    assert_false(route_table_backends(table, &count)->verify);
    route_table_free(&table);
    reasons_free(&reasons);
}

static void allow_cleartext_beside_tls_is_warned_about(void **state)
{
    (void)state;
    assert_warned(ROUTE_CASE_BACKEND("\"host\": \"h\", \"port\": 1, \"tls\": "
                                     "\"implicit\", \"allow_cleartext\": true"),
                  "f: warning: $.backends.b.allow_cleartext: found true, "
                  "expected nothing, since tls is not \"none\"\n");
}

static void pools_are_checked(void **state)
{
    static const struct refusal refusals[] = {
        {ROUTE_CASE_POOL(
             "\"backends\": [\"b1\", \"b3\", \"x\", 5], \"balance\": "
             "\"random\", \"when_down\": \"wait\", \"backend\": \"b1\""),
         "f: $.pools.p.backends[1]: found \"b3\", expected the backend "
         "\"b1\"\n"
         "f: $.pools.p.backends[2]: found \"x\", expected the name of a "
         "backend\n"
         "f: $.pools.p.backends[3]: found 5, expected the name of a backend\n"
         "f: $.pools.p.balance: found \"random\", expected \"hash\", "
         "\"least-sessions\" or \"round-robin\"\n"
         "f: $.pools.p.when_down: found \"wait\", expected \"refuse\" or "
         "\"next\"\n"
         "f: $.pools.p.backend: found an unknown key, expected "
         "\"backends\"\n"},
        {ROUTE_CASE_POOL("\"backends\": [\"b1\"], \"slow_start\": 5"),
         "f: $.pools.p.slow_start: found 5, expected nothing, since balance is "
         "\"hash\": it would move users\n"},
        {ROUTE_CASE_POOL("\"backends\": [\"b1\"], \"balance\": "
                         "\"round-robin\", \"hash_by\": \"user\""),
         "f: $.pools.p.hash_by: found \"user\", expected nothing, since "
         "balance "
         "is not \"hash\"\n"},
        {ROUTE_CASE_BACKEND("\"host\": \"::1\", \"port\": 1, \"tls\": "
                            "\"none\", \"backup\": true"),
         "f: $.pools.p.backends: found a backup among them, expected none, or "
         "\"when_down\": \"next\" in this pool\n"},
        {ROUTE_CASE_POOL("\"backends\": [\"b1\", \"b2\", \"b1\"]"),
         "f: $.pools.p.backends[2]: found \"b1\", expected each backend "
         "once\n"},
        {ROUTE_CASE_POOL("\"backends\": [\"x\"]"),
         "f: $.pools.p.backends[0]: found \"x\", expected the name of a "
         "backend\n"},
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
        {ROUTE_CASE_RULES(
             "\"users\": {\"a\": \"p3\", \"b\": \"x\", \"c\": 5, \"d\": "
             "{\"pool\": 6, \"hold\": 1, \"loginas\": \"x\"}}"),
         "f: $.users.a: found \"p3\", expected the pool \"p1\"\n"
         "f: $.users.b: found \"x\", expected the name of a pool\n"
         "f: $.users.c: found 5, expected the name of a pool, or an object "
         "with one\n"
         "f: $.users.d.pool: found 6, expected the name of a pool\n"
         "f: $.users.d.hold: found 1, expected true or false\n"
         "f: $.users.d.loginas: found an unknown key, expected "
         "\"login_as\"\n"},
        {ROUTE_CASE_RULES(
             "\"users\": [], \"domains\": \"p1\", \"default\": null"),
         "f: $.users: found an empty list, expected an object of users\n"
         "f: $.domains: found \"p1\", expected an object of domains\n"
         "f: $.default: found null, expected the name of a pool, or an object "
         "with one\n"},
        {ROUTE_CASE_RULES("\"users\": {\"a\\r\\nb\": \"p1\"}"),
         "f: $.users[\"a\\x0d\\x0ab\"]: found this key, expected a user name "
         "of 1 to 512 bytes, without control characters and without a master "
         "user\n"},
        {ROUTE_CASE_RULES("\"default\": \"p1\", \"defaults\": \"p1\""),
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

        (void)snprintf(
            text, sizeof(text),
            ROUTE_CASE_RULES("\"default\": {\"pool\": \"p1\", \"login_as\": "
                             "\"%s\"}"),
            bad[i]);
        assert_false(route_table_parse((const uint8_t *)text, strlen(text), "f",
                                       route_case_rules(), &table, reasons));
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
                       ROUTE_CASE_RULES("\"domains\": {\"%s\": \"p1\"}"),
                       bad[i]);
        assert_false(route_table_parse((const uint8_t *)text, strlen(text), "f",
                                       route_case_rules(), &table, reasons));
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
    free(route_case_rules()->separators);
    route_case_rules()->separators = mem_strdup("@+");
    assert_null(parse_as(ROUTE_CASE_RULES("\"domains\": {\"a+b\": \"p1\"}"),
                         "f: $.domains[\"a+b\"]: found this key, expected a "
                         "domain such as example.org, or *.example.org for "
                         "all that end so\n"));
}

static void a_user_key_names_no_master_user(void **state)
{
    (void)state;
    route_case_rules()->master_separator = '*';
    assert_null(parse_as(
        ROUTE_CASE_RULES("\"users\": {\"alice*admin\": \"p1\"}"),
        "f: $.users[\"alice*admin\"]: found this key, expected a user name of "
        "1 to 512 bytes, without control characters and without a master "
        "user\n"));
}

static void two_keys_that_become_equal_are_refused_by_name(void **state)
{
    (void)state;
    free(route_case_rules()->separators);
    route_case_rules()->separators = mem_strdup("@%");
    route_case_rules()->default_domain = mem_strdup("example.org");
    assert_null(parse_as(
        ROUTE_CASE_RULES(
            "\"users\": {\"x\": \"p1\", \"Alice@example.org\": \"p1\", "
            "\"alice\": \"p2\", \"ALICE%example.org\": \"p1\"}, "
            "\"domains\": {\"A.org\": \"p1\", \"*.A.org\": \"p1\", "
            "\"a.ORG\": \"p1\", \"*.a.org\": \"p1\"}"),
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
    const char *text =
        ROUTE_CASE_RULES("\"users\": {\"a\": {\"pool\": \"p1\"}}");

    (void)state;
    for (size_t len = 0; len < strlen(text); len++) {
        struct reasons *reasons = reasons_new();
        struct route_table *table = NULL;

        assert_false(route_table_parse((const uint8_t *)text, len, "f",
                                       route_case_rules(), &table, reasons));
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

    assert_false(route_table_parse((const uint8_t *)text, len, "f",
                                   route_case_rules(), &table, reasons));
    assert_int_equal(reasons->errors, count + 2);
    assert_int_equal(reasons->count, REASONS_MAX);
    reasons_free(&reasons);
    free(text);
}

#define CLAIM(claim)                                                           \
    cmocka_unit_test_setup_teardown(claim, route_case_set_up,                  \
                                    route_case_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
