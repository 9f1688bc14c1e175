/* What a login that a backend grants shows to the client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "upstream_case.h"

static void an_ok_with_capabilities_passes_with_them_filtered(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_start_bob(fixture);

    assert_int_equal(
        upstream_case_feed(fixture,
                           "a1 OK [CAPABILITY IMAP4rev1 IDLE AUTH=PLAIN "
                           "STARTTLS UNAUTHENTICATE MOVE] Logged in\r\n"),
        UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture,
                     "a1 OK [CAPABILITY IMAP4rev1 IDLE MOVE] Logged in\r\n");
    assert_to_backend(fixture, "");
}

static void a_volunteered_list_goes_once_and_into_the_ok(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_start_bob(fixture);

    assert_int_equal(
        upstream_case_feed(fixture, "* CAPABILITY OLD\r\n"
                                    "* CAPABILITY IMAP4rev1 STARTTLS IDLE\r\n"
                                    "a1 OK in\r\n"),
        UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "* CAPABILITY IMAP4rev1 IDLE\r\n"
                              "a1 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n");
}

static void a_list_that_was_not_volunteered_is_asked_for(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_start_bob(fixture);
    assert_int_equal(upstream_case_feed(fixture, "a1 OK in\r\n"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "G2 CAPABILITY\r\n");
    assert_int_equal(
        upstream_case_feed(fixture, "* CAPABILITY IMAP4rev1 IDLE\r\n"),
        UPSTREAM_LOGIN_MORE);
    assert_int_equal(upstream_case_feed(fixture, "G2 OK done\r\n"),
                     UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "a1 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n");
}

static void an_untagged_ok_may_carry_the_list_too(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_start_bob(fixture);

    assert_int_equal(upstream_case_feed(fixture,
                                        "* OK [CAPABILITY IMAP4rev1 X] hm\r\n"
                                        "a1 OK\r\n"),
                     UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "a1 OK [CAPABILITY IMAP4rev1 X] Logged in.\r\n");
}

static void our_tag_is_never_the_clients(void **state)
{
    static const char *const tags[] = {"G2", "g2"};
    struct upstream_case *fixture = *state;

    for (size_t i = 0; i < 2; i++) {
        char ok[16];

        upstream_login_free(&fixture->login);
        fixture->login = upstream_login_new();
        fixture->request.tag = tags[i];
        upstream_case_set(fixture, "bob", "pw");
        assert_int_equal(upstream_case_start(fixture, "SASL-IR AUTH=PLAIN"),
                         UPSTREAM_LOGIN_MORE);
        upstream_login_to_backend_clear(fixture->login);
        snprintf(ok, sizeof(ok), "%s OK in\r\n", tags[i]);
        assert_int_equal(upstream_case_feed(fixture, ok), UPSTREAM_LOGIN_MORE);
        assert_to_backend(fixture, "H2 CAPABILITY\r\n");
    }
}

static void a_backend_that_tells_no_list_is_logged_in_all_the_same(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_start_bob(fixture);
    assert_int_equal(upstream_case_feed(fixture, "a1 OK in\r\n"),
                     UPSTREAM_LOGIN_MORE);
    assert_int_equal(upstream_case_feed(fixture, "G2 NO not now\r\n"),
                     UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "a1 OK in\r\n");
}

static void another_code_stays_and_the_list_goes_before_it(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_start_bob(fixture);
    assert_int_equal(upstream_case_feed(fixture, "a1 OK [X-QUOTA low] in\r\n"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "G2 CAPABILITY\r\n");
    assert_int_equal(
        upstream_case_feed(fixture, "* CAPABILITY IMAP4rev1\r\nG2 OK x\r\n"),
        UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "* CAPABILITY IMAP4rev1\r\n"
                              "a1 OK [X-QUOTA low] in\r\n");
}

static void a_referral_never_reaches_the_client(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_start_bob(fixture);

    assert_int_equal(upstream_case_feed(fixture,
                                        "* OK [REFERRAL imap://evil/] x\r\n"
                                        "* CAPABILITY A\r\n"
                                        "a1 OK [REFERRAL imap://evil/] in\r\n"),
                     UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "* CAPABILITY A\r\n"
                              "a1 OK [CAPABILITY A] in\r\n");
}

static void a_second_code_never_takes_the_place_of_the_first(void **state)
{
    static const char *const lines[] = {
        "a1 OK [REFERRAL imap://x/] [REFERRAL imap://evil/] hi\r\n",
        "a1 OK [CAPABILITY ] [CAPABILITY IMAP4rev1 UNAUTHENTICATE] hi\r\n",
        "a1 OK [CAPABILITY A][REFERRAL imap://evil/] hi\r\n",
        "a1 OK  [REFERRAL imap://evil/] hi\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct upstream_case fixture;
        enum upstream_login_result result;

        upstream_case_init(&fixture);
        upstream_case_start_bob(&fixture);
        result = upstream_case_feed(&fixture, lines[i]);
        if (result == UPSTREAM_LOGIN_MORE)
            result =
                upstream_case_feed(&fixture, "* CAPABILITY A\r\nG2 OK x\r\n");
        assert_int_equal(result, UPSTREAM_LOGIN_DONE);

        assert_to_client(&fixture, "a1 OK [CAPABILITY A] Logged in.\r\n");
        upstream_case_deinit(&fixture);
    }
}

static void a_second_code_does_not_pass_without_a_list_either(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_start_bob(fixture);
    assert_int_equal(
        upstream_case_feed(fixture, "a1 OK [REFERRAL x] [REFERRAL y] hi\r\n"),
        UPSTREAM_LOGIN_MORE);
    assert_int_equal(upstream_case_feed(fixture, "G2 NO\r\n"),
                     UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "a1 OK Logged in.\r\n");
}

static void alerts_pass_and_all_else_untagged_is_dropped(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_start_bob(fixture);

    assert_int_equal(
        upstream_case_feed(fixture, "* OK [ALERT] one\r\n* 5 EXISTS\r\n"
                                    "* NO [ALERT] two\r\n* OK still here\r\n"
                                    "* ID NIL\r\n* BAD [ALERT] three\r\n"
                                    "a1 OK [CAPABILITY A] in\r\n"),
        UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "* OK [ALERT] one\r\n* NO [ALERT] two\r\n"
                              "a1 OK [CAPABILITY A] in\r\n");
}

static void alerts_are_bounded(void **state)
{
    struct upstream_case *fixture = *state;
    size_t len;

    upstream_case_start_bob(fixture);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(
            upstream_case_feed(fixture, "* OK [ALERT] 0123456789\r\n"),
            UPSTREAM_LOGIN_MORE);
    assert_int_equal(upstream_case_feed(fixture, "a1 NO x\r\n"),
                     UPSTREAM_LOGIN_REFUSED);

    (void)upstream_login_to_client(fixture->login, &len);
    assert_in_range(len, 4000, 4200);
}

static void what_follows_the_ok_belongs_to_the_splice(void **state)
{
    static const char text[] = "a1 OK [CAPABILITY A] in\r\n* 5 EXISTS\r\n";
    struct upstream_case *fixture = *state;
    size_t used;

    upstream_case_start_bob(fixture);

    assert_int_equal(upstream_login_feed(fixture->login, (const uint8_t *)text,
                                         sizeof(text) - 1, &used),
                     UPSTREAM_LOGIN_DONE);

    assert_int_equal(used, 25);
}

static void controls_in_what_passes_are_masked(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_start_bob(fixture);

    assert_int_equal(
        upstream_case_feed(fixture, "* OK [ALERT] \x1b[2J\x7f\xc3\xa4\t.\r\n"
                                    "* CAPABILITY A B\x1b[2J C\r\n"
                                    "a1 OK [X a\x08] in\x1b[0m\r\n"),
        UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "* OK [ALERT] ?[2J?\xc3\xa4?.\r\n"
                              "* CAPABILITY A C\r\n"
                              "a1 OK [X a?] in?[0m\r\n");
}

static void fill(char out[512], const char *format, const char *list)
{
    const char *mark = strstr(format, "%s");

    snprintf(out, 512, "%.*s%s%s", (int)(mark - format), format, list,
             mark + 2);
}

static void an_untagged_list_is_filtered_like_the_coded_one(void **state)
{
    static const char list[] =
        "IMAP4rev1 IMAP4rev2 STARTTLS LOGINDISABLED AUTH=PLAIN "
        "AUTH=SCRAM-SHA-1-PLUS SASL-IR UNAUTHENTICATE LOGIN-REFERRALS "
        "MAILBOX-REFERRALS LITERAL+ ENABLE UTF8=ACCEPT COMPRESS=DEFLATE";
    static const char seen[] = "IMAP4rev1 IMAP4rev2 LITERAL+ ENABLE "
                               "UTF8=ACCEPT COMPRESS=DEFLATE";
    static const char *const formats[] = {
        "* CAPABILITY %s\r\na1 OK [X] in\r\n",
        "* OK [CAPABILITY %s] x\r\na1 OK [X] in\r\n",
        "a1 OK [CAPABILITY %s] in\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        struct upstream_case fixture;
        char text[512];
        char expected[512];

        upstream_case_init(&fixture);
        upstream_case_start_bob(&fixture);
        fill(text, formats[i], list);
        assert_int_equal(upstream_case_feed(&fixture, text),
                         UPSTREAM_LOGIN_DONE);

        fill(expected, i == 2 ? formats[2] : formats[0], seen);
        assert_to_client(&fixture, expected);
        upstream_case_deinit(&fixture);
    }
}

static void what_the_backend_announced_is_known_afterwards(void **state)
{
    struct upstream_case *fixture = *state;
    const struct imap_capabilities *known;

    upstream_case_start_bob(fixture);
    assert_int_equal(
        upstream_case_feed(fixture,
                           "* CAPABILITY MAILBOX-REFERRALS\r\n"
                           "a1 OK [CAPABILITY IDLE UNAUTHENTICATE] in\r\n"),
        UPSTREAM_LOGIN_DONE);

    known = upstream_login_capabilities(fixture->login);
    assert_true(imap_capabilities_has(known, IMAP_CAPABILITY_UNAUTHENTICATE));
    assert_false(imap_capabilities_has(known, IMAP_CAPABILITY_REFERRALS));
}

static void an_ok_that_echoes_a_masters_secret_is_replaced(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set_certificate(fixture, "bob");
    assert_int_equal(upstream_case_start(fixture, "SASL-IR AUTH=PLAIN"),
                     UPSTREAM_LOGIN_MORE);
    upstream_login_to_backend_clear(fixture->login);

    assert_int_equal(
        upstream_case_feed(fixture, "* CAPABILITY A\r\n"
                                    "a1 OK [X hunter2] boss hunter2 in\r\n"),
        UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "* CAPABILITY A\r\n"
                              "a1 OK [CAPABILITY A] Logged in.\r\n");
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, upstream_case_set_up,                \
                                    upstream_case_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_ok_with_capabilities_passes_with_them_filtered),
        TEST(a_volunteered_list_goes_once_and_into_the_ok),
        TEST(a_list_that_was_not_volunteered_is_asked_for),
        TEST(an_untagged_ok_may_carry_the_list_too),
        TEST(our_tag_is_never_the_clients),
        TEST(a_backend_that_tells_no_list_is_logged_in_all_the_same),
        TEST(another_code_stays_and_the_list_goes_before_it),
        TEST(a_referral_never_reaches_the_client),
        TEST(a_second_code_never_takes_the_place_of_the_first),
        TEST(a_second_code_does_not_pass_without_a_list_either),
        TEST(alerts_pass_and_all_else_untagged_is_dropped),
        TEST(alerts_are_bounded),
        TEST(what_follows_the_ok_belongs_to_the_splice),
        TEST(controls_in_what_passes_are_masked),
        TEST(an_untagged_list_is_filtered_like_the_coded_one),
        TEST(what_the_backend_announced_is_known_afterwards),
        TEST(an_ok_that_echoes_a_masters_secret_is_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
