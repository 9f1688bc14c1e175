/* gatepost.json: what is taken, with which defaults, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/settings.h"
#include "settings_case.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void the_smallest_config_is_enough(void **state)
{
    struct settings *settings = settings_case_parse(SETTINGS_CASE(""));

    (void)state;
    assert_string_equal(settings->file, SETTINGS_CASE_FILE);
    assert_int_equal(settings->listener_count, 1);
    assert_string_equal(settings->listeners[0].address, "*");
    assert_int_equal(settings->listeners[0].port, 993);
    assert_int_equal(settings->listeners[0].tls, LISTENER_TLS_IMPLICIT);
    assert_int_equal(settings->tls.certificate_count, 1);
    settings_free(&settings);
    assert_null(settings);
}

static void paths_are_relative_to_the_config(void **state)
{
    struct settings *settings = settings_case_parse(SETTINGS_CASE(""));

    (void)state;
    assert_string_equal(settings->tls.certificates[0].chain,
                        "/etc/gatepost/c.pem");
    assert_string_equal(settings->tls.certificates[0].key,
                        "/etc/gatepost/k.pem");
    assert_null(settings->tls.certificates[0].directory);
    assert_string_equal(settings->routes, "/etc/gatepost/routes.json");
    settings_free(&settings);
}

static void limits_have_the_designed_defaults(void **state)
{
    struct settings *settings = settings_case_parse(SETTINGS_CASE(""));
    const struct limits_settings *limits = &settings->limits;

    (void)state;
    assert_int_equal(limits->line, 16384);
    assert_int_equal(limits->literal, 8192);
    assert_int_equal(limits->login_tries, 3);
    assert_int_equal(limits->bad_commands, 5);
    assert_int_equal(limits->wrong_state_commands, 20);
    assert_int_equal(limits->sessions, 0);
    assert_int_equal(limits->per_address, 0);
    assert_int_equal(limits->per_user, 0);
    assert_int_equal(limits->per_user_and_address, 0);
    assert_int_equal(limits->accept_rate, 0);
    assert_int_equal(limits->before_login, 0);
    assert_int_equal(limits->backend_logins, 0);
    assert_int_equal(limits->backend_queue, 100);
    assert_int_equal(limits->disconnect_rate, 1000);
    assert_int_equal(limits->exempt_count, 0);
    settings_free(&settings);
}

static void timeouts_have_the_designed_defaults(void **state)
{
    struct settings *settings = settings_case_parse(SETTINGS_CASE(""));
    const struct timeouts_settings *timeouts = &settings->timeouts;

    (void)state;
    assert_int_equal(timeouts->handshake_ms, 20000);
    assert_int_equal(timeouts->before_login_ms, 180000);
    assert_int_equal(timeouts->proxy_header_ms, 5000);
    assert_int_equal(timeouts->connect_ms, 5000);
    assert_int_equal(timeouts->backend_tls_ms, 10000);
    assert_int_equal(timeouts->greeting_ms, 30000);
    assert_int_equal(timeouts->login_reply_ms, 60000);
    assert_int_equal(timeouts->idle_ms, 0);
    assert_int_equal(timeouts->half_closed_ms, 60000);
    assert_int_equal(timeouts->drain_ms, 30000);
    assert_int_equal(timeouts->user_timeout_ms, 420000);
    assert_int_equal(timeouts->keepalive.idle_s, 300);
    assert_int_equal(timeouts->keepalive.interval_s, 30);
    assert_int_equal(timeouts->keepalive.count, 4);
    settings_free(&settings);
}

static void the_rest_has_the_designed_defaults(void **state)
{
    struct settings *settings = settings_case_parse(SETTINGS_CASE(""));

    (void)state;
    assert_int_equal(settings->tls.policy, TLS_POLICY_MODERN);
    assert_int_equal(settings->workers, 0);
    assert_int_equal(settings->max_shrink, 20);
    assert_false(settings->watch);
    assert_int_equal(settings->auth.mechanisms,
                     AUTH_MECHANISM_PLAIN | AUTH_MECHANISM_LOGIN);
    assert_int_equal(settings->auth.identity.name_case, IDENTITY_CASE_LOWER);
    assert_string_equal(settings->auth.identity.separators, "@");
    assert_int_equal(settings->auth.identity.master_separator, '\0');
    assert_null(settings->auth.identity.default_domain);
    assert_false(settings->auth.passes_uncoded_no);
    assert_int_equal(settings->auth.delay_max_ms, 15000);
    assert_null(settings->tls.client_ca);
    assert_false(settings->listeners[0].client_certificates);
    assert_int_equal(settings->listeners[0].proxy_from_count, 0);
    assert_false(settings->imap4rev2);
    assert_int_equal(settings->resolve_interval_ms, 30000);
    assert_int_equal(settings->health.interval_ms, 10000);
    assert_int_equal(settings->health.timeout_ms, 10000);
    assert_int_equal(settings->health.rise, 2);
    assert_int_equal(settings->health.fall, 3);
    assert_int_equal(settings->source_address_count, 0);
    assert_null(settings->admin_socket);
    assert_null(settings->admin_state);
    assert_int_equal(settings->log_level, SETTINGS_LOG_INFO);
    assert_int_equal(settings->log_format, SETTINGS_LOG_TEXT);
    settings_free(&settings);
}

static void each_limit_is_read_into_its_place(void **state)
{
    struct settings *settings = settings_case_parse(SETTINGS_CASE(
        ", \"limits\": {\"line\": 4096, \"literal\": 2048, \"login_tries\": 4,"
        "\"bad_commands\": 6, \"wrong_state_commands\": 7, \"sessions\": 8,"
        "\"per_address\": 9, \"per_user\": 10, \"per_user_and_address\": 11,"
        "\"accept_rate\": 12, \"before_login\": 13, \"backend_logins\": 14,"
        "\"backend_queue\": 0, \"disconnect_rate\": 15,"
        "\"exempt\": [\"10.0.0.0/8\", \"::1\"]}"));
    const struct limits_settings *limits = &settings->limits;

    (void)state;
    assert_int_equal(limits->line, 4096);
    assert_int_equal(limits->literal, 2048);
    assert_int_equal(limits->login_tries, 4);
    assert_int_equal(limits->bad_commands, 6);
    assert_int_equal(limits->wrong_state_commands, 7);
    assert_int_equal(limits->sessions, 8);
    assert_int_equal(limits->per_address, 9);
    assert_int_equal(limits->per_user, 10);
    assert_int_equal(limits->per_user_and_address, 11);
    assert_int_equal(limits->accept_rate, 12);
    assert_int_equal(limits->before_login, 13);
    assert_int_equal(limits->backend_logins, 14);
    assert_int_equal(limits->backend_queue, 0);
    assert_int_equal(limits->disconnect_rate, 15);
    assert_int_equal(limits->exempt_count, 2);
    assert_int_equal(limits->exempt[0].prefix, 8);
    assert_int_equal(limits->exempt[1].family, NETWORK_IPV6);
    settings_free(&settings);
}

static void each_timeout_is_read_into_its_place(void **state)
{
    struct settings *settings = settings_case_parse(SETTINGS_CASE(
        ", \"timeouts\": {\"handshake\": 1, \"before_login\": 2, "
        "\"proxy_header\": 3, \"connect\": 4, \"backend_tls\": 5.5, "
        "\"greeting\": 6, \"login_reply\": 7, \"idle\": 1860, "
        "\"half_closed\": 9, \"drain\": 0, \"user_timeout\": 194, "
        "\"keepalive\": {\"idle\": 12, \"interval\": 13, \"count\": 14}}"));
    const struct timeouts_settings *timeouts = &settings->timeouts;

    (void)state;
    assert_int_equal(timeouts->handshake_ms, 1000);
    assert_int_equal(timeouts->before_login_ms, 2000);
    assert_int_equal(timeouts->proxy_header_ms, 3000);
    assert_int_equal(timeouts->connect_ms, 4000);
    assert_int_equal(timeouts->backend_tls_ms, 5500);
    assert_int_equal(timeouts->greeting_ms, 6000);
    assert_int_equal(timeouts->login_reply_ms, 7000);
    assert_int_equal(timeouts->idle_ms, 1860000);
    assert_int_equal(timeouts->half_closed_ms, 9000);
    assert_int_equal(timeouts->drain_ms, 0);
    assert_int_equal(timeouts->user_timeout_ms, 194000);
    assert_int_equal(timeouts->keepalive.idle_s, 12);
    assert_int_equal(timeouts->keepalive.interval_s, 13);
    assert_int_equal(timeouts->keepalive.count, 14);
    settings_free(&settings);
}

static void the_other_sections_are_read(void **state)
{
    struct settings *settings = settings_case_parse(SETTINGS_CASE(
        ", \"$schema\": \"gatepost.schema.json\", \"workers\": 3, "
        "\"max_shrink\": 100, \"watch\": true, \"auth\": "
        "{\"mechanisms\": [\"LOGIN\"], \"username\": {\"case\": \"keep\", "
        "\"default_domain\": \"example.org\", \"separators\": \"@%\", "
        "\"master_separator\": \"*\"}}, \"upstream\": {\"resolve_interval\": "
        "5, \"health\": {\"interval\": 1.5, \"timeout\": 4, \"rise\": 5, "
        "\"fall\": 6}}, \"admin\": {\"socket\": \"/srv/admin.sock\"}, "
        "\"log\": "
        "{\"level\": \"debug\", \"format\": \"json\"}"));
    const struct identity_rules *identity = &settings->auth.identity;

    (void)state;
    assert_int_equal(settings->workers, 3);
    assert_int_equal(settings->max_shrink, 100);
    assert_true(settings->watch);
    assert_int_equal(settings->auth.mechanisms, AUTH_MECHANISM_LOGIN);
    assert_int_equal(identity->name_case, IDENTITY_CASE_KEEP);
    assert_string_equal(identity->default_domain, "example.org");
    assert_string_equal(identity->separators, "@%");
    assert_int_equal(identity->master_separator, '*');
    assert_int_equal(settings->resolve_interval_ms, 5000);
    assert_int_equal(settings->health.interval_ms, 1500);
    assert_int_equal(settings->health.timeout_ms, 4000);
    assert_int_equal(settings->health.rise, 5);
    assert_int_equal(settings->health.fall, 6);
    assert_string_equal(settings->admin_socket, "/srv/admin.sock");
    assert_string_equal(settings->admin_state, "/srv/admin.sock.state");
    assert_null(settings->admin_token);
    assert_int_equal(settings->admin_host_count, 0);
    assert_int_equal(settings->log_level, SETTINGS_LOG_DEBUG);
    assert_int_equal(settings->log_format, SETTINGS_LOG_JSON);
    settings_free(&settings);
}

static void who_may_administer_is_read(void **state)
{
    struct settings *settings = settings_case_parse(SETTINGS_CASE(
        ", \"admin\": {\"socket\": \"s\", \"listen\": {\"address\": \"::1\", "
        "\"port\": 9}, \"token\": \"t\", \"hosts\": [\"gate\", "
        "\"Gate-2.example.org\"]}"));

    (void)state;
    assert_string_equal(settings->admin_token, "/etc/gatepost/t");
    assert_int_equal(settings->admin_host_count, 2);
    assert_string_equal(settings->admin_hosts[1], "Gate-2.example.org");
    settings_free(&settings);
}

static void assert_warned_of_a_stop(void)
{
    settings_case_assert_warned(
        SETTINGS_CASE(", \"admin\": {\"socket\": \"/run/gatepost/a.sock\"}"),
        "f: warning: $.admin.state: found nothing, which is beside the socket "
        "and gone with a stop, expected a path that stays, such as "
        "/var/lib/gatepost/state.json, or systemd's StateDirectory=\n");
}

static void a_state_file_that_a_stop_takes_away_is_warned_of(void **state)
{
    (void)state;
    assert_warned_of_a_stop();
}

/* Where the state of an administration with this socket is kept. */
static void assert_kept(const char *folders, const char *socket,
                        const char *expected)
{
    char json[512];
    struct settings *settings;

    snprintf(json, sizeof(json),
             SETTINGS_CASE(", \"admin\": {\"socket\": \"%s\"}"), socket);
    setenv("STATE_DIRECTORY", folders, 1);
    settings = settings_case_parse(json);
    unsetenv("STATE_DIRECTORY");

    assert_string_equal(settings->admin_state, expected);
    settings_free(&settings);
}

static void
a_state_file_that_a_stop_takes_away_is_in_systemds_folder(void **state)
{
    (void)state;
    assert_kept("/var/lib/gp", "/run/gp/a.sock", "/var/lib/gp/state.json");
    assert_kept("/var/lib/gp:/var/lib/b", "/var/run/a.sock",
                "/var/lib/gp/state.json");
    assert_kept("/var/lib/gp", "/srv/a.sock", "/srv/a.sock.state");
}

static void a_folder_without_a_root_is_no_place_for_a_state_file(void **state)
{
    (void)state;
    setenv("STATE_DIRECTORY", "gatepost", 1);
    assert_warned_of_a_stop();
    unsetenv("STATE_DIRECTORY");
}

static void probes_can_be_turned_off(void **state)
{
    struct settings *settings = settings_case_parse(
        SETTINGS_CASE(", \"upstream\": {\"health\": {\"interval\": 0}}"));

    (void)state;
    assert_int_equal(settings->health.interval_ms, 0);
    assert_int_equal(settings->health.fall, 3);
    settings_free(&settings);
}

static void probes_come_once_a_second_at_most(void **state)
{
    (void)state;
    settings_case_assert_refused(
        SETTINGS_CASE(", \"upstream\": {\"health\": {\"interval\": 0.5}}"),
        "f: $.upstream.health.interval: found 0.5, expected 0 for off, or at "
        "least 1 second\n");
}

static void several_certificates_and_the_compatible_policy(void **state)
{
    struct settings *settings = settings_case_parse(SETTINGS_CASE_TLS(
        "{\"certificates\": [{\"chain\": \"/r.pem\", \"key\": "
        "\"/r.key\"}, {\"directory\": \"d\"}], \"policy\": "
        "\"compatible\"}"));

    (void)state;
    assert_int_equal(settings->tls.certificate_count, 2);
    assert_string_equal(settings->tls.certificates[0].key, "/r.key");
    assert_null(settings->tls.certificates[1].chain);
    assert_string_equal(settings->tls.certificates[1].directory,
                        "/etc/gatepost/d");
    assert_int_equal(settings->tls.policy, TLS_POLICY_COMPATIBLE);
    settings_free(&settings);
}

static void a_listener_has_its_address_in_the_shortest_form(void **state)
{
    struct settings *settings = settings_case_parse(SETTINGS_CASE_LISTENERS(
        "[{\"address\": \"2001:0DB8:0::1\", \"port\": 993, \"tls\": "
        "\"implicit\"}, {\"address\": \"::ffff:192.0.2.1\", \"port\": 143, "
        "\"tls\": \"starttls\"}]"));

    (void)state;
    assert_string_equal(settings->listeners[0].address, "2001:db8::1");
    assert_string_equal(settings->listeners[1].address, "192.0.2.1");
    assert_int_equal(settings->listeners[1].tls, LISTENER_TLS_STARTTLS);
    settings_free(&settings);
}

static void one_port_serves_several_addresses(void **state)
{
    struct settings *settings = settings_case_parse(SETTINGS_CASE_LISTENERS(
        "[{\"address\": \"*\", \"port\": 993, \"tls\": \"implicit\"}, "
        "{\"address\": \"192.0.2.1\", \"port\": 993, \"tls\": \"implicit\"}, "
        "{\"address\": \"*\", \"port\": 143, \"tls\": \"starttls\"}]"));

    (void)state;
    assert_int_equal(settings->listener_count, 3);
    settings_free(&settings);
}

static void what_must_be_there_is_missed(void **state)
{
    (void)state;
    settings_case_assert_refused(
        "{}", "f: $.listeners: found nothing, expected a list of "
              "listeners\n"
              "f: $.tls: found nothing, expected an object with "
              "certificates\n"
              "f: $.routes: found nothing, expected the path of the "
              "routing table\n");
}

static void a_config_is_an_object(void **state)
{
    static const struct settings_refusal refusals[] = {
        {"[]", "f: $: found an empty list, expected an object\n"},
        {"3", "f: $: found 3, expected an object\n"},
        {"null", "f: $: found null, expected an object\n"},
    };

    (void)state;
    settings_case_assert_all_refused(refusals, COUNT(refusals));
}

/* threats.md, H8: nothing that is empty may widen what is allowed. */
static void empty_lists_are_refused(void **state)
{
    static const struct settings_refusal refusals[] = {
        {SETTINGS_CASE_LISTENERS("[]"),
         "f: $.listeners: found an empty list, expected a "
         "list of 1 to 256 items\n"},
        {SETTINGS_CASE_TLS("{\"certificates\": []}"),
         "f: $.tls.certificates: found an empty list, expected a list of 1 to "
         "10000 items\n"},
        {SETTINGS_CASE_TLS("{}"),
         "f: $.tls.certificates: found nothing, expected a list of "
         "certificates\n"},
        {SETTINGS_CASE_TLS("{\"certificates\": [{}]}"),
         "f: $.tls.certificates[0].chain: found nothing, expected the path of "
         "a certificate chain\n"},
        {SETTINGS_CASE(", \"auth\": {\"mechanisms\": []}"),
         "f: $.auth.mechanisms: found an empty list, expected a list of 1 to "
         "7 items\n"},
        {SETTINGS_CASE(", \"auth\": {\"username\": {\"separators\": \"\"}}"),
         "f: $.auth.username.separators: found \"\", expected text of 1 to 16 "
         "characters\n"},
        {SETTINGS_CASE(
             ", \"auth\": {\"username\": {\"default_domain\": \"\"}}"),
         "f: $.auth.username.default_domain: found \"\", expected text of 1 "
         "to 255 characters\n"},
        {SETTINGS_CASE(", \"admin\": {\"socket\": \"\"}"),
         "f: $.admin.socket: found \"\", expected text of 1 to 4095 "
         "characters\n"},
        {SETTINGS_CASE(", \"admin\": {}"),
         "f: $.admin.socket: found nothing, "
         "expected the path of a Unix socket\n"},
        {SETTINGS_CASE(", \"admin\": {\"socket\": \"s\", \"token\": \"t\"}"),
         "f: $.admin.token: found a token of those who come by TCP, expected "
         "\"listen\" beside it, or no token\n"},
        {SETTINGS_CASE(
             ", \"admin\": {\"socket\": \"s\", \"hosts\": [\"a:80\"]}"),
         "f: $.admin.hosts[0]: found \"a:80\", expected the name of a host, "
         "without a port\n"},
    };

    (void)state;
    settings_case_assert_all_refused(refusals, COUNT(refusals));
}

static void listeners_are_checked(void **state)
{
    static const struct settings_refusal refusals[] = {
        {SETTINGS_CASE_LISTENERS(
             "[{\"address\": \"mail.example.org\", \"port\": \"993\", "
             "\"tls\": \"none\"}]"),
         "f: $.listeners[0].address: found \"mail.example.org\", expected an "
         "IP address, or \"*\" for all\n"
         "f: $.listeners[0].port: found \"993\", expected a whole number from "
         "1 to 65535\n"
         "f: $.listeners[0].tls: found \"none\", expected \"implicit\" or "
         "\"starttls\"\n"},
        {SETTINGS_CASE_LISTENERS("[{}, 5]"),
         "f: $.listeners[0].address: found nothing, expected an IP address, "
         "or \"*\" for all\n"
         "f: $.listeners[0].port: found nothing, expected a port\n"
         "f: $.listeners[0].tls: found nothing, expected \"implicit\" or "
         "\"starttls\"\n"
         "f: $.listeners[1]: found 5, expected an object\n"},
        {SETTINGS_CASE_LISTENERS(
             "[{\"address\": 1, \"port\": 993, \"tls\": "
             "\"implicit\"}, {\"address\": \"*\", \"port\": 993, "
             "\"tls\": \"implicit\"}]"),
         "f: $.listeners[0].address: found 1, expected an IP address, or "
         "\"*\" for all\n"},
        {SETTINGS_CASE_LISTENERS("[{\"address\": \"*\", \"port\": 0, \"tls\": "
                                 "\"implicit\", \"prot\": 993}]"),
         "f: $.listeners[0].port: found 0, expected a whole number from 1 to "
         "65535\n"
         "f: $.listeners[0].prot: found an unknown key, expected \"port\"\n"},
    };

    (void)state;
    settings_case_assert_all_refused(refusals, COUNT(refusals));
}

static void two_listeners_on_one_socket_address_are_refused(void **state)
{
    static const char *const pairs[][2] = {
        {"*", "*"},
        {"*", "0.0.0.0"},
        {"::", "*"},
        {"::1", "0:0::1"},
        {"192.0.2.1", "::ffff:192.0.2.1"},
    };
    char text[1024];

    (void)state;
    for (size_t i = 0; i < COUNT(pairs); i++) {
        (void)snprintf(
            text, sizeof(text),
            SETTINGS_CASE_LISTENERS(
                "[{\"address\": \"%s\", \"port\": 143, \"tls\": "
                "\"implicit\"}, {\"address\": \"%s\", \"port\": 143, "
                "\"tls\": \"starttls\"}]"),
            pairs[i][0], pairs[i][1]);
        settings_case_assert_refused(
            text, "f: $.listeners[1]: found the address and port "
                  "of $.listeners[0], expected an address and port "
                  "of its own\n");
    }
}

static void certificates_are_checked(void **state)
{
    static const struct settings_refusal refusals[] = {
        {SETTINGS_CASE_TLS("{\"certificates\": [{\"chain\": \"c\"}]}"),
         "f: $.tls.certificates[0].key: found nothing, expected the path of "
         "the chain's private key\n"},
        {SETTINGS_CASE_TLS("{\"certificates\": [{\"key\": \"k\"}]}"),
         "f: $.tls.certificates[0].chain: found nothing, expected the path of "
         "a certificate chain\n"},
        {SETTINGS_CASE_TLS(
             "{\"certificates\": [{\"directory\": \"d\", \"key\": \"k\"}]}"),
         "f: $.tls.certificates[0].directory: found a directory beside a "
         "chain or key, expected either chain and key, or directory\n"},
        {SETTINGS_CASE_TLS(
             "{\"certificates\": [{\"chain\": 5, \"key\": \"a\\nb\"}]}"),
         "f: $.tls.certificates[0].chain: found 5, expected text\n"
         "f: $.tls.certificates[0].key: found \"a\\x0ab\", expected text "
         "without control characters\n"},
        {SETTINGS_CASE_TLS(
             "{\"certificates\": [{\"chain\": \"c\", \"key\": \"k\"}], "
             "\"policy\": \"old\", \"min_version\": 1}"),
         "f: $.tls.policy: found \"old\", expected \"modern\" or "
         "\"compatible\"\n"
         "f: $.tls.min_version: found an unknown key, expected one of "
         "\"certificates\", \"policy\", \"client_certificates\", "
         "\"ticket_keys\"\n"},
    };

    (void)state;
    settings_case_assert_all_refused(refusals, COUNT(refusals));
}

#define TICKET_KEYS(list)                                                      \
    SETTINGS_CASE_TLS("{\"certificates\": [{\"directory\": \"d\"}], "          \
                      "\"ticket_keys\": " list "}")

static void ticket_keys_are_read_in_order(void **state)
{
    struct settings *settings =
        settings_case_parse(TICKET_KEYS("[\"new.key\", \"/old.key\"]"));

    (void)state;
    assert_int_equal(settings->tls.ticket_key_count, 2);
    assert_string_equal(settings->tls.ticket_keys[0], "/etc/gatepost/new.key");
    assert_string_equal(settings->tls.ticket_keys[1], "/old.key");
    settings_free(&settings);
}

static void ticket_keys_are_checked(void **state)
{
    static const struct settings_refusal refusals[] = {
        {TICKET_KEYS("[]"), "f: $.tls.ticket_keys: found an empty list, "
                            "expected a list of 1 to 16 items\n"},
        {TICKET_KEYS("\"k\""), "f: $.tls.ticket_keys: found \"k\", expected a "
                               "list of 1 to 16 items\n"},
        {TICKET_KEYS("[\"k\", 1, \"k\"]"),
         "f: $.tls.ticket_keys[1]: found 1, expected text\n"},
        {TICKET_KEYS("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]"),
         "f: $.tls.ticket_keys: found a list, expected a list of "
         "1 to 16 items\n"},
    };

    (void)state;
    settings_case_assert_all_refused(refusals, COUNT(refusals));
}

#define USERNAME(members)                                                      \
    SETTINGS_CASE(", \"auth\": {\"username\": {" members "}}")

static void username_rules_are_checked(void **state)
{
    static const struct settings_refusal refusals[] = {
        {USERNAME("\"case\": \"upper\""),
         "f: $.auth.username.case: found \"upper\", expected \"lower\" or "
         "\"keep\"\n"},
        {USERNAME("\"seperators\": \"@\""),
         "f: $.auth.username.seperators: found an unknown key, expected "
         "\"separators\"\n"},
        {USERNAME("\"separators\": \"@.\""),
         "f: $.auth.username.separators: found \"@.\", expected only signs of "
         "@%+:#/!|^&=~?;,$*\n"},
        {USERNAME("\"separators\": \"%\""),
         "f: $.auth.username.separators: found \"%\", expected separators "
         "with @ among them\n"},
        {USERNAME("\"master_separator\": \"@\""),
         "f: $.auth.username.master_separator: found \"@\", expected a sign "
         "that is not in separators\n"},
        {USERNAME("\"master_separator\": \"**\""),
         "f: $.auth.username.master_separator: found \"**\", expected text of "
         "1 to 1 characters\n"},
        {USERNAME("\"master_separator\": \"a\""),
         "f: $.auth.username.master_separator: found \"a\", expected one sign "
         "of @%+:#/!|^&=~?;,$*\n"},
        {USERNAME("\"default_domain\": \"a@b\""),
         "f: $.auth.username.default_domain: found \"a@b\", expected a "
         "domain\n"},
        {USERNAME("\"default_domain\": \"a b\""),
         "f: $.auth.username.default_domain: found \"a b\", expected a "
         "domain\n"},
    };

    (void)state;
    settings_case_assert_all_refused(refusals, COUNT(refusals));
}

static void limits_are_checked(void **state)
{
    static const struct settings_refusal refusals[] = {
        {SETTINGS_CASE(", \"limits\": {\"line\": 100, \"login_tries\": 0}"),
         "f: $.limits.line: found 100, expected a whole number from 512 to "
         "65536\n"
         "f: $.limits.login_tries: found 0, expected a whole number from 1 to "
         "100\n"},
        {SETTINGS_CASE(", \"limits\": {\"per_adress\": 4}"),
         "f: $.limits.per_adress: found an unknown key, expected "
         "\"per_address\"\n"},
        {SETTINGS_CASE(
             ", \"limits\": {\"exempt\": [\"10.0.0.1/8\", \"x\", 4]}"),
         "f: $.limits.exempt[0]: found \"10.0.0.1/8\", expected an IP address "
         "or a network such as 10.0.0.0/8, without bits after its prefix\n"
         "f: $.limits.exempt[1]: found \"x\", expected an IP address or a "
         "network such as 10.0.0.0/8, without bits after its prefix\n"
         "f: $.limits.exempt[2]: found 4, expected an IP address or a network "
         "such as 10.0.0.0/8, without bits after its prefix\n"},
    };

    (void)state;
    settings_case_assert_all_refused(refusals, COUNT(refusals));
}

static void timeouts_are_checked(void **state)
{
    static const struct settings_refusal refusals[] = {
        {SETTINGS_CASE(", \"timeouts\": {\"connect\": 0, \"drain\": 86401}"),
         "f: $.timeouts.connect: found 0, expected seconds from 0.001 to "
         "86400\n"
         "f: $.timeouts.drain: found 86401, expected seconds from 0 to "
         "86400\n"},
        {SETTINGS_CASE(", \"timeouts\": {\"keepalive\": {\"couns\": 4}}"),
         "f: $.timeouts.keepalive.couns: found an unknown key, expected "
         "\"count\"\n"},
        {SETTINGS_CASE(", \"timeouts\": {\"keepalive\": {\"count\": 128}}"),
         "f: $.timeouts.keepalive.count: found 128, expected a whole number "
         "from 1 to 127\n"},
        {SETTINGS_CASE(", \"timeouts\": {\"idel\": 0}"),
         "f: $.timeouts.idel: found an unknown key, expected \"idle\"\n"},
    };

    (void)state;
    settings_case_assert_all_refused(refusals, COUNT(refusals));
}

static void source_addresses_are_read_in_order(void **state)
{
    struct settings *settings = settings_case_parse(
        SETTINGS_CASE(", \"upstream\": {\"source_addresses\": [\"192.0.2.1\", "
                      "\"2001:db8::1\", \"::ffff:192.0.2.2\"]}"));
    char text[NETWORK_TEXT_MAX];

    (void)state;
    assert_int_equal(settings->source_address_count, 3);
    network_format_address(&settings->source_addresses[0], text);
    assert_string_equal(text, "192.0.2.1");
    network_format_address(&settings->source_addresses[1], text);
    assert_string_equal(text, "2001:db8::1");
    network_format_address(&settings->source_addresses[2], text);
    assert_string_equal(text, "192.0.2.2");
    settings_free(&settings);
}

#define SOURCES(list)                                                          \
    SETTINGS_CASE(", \"upstream\": {\"source_addresses\": " list "}")
#define NO_SOURCE                                                              \
    "expected an IP address of this host: no wildcard, multicast, broadcast "  \
    "or link-local one\n"

static void source_addresses_are_checked(void **state)
{
    static const struct settings_refusal refusals[] = {
        {SOURCES("\"192.0.2.1\""),
         "f: $.upstream.source_addresses: found "
         "\"192.0.2.1\", expected a list of 0 to 64 items\n"},
        {SOURCES("[\"192.0.2.0/24\", 4]"),
         "f: $.upstream.source_addresses[0]: found \"192.0.2.0/24\", " NO_SOURCE
         "f: $.upstream.source_addresses[1]: found 4, " NO_SOURCE},
        {SOURCES("[\"0.0.0.0\", \"::\"]"),
         "f: $.upstream.source_addresses[0]: found \"0.0.0.0\", " NO_SOURCE
         "f: $.upstream.source_addresses[1]: found \"::\", " NO_SOURCE},
        {SOURCES("[\"239.1.2.3\", \"ff02::1\"]"),
         "f: $.upstream.source_addresses[0]: found \"239.1.2.3\", " NO_SOURCE
         "f: $.upstream.source_addresses[1]: found \"ff02::1\", " NO_SOURCE},
        {SOURCES("[\"255.255.255.255\", \"fe80::1\"]"),
         "f: $.upstream.source_addresses[0]: found "
         "\"255.255.255.255\", " NO_SOURCE
         "f: $.upstream.source_addresses[1]: found \"fe80::1\", " NO_SOURCE},
        {SOURCES("[\"192.0.2.1\", \"192.0.2.2\", \"::ffff:192.0.2.1\"]"),
         "f: $.upstream.source_addresses[2]: found an address that stands "
         "there already, expected each address once\n"},
    };

    (void)state;
    settings_case_assert_all_refused(refusals, COUNT(refusals));
}

/* RFC 9051, 5.4 */
static void an_idle_timeout_below_31_minutes_is_refused(void **state)
{
    static const struct settings_refusal refusals[] = {
        {SETTINGS_CASE(", \"timeouts\": {\"idle\": 1859.9}"),
         "f: $.timeouts.idle: found 1859.9, expected 0 for off, or at least "
         "1860 seconds\n"},
        {SETTINGS_CASE(", \"timeouts\": {\"idle\": 0.0001}"),
         "f: $.timeouts.idle: found 0.0001, expected 0 for off, or at least "
         "1860 seconds\n"},
    };

    (void)state;
    settings_case_assert_all_refused(refusals, COUNT(refusals));
}

static void a_socket_path_fits_into_its_address(void **state)
{
    char text[1024];
    char path[108];

    (void)state;
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    (void)snprintf(text, sizeof(text),
                   SETTINGS_CASE(", \"admin\": {\"socket\": \"%.107s\"}"),
                   path);

    struct settings *settings = settings_case_parse(text);

    assert_int_equal(strlen(settings->admin_socket), 107);
    settings_free(&settings);

    (void)snprintf(text, sizeof(text),
                   SETTINGS_CASE(", \"admin\": {\"socket\": \"%.108s\"}"),
                   path);

    struct reasons *reasons = reasons_new();

    assert_false(settings_parse((const uint8_t *)text, strlen(text), "f",
                                &settings, reasons));
    assert_string_equal(reasons->items[0].expected,
                        "a path of at most 107 bytes");
    reasons_free(&reasons);
}

static void every_problem_of_a_file_is_told(void **state)
{
    (void)state;
    settings_case_assert_refused(
        "{\"listners\": [], \"tls\": 1, \"routes\": \"\", \"workers\": -1, "
        "\"auth\": [], \"limits\": \"x\", \"timeouts\": null, \"upstream\": "
        "{\"resolve_interval\": 0.5}, \"admin\": 0, \"log\": {\"level\": "
        "\"inof\"}}",
        "f: $.listeners: found nothing, expected a list of listeners\n"
        "f: $.tls: found 1, expected an object\n"
        "f: $.routes: found \"\", expected text of 1 to 4095 characters\n"
        "f: $.workers: found -1, expected a whole number from 0 to 1024\n"
        "f: $.auth: found an empty list, expected an object\n"
        "f: $.limits: found \"x\", expected an object\n"
        "f: $.timeouts: found null, expected an object\n"
        "f: $.upstream.resolve_interval: found 0.5, expected seconds from 1 "
        "to 86400\n"
        "f: $.admin: found 0, expected an object\n"
        "f: $.log.level: found \"inof\", expected \"error\", \"warn\", "
        "\"info\" or \"debug\"\n"
        "f: $.listners: found an unknown key, expected \"listeners\"\n");
}

static void earlier_reasons_do_not_refuse_a_good_file(void **state)
{
    struct reasons *reasons = reasons_new();
    struct settings *settings = NULL;
    const char *text = SETTINGS_CASE("");

    (void)state;
    reasons_add(reasons, REASON_ERROR, "another", NULL, "a fault", "none");

    assert_true(settings_parse((const uint8_t *)text, strlen(text), "f",
                               &settings, reasons));
    settings_free(&settings);
    reasons_free(&reasons);
}

/* threats.md, H1: none of these crashes, leaks or is taken. */
static void a_config_that_was_cut_off_is_refused(void **state)
{
    const char *text = SETTINGS_CASE(", \"log\": {\"level\": \"debug\"}");

    (void)state;
    for (size_t len = 0; len < strlen(text); len++) {
        struct reasons *reasons = reasons_new();
        struct settings *settings = NULL;

        assert_false(settings_parse((const uint8_t *)text, len, "f", &settings,
                                    reasons));
        assert_true(reasons->items[0].line > 0);
        reasons_free(&reasons);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_config_is_enough),
        cmocka_unit_test(paths_are_relative_to_the_config),
        cmocka_unit_test(limits_have_the_designed_defaults),
        cmocka_unit_test(timeouts_have_the_designed_defaults),
        cmocka_unit_test(the_rest_has_the_designed_defaults),
        cmocka_unit_test(each_limit_is_read_into_its_place),
        cmocka_unit_test(each_timeout_is_read_into_its_place),
        cmocka_unit_test(the_other_sections_are_read),
        cmocka_unit_test(who_may_administer_is_read),
        cmocka_unit_test(a_state_file_that_a_stop_takes_away_is_warned_of),
        cmocka_unit_test(
            a_state_file_that_a_stop_takes_away_is_in_systemds_folder),
        cmocka_unit_test(a_folder_without_a_root_is_no_place_for_a_state_file),
        cmocka_unit_test(probes_can_be_turned_off),
        cmocka_unit_test(probes_come_once_a_second_at_most),
        cmocka_unit_test(several_certificates_and_the_compatible_policy),
        cmocka_unit_test(a_listener_has_its_address_in_the_shortest_form),
        cmocka_unit_test(one_port_serves_several_addresses),
        cmocka_unit_test(what_must_be_there_is_missed),
        cmocka_unit_test(a_config_is_an_object),
        cmocka_unit_test(empty_lists_are_refused),
        cmocka_unit_test(listeners_are_checked),
        cmocka_unit_test(two_listeners_on_one_socket_address_are_refused),
        cmocka_unit_test(certificates_are_checked),
        cmocka_unit_test(ticket_keys_are_read_in_order),
        cmocka_unit_test(ticket_keys_are_checked),
        cmocka_unit_test(username_rules_are_checked),
        cmocka_unit_test(limits_are_checked),
        cmocka_unit_test(timeouts_are_checked),
        cmocka_unit_test(source_addresses_are_read_in_order),
        cmocka_unit_test(source_addresses_are_checked),
        cmocka_unit_test(an_idle_timeout_below_31_minutes_is_refused),
        cmocka_unit_test(a_socket_path_fits_into_its_address),
        cmocka_unit_test(every_problem_of_a_file_is_told),
        cmocka_unit_test(earlier_reasons_do_not_refuse_a_good_file),
        cmocka_unit_test(a_config_that_was_cut_off_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
