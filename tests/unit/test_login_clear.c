/* What may be said in clear, and STARTTLS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "login_case.h"

static void in_clear_every_login_gets_one_answer(void **state)
{
    static const char *const tries[] = {
        "a LOGIN u p\r\n",
        "a LOGIN\r\n",
        "a LOGIN u\r\n",
        "a LOGIN {5}\r\n",
        "a LOGIN {99999}\r\n",
        "a LOGIN {4+}\r\nuser {6+}\r\nsecret\r\n",
        "a LOGIN {1+}\r\nu\n",
        "a AUTHENTICATE PLAIN\r\n",
        "a AUTHENTICATE PLAIN AGFiAGNk\r\n",
        "a AUTHENTICATE PLAIN !!!!\r\n",
        "a AUTHENTICATE XYZZY\r\n",
        "a AUTHENTICATE\r\n",
        "a AUTHENTICATE LOGIN {3}\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        struct login *login = login_case_clear();

        assert_int_equal(login_case_feed(login, tries[i]), LOGIN_MORE);
        login_case_assert_output(login, "a " LOGIN_CASE_PRIVACY_REQUIRED);
        assert_int_equal(login_case_feed(login, "b NOOP\r\n"), LOGIN_MORE);
        login_case_assert_output(login, "b OK NOOP completed.\r\n");
        login_free(&login);
    }
}

static void starttls_stops_right_behind_its_line(void **state)
{
    static const char text[] = "a STARTTLS\r\nb NOOP\r\n";
    struct login *login = login_case_clear();
    size_t used;

    (void)state;
    assert_int_equal(
        login_feed(login, (const uint8_t *)text, sizeof(text) - 1, &used),
        LOGIN_STARTTLS);

    assert_int_equal(used, 12);
    login_case_assert_output(login, "a OK Begin TLS negotiation now.\r\n");
    login_free(&login);
}

static void starttls_is_obeyed_in_no_other_form(void **state)
{
    static const char *const bad[] = {
        "a STARTTLS\nb NOOP\n", "a STARTTLS {5+}\r\nxxxxx\r\n",
        "a STARTTLS x\r\n",     "a STARTTLS {5}\r\n",
        "a STARTTLS \r\n",      "a STARTTLS\r\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct login *login = login_case_clear();

        assert_int_equal(login_case_feed(login, bad[i]), LOGIN_MORE);
        login_case_assert_output_begins(login, "a BAD ");
        assert_int_equal(login_case_feed(login, "c STARTTLS\r\n"),
                         LOGIN_STARTTLS);
        login_free(&login);
    }
}

static void starttls_under_tls_is_bad(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    assert_int_equal(login_case_feed(login, "a STARTTLS\r\n"), LOGIN_MORE);

    login_case_assert_output(login, "a BAD TLS is already active.\r\n");
    login_free(&login);
}

static void starttls_that_is_not_offered_is_a_no(void **state)
{
    struct login_rules without = login_case_rules();
    struct login *login;

    (void)state;
    without.starttls = false;
    login = login_new(&without, false);
    assert_int_equal(login_case_feed(login, "a STARTTLS\r\n"), LOGIN_MORE);

    login_case_assert_output(login, "a NO STARTTLS is not available.\r\n");
    login_free(&login);
}

static void nothing_is_carried_over_the_upgrade(void **state)
{
    struct login *login = login_case_clear();

    (void)state;
    assert_int_equal(login_case_feed(login, "a X\r\nb X\r\nc X\r\nd X\r\n"),
                     LOGIN_MORE);
    assert_int_equal(login_case_feed(login, "s STARTTLS\r\n"), LOGIN_STARTTLS);
    login_output_clear(login);

    login_secured(login);

    login_case_assert_output(login, "");
    assert_int_equal(login_case_feed(login, "a X\r\nb X\r\nc X\r\nd X\r\n"),
                     LOGIN_MORE);
    login_output_clear(login);
    assert_int_equal(login_case_feed(login, "e CAPABILITY\r\n"), LOGIN_MORE);
    login_case_assert_output_begins(login, "* " LOGIN_CASE_SECURE_LIST "\r\n");
    assert_int_equal(login_case_feed(login, "f LOGIN u p\r\n"), LOGIN_TRY);
    login_free(&login);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_clear_every_login_gets_one_answer),
        cmocka_unit_test(starttls_stops_right_behind_its_line),
        cmocka_unit_test(starttls_is_obeyed_in_no_other_form),
        cmocka_unit_test(starttls_under_tls_is_bad),
        cmocka_unit_test(starttls_that_is_not_offered_is_a_no),
        cmocka_unit_test(nothing_is_carried_over_the_upgrade),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
