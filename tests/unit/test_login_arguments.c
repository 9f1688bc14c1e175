/* The command LOGIN and its two arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "login_case.h"

/* Each argument in each of its four forms. */
static void login_takes_all_sixteen_combinations(void **state)
{
    static const char *const users[] = {"bob", "\"bob\"", "{3}\r\nbob",
                                        "{3+}\r\nbob"};
    static const char *const secrets[] = {"p]w", "\"p]w\"", "{3}\r\np]w",
                                          "{3+}\r\np]w"};

    (void)state;
    for (size_t i = 0; i < 16; i++) {
        struct login *login = login_case_secure();
        char line[64];

        snprintf(line, sizeof(line), "x LOGIN %s %s\r\n", users[i / 4],
                 secrets[i % 4]);
        assert_int_equal(login_case_feed(login, line), LOGIN_TRY);
        login_case_assert_try(login, "x", "bob", "p]w");
        assert_string_equal(login_mechanism(login), "LOGIN");
        login_free(&login);
    }
}

static void literals_are_invited_one_by_one(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    assert_int_equal(login_case_feed(login, "a LOGIN {3}\r\n"), LOGIN_MORE);
    login_case_assert_output(login, "+ OK\r\n");
    assert_int_equal(login_case_feed(login, "bob {2}\r\n"), LOGIN_MORE);
    login_case_assert_output(login, "+ OK\r\n");
    assert_int_equal(login_case_feed(login, "pw\r\n"), LOGIN_TRY);

    login_case_assert_output(login, "");
    login_case_assert_try(login, "a", "bob", "pw");
    login_free(&login);
}

static void quoted_arguments_are_unescaped_and_literals_are_not(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    assert_int_equal(
        login_case_feed(login,
                        "a LOGIN \"te\\\\\\\"st@x\" {4+}\r\n\\\"\r\n\r\n"),
        LOGIN_TRY);

    login_case_assert_try(login, "a", "te\\\"st@x", "\\\"\r\n");
    login_free(&login);
}

static void utf8_in_quotes_passes(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    assert_int_equal(
        login_case_feed(login, "a LOGIN \"j\xc3\xb6rg\" \"p\xc3\xa4\"\r\n"),
        LOGIN_TRY);

    login_case_assert_try(login, "a", "j\xc3\xb6rg", "p\xc3\xa4");
    login_free(&login);
}

static void login_that_is_malformed_is_bad_and_keeps_nothing(void **state)
{
    static const char *const bad[] = {
        "a LOGIN\r\n",
        "a LOGIN u\r\n",
        "a LOGIN u p x\r\n",
        "a LOGIN u  p\r\n",
        "a LOGIN u p \r\n",
        "a LOGIN \"u p\r\n",
        "a LOGIN \"u\"p\r\n",
        "a LOGIN \"u\\x\" p\r\n",
        "a LOGIN u* p\r\n",
        "a LOGIN (u) p\r\n",
        "a LOGIN j\xc3\xb6rg p\r\n",
        "a LOGIN u p {3}\r\n",
        "a LOGIN \"u {3}\r\n",
        "a LOGIN u p{3}\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct login *login = login_case_secure();

        assert_int_equal(login_case_feed(login, bad[i]), LOGIN_MORE);
        login_case_assert_output(login, "a BAD Invalid arguments.\r\n");
        assert_int_equal(login_case_feed(login, "b NOOP\r\n"), LOGIN_MORE);
        login_case_assert_output(login, "b OK NOOP completed.\r\n");
        login_free(&login);
    }
}

static void a_name_that_no_backend_may_see_fails_like_a_wrong_one(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {LOGIN_CASE_BYTES("a LOGIN {3+}\r\nu\rx p\r\n")},
        {LOGIN_CASE_BYTES("a LOGIN {11+}\r\nu\r\nx NOOP\r\n p\r\n")},
        {LOGIN_CASE_BYTES("a LOGIN {3+}\r\nu\0x p\r\n")},
        {LOGIN_CASE_BYTES("a LOGIN \"u\x1b\" p\r\n")},
        {LOGIN_CASE_BYTES("a LOGIN \"\" p\r\n")},
        {LOGIN_CASE_BYTES("a LOGIN u \"\"\r\n")},
        {LOGIN_CASE_BYTES("a LOGIN u {3+}\r\np\0x\r\n")},
        {LOGIN_CASE_BYTES("a AUTHENTICATE PLAIN AGEKYgBw\r\n")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct login *login = login_case_secure();

        assert_int_equal(
            login_case_feed_bytes(login, cases[i].bytes, cases[i].len),
            LOGIN_MORE);
        login_case_assert_output(login, "a " LOGIN_CASE_AUTHENTICATION_FAILED);
        login_free(&login);
    }
}

static void a_user_or_password_over_its_limit_fails(void **state)
{
    struct login *login = login_case_secure();
    char line[2048];

    (void)state;
    assert_int_equal(login_case_feed(login, "a LOGIN {1025}\r\n"), LOGIN_MORE);
    login_case_assert_output(login, "a " LOGIN_CASE_AUTHENTICATION_FAILED);
    snprintf(line, sizeof(line), "b LOGIN %01025d p\r\n", 0);
    assert_int_equal(login_case_feed(login, line), LOGIN_MORE);
    login_case_assert_output(login, "b " LOGIN_CASE_AUTHENTICATION_FAILED);
    assert_int_equal(login_case_feed(login, "c LOGIN u {8193}\r\n"),
                     LOGIN_MORE);
    login_case_assert_output(login, "c BAD [TOOBIG] Literal too large.\r\n");
    snprintf(line, sizeof(line), "d LOGIN %01024d p\r\n", 0);
    assert_int_equal(login_case_feed(login, line), LOGIN_TRY);
    login_free(&login);
}

static void a_user_and_a_password_at_their_longest_are_taken(void **state)
{
    struct login *login = login_case_secure();
    char text[8300];

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(login_case_feed(login, "a LOGIN {1024}\r\n"), LOGIN_MORE);
    assert_int_equal(login_case_feed_bytes(login, text, 1024), LOGIN_MORE);
    assert_int_equal(login_case_feed(login, " {8192}\r\n"), LOGIN_MORE);
    assert_int_equal(login_case_feed_bytes(login, text, 8192), LOGIN_MORE);
    assert_int_equal(login_case_feed(login, "\r\n"), LOGIN_TRY);

    assert_int_equal(login_credentials(login)->user_len, 1024);
    assert_int_equal(login_credentials(login)->secret_len, 8192);
    login_free(&login);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(login_takes_all_sixteen_combinations),
        cmocka_unit_test(literals_are_invited_one_by_one),
        cmocka_unit_test(quoted_arguments_are_unescaped_and_literals_are_not),
        cmocka_unit_test(utf8_in_quotes_passes),
        cmocka_unit_test(login_that_is_malformed_is_bad_and_keeps_nothing),
        cmocka_unit_test(a_name_that_no_backend_may_see_fails_like_a_wrong_one),
        cmocka_unit_test(a_user_or_password_over_its_limit_fails),
        cmocka_unit_test(a_user_and_a_password_at_their_longest_are_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
