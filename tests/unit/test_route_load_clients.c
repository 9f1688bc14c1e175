/* What a routes.json says of how backends learn who the client is, and as whom
 * Gatepost itself may log in there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/route_table.h"
#include "route_case.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

#define FILE_NAME "/etc/gatepost/routes.json"

#define WITH_TLS "\"host\": \"h\", \"port\": 1, \"tls\": \"implicit\""
#define MASTER "\"master\": {\"user\": \"root\", \"secret\": \"s/master\"}"
#define PATH FILE_NAME ": $."

static struct route_table *parse(const char *text)
{
    struct route_table *table =
        route_case_parse(text, FILE_NAME, route_case_rules(), "");

    assert_non_null(table);
    return table;
}

static const struct backend_config *backend_of(const struct route_table *table)
{
    size_t count;

    return route_table_backends(table, &count);
}

static const struct pool *pool_of(const struct route_table *table)
{
    size_t count;

    return route_table_pools(table, &count);
}

struct refusal {
    const char *text;
    const char *reason;
};

static void assert_all_refused(const struct refusal *refusals, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_null(route_case_parse(refusals[i].text, FILE_NAME,
                                     route_case_rules(), refusals[i].reason));
}

static void a_backend_is_told_nothing_unless_asked(void **state)
{
    struct route_table *table = parse(ROUTE_CASE_BACKEND(WITH_TLS));
    const struct backend_config *backend = backend_of(table);

    (void)state;
    assert_int_equal(backend->proxy_protocol, BACKEND_PROXY_NONE);
    assert_false(backend->send_id);
    assert_false(backend->forward_id);
    assert_null(backend->master.user);
    assert_null(backend->master.secret_file);
    assert_null(pool_of(table)->master.user);
    route_table_free(&table);
}

static void what_a_backend_is_told_is_read(void **state)
{
    struct route_table *table = parse(ROUTE_CASE_BACKEND(
        WITH_TLS ", \"proxy_protocol\": \"v2\", \"id\": true, \"forward_id\": "
                 "true, \"warm\": 0"));
    const struct backend_config *backend = backend_of(table);

    (void)state;
    assert_int_equal(backend->proxy_protocol, BACKEND_PROXY_V2);
    assert_true(backend->send_id);
    assert_true(backend->forward_id);
    route_table_free(&table);
}

static void the_first_version_of_proxy_is_another(void **state)
{
    struct route_table *table =
        parse(ROUTE_CASE_BACKEND(WITH_TLS ", \"proxy_protocol\": \"v1\""));

    (void)state;
    assert_int_equal(backend_of(table)->proxy_protocol, BACKEND_PROXY_V1);
    route_table_free(&table);
}

static void what_a_backend_is_told_is_checked(void **state)
{
    static const struct refusal refusals[] = {
        {ROUTE_CASE_BACKEND(WITH_TLS ", \"proxy_protocol\": true"),
         PATH "backends.b.proxy_protocol: found true, expected \"v1\" or "
              "\"v2\"\n"},
        {ROUTE_CASE_BACKEND(WITH_TLS ", \"id\": \"yes\""),
         PATH "backends.b.id: found \"yes\", expected true or false\n"},
        {ROUTE_CASE_BACKEND(WITH_TLS ", \"forward_id\": true"),
         PATH "backends.b.forward_id: found true, expected \"id\": true "
              "beside it, or false\n"},
    };

    (void)state;
    assert_all_refused(refusals, COUNT(refusals));
}

static void no_connection_is_kept_warm_where_its_client_is_told(void **state)
{
    (void)state;
    assert_null(route_case_parse(
        ROUTE_CASE_BACKEND(WITH_TLS
                           ", \"proxy_protocol\": \"v1\", \"warm\": 1"),
        FILE_NAME, route_case_rules(),
        PATH "backends.b.warm: found 1, expected 0 beside proxy_protocol: a "
             "connection made ahead cannot name its client\n"));
}

static void a_connection_is_kept_warm_where_id_tells_the_client(void **state)
{
    struct route_table *table =
        parse(ROUTE_CASE_BACKEND(WITH_TLS ", \"id\": true, \"warm\": 1"));

    (void)state;
    assert_int_equal(backend_of(table)->warm, 1);
    route_table_free(&table);
}

static void a_master_is_read_of_backend_and_pool(void **state)
{
    struct route_table *table = parse(
        "{\"backends\": {\"b\": {" WITH_TLS ", " MASTER "}}, \"pools\": "
        "{\"p\": {\"backends\": [\"b\"], \"master\": {\"user\": \"pool\", "
        "\"secret\": \"/s/pool\"}}}, \"default\": \"p\"}");
    const struct backend_config *backend = backend_of(table);

    (void)state;
    assert_string_equal(backend->master.user, "root");
    assert_string_equal(backend->master.secret_file, "/etc/gatepost/s/master");
    assert_string_equal(pool_of(table)->master.user, "pool");
    assert_string_equal(pool_of(table)->master.secret_file, "/s/pool");
    route_table_free(&table);
}

static void a_master_is_checked(void **state)
{
    static const struct refusal refusals[] = {
        {ROUTE_CASE_BACKEND(WITH_TLS ", \"master\": {}"),
         PATH "backends.b.master.secret: found nothing, expected the path of "
              "a file that holds the secret\n" PATH
              "backends.b.master.user: found nothing, expected the name of "
              "the master user\n"},
        {ROUTE_CASE_BACKEND(WITH_TLS ", \"master\": \"root\""),
         PATH "backends.b.master: found \"root\", expected an object\n"},
        {ROUTE_CASE_BACKEND(
             WITH_TLS ", \"master\": {\"user\": \"a\\u0001b\", \"secret\": "
                      "\"s\", \"password\": \"x\"}"),
         PATH "backends.b.master.user: found \"a\\x01b\", expected text "
              "without control characters\n" PATH
              "backends.b.master.password: found an unknown key, expected "
              "one of \"secret\", \"user\"\n"},
        {ROUTE_CASE_POOL("\"backends\": [\"b1\"], \"master\": {\"user\": "
                         "\"root\", \"secret\": \"\"}"),
         PATH "pools.p.master.secret: found \"\", expected text of 1 to 4095 "
              "characters\n"},
    };

    (void)state;
    assert_all_refused(refusals, COUNT(refusals));
}

static void a_probe_user_is_read(void **state)
{
    struct route_table *table = parse(ROUTE_CASE_BACKEND(
        WITH_TLS ", \"probe\": {\"user\": \"look\", \"secret\": \"s/p\"}"));
    const struct backend_config *backend = backend_of(table);

    (void)state;
    assert_string_equal(backend->probe.user, "look");
    assert_string_equal(backend->probe.secret_file, "/etc/gatepost/s/p");
    assert_null(backend->master.user);
    route_table_free(&table);
}

static void a_probe_user_is_checked(void **state)
{
    static const struct refusal refusals[] = {
        {ROUTE_CASE_BACKEND(WITH_TLS ", \"probe\": {}"),
         PATH "backends.b.probe.secret: found nothing, expected the path of "
              "a file that holds the secret\n" PATH
              "backends.b.probe.user: found nothing, expected the name of "
              "a user who may log in\n"},
        {ROUTE_CASE_BACKEND(WITH_TLS ", \"probe\": true"),
         PATH "backends.b.probe: found true, expected an object\n"},
    };

    (void)state;
    assert_all_refused(refusals, COUNT(refusals));
}

#define OPENS "a master user's secret opens every mailbox\n"

/* What one user's password is let pass with is no place for a secret that
 * opens all mailboxes. */
static void a_masters_secret_goes_to_nobody_who_might_be_another(void **state)
{
    static const struct refusal refusals[] = {
        {ROUTE_CASE_BACKEND(WITH_TLS ", \"verify\": \"none\", " MASTER),
         FILE_NAME ": warning: $.backends.b.verify: found a backend that "
                   "anybody can pretend to be, expected \"full\"\n" PATH
                   "backends.b.master: found a backend that is not verified, "
                   "expected one with TLS that proves who it is: " OPENS},
        {ROUTE_CASE_BACKEND(
             "\"host\": \"10.0.0.1\", \"port\": 1, \"tls\": \"none\", "
             "\"allow_cleartext\": true, " MASTER),
         FILE_NAME ": warning: $.backends.b.tls: found passwords in clear on "
                   "the network, expected \"implicit\" or \"starttls\"\n" PATH
                   "backends.b.master: found a backend without TLS, expected "
                   "one with TLS that proves who it is: " OPENS},
        {"{\"backends\": {\"a\": {" WITH_TLS "}, \"b\": {" WITH_TLS
         ", \"verify\": \"none\"}}, \"pools\": {\"p\": {\"backends\": "
         "[\"a\", \"b\"], " MASTER "}}, \"default\": \"p\"}",
         FILE_NAME ": warning: $.backends.b.verify: found a backend that "
                   "anybody can pretend to be, expected \"full\"\n" PATH
                   "pools.p.master: found a backend that is not verified, "
                   "\"b\", expected backends with TLS that prove who they "
                   "are: " OPENS},
        /* Told once, of whoever names it. */
        {"{\"backends\": {\"b\": {" WITH_TLS ", \"verify\": \"none\", " MASTER
         "}}, \"pools\": {\"p\": {\"backends\": [\"b\"], " MASTER "}}, "
         "\"default\": \"p\"}",
         FILE_NAME ": warning: $.backends.b.verify: found a backend that "
                   "anybody can pretend to be, expected \"full\"\n" PATH
                   "backends.b.master: found a backend that is not verified, "
                   "expected one with TLS that proves who it is: " OPENS},
    };

    (void)state;
    assert_all_refused(refusals, COUNT(refusals));
}

static void a_masters_secret_may_cross_loopback(void **state)
{
    struct route_table *table = parse(ROUTE_CASE_BACKEND(
        "\"host\": \"127.0.0.1\", \"port\": 1, \"tls\": \"none\", " MASTER));

    (void)state;
    assert_string_equal(backend_of(table)->master.user, "root");
    route_table_free(&table);
}

static void the_first_login_as_of_a_table_is_known_by_its_path(void **state)
{
    struct route_table *table = parse(ROUTE_CASE_RULES(
        "\"users\": {\"a\": {\"pool\": \"p1\", \"hold\": true}, \"b@x\": "
        "{\"pool\": \"p2\", \"login_as\": \"c\"}}, \"default\": {\"pool\": "
        "\"p1\", \"login_as\": \"{local}\"}"));

    (void)state;
    assert_string_equal(route_table_login_as_path(table),
                        "$.users[\"b@x\"].login_as");
    route_table_free(&table);
}

static void a_table_without_login_as_has_no_such_path(void **state)
{
    struct route_table *table = parse(
        ROUTE_CASE_RULES("\"users\": {\"a\": {\"pool\": \"p2\"}}, "
                         "\"default\": {\"pool\": \"p1\", \"hold\": true}"));

    (void)state;
    assert_null(route_table_login_as_path(table));
    route_table_free(&table);
}

static void the_default_is_found_without_a_name(void **state)
{
    struct route_table *table = parse(ROUTE_CASE_RULES(
        "\"users\": {\"a\": \"p1\"}, \"default\": {\"pool\": \"p2\", "
        "\"hold\": true}"));
    struct route route;

    (void)state;
    assert_true(route_table_default(table, &route));
    assert_int_equal(route.kind, ROUTE_DEFAULT);
    assert_string_equal(route.key, "default");
    assert_string_equal(route.pool->name, "p2");
    assert_true(route.hold);
    route_table_free(&table);
}

static void no_default_is_found_where_none_is(void **state)
{
    struct route_table *table =
        parse(ROUTE_CASE_RULES("\"users\": {\"a\": \"p1\", \"b\": \"p2\"}"));
    struct route route;

    (void)state;
    assert_false(route_table_default(table, &route));
    route_table_free(&table);
}

#define CLAIM(claim)                                                           \
    cmocka_unit_test_setup_teardown(claim, route_case_set_up,                  \
                                    route_case_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_backend_is_told_nothing_unless_asked),
        CLAIM(what_a_backend_is_told_is_read),
        CLAIM(the_first_version_of_proxy_is_another),
        CLAIM(what_a_backend_is_told_is_checked),
        CLAIM(no_connection_is_kept_warm_where_its_client_is_told),
        CLAIM(a_connection_is_kept_warm_where_id_tells_the_client),
        CLAIM(a_master_is_read_of_backend_and_pool),
        CLAIM(a_master_is_checked),
        CLAIM(a_probe_user_is_read),
        CLAIM(a_probe_user_is_checked),
        CLAIM(a_masters_secret_goes_to_nobody_who_might_be_another),
        CLAIM(a_masters_secret_may_cross_loopback),
        CLAIM(the_first_login_as_of_a_table_is_known_by_its_path),
        CLAIM(a_table_without_login_as_has_no_such_path),
        CLAIM(the_default_is_found_without_a_name),
        CLAIM(no_default_is_found_where_none_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
