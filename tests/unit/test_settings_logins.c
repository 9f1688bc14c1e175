/* gatepost.json: by which mechanisms, certificates and balancers clients may
 * come, and what of that does not go together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "settings_case.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

#define MECHANISMS(list) SETTINGS_CASE(", \"auth\": {\"mechanisms\": " list "}")

/* EXTERNAL with these parts of what it needs. */
#define EXTERNAL(flag, clients)                                                \
    "{\"listeners\": [{\"address\": \"*\", \"port\": 143, \"tls\": "           \
    "\"starttls\"}, {\"address\": \"*\", \"port\": 993, \"tls\": "             \
    "\"implicit\"" flag "}], \"tls\": {\"certificates\": [{\"directory\": "    \
    "\"d\"}]" clients "}, \"routes\": \"r\", \"auth\": {\"mechanisms\": "      \
    "[\"PLAIN\", \"EXTERNAL\"]}}"
#define ASKS ", \"client_certificates\": true"
#define CLIENTS ", \"client_certificates\": {\"ca\": \"people.pem\"}"

static void each_mechanism_has_its_name(void **state)
{
    static const struct {
        const char *text;
        enum auth_mechanism mechanism;
    } names[] = {
        {MECHANISMS("[\"PLAIN\"]"), AUTH_MECHANISM_PLAIN},
        {MECHANISMS("[\"LOGIN\"]"), AUTH_MECHANISM_LOGIN},
        {MECHANISMS("[\"XOAUTH2\"]"), AUTH_MECHANISM_XOAUTH2},
        {MECHANISMS("[\"OAUTHBEARER\"]"), AUTH_MECHANISM_OAUTHBEARER},
        {MECHANISMS("[\"SCRAM-SHA-1\"]"), AUTH_MECHANISM_SCRAM_SHA_1},
        {MECHANISMS("[\"SCRAM-SHA-256\"]"), AUTH_MECHANISM_SCRAM_SHA_256},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct settings *settings = settings_case_parse(names[i].text);

        assert_int_equal(settings->auth.mechanisms, names[i].mechanism);
        settings_free(&settings);
    }
}

static void all_mechanisms_may_stand_together(void **state)
{
    static const char *const text =
        "{\"listeners\": [{\"address\": \"*\", \"port\": 993, \"tls\": "
        "\"implicit\"" ASKS "}], \"tls\": {\"certificates\": "
        "[{\"directory\": \"d\"}]" CLIENTS "}, \"routes\": \"r\", \"auth\": "
        "{\"mechanisms\": [\"PLAIN\", \"LOGIN\", \"XOAUTH2\", "
        "\"OAUTHBEARER\", \"EXTERNAL\", \"SCRAM-SHA-1\", "
        "\"SCRAM-SHA-256\"]}}";
    struct settings *settings = settings_case_parse(text);

    (void)state;
    assert_int_equal(settings->auth.mechanisms, 127);
    settings_free(&settings);
}

#define KNOWN                                                                  \
    "expected \"PLAIN\", \"LOGIN\", \"XOAUTH2\", \"OAUTHBEARER\", "            \
    "\"EXTERNAL\", \"SCRAM-SHA-1\" or \"SCRAM-SHA-256\"\n"

static void mechanisms_are_checked(void **state)
{
    static const struct settings_refusal refusals[] = {
        {MECHANISMS("[\"PLAIN\", \"GSSAPI\"]"),
         "f: $.auth.mechanisms[1]: found \"GSSAPI\", " KNOWN},
        /* Channel binding ends where TLS does. */
        {MECHANISMS("[\"SCRAM-SHA-256-PLUS\"]"),
         "f: $.auth.mechanisms[0]: found \"SCRAM-SHA-256-PLUS\", " KNOWN},
        {MECHANISMS("[\"PLAIN\", \"PLAIN\"]"),
         "f: $.auth.mechanisms[1]: found \"PLAIN\", expected each mechanism "
         "once\n"},
        {MECHANISMS("\"PLAIN\""),
         "f: $.auth.mechanisms: found \"PLAIN\", expected a list of 1 to 7 "
         "items\n"},
    };

    (void)state;
    settings_case_assert_all_refused(refusals, COUNT(refusals));
}

static void uncoded_answers_and_delays_are_read(void **state)
{
    struct settings *settings = settings_case_parse(SETTINGS_CASE(
        ", \"auth\": {\"uncoded_no\": \"pass\", \"delay_max\": 2.5}, "
        "\"upstream\": {\"imap4rev2\": true}"));

    (void)state;
    assert_true(settings->auth.passes_uncoded_no);
    assert_int_equal(settings->auth.delay_max_ms, 2500);
    assert_true(settings->imap4rev2);
    settings_free(&settings);
}

static void a_delay_of_0_is_none(void **state)
{
    struct settings *settings =
        settings_case_parse(SETTINGS_CASE(", \"auth\": {\"delay_max\": 0}"));

    (void)state;
    assert_int_equal(settings->auth.delay_max_ms, 0);
    settings_free(&settings);
}

static void uncoded_answers_and_delays_are_checked(void **state)
{
    static const struct settings_refusal refusals[] = {
        {SETTINGS_CASE(", \"auth\": {\"uncoded_no\": true}"),
         "f: $.auth.uncoded_no: found true, expected \"generic\" or "
         "\"pass\"\n"},
        {SETTINGS_CASE(", \"auth\": {\"delay_max\": 16}"),
         "f: $.auth.delay_max: found 16, expected seconds from 0 to 15\n"},
        {SETTINGS_CASE(", \"auth\": {\"delay_max\": -1}"),
         "f: $.auth.delay_max: found -1, expected seconds from 0 to 15\n"},
        {SETTINGS_CASE(", \"upstream\": {\"imap4rev2\": 1}"),
         "f: $.upstream.imap4rev2: found 1, expected true or false\n"},
    };

    (void)state;
    settings_case_assert_all_refused(refusals, COUNT(refusals));
}

static void client_certificates_are_read(void **state)
{
    struct settings *settings = settings_case_parse(EXTERNAL(
        ASKS, ", \"client_certificates\": {\"ca\": \"people.pem\", \"user\": "
              "\"commonName\"}"));

    (void)state;
    assert_false(settings->listeners[0].client_certificates);
    assert_true(settings->listeners[1].client_certificates);
    assert_string_equal(settings->tls.client_ca, "/etc/gatepost/people.pem");
    assert_int_equal(settings->tls.client_user, CERTIFICATE_USER_COMMON_NAME);
    assert_int_equal(settings->auth.mechanisms,
                     AUTH_MECHANISM_PLAIN | AUTH_MECHANISM_EXTERNAL);
    settings_free(&settings);
}

static void the_user_of_a_certificate_is_its_mail_address(void **state)
{
    struct settings *settings = settings_case_parse(EXTERNAL(ASKS, CLIENTS));

    (void)state;
    assert_int_equal(settings->tls.client_user, CERTIFICATE_USER_EMAIL);
    settings_free(&settings);
}

/* threats.md, H8: without a CA nobody must count as verified. */
static void external_wants_a_ca_and_a_listener(void **state)
{
    static const struct settings_refusal refusals[] = {
        {EXTERNAL("", ""),
         "f: $.auth.mechanisms: found EXTERNAL without a CA of clients, "
         "expected $.tls.client_certificates, or no EXTERNAL\n"
         "f: $.auth.mechanisms: found EXTERNAL without a listener that asks "
         "for certificates, expected a listener with "
         "\"client_certificates\": true, or no EXTERNAL\n"},
        {EXTERNAL("", CLIENTS),
         "f: $.auth.mechanisms: found EXTERNAL without a listener that asks "
         "for certificates, expected a listener with "
         "\"client_certificates\": true, or no EXTERNAL\n"
         "f: warning: $.tls.client_certificates: found a CA that no listener "
         "uses, expected a listener with \"client_certificates\": true\n"},
        {EXTERNAL(ASKS, ""),
         "f: $.auth.mechanisms: found EXTERNAL without a CA of clients, "
         "expected $.tls.client_certificates, or no EXTERNAL\n"
         "f: $.listeners[1].client_certificates: found true, expected false, "
         "or $.tls.client_certificates with the CA to verify them by\n"},
        {EXTERNAL(ASKS, ", \"client_certificates\": {}"),
         "f: $.tls.client_certificates.ca: found nothing, expected the path "
         "of a file of the authorities that sign clients' certificates\n"},
        {EXTERNAL(ASKS, ", \"client_certificates\": {\"ca\": \"\"}"),
         "f: $.tls.client_certificates.ca: found \"\", expected text of 1 to "
         "4095 characters\n"},
        {EXTERNAL(ASKS, ", \"client_certificates\": {\"ca\": \"c\", "
                        "\"user\": \"email\"}"),
         "f: $.tls.client_certificates.user: found \"email\", expected "
         "\"rfc822Name\" or \"commonName\"\n"},
    };

    (void)state;
    settings_case_assert_all_refused(refusals, COUNT(refusals));
}

static void certificates_that_nobody_uses_are_warned_about(void **state)
{
    (void)state;
    settings_case_assert_warned(
        SETTINGS_CASE_TLS("{\"certificates\": [{\"directory\": \"d\"}]" CLIENTS
                          "}"),
        "f: warning: $.tls.client_certificates: found a CA that no listener "
        "uses, expected a listener with \"client_certificates\": true\n");
    settings_case_assert_warned(
        "{\"listeners\": [{\"address\": \"*\", \"port\": 993, \"tls\": "
        "\"implicit\"" ASKS "}], \"tls\": {\"certificates\": "
        "[{\"directory\": \"d\"}]" CLIENTS "}, \"routes\": \"r\"}",
        "f: warning: $.tls.client_certificates: found certificates that no "
        "login uses, expected EXTERNAL in $.auth.mechanisms\n");
}

#define PROXY_FROM(list)                                                       \
    SETTINGS_CASE_LISTENERS("[{\"address\": \"*\", \"port\": 993, \"tls\": "   \
                            "\"implicit\", \"proxy_from\": " list "}]")

static void the_networks_of_balancers_are_read(void **state)
{
    struct settings *settings =
        settings_case_parse(PROXY_FROM("[\"10.0.0.0/24\", \"2001:db8::1\"]"));
    const struct listener_config *listener = &settings->listeners[0];

    (void)state;
    assert_int_equal(listener->proxy_from_count, 2);
    assert_int_equal(listener->proxy_from[0].prefix, 24);
    assert_int_equal(listener->proxy_from[1].family, NETWORK_IPV6);
    settings_free(&settings);
}

/* An empty list would let nobody in, or everybody. */
static void the_networks_of_balancers_are_checked(void **state)
{
    static const struct settings_refusal refusals[] = {
        {PROXY_FROM("[]"),
         "f: $.listeners[0].proxy_from: found an empty list, expected a list "
         "of 1 to 1000 items\n"},
        {PROXY_FROM("true"),
         "f: $.listeners[0].proxy_from: found true, expected a list of 1 to "
         "1000 items\n"},
        {PROXY_FROM("[\"10.0.0.0/24\", \"balancer.example.org\"]"),
         "f: $.listeners[0].proxy_from[1]: found \"balancer.example.org\", "
         "expected an IP address or a network such as 10.0.0.0/8, without "
         "bits after its prefix\n"},
    };

    (void)state;
    settings_case_assert_all_refused(refusals, COUNT(refusals));
}

static void balancers_everywhere_are_warned_about(void **state)
{
    (void)state;
    settings_case_assert_warned(
        PROXY_FROM("[\"10.0.0.0/24\", \"::/0\"]"),
        "f: warning: $.listeners[0].proxy_from: found a network of "
        "everybody, expected the addresses of balancers: who may connect "
        "here may pretend to come from any address\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mechanism_has_its_name),
        cmocka_unit_test(all_mechanisms_may_stand_together),
        cmocka_unit_test(mechanisms_are_checked),
        cmocka_unit_test(uncoded_answers_and_delays_are_read),
        cmocka_unit_test(a_delay_of_0_is_none),
        cmocka_unit_test(uncoded_answers_and_delays_are_checked),
        cmocka_unit_test(client_certificates_are_read),
        cmocka_unit_test(the_user_of_a_certificate_is_its_mail_address),
        cmocka_unit_test(external_wants_a_ca_and_a_listener),
        cmocka_unit_test(certificates_that_nobody_uses_are_warned_about),
        cmocka_unit_test(the_networks_of_balancers_are_read),
        cmocka_unit_test(the_networks_of_balancers_are_checked),
        cmocka_unit_test(balancers_everywhere_are_warned_about),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
