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

/* A backend that goes is a tagged NO for the client, whenever it goes. */
static void a_bye_breaks_the_login_wherever_it_comes(void **state)
{
    static const struct {
        const char *list, *before;
    } cases[] = {
        {"SASL-IR AUTH=PLAIN", ""},
        {"AUTH=PLAIN LOGINDISABLED", ""},
        {"AUTH=PLAIN LOGINDISABLED", "+ \r\n"},
        {"IMAP4rev1", ""},
        {"AUTH=LOGIN LOGINDISABLED", "+\r\n"},
        {"AUTH=LOGIN LOGINDISABLED", "+\r\n+\r\n"},
        {"SASL-IR AUTH=PLAIN ID", ""},
        {"SASL-IR AUTH=PLAIN ID", "G2 OK\r\n"},
        {"SASL-IR AUTH=PLAIN", "* OK [ALERT] x\r\n"},
    };
    static const char *const byes[] = {
        "* BYE\r\n", "* BYE Going down\r\n", "* bye [UNAVAILABLE] x\r\n",
        "* BYE [REFERRAL imap://evil/] x\r\n", "* BYE x\r\na1 OK in\r\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t k = 0; k < sizeof(byes) / sizeof(byes[0]); k++) {
            struct upstream_case fixture;
            size_t used;

            upstream_case_init(&fixture);
            upstream_case_set(&fixture, "bob", "pw");
            fixture.request.id = (const uint8_t *)"(\"a\" NIL)";
            fixture.request.id_len = 9;
            assert_int_equal(upstream_case_start(&fixture, cases[i].list),
                             UPSTREAM_LOGIN_MORE);
            assert_int_equal(upstream_case_feed(&fixture, cases[i].before),
                             UPSTREAM_LOGIN_MORE);
            assert_int_equal(upstream_login_feed(fixture.login,
                                                 (const uint8_t *)byes[k],
                                                 strlen(byes[k]), &used),
                             UPSTREAM_LOGIN_BROKEN);
            assert_refusal(&fixture, LOGIN_ANSWER_UNAVAILABLE, false,
                           "backend-bye");
            assert_int_equal(upstream_login_refusal(fixture.login)->code_len,
                             0);
            assert_to_client(&fixture, "");
            assert_to_backend(&fixture, "");
            upstream_case_deinit(&fixture);
        }
    }
}

static void the_words_of_a_bye_are_kept_for_the_log(void **state)
{
    struct upstream_case *fixture = *state;
    const struct upstream_refusal *refusal;

    upstream_case_start_bob(fixture);
    assert_int_equal(upstream_case_feed(fixture, "* BYE Too many\r\n"),
                     UPSTREAM_LOGIN_BROKEN);

    refusal = upstream_login_refusal(fixture->login);
    assert_bytes(refusal->original, refusal->original_len, "* BYE Too many",
                 14);
}

static void a_bye_that_echoes_the_secret_is_not_kept(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_start_bob(fixture);
    assert_int_equal(upstream_case_feed(
                         fixture, "* BYE AUTHENTICATE PLAIN AGJvYgBwdw==\r\n"),
                     UPSTREAM_LOGIN_BROKEN);

    assert_int_equal(upstream_login_refusal(fixture->login)->original_len, 0);
}

static void an_ok_right_behind_the_invitation_is_no_login(void **state)
{
    static const char *const lists[] = {"AUTH=PLAIN LOGINDISABLED",
                                        "AUTH=LOGIN LOGINDISABLED"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct upstream_case fixture;

        upstream_case_init(&fixture);
        upstream_case_set(&fixture, "bob", "pw");
        assert_int_equal(upstream_case_start(&fixture, lists[i]),
                         UPSTREAM_LOGIN_MORE);
        upstream_login_to_backend_clear(fixture.login);
        assert_int_equal(upstream_case_feed(&fixture, "+ \r\na1 OK sure\r\n"),
                         UPSTREAM_LOGIN_BROKEN);

        assert_refusal(&fixture, LOGIN_ANSWER_UNAVAILABLE, false,
                       "backend-early-ok");
        assert_to_backend(&fixture, "");
        upstream_case_deinit(&fixture);
    }
}

static void what_comes_after_the_break_changes_nothing(void **state)
{
    struct upstream_case *fixture = *state;
    size_t used;

    upstream_case_start_bob(fixture);
    assert_int_equal(upstream_case_feed(fixture, "* LIST {3}\r\n"),
                     UPSTREAM_LOGIN_BROKEN);

    assert_int_equal(upstream_login_feed(fixture->login,
                                         (const uint8_t *)"abc\r\na1 OK in\r\n",
                                         14, &used),
                     UPSTREAM_LOGIN_BROKEN);

    assert_to_client(fixture, "");
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
        TEST(a_bye_breaks_the_login_wherever_it_comes),
        TEST(the_words_of_a_bye_are_kept_for_the_log),
        TEST(a_bye_that_echoes_the_secret_is_not_kept),
        TEST(an_ok_right_behind_the_invitation_is_no_login),
        TEST(what_comes_after_the_break_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
