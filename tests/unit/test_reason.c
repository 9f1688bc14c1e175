/* What an operator reads when a file is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/reason.h"

static int set_up(void **state)
{
    *state = reasons_new();
    return 0;
}

static int tear_down(void **state)
{
    struct reasons *reasons = *state;

    reasons_free(&reasons);
    return 0;
}

static void assert_line(const struct reasons *reasons, size_t index,
                        const char *expected)
{
    char line[2048];

    assert_true(index < reasons->count);
    size_t len = reason_format(&reasons->items[index], line, sizeof(line));

    assert_string_equal(line, expected);
    assert_int_equal(len, strlen(expected));
}

static void reason_names_file_path_found_and_expected(void **state)
{
    struct reasons *reasons = *state;

    reasons_add(reasons, REASON_ERROR, "gatepost.json", "$.listeners[0].port",
                "\"993\"", "a number from 1 to 65535");

    assert_line(reasons, 0,
                "gatepost.json: $.listeners[0].port: found \"993\", expected "
                "a number from 1 to 65535");
}

static void reason_names_line_and_column_of_a_syntax_error(void **state)
{
    struct reasons *reasons = *state;

    reasons_add_syntax(reasons, "routes.json", "$.users", 7, 12, "']'", "'}'");

    assert_line(reasons, 0,
                "routes.json:7:12: $.users: found ']', expected '}'");
}

static void reason_stands_without_a_path(void **state)
{
    struct reasons *reasons = *state;

    reasons_add(reasons, REASON_ERROR, "key.pem", NULL, "no file", "a key");

    assert_line(reasons, 0, "key.pem: found no file, expected a key");
}

static void reason_says_that_it_is_a_warning(void **state)
{
    struct reasons *reasons = *state;

    reasons_add(reasons, REASON_WARNING, "routes.json", "$.pools.b", "no rule",
                "one");

    assert_line(reasons, 0,
                "routes.json: warning: $.pools.b: found no rule, expected "
                "one");
}

static void warnings_are_not_errors(void **state)
{
    struct reasons *reasons = *state;

    reasons_add(reasons, REASON_WARNING, "f", "$", "a", "b");
    assert_false(reasons_has_errors(reasons));

    reasons_add(reasons, REASON_ERROR, "f", "$", "a", "b");
    assert_true(reasons_has_errors(reasons));
}

static void reason_escapes_control_characters(void **state)
{
    struct reasons *reasons = *state;

    reasons_add(reasons, REASON_ERROR, "f", "$",
                "\x1b[2J\r\n\x7f \xc2\x80\xc2\x9f \xc3\xa4\xc2\xa0", "x");

    assert_string_equal(
        reasons->items[0].found,
        "\\x1b[2J\\x0d\\x0a\\x7f \\xc2\\x80\\xc2\\x9f \xc3\xa4\xc2\xa0");
}

static void reason_cuts_long_texts(void **state)
{
    struct reasons *reasons = *state;
    char *found = mem_alloc(1 << 20);

    memset(found, '\n', (1 << 20) - 1);
    found[(1 << 20) - 1] = '\0';
    reasons_add(reasons, REASON_ERROR, "f", "$", found, "x");
    free(found);

    size_t len = strlen(reasons->items[0].found);

    assert_in_range(len, 100, 500);
    assert_string_equal(reasons->items[0].found + len - 3, "...");
}

static void reason_never_cuts_a_character_in_two(void **state)
{
    struct reasons *reasons = *state;
    char found[1001] = "";

    for (size_t shift = 0; shift < 3; shift++) {
        memset(found, 'a', shift);
        for (size_t i = shift; i + 3 < sizeof(found); i += 3)
            memcpy(found + i, "\xe2\x82\xac", 4);
        reasons_add(reasons, REASON_ERROR, "f", "$", found, "x");

        size_t kept = strlen(reasons->items[shift].found) - strlen("...");

        assert_int_equal((kept - shift) % 3, 0);
    }
}

static void reason_format_keeps_within_its_room(void **state)
{
    struct reasons *reasons = *state;
    char line[12];

    memset(line, '#', sizeof(line));
    reasons_add(reasons, REASON_ERROR, "file.json", "$", "found", "expected");

    assert_int_equal(reason_format(&reasons->items[0], line, 8), 7);

    assert_memory_equal(line, "file.js\0####", 12);
}

static void reasons_keeps_a_bounded_number_and_counts_the_rest(void **state)
{
    struct reasons *reasons = *state;

    for (size_t i = 0; i < REASONS_MAX + 5; i++)
        reasons_add(reasons, REASON_WARNING, "f", "$", "a", "b");

    assert_int_equal(reasons->count, REASONS_MAX);
    assert_int_equal(reasons->warnings, REASONS_MAX + 5);
    assert_true(reasons_is_full(reasons, REASON_WARNING));
    assert_false(reasons_is_full(reasons, REASON_ERROR));
}

static void warnings_do_not_crowd_out_errors(void **state)
{
    struct reasons *reasons = *state;

    for (size_t i = 0; i < REASONS_MAX; i++)
        reasons_add(reasons, REASON_WARNING, "f", "$", "a", "b");
    reasons_add(reasons, REASON_ERROR, "f", "$", "the error", "b");

    assert_int_equal(reasons->count, REASONS_MAX + 1);
    assert_string_equal(reasons->items[REASONS_MAX].found, "the error");
}

static void reasons_free_takes_nothing_and_leaves_nothing(void **state)
{
    struct reasons *reasons = NULL;

    (void)state;
    reasons_free(&reasons);
    assert_null(reasons);

    reasons = reasons_new();
    reasons_free(&reasons);
    assert_null(reasons);
}

#define CLAIM(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(reason_names_file_path_found_and_expected),
        CLAIM(reason_names_line_and_column_of_a_syntax_error),
        CLAIM(reason_stands_without_a_path),
        CLAIM(reason_says_that_it_is_a_warning),
        CLAIM(warnings_are_not_errors),
        CLAIM(reason_escapes_control_characters),
        CLAIM(reason_cuts_long_texts),
        CLAIM(reason_never_cuts_a_character_in_two),
        CLAIM(reason_format_keeps_within_its_room),
        CLAIM(reasons_keeps_a_bounded_number_and_counts_the_rest),
        CLAIM(warnings_do_not_crowd_out_errors),
        CLAIM(reasons_free_takes_nothing_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
