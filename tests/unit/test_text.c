/* Texts that grow, and what is quoted in them. */
#include "ops/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_json(const char *value, const char *expected)
{
    struct text text = {.bytes = NULL};

    text_add_json(&text, value);
    assert_string_equal(text.bytes, expected);
    assert_int_equal(text.len, strlen(expected));
    text_deinit(&text);
}

static void assert_label(const char *value, const char *expected)
{
    struct text text = {.bytes = NULL};

    text_add_label(&text, value);
    assert_string_equal(text.bytes, expected);
    text_deinit(&text);
}

static void json_escapes_what_would_end_or_move_it(void **state)
{
    (void)state;
    assert_json("", "\"\"");
    assert_json("a\"b\\c", "\"a\\\"b\\\\c\"");
    assert_json("a\r\n\x1b[2J\x7f", "\"a\\u000d\\u000a\\u001b[2J\\u007f\"");
}

static void json_keeps_utf_8(void **state)
{
    (void)state;
    assert_json("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x93\xae",
                "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x93\xae\"");
}

static void json_replaces_what_is_no_utf_8(void **state)
{
    static const char *const broken[] = {
        "\x80", "\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct text text = {.bytes = NULL};

        text_add_json(&text, broken[i]);
        assert_memory_equal(text.bytes, "\"\xef\xbf\xbd", 4);
        for (size_t at = 1; at + 1 < text.len; at += 3)
            assert_memory_equal(text.bytes + at, "\xef\xbf\xbd", 3);
        text_deinit(&text);
    }
}

static void a_null_is_told_from_text(void **state)
{
    struct text text = {.bytes = NULL};

    (void)state;
    text_add_json_or_null(&text, NULL);
    text_add_json_or_null(&text, "null");

    assert_string_equal(text.bytes, "null\"null\"");
    text_deinit(&text);
}

static void a_label_has_the_escapes_of_prometheus_only(void **state)
{
    (void)state;
    assert_label("a\"b\\c\nd", "\"a\\\"b\\\\c\\nd\"");
    assert_label("a\x01\x1b", "\"a??\"");
}

static void a_text_grows_past_its_first_size(void **state)
{
    struct text text = {.bytes = NULL};

    (void)state;
    for (int i = 0; i < 5000; i++)
        text_add(&text, "%04d", i);

    assert_int_equal(text.len, 20000);
    assert_string_equal(text.bytes + 19996, "4999");
    text_deinit(&text);
    assert_null(text.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_escapes_what_would_end_or_move_it),
        cmocka_unit_test(json_keeps_utf_8),
        cmocka_unit_test(json_replaces_what_is_no_utf_8),
        cmocka_unit_test(a_null_is_told_from_text),
        cmocka_unit_test(a_label_has_the_escapes_of_prometheus_only),
        cmocka_unit_test(a_text_grows_past_its_first_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
