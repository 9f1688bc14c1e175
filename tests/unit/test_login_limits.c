/* When a dialogue that leads nowhere ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "login_case.h"

static void nothing_resets_the_count_of_bad_commands(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(
            login_case_feed(login, "a XYZZY\r\nb NOOP\r\nc ID NIL\r\n"),
            LOGIN_MORE);
        assert_int_equal(login_case_feed(login, "d CAPABILITY\r\ne LIST\r\n"),
                         LOGIN_MORE);
    }

    assert_int_equal(login_case_feed(login, "a XYZZY\r\n"), LOGIN_END);
    login_free(&login);
}

static void the_fifth_unknown_command_is_the_last(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    assert_int_equal(
        login_case_feed(login, "a A\r\nb B\r\n\r\n( NOOP\r\nn NOOP\r\n"),
        LOGIN_MORE);
    login_case_assert_output(
        login, "a BAD Unknown command.\r\nb BAD Unknown command.\r\n"
               "* BAD Unknown command.\r\n* BAD Unknown command.\r\n"
               "n OK NOOP completed.\r\n");
    assert_int_equal(login_case_feed(login, "e E\r\n"), LOGIN_END);
    login_case_assert_output(login, "e BAD Unknown command.\r\n"
                                    "* BYE Too many bad commands.\r\n");
    assert_string_equal(login_end_reason(login), "bad-commands");
    login_free(&login);
}

static void known_commands_too_early_get_more_patience(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    for (int i = 0; i < 19; i++)
        assert_int_equal(login_case_feed(login, "a SELECT {5}\r\n"),
                         LOGIN_MORE);
    login_output_clear(login);
    assert_int_equal(login_case_feed(login, "b LIST \"\" *\r\n"), LOGIN_END);

    login_case_assert_output(login, "b BAD Log in first.\r\n"
                                    "* BYE Too many bad commands.\r\n");
    assert_string_equal(login_end_reason(login), "wrong-state");
    login_free(&login);
}

static void so_many_commands_are_enough(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    for (int i = 0; i < 300; i++) {
        assert_int_equal(login_case_feed(login, "a NOOP\r\n"), LOGIN_MORE);
        login_output_clear(login);
    }

    assert_int_equal(login_case_feed(login, "a NOOP\r\n"), LOGIN_END);
    assert_string_equal(login_end_reason(login), "command-count");
    login_free(&login);
}

static void an_endless_line_ends_the_dialogue_at_its_limit(void **state)
{
    struct login *login = login_case_secure();
    char bytes[16385];

    (void)state;
    memset(bytes, '(', sizeof(bytes));
    memcpy(bytes, "a NOOP ", 7);
    assert_int_equal(login_case_feed_bytes(login, bytes, 16384), LOGIN_MORE);
    assert_int_equal(login_case_feed_bytes(login, bytes, 1), LOGIN_END);

    login_case_assert_output(login,
                             "* BAD Command too long.\r\n"
                             "* BYE Closing, this cannot be read on.\r\n");
    assert_string_equal(login_end_reason(login), "too-long");
    login_free(&login);
}

static void an_unreadable_literal_ends_the_dialogue(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    assert_int_equal(login_case_feed(login, "a LOGIN {8193+}\r\n"), LOGIN_END);

    login_case_assert_output(login,
                             "* BAD [TOOBIG] Literal too large.\r\n"
                             "* BYE Closing, this cannot be read on.\r\n");
    assert_string_equal(login_end_reason(login), "bad-literal");
    login_free(&login);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_resets_the_count_of_bad_commands),
        cmocka_unit_test(the_fifth_unknown_command_is_the_last),
        cmocka_unit_test(known_commands_too_early_get_more_patience),
        cmocka_unit_test(so_many_commands_are_enough),
        cmocka_unit_test(an_endless_line_ends_the_dialogue_at_its_limit),
        cmocka_unit_test(an_unreadable_literal_ends_the_dialogue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
