/* AUTHENTICATE, as far as it is between the client and us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/base64.h"
#include "login_case.h"

static void plain_runs_with_and_without_initial_response(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    assert_int_equal(
        login_case_feed(login, "a authenticate plain AGJvYgBwdw==\r\n"),
        LOGIN_TRY);
    login_case_assert_try(login, "a", "bob", "pw");
    assert_string_equal(login_mechanism(login), "PLAIN");
    assert_int_equal(login_case_refuse(login, LOGIN_ANSWER_UNAVAILABLE),
                     LOGIN_MORE);
    login_output_clear(login);
    assert_int_equal(login_case_feed(login, "b AUTHENTICATE PLAIN\r\n"),
                     LOGIN_MORE);
    login_case_assert_output(login, "+ \r\n");
    assert_int_equal(login_case_feed(login, "AGJvYgBwdw==\r\n"), LOGIN_TRY);
    login_case_assert_try(login, "b", "bob", "pw");
    login_free(&login);
}

static void the_authzid_is_kept(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    assert_int_equal(
        login_case_feed(login, "a AUTHENTICATE PLAIN Ym9iAGFsaWNlAHB3\r\n"),
        LOGIN_TRY);

    login_case_assert_try(login, "a", "alice", "pw");
    assert_int_equal(login_credentials(login)->authzid_len, 3);
    assert_memory_equal(login_credentials(login)->authzid, "bob", 3);
    login_free(&login);
}

static void auth_login_asks_twice_or_takes_the_user_at_once(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    assert_int_equal(login_case_feed(login, "a AUTHENTICATE LOGIN\r\n"),
                     LOGIN_MORE);
    login_case_assert_output(login, "+ VXNlcm5hbWU6\r\n");
    assert_int_equal(login_case_feed(login, "Ym9i\r\n"), LOGIN_MORE);
    login_case_assert_output(login, "+ UGFzc3dvcmQ6\r\n");
    assert_int_equal(login_case_feed(login, "cHc=\r\n"), LOGIN_TRY);
    login_case_assert_try(login, "a", "bob", "pw");
    assert_string_equal(login_mechanism(login), "AUTH=LOGIN");
    assert_int_equal(login_case_refuse(login, LOGIN_ANSWER_UNAVAILABLE),
                     LOGIN_MORE);
    login_output_clear(login);

    assert_int_equal(login_case_feed(login, "b AUTHENTICATE LOGIN Ym9i\r\n"),
                     LOGIN_MORE);
    login_case_assert_output(login, "+ UGFzc3dvcmQ6\r\n");
    assert_int_equal(login_case_feed(login, "*\r\n"), LOGIN_MORE);
    login_output_clear(login);
    assert_int_equal(login_case_feed(login, "c AUTHENTICATE LOGIN =\r\n"),
                     LOGIN_MORE);
    login_case_assert_output(login, "+ VXNlcm5hbWU6\r\n");
    login_free(&login);
}

static void a_star_cancels(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    assert_int_equal(
        login_case_feed(login, "a AUTHENTICATE PLAIN\r\n*\r\nb NOOP\r\n"),
        LOGIN_MORE);

    login_case_assert_output(login, "+ \r\na BAD AUTHENTICATE cancelled.\r\n"
                                    "b OK NOOP completed.\r\n");
    login_free(&login);
}

static void sasl_data_that_is_bad_ends_the_exchange_only(void **state)
{
    static const char *const bad[] = {
        "a AUTHENTICATE PLAIN\r\n!!!!\r\n",
        "a AUTHENTICATE PLAIN\r\nb STARTTLS\r\n",
        "a AUTHENTICATE PLAIN\r\n\r\n",
        "a AUTHENTICATE PLAIN\r\nAGJvYgBwdw==\n",
        "a AUTHENTICATE PLAIN\r\n AGJvYgBwdw==\r\n",
        "a AUTHENTICATE PLAIN\r\nAGJvYgBwdw\r\n",
        "a AUTHENTICATE PLAIN\r\nAGJv=gBw\r\n",
        "a AUTHENTICATE PLAIN\r\nAGFi\r\n",
        "a AUTHENTICATE PLAIN\r\n=\r\n",
        "a AUTHENTICATE LOGIN\r\n\r\n",
        "a AUTHENTICATE LOGIN\r\nYm9i\r\n!\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct login *login = login_case_secure();

        assert_int_equal(login_case_feed(login, bad[i]), LOGIN_MORE);
        login_case_assert_output_ends(
            login, "\na BAD Invalid authentication data.\r\n");
        assert_int_equal(login_case_feed(login, "b LOGIN u p\r\n"), LOGIN_TRY);
        login_free(&login);
    }
}

static void an_initial_response_that_is_bad_is_bad(void **state)
{
    static const char *const bad[] = {
        "a AUTHENTICATE PLAIN =\r\n",
        "a AUTHENTICATE PLAIN AG=i\r\n",
        "a AUTHENTICATE PLAIN AGFi AGFi\r\n",
        "a AUTHENTICATE PLAIN \"\"\r\n",
    };
    struct login *login = login_case_secure();

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(login_case_feed(login, bad[i]), LOGIN_MORE);
        login_case_assert_output(login,
                                 "a BAD Invalid authentication data.\r\n");
    }
    login_free(&login);
}

static void authenticate_that_is_malformed_is_bad(void **state)
{
    static const char *const bad[] = {
        "a AUTHENTICATE\r\n",
        "a AUTHENTICATE \r\n",
        "a AUTHENTICATE PLAIN \r\n",
        "a AUTHENTICATE \"PLAIN\"\r\n",
        "a AUTHENTICATE PLAIN\"\r\n",
        "a AUTHENTICATE {5}\r\n",
        "a AUTHENTICATE {5+}\r\nPLAIN\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct login *login = login_case_secure();

        assert_int_equal(login_case_feed(login, bad[i]), LOGIN_MORE);
        login_case_assert_output(login, "a BAD Invalid arguments.\r\n");
        login_free(&login);
    }
}

static void only_offered_mechanisms_run(void **state)
{
    static const char *const others[] = {
        "a AUTHENTICATE EXTERNAL =\r\n",
        "a AUTHENTICATE PLAI AGJvYgBwdw==\r\n",
        "a AUTHENTICATE LOGIN Ym9i\r\n",
        "a AUTHENTICATE %n%s\r\n",
    };
    struct login_rules plain_only = login_case_rules();
    struct login *login;

    (void)state;
    plain_only.mechanisms = SASL_PLAIN;
    login = login_new(&plain_only, true);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(login_case_feed(login, others[i]), LOGIN_MORE);
        login_case_assert_output(
            login, "a NO Unsupported authentication mechanism.\r\n");
    }
    assert_int_equal(login_case_feed(login, others[3]), LOGIN_MORE);
    login_case_assert_output(login, "a BAD Invalid arguments.\r\n");
    login_free(&login);
}

static void the_longest_plain_message_fits_a_line(void **state)
{
    static uint8_t message[2 * 1024 + 8192 + 2];
    static uint8_t text[BASE64_LENGTH(sizeof(message)) + 1];
    struct login *login = login_case_secure();
    size_t len;

    (void)state;
    memset(message, 'x', sizeof(message));
    message[1024] = 0;
    message[2049] = 0;
    len = base64_encode(message, sizeof(message), text);
    assert_int_equal(login_case_feed(login, "a AUTHENTICATE PLAIN "),
                     LOGIN_MORE);
    assert_int_equal(login_case_feed_bytes(login, text, len), LOGIN_MORE);
    assert_int_equal(login_case_feed(login, "\r\n"), LOGIN_TRY);

    assert_int_equal(login_credentials(login)->secret_len, 8192);
    login_free(&login);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_runs_with_and_without_initial_response),
        cmocka_unit_test(the_authzid_is_kept),
        cmocka_unit_test(auth_login_asks_twice_or_takes_the_user_at_once),
        cmocka_unit_test(a_star_cancels),
        cmocka_unit_test(sasl_data_that_is_bad_ends_the_exchange_only),
        cmocka_unit_test(an_initial_response_that_is_bad_is_bad),
        cmocka_unit_test(authenticate_that_is_malformed_is_bad),
        cmocka_unit_test(only_offered_mechanisms_run),
        cmocka_unit_test(the_longest_plain_message_fits_a_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
