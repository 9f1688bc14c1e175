/* A backend that does not speak as it should during a login. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "upstream_case.h"

/* A string with NULs in it, and its length. */
#define BYTES(text) (text), sizeof(text) - 1

static void a_line_that_breaks_the_login_is_not_kept(void **state)
{
    struct upstream_case *fixture = *state;
    const struct upstream_refusal *refusal;

    upstream_case_start_bob(fixture);
    assert_int_equal(upstream_case_feed(fixture, "a2 NO other\r\n"),
                     UPSTREAM_LOGIN_BROKEN);

    refusal = upstream_login_refusal(fixture->login);
    assert_int_equal(refusal->kind, UPSTREAM_REFUSAL_BROKEN);
    assert_int_equal(refusal->original_len, 0);
}

static void only_our_tag_and_ok_is_a_login(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *reason;
    } cases[] = {
        {BYTES("a2 OK in\r\n"), "backend-wrong-tag"},
        {BYTES("A1 OK in\r\n"), "backend-wrong-tag"},
        {BYTES("G2 OK in\r\n"), "backend-wrong-tag"},
        {BYTES("* BYE go away\r\n"), "backend-bye"},
        {BYTES("* PREAUTH in\r\n"), "backend-preauth"},
        {BYTES("+ more\r\n"), "backend-continuation"},
        {BYTES("a1 OKAY in\r\n"), "backend-garbage"},
        {BYTES("\r\n"), "backend-garbage"},
        {BYTES("HTTP/1.1 400 Bad\r\n"), "backend-garbage"},
        {BYTES("a1 OK in\n"), "lone-lf"},
        {BYTES("a1 \0OK in\r\n"), "odd-byte"},
        {BYTES("* LIST {9999999999}\r\n"), "literal"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct upstream_case fixture;
        size_t used;

        upstream_case_init(&fixture);
        upstream_case_start_bob(&fixture);
        assert_int_equal(upstream_case_feed(&fixture, "* OK [ALERT] psst\r\n"),
                         UPSTREAM_LOGIN_MORE);
        assert_int_equal(upstream_login_feed(fixture.login,
                                             (const uint8_t *)cases[i].text,
                                             cases[i].len, &used),
                         UPSTREAM_LOGIN_BROKEN);
        assert_refusal(&fixture, LOGIN_ANSWER_UNAVAILABLE, false,
                       cases[i].reason);
        assert_to_client(&fixture, "");
        upstream_case_deinit(&fixture);
    }
}

static void a_secret_that_garbage_follows_is_kept(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "bob", "pw");
    assert_int_equal(upstream_case_start(fixture, "AUTH=PLAIN LOGINDISABLED"),
                     UPSTREAM_LOGIN_MORE);
    upstream_login_to_backend_clear(fixture->login);

    assert_int_equal(upstream_case_feed(fixture, "+ \r\n* BYE\r\n"),
                     UPSTREAM_LOGIN_BROKEN);

    assert_to_backend(fixture, "");
}

static void an_untagged_ok_is_no_login(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_start_bob(fixture);

    assert_int_equal(upstream_case_feed(fixture, "* OK Logged in\r\n"),
                     UPSTREAM_LOGIN_MORE);
}

static void an_ok_before_the_secret_is_no_login(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "bob", "pw");
    assert_int_equal(upstream_case_start(fixture, "AUTH=PLAIN LOGINDISABLED"),
                     UPSTREAM_LOGIN_MORE);

    assert_int_equal(upstream_case_feed(fixture, "a1 OK sure\r\n"),
                     UPSTREAM_LOGIN_BROKEN);

    assert_refusal(fixture, LOGIN_ANSWER_UNAVAILABLE, false,
                   "backend-early-ok");
}

static void a_bye_while_we_ask_for_the_list_breaks_it(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_start_bob(fixture);
    assert_int_equal(upstream_case_feed(fixture, "a1 OK in\r\n"),
                     UPSTREAM_LOGIN_MORE);

    assert_int_equal(upstream_case_feed(fixture, "* BYE\r\n"),
                     UPSTREAM_LOGIN_BROKEN);

    assert_to_client(fixture, "");
}

static void a_second_answer_to_the_login_breaks_it(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_start_bob(fixture);
    assert_int_equal(upstream_case_feed(fixture, "a1 OK in\r\n"),
                     UPSTREAM_LOGIN_MORE);

    assert_int_equal(upstream_case_feed(fixture, "a1 OK again\r\n"),
                     UPSTREAM_LOGIN_BROKEN);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, upstream_case_set_up,                \
                                    upstream_case_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_line_that_breaks_the_login_is_not_kept),
        TEST(only_our_tag_and_ok_is_a_login),
        TEST(a_secret_that_garbage_follows_is_kept),
        TEST(an_untagged_ok_is_no_login),
        TEST(an_ok_before_the_secret_is_no_login),
        TEST(a_bye_while_we_ask_for_the_list_breaks_it),
        TEST(a_second_answer_to_the_login_breaks_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
