/* How a login that failed is answered, and how often one may try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "login_case.h"

static void each_answer_has_its_words(void **state)
{
    static const struct {
        enum login_answer answer;
        const char *code, *text, *output;
    } cases[] = {
        {LOGIN_ANSWER_BAD_CREDENTIALS, NULL, NULL,
         "a " LOGIN_CASE_AUTHENTICATION_FAILED},
        {LOGIN_ANSWER_UNAVAILABLE, NULL, NULL,
         "a NO [UNAVAILABLE] Temporarily unavailable, try again later.\r\n"},
        {LOGIN_ANSWER_LIMIT, NULL, NULL,
         "a NO [LIMIT] Too many sessions, close one first.\r\n"},
        {LOGIN_ANSWER_AUTHORIZATION, NULL, NULL,
         "a NO [AUTHORIZATIONFAILED] Not allowed to act as that user.\r\n"},
        {LOGIN_ANSWER_UNCODED, NULL, "Mailbox gone", "a NO Mailbox gone\r\n"},
        {LOGIN_ANSWER_UNCODED, NULL, "", "a " LOGIN_CASE_AUTHENTICATION_FAILED},
        {LOGIN_ANSWER_UNCODED, NULL, "[REFERRAL x] y",
         "a " LOGIN_CASE_AUTHENTICATION_FAILED},
        {LOGIN_ANSWER_CODED, "EXPIRED", "Too old",
         "a NO [EXPIRED] Too old\r\n"},
        {LOGIN_ANSWER_CODED, "X]Y", "b OK",
         "a " LOGIN_CASE_AUTHENTICATION_FAILED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *code = cases[i].code == NULL ? "" : cases[i].code;
        const char *text = cases[i].text == NULL ? "" : cases[i].text;
        struct login *login = login_case_secure();

        assert_int_equal(login_case_feed(login, "a LOGIN u p\r\n"), LOGIN_TRY);
        assert_int_equal(login_failed(login, cases[i].answer, code,
                                      strlen(code), text, strlen(text)),
                         LOGIN_MORE);
        login_case_assert_output(login, cases[i].output);
        login_free(&login);
    }
}

static void the_last_try_ends_the_dialogue(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(login_case_feed(login, "a LOGIN u p\r\n"), LOGIN_TRY);
        assert_int_equal(login_case_refuse(login, LOGIN_ANSWER_BAD_CREDENTIALS),
                         LOGIN_MORE);
        login_output_clear(login);
    }
    assert_int_equal(login_case_feed(login, "a LOGIN u p\r\n"), LOGIN_TRY);
    assert_int_equal(
        login_failed(login, LOGIN_ANSWER_CODED, "EXPIRED", 7, "x", 1),
        LOGIN_END);

    login_case_assert_output(login, "a NO [EXPIRED] x\r\n"
                                    "* BYE Too many failed logins.\r\n");
    assert_string_equal(login_end_reason(login), "login-tries");
    login_free(&login);
}

static void every_verdict_on_the_credentials_is_a_try(void **state)
{
    static const enum login_answer answers[] = {LOGIN_ANSWER_BAD_CREDENTIALS,
                                                LOGIN_ANSWER_AUTHORIZATION,
                                                LOGIN_ANSWER_UNCODED};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct login *login = login_case_secure();

        for (int try = 1; try <= 3; try++) {
            assert_int_equal(login_case_feed(login, "a LOGIN u p\r\n"),
                             LOGIN_TRY);
            assert_int_equal(login_case_refuse(login, answers[i]),
                             try == 3 ? LOGIN_END : LOGIN_MORE);
        }
        login_free(&login);
    }
}

static void failures_of_the_service_are_no_tries(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(login_case_feed(login, "a LOGIN u p\r\n"), LOGIN_TRY);
        assert_int_equal(login_case_refuse(login, LOGIN_ANSWER_UNAVAILABLE),
                         LOGIN_MORE);
        assert_int_equal(login_case_feed(login, "a LOGIN u p\r\n"), LOGIN_TRY);
        assert_int_equal(login_case_refuse(login, LOGIN_ANSWER_LIMIT),
                         LOGIN_MORE);
        assert_int_equal(login_case_feed(login, "a LOGIN u p\r\n"), LOGIN_TRY);
        assert_int_equal(
            login_failed(login, LOGIN_ANSWER_CODED, "UNAVAILABLE", 11, "x", 1),
            LOGIN_MORE);
    }
    login_free(&login);
}

static void even_failures_of_the_service_are_bounded(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    for (int i = 0; i < LOGIN_ATTEMPTS_MAX - 1; i++) {
        assert_int_equal(login_case_feed(login, "a LOGIN u p\r\n"), LOGIN_TRY);
        assert_int_equal(login_case_refuse(login, LOGIN_ANSWER_UNAVAILABLE),
                         LOGIN_MORE);
    }
    assert_int_equal(login_case_feed(login, "a LOGIN u p\r\n"), LOGIN_TRY);

    assert_int_equal(login_case_refuse(login, LOGIN_ANSWER_UNAVAILABLE),
                     LOGIN_END);
    assert_string_equal(login_end_reason(login), "login-tries");
    login_free(&login);
}

static void each_try_has_its_own_credentials_only(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    assert_int_equal(
        login_case_feed(login, "a AUTHENTICATE PLAIN Ym9iAGFsaWNlAHB3\r\n"),
        LOGIN_TRY);
    assert_int_equal(login_case_refuse(login, LOGIN_ANSWER_BAD_CREDENTIALS),
                     LOGIN_MORE);

    assert_int_equal(login_case_feed(login, "b LOGIN u p\r\n"), LOGIN_TRY);

    login_case_assert_try(login, "b", "u", "p");
    assert_int_equal(login_credentials(login)->authzid_len, 0);
    login_free(&login);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_has_its_words),
        cmocka_unit_test(the_last_try_ends_the_dialogue),
        cmocka_unit_test(every_verdict_on_the_credentials_is_a_try),
        cmocka_unit_test(failures_of_the_service_are_no_tries),
        cmocka_unit_test(even_failures_of_the_service_are_bounded),
        cmocka_unit_test(each_try_has_its_own_credentials_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
