/* Settings and routing tables that are good each by itself, and not both. */
#include "state/cross_checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reasons_text.h"
#include "route_case.h"
#include "settings_case.h"

#define ROUTES "/etc/gatepost/routes.json"

#define MECHANISMS(list) SETTINGS_CASE(", \"auth\": {\"mechanisms\": " list "}")
#define RENAMED                                                                \
    ROUTE_CASE_RULES("\"users\": {\"a@x\": {\"pool\": \"p1\", \"login_as\": "  \
                     "\"b\"}}, \"default\": \"p2\"")

/* EXTERNAL and all that it asks of the settings. */
static const char external_json[] =
    "{\"listeners\": [{\"address\": \"*\", \"port\": 993, \"tls\": "
    "\"implicit\", \"client_certificates\": true}], \"tls\": "
    "{\"certificates\": [{\"directory\": \"d\"}], \"client_certificates\": "
    "{\"ca\": \"c\"}}, \"routes\": \"routes.json\", \"auth\": "
    "{\"mechanisms\": [\"EXTERNAL\"]}}";

#define LOCAL(name, members)                                                   \
    "\"" name "\": {\"host\": \"::1\", \"port\": 1, \"tls\": \"none\"" members \
    "}"
#define MASTER ", \"master\": {\"user\": \"root\", \"secret\": \"s\"}"

/* Puts both to the check; the reasons must be exactly these. */
static void assert_check(const char *config, const char *routes, bool is_good,
                         const char *expected)
{
    struct settings *settings = settings_case_parse(config);
    struct route_table *table =
        route_case_parse(routes, ROUTES, &settings->auth.identity, "");
    struct reasons *reasons = reasons_new();
    struct own_addresses own;
    char *text;

    assert_non_null(table);
    own_addresses_init(&own, settings->listeners, settings->listener_count);

    assert_int_equal(cross_checks_pass(settings, table, &own, reasons),
                     is_good);

    text = reasons_text(reasons);
    assert_string_equal(text, expected);
    assert_int_equal(reasons_has_errors(reasons), !is_good);
    free(text);
    own_addresses_deinit(&own);
    reasons_free(&reasons);
    route_table_free(&table);
    settings_free(&settings);
}

static void settings_and_table_agree_by_default(void **state)
{
    (void)state;
    assert_check(SETTINGS_CASE(""), RENAMED, true, "");
}

static void login_as_goes_with_no_message_that_names_the_user(void **state)
{
    static const char *const mechanisms[] = {
        MECHANISMS("[\"PLAIN\", \"SCRAM-SHA-1\"]"),
        MECHANISMS("[\"SCRAM-SHA-256\"]"),
        MECHANISMS("[\"XOAUTH2\"]"),
        MECHANISMS("[\"OAUTHBEARER\", \"LOGIN\"]"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
        assert_check(mechanisms[i], RENAMED, false,
                     ROUTES ": $.users[\"a@x\"].login_as: found login_as, "
                            "while $.auth.mechanisms offers SCRAM or a token, "
                            "expected one or the other: the name inside what "
                            "the client sends cannot be rewritten\n");
}

static void such_messages_need_only_a_table_without_login_as(void **state)
{
    (void)state;
    assert_check(MECHANISMS("[\"SCRAM-SHA-256\", \"XOAUTH2\"]"),
                 ROUTE_CASE_RULES("\"users\": {\"a\": \"p1\"}, \"default\": "
                                  "{\"pool\": \"p2\", \"hold\": true}"),
                 true, "");
}

static void external_without_a_master_is_warned_about_by_pool(void **state)
{
    (void)state;
    assert_check(
        external_json,
        "{\"backends\": {" LOCAL("a", MASTER) ", " LOCAL(
            "b",
            "") "}, "
                "\"pools\": {\"good\": {\"backends\": [\"a\"]}, \"bad\": "
                "{\"backends\": [\"a\", \"b\"]}, \"whole\": {\"backends\": "
                "[\"b\"]" MASTER
                "}}, \"users\": {\"a\": \"good\", \"b\": \"bad\"}, "
                "\"default\": \"whole\"}",
        true,
        ROUTES ": warning: $.pools.bad.master: found no master user for "
               "\"b\", expected one for each backend: without it EXTERNAL, "
               "which $.auth.mechanisms offers, fails there\n");
}

static void a_master_without_external_is_warned_about(void **state)
{
    (void)state;
    assert_check(
        SETTINGS_CASE(""),
        "{\"backends\": {" LOCAL("a", MASTER) "}, \"pools\": {\"p\": "
                                              "{\"backends\": [\"a\"]" MASTER
                                              "}}, \"default\": \"p\"}",
        true,
        ROUTES ": warning: $.backends.a.master: found a master user whom no "
               "login uses, expected EXTERNAL in $.auth.mechanisms, or no "
               "secret that lies about\n" ROUTES
               ": warning: $.pools.p.master: found a master user whom no "
               "login uses, expected EXTERNAL in $.auth.mechanisms, or no "
               "secret that lies about\n");
}

/* A backend at host and port 993, in front of which we listen at address. */
static void assert_loop(const char *address, const char *host, unsigned port,
                        bool is_told)
{
    char config[512], routes[512];

    snprintf(config, sizeof(config),
             SETTINGS_CASE_LISTENERS("[{\"address\": \"%s\", \"port\": 993, "
                                     "\"tls\": \"implicit\"}]"),
             address);
    snprintf(routes, sizeof(routes),
             ROUTE_CASE_BACKEND(
                 "\"host\": \"%s\", \"port\": %u, \"tls\": \"implicit\""),
             host, port);
    assert_check(config, routes, true,
                 is_told ? ROUTES
                     ": warning: $.backends.b.host: found an address "
                     "where Gatepost itself listens, expected a "
                     "backend: a login would be passed on to "
                     "ourselves, and is refused\n"
                         : "");
}

static void a_backend_that_is_ourselves_is_warned_about(void **state)
{
    (void)state;
    assert_loop("192.0.2.1", "192.0.2.1", 993, true);
    assert_loop("192.0.2.1", "::ffff:192.0.2.1", 993, true);
    assert_loop("2001:db8::1", "2001:db8:0::1", 993, true);
    assert_loop("*", "127.0.0.5", 993, true);
    assert_loop("*", "::1", 993, true);
    assert_loop("*", "LocalHost", 993, true);
    assert_loop("0.0.0.0", "127.0.0.1", 993, true);
}

static void other_backends_are_not_ourselves(void **state)
{
    (void)state;
    assert_loop("192.0.2.1", "192.0.2.1", 143, false);
    assert_loop("192.0.2.1", "192.0.2.2", 993, false);
    assert_loop("*", "192.0.2.1", 993, false);
    assert_loop("*", "127.0.0.1", 994, false);
    assert_loop("*", "localhost.example.org", 993, false);
    assert_loop("::1", "127.0.0.1", 993, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_and_table_agree_by_default),
        cmocka_unit_test(login_as_goes_with_no_message_that_names_the_user),
        cmocka_unit_test(such_messages_need_only_a_table_without_login_as),
        cmocka_unit_test(external_without_a_master_is_warned_about_by_pool),
        cmocka_unit_test(a_master_without_external_is_warned_about),
        cmocka_unit_test(a_backend_that_is_ourselves_is_warned_about),
        cmocka_unit_test(other_backends_are_not_ourselves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
