/* Typed getters over JSON, and what they say about a file that is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/json_parse.h"
#include "config/json_read.h"
#include "reasons_text.h"

struct fixture {
    struct json_reader reader;
    json_t *value;
};

static int set_up(void **state)
{
    struct fixture *fixture = mem_zalloc(sizeof(*fixture));

    fixture->reader.file = "conf/x.json";
    fixture->reader.reasons = reasons_new();
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    json_decref(fixture->value);
    reasons_free(&fixture->reader.reasons);
    free(fixture);
    return 0;
}

static struct json_place parse(struct fixture *fixture, const char *text)
{
    fixture->value =
        json_parse(&fixture->reader, (const uint8_t *)text, strlen(text));
    assert_non_null(fixture->value);
    return json_place_root(&fixture->reader, fixture->value);
}

static void assert_reasons(const struct fixture *fixture, const char *expected)
{
    char *text = reasons_text(fixture->reader.reasons);

    assert_string_equal(text, expected);
    free(text);
}

static void assert_syntax_fault(const char *bytes, size_t len,
                                const char *expected)
{
    struct json_reader reader = {"f", reasons_new()};

    assert_null(json_parse(&reader, (const uint8_t *)bytes, len));

    char *text = reasons_text(reader.reasons);

    assert_string_equal(text, expected);
    free(text);
    reasons_free(&reader.reasons);
}

static void syntax_faults_have_line_column_and_path(void **state)
{
    static const struct {
        const char *text;
        const char *reason;
    } faults[] = {
        {"", "f:1:0: $: found the end of the file, expected the rest of the "
             "JSON text\n"},
        {"{\"a\":\n [1, {\"b\": 2",
         "f:2:12: $.a[1].b: found the end of the file, expected the rest of "
         "the JSON text\n"},
        {"{\"a\": 1} x", "f:1:10: $: found more text, expected the end of the "
                         "file\n"},
        {"{\"users\": {\"x@y\": 1,\n\"x@y\": 2}}",
         "f:2:5: $.users[\"x@y\"]: found the key a second time, expected each "
         "key once\n"},
        {"{\"a\": 1e999}", "f:1:11: $.a: found a number out of all ranges, "
                           "expected a smaller number\n"},
        {"[1, 123456789012345678901234567890]",
         "f:1:34: $[1]: found a number out of all ranges, expected a smaller "
         "number\n"},
        {"[\"a\\u0000b\"]",
         "f:1:11: $[0]: found a NUL character, expected text without it\n"},
        {"{\"a\\u0000b\": 1}",
         "f:1:11: $[\"a\\u0000b\"]: found a NUL character, expected text "
         "without it\n"},
        {"{\"a\": [1,, 2]}",
         "f:1:10: $.a[1]: found unexpected token near ',', expected JSON\n"},
        {"{\"a\": 1 \"b\": 2}", "f:1:11: $.a: found '\"b\"', expected '}'\n"},
        {"{\"a\": [1}", "f:1:9: $.a[0]: found '}', expected ']'\n"},
        {"{\"a\": nul}",
         "f:1:9: $.a: found invalid token near 'nul', expected JSON\n"},
        {"{'a': 1}", "f:1:2: $: found ''', expected string or '}'\n"},
        {"// x\n{}", "f:1:1: $: found invalid token near '/', expected JSON\n"},
        {"{\"a\": 01}", "f:1:7: $.a: found invalid token near '0', expected "
                        "JSON\n"},
        {"{\"a\": \"\xff\"}", "f:1:7: $.a: found unable to decode byte 0xff "
                              "near '\"', expected JSON\n"},
        {"\xef\xbb\xbf{}",
         "f:1:1: $: found invalid token near '\xef\xbb\xbf', expected JSON\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        assert_syntax_fault(faults[i].text, strlen(faults[i].text),
                            faults[i].reason);
}

static void nul_bytes_are_refused_anywhere(void **state)
{
    static const char text[] = "{\"a\": \"b\"}";
    char with_nul[sizeof(text)];

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++) {
        struct json_reader reader = {"f", reasons_new()};

        memcpy(with_nul, text, i);
        with_nul[i] = '\0';
        memcpy(with_nul + i + 1, text + i, sizeof(text) - 1 - i);

        assert_null(
            json_parse(&reader, (const uint8_t *)with_nul, sizeof(with_nul)));
        assert_true(reasons_has_errors(reader.reasons));
        reasons_free(&reader.reasons);
    }
}

/* threats.md, H1: a depth bomb */
static void deep_nesting_is_refused(void **state)
{
    size_t depth = 1000000;
    char *text = mem_alloc(depth);

    memset(text, '[', depth);
    assert_syntax_fault(
        text, depth,
        "f:1:2049: $[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]"
        "[0][0][0][0][0][0][0][0][0][0][0][0][0]: found too many lists or "
        "objects in each other, expected fewer\n");
    for (size_t i = 0; i < depth; i++)
        memcpy(text + i, i % 5 == 4 ? ":" : &"{\"a\""[i % 5], 1);
    assert_null(json_parse(&((struct fixture *)*state)->reader,
                           (const uint8_t *)text, depth));
    free(text);
}

static void a_path_quotes_keys_that_are_not_plain(void **state)
{
    struct json_place root =
        parse(*state, "{\"a\\\"b\\n\": {\"_c1\": [7], \"1\": 2}}");
    json_t *inner = json_object_get(root.value, "a\"b\n");
    struct json_place object = json_place_member(&root, "a\"b\n", inner);
    struct json_place plain =
        json_place_member(&object, "_c1", json_object_get(inner, "_c1"));
    struct json_place item = json_place_item(&plain, 0);
    struct json_place digit =
        json_place_member(&object, "1", json_object_get(inner, "1"));

    json_place_fault(&item, NULL, "x");
    json_place_fault(&digit, NULL, "x");

    assert_reasons(*state,
                   "conf/x.json: $[\"a\\\"b\\x0a\"]._c1[0]: found 7, expected "
                   "x\n"
                   "conf/x.json: $[\"a\\\"b\\x0a\"][\"1\"]: found 2, expected "
                   "x\n");
}

static void each_type_has_a_name(void **state)
{
    struct json_place list = parse(
        *state, "[\"a\\\\\\\"\", 1.5, -3, true, false, null, {}, [], [1]]");

    for (size_t i = 0; i < json_array_size(list.value); i++) {
        struct json_place item = json_place_item(&list, i);

        json_place_fault(&item, NULL, "x");
    }

    assert_reasons(*state,
                   "conf/x.json: $[0]: found \"a\\\\\\\"\", expected x\n"
                   "conf/x.json: $[1]: found 1.5, expected x\n"
                   "conf/x.json: $[2]: found -3, expected x\n"
                   "conf/x.json: $[3]: found true, expected x\n"
                   "conf/x.json: $[4]: found false, expected x\n"
                   "conf/x.json: $[5]: found null, expected x\n"
                   "conf/x.json: $[6]: found an object, expected x\n"
                   "conf/x.json: $[7]: found an empty list, expected x\n"
                   "conf/x.json: $[8]: found a list, expected x\n");
}

static void long_values_are_cut(void **state)
{
    char text[3002] = "\"";
    struct json_place root;

    for (size_t i = 1; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa4", 2);
    memcpy(text + sizeof(text) - 3, "\"", 2);
    root = parse(*state, text);
    json_place_fault(&root, NULL, "x");

    const struct reasons *reasons = root.reader->reasons;

    assert_in_range(strlen(reasons->items[0].found), 90, 110);
}

static void unknown_keys_are_refused_with_the_nearest(void **state)
{
    struct json_place root =
        parse(*state, "{\"prot\": 1, \"adress\": 2, \"TLS\": 3, \"zzz\": 4}");
    struct json_members members;
    struct json_place place;

    assert_true(json_read_open(&members, &root));
    assert_false(json_read_get(&members, "address", &place));
    assert_false(json_read_get(&members, "port", &place));
    assert_false(json_read_get(&members, "tls", &place));
    json_read_close(&members);

    assert_reasons(*state,
                   "conf/x.json: $.prot: found an unknown key, expected "
                   "\"port\"\n"
                   "conf/x.json: $.adress: found an unknown key, expected "
                   "\"address\"\n"
                   "conf/x.json: $.TLS: found an unknown key, expected "
                   "\"tls\"\n"
                   "conf/x.json: $.zzz: found an unknown key, expected one of "
                   "\"address\", \"port\", \"tls\"\n");
}

static void a_very_long_unknown_key_is_refused(void **state)
{
    char *text = mem_zalloc(1 << 20);
    struct json_members members;
    struct json_place root;
    struct json_place place;

    memset(text, 'a', (1 << 20) - 2);
    memcpy(text, "{\"", 2);
    memcpy(text + (1 << 20) - 6, "\": 1}", 6);
    root = parse(*state, text);
    free(text);

    assert_true(json_read_open(&members, &root));
    assert_false(json_read_get(&members, "a", &place));
    json_read_close(&members);

    assert_int_equal(root.reader->reasons->errors, 1);
}

static void a_missing_key_is_refused(void **state)
{
    struct json_place root = parse(*state, "{}");
    struct json_members members;
    struct json_place place;

    assert_true(json_read_open(&members, &root));
    assert_false(json_read_require(&members, "port", "a port", &place));
    json_read_close(&members);

    assert_reasons(*state, "conf/x.json: $.port: found nothing, expected a "
                           "port\n");
}

static void numbers_keep_within_their_range(void **state)
{
    static const char *const good[] = {"1", "65535", "3.0", "1e3"};
    static const char *const bad[] = {"0",
                                      "65536",
                                      "-1",
                                      "1.5",
                                      "1e18",
                                      "\"1\"",
                                      "null",
                                      "true",
                                      "[1]",
                                      "-1e30",
                                      "9007199254740993"};
    struct fixture *fixture = *state;
    unsigned number;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct json_place root = parse(fixture, good[i]);

        assert_true(json_read_unsigned(&root, 1, 65535, &number));
        assert_int_equal(number, (unsigned)strtod(good[i], NULL));
        json_decref(fixture->value);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct json_place root = parse(fixture, bad[i]);

        number = 77;
        assert_false(json_read_unsigned(&root, 1, 65535, &number));
        assert_int_equal(number, 77);
        assert_string_equal(fixture->reader.reasons->items[i].expected,
                            "a whole number from 1 to 65535");
        json_decref(fixture->value);
    }
    fixture->value = NULL;
}

static void seconds_become_milliseconds(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"20", 20000}, {"0.5", 500},        {"0.001", 1},
                {"1.0", 1000}, {"86400", 86400000}, {"0.0299", 30}};
    static const char *const bad[] = {"0",     "-1",     "0.0001",
                                      "86401", "\"20\"", "1e300"};
    struct fixture *fixture = *state;
    uint64_t ms = 0;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct json_place root = parse(fixture, good[i].text);

        assert_true(json_read_seconds(&root, 1, 86400000, &ms));
        assert_int_equal(ms, good[i].ms);
        json_decref(fixture->value);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct json_place root = parse(fixture, bad[i]);

        assert_false(json_read_seconds(&root, 1, 86400000, &ms));
        json_decref(fixture->value);
    }
    fixture->value = NULL;
    assert_string_equal(fixture->reader.reasons->items[0].expected,
                        "seconds from 0.001 to 86400");
}

static void text_has_1_to_max_characters_and_no_controls(void **state)
{
    static const char *const bad[] = {"\"\"",        "\"abcde\"", "\"a\\nb\"",
                                      "\"\\u007f\"", "1",         "null"};
    struct fixture *fixture = *state;
    struct json_place root = parse(fixture, "\"\xc3\xa4\xc3\xa4\xc3\xa4.\"");
    const char *text = NULL;

    assert_true(json_read_text(&root, 4, &text));
    assert_string_equal(text, "\xc3\xa4\xc3\xa4\xc3\xa4.");
    json_decref(fixture->value);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        root = parse(fixture, bad[i]);
        assert_false(json_read_text(&root, 4, &text));
        json_decref(fixture->value);
    }
    fixture->value = NULL;
}

static void a_choice_names_all_words(void **state)
{
    static const struct json_choice choices[] = {{"a", 4}, {"b", 5}, {"c", 6}};
    struct json_place list = parse(*state, "[\"b\", \"x\", 5]");
    struct json_place good = json_place_item(&list, 0);
    struct json_place bad = json_place_item(&list, 1);
    struct json_place number = json_place_item(&list, 2);
    unsigned value = 0;

    assert_true(json_read_choice(&good, choices, 3, &value));
    assert_int_equal(value, 5);
    assert_false(json_read_choice(&bad, choices, 3, &value));
    assert_false(json_read_choice(&number, choices, 3, &value));

    assert_reasons(*state,
                   "conf/x.json: $[1]: found \"x\", expected \"a\", \"b\" or "
                   "\"c\"\n"
                   "conf/x.json: $[2]: found 5, expected \"a\", \"b\" or "
                   "\"c\"\n");
}

static void a_list_keeps_within_its_range(void **state)
{
    struct json_place list = parse(*state, "[[], [1], [1, 2, 3], {}]");
    size_t count = 0;

    for (size_t i = 0; i < 4; i++) {
        struct json_place item = json_place_item(&list, i);

        assert_int_equal(json_read_list(&item, 1, 2, &count), i == 1);
    }
    assert_int_equal(count, 1);
}

static void a_path_is_joined_to_the_folder_of_the_file(void **state)
{
    static const struct {
        const char *file;
        const char *path;
        const char *joined;
    } cases[] = {
        {"/etc/gatepost/gatepost.json", "tls/key.pem",
         "/etc/gatepost/tls/key.pem"},
        {"/etc/gatepost/gatepost.json", "/srv/key.pem", "/srv/key.pem"},
        {"/gatepost.json", "key.pem", "/key.pem"},
        {"conf/gatepost.json", "../key.pem", "conf/../key.pem"},
        {"gatepost.json", "key.pem", "key.pem"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json_reader reader = {cases[i].file, reasons_new()};
        json_t *value = json_string(cases[i].path);
        struct json_place root = json_place_root(&reader, value);
        char *path = NULL;

        assert_true(json_read_path(&root, &path));
        assert_string_equal(path, cases[i].joined);
        free(path);
        json_decref(value);
        reasons_free(&reader.reasons);
    }
}

static void an_optional_member_that_is_wrong_keeps_the_default(void **state)
{
    struct json_place root = parse(
        *state, "{\"n\": -1, \"s\": \"x\", \"f\": 1, \"c\": \"?\", \"p\": "
                "\"\"}");
    static const struct json_choice choices[] = {{"a", 4}};
    struct json_members members;
    unsigned number = 77;
    unsigned choice = 78;
    uint64_t ms = 79;
    bool flag = true;
    char *path = NULL;

    assert_true(json_read_open(&members, &root));
    json_read_optional_unsigned(&members, "n", 0, 1, &number);
    json_read_optional_seconds(&members, "s", 0, 1, &ms);
    json_read_optional_flag(&members, "f", &flag);
    json_read_optional_choice(&members, "c", choices, 1, &choice);
    json_read_optional_path(&members, "p", &path);
    json_read_close(&members);

    assert_int_equal(number, 77);
    assert_int_equal(choice, 78);
    assert_int_equal(ms, 79);
    assert_true(flag);
    assert_null(path);
    assert_int_equal(root.reader->reasons->errors, 5);
}

#define CLAIM(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(syntax_faults_have_line_column_and_path),
        CLAIM(nul_bytes_are_refused_anywhere),
        CLAIM(deep_nesting_is_refused),
        CLAIM(a_path_quotes_keys_that_are_not_plain),
        CLAIM(each_type_has_a_name),
        CLAIM(long_values_are_cut),
        CLAIM(unknown_keys_are_refused_with_the_nearest),
        CLAIM(a_very_long_unknown_key_is_refused),
        CLAIM(a_missing_key_is_refused),
        CLAIM(numbers_keep_within_their_range),
        CLAIM(seconds_become_milliseconds),
        CLAIM(text_has_1_to_max_characters_and_no_controls),
        CLAIM(a_choice_names_all_words),
        CLAIM(a_list_keeps_within_its_range),
        CLAIM(a_path_is_joined_to_the_folder_of_the_file),
        CLAIM(an_optional_member_that_is_wrong_keeps_the_default),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
