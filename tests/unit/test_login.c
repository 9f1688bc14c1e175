/* The dialogue with a client before its login: greeting, commands of any
 * state, strangers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "login_case.h"

static void the_greeting_tells_what_is_parsed(void **state)
{
    struct login *clear = login_case_clear();
    struct login *secure = login_case_secure();

    (void)state;
    login_greet(clear);
    login_greet(secure);

    login_case_assert_output(clear, "* OK [" LOGIN_CASE_CLEAR_LIST
                                    "] Gatepost ready\r\n");
    login_case_assert_output(secure, "* OK [" LOGIN_CASE_SECURE_LIST
                                     "] Gatepost ready\r\n");
    login_free(&clear);
    login_free(&secure);
    assert_null(clear);
    login_free(&clear);
}

static void rev2_is_announced_where_every_backend_has_it(void **state)
{
    struct login_rules rules = login_case_rules();

    (void)state;
    rules.imap4rev2 = true;
    for (int secure = 0; secure < 2; secure++) {
        struct login *login = login_new(&rules, secure != 0);

        login_greet(login);
        login_case_assert_output_begins(
            login, "* OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL-");
        login_free(&login);
    }
}

static void commands_of_any_state_are_answered(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    assert_int_equal(login_case_feed(login, "a nOOp\r\nb CAPABILITY\r\n"),
                     LOGIN_MORE);
    login_case_assert_output(login, "a OK NOOP completed.\r\n"
                                    "* " LOGIN_CASE_SECURE_LIST
                                    "\r\nb OK CAPABILITY completed.\r\n");
    assert_int_equal(login_case_feed(login, "c LOGOUT\r\n"), LOGIN_END);
    login_case_assert_output(
        login, "* BYE Logging out.\r\nc OK LOGOUT completed.\r\n");
    assert_string_equal(login_end_reason(login), "logout");
    login_free(&login);
}

static void bare_commands_take_no_arguments(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    assert_int_equal(
        login_case_feed(login, "a NOOP x\r\nb CAPABILITY \r\nc LOGOUT y\r\n"),
        LOGIN_MORE);

    login_case_assert_output(login, "a BAD Invalid arguments.\r\n"
                                    "b BAD Invalid arguments.\r\n"
                                    "c BAD Invalid arguments.\r\n");
    login_free(&login);
}

static void what_happened_is_tallied_across_starttls(void **state)
{
    struct login *login = login_case_clear();

    (void)state;
    assert_int_equal(login_case_feed(login, "a FOO\r\nb LOGIN u p\r\n"),
                     LOGIN_MORE);
    assert_int_equal(login_case_feed(login, "c STARTTLS\r\n"), LOGIN_STARTTLS);
    login_secured(login);
    assert_int_equal(login_case_feed(login, "d SELECT x\r\n"), LOGIN_MORE);
    assert_int_equal(login_case_feed(login, "GET / HTTP/1.1\r\n"), LOGIN_END);

    assert_int_equal(login_tally(login)->bad_commands, 3);
    assert_int_equal(login_tally(login)->cleartext_logins, 1);
    assert_true(login_tally(login)->spoke_http);
    login_free(&login);
}

static void what_is_pipelined_behind_a_login_stays_with_the_caller(void **state)
{
    static const char text[] = "a LOGIN u p\r\nb SELECT INBOX\r\nc LOGOUT\r\n";
    struct login *login = login_case_secure();
    size_t used;

    (void)state;
    assert_int_equal(
        login_feed(login, (const uint8_t *)text, sizeof(text) - 1, &used),
        LOGIN_TRY);
    assert_int_equal(used, 13);
    assert_int_equal(login_case_refuse(login, LOGIN_ANSWER_BAD_CREDENTIALS),
                     LOGIN_MORE);
    login_output_clear(login);

    assert_int_equal(login_case_feed(login, text + used), LOGIN_END);
    login_case_assert_output_begins(login, "b BAD Log in first.\r\n* BYE");
    login_free(&login);
}

static void a_browser_is_sent_away_without_an_echo(void **state)
{
    struct login *login = login_case_clear();
    static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    size_t used;

    (void)state;
    assert_int_equal(
        login_feed(login, (const uint8_t *)text, sizeof(text) - 1, &used),
        LOGIN_END);

    login_case_assert_output(login, "* BYE This is an IMAP server.\r\n");
    assert_string_equal(login_end_reason(login), "http");
    login_free(&login);
}

static void tls_on_a_clear_port_gets_silence(void **state)
{
    struct login *login = login_case_clear();
    struct login *later = login_case_clear();

    (void)state;
    assert_int_equal(login_case_feed_bytes(login, "\x16\x03\x01\x02", 4),
                     LOGIN_END);
    login_case_assert_output(login, "");
    assert_string_equal(login_end_reason(login), "tls-on-clear");
    assert_int_equal(login_case_feed(later, "a NOOP\r\n\x16\x03\r\n"),
                     LOGIN_MORE);
    login_free(&login);
    login_free(&later);
}

static void invalid_tags_are_never_echoed(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {LOGIN_CASE_BYTES("a\0%n%s LOGIN u p\r\n")},
        {LOGIN_CASE_BYTES("%n%n NOOP\r\n")},
        {LOGIN_CASE_BYTES("\xff NOOP\r\n")},
        {LOGIN_CASE_BYTES("a+b NOOP\r\n")},
        {LOGIN_CASE_BYTES("* NOOP\r\n")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct login *login = login_case_secure();

        assert_int_equal(
            login_case_feed_bytes(login, cases[i].bytes, cases[i].len),
            LOGIN_MORE);
        login_case_assert_output(login, "* BAD Unknown command.\r\n");
        login_free(&login);
    }
}

static void long_answers_make_the_caller_send_first(void **state)
{
    struct login *login = login_case_secure();
    char text[16000];
    size_t at = 0;
    size_t used;
    size_t len;

    (void)state;
    while (at + 14 <= sizeof(text))
        at += (size_t)sprintf(text + at, "a CAPABILITY\r\n");
    assert_int_equal(login_feed(login, (uint8_t *)text, at, &used), LOGIN_MORE);

    assert_true(used > 0 && used < at);
    (void)login_output(login, &len);
    assert_in_range(len, 4096, 4096 + 256);
    login_free(&login);
}

static void a_bye_says_what_it_is_given(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    login_bye(login, "[UNAVAILABLE] Going down.");

    login_case_assert_output(login, "* BYE [UNAVAILABLE] Going down.\r\n");
    login_free(&login);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greeting_tells_what_is_parsed),
        cmocka_unit_test(rev2_is_announced_where_every_backend_has_it),
        cmocka_unit_test(commands_of_any_state_are_answered),
        cmocka_unit_test(bare_commands_take_no_arguments),
        cmocka_unit_test(what_happened_is_tallied_across_starttls),
        cmocka_unit_test(
            what_is_pipelined_behind_a_login_stays_with_the_caller),
        cmocka_unit_test(a_browser_is_sent_away_without_an_echo),
        cmocka_unit_test(tls_on_a_clear_port_gets_silence),
        cmocka_unit_test(invalid_tags_are_never_echoed),
        cmocka_unit_test(long_answers_make_the_caller_send_first),
        cmocka_unit_test(a_bye_says_what_it_is_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
