/* The arguments of a command, one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "imap/arguments.h"

/* Takes an astring out of a copy of exactly that length; checks what it means
 * and what is left behind it. */
static void assert_astring(const char *text, size_t len, const char *meaning,
                           size_t meaning_len, const char *left)
{
    uint8_t *exact = malloc(len);
    struct imap_span arguments = {memcpy(exact, text, len), len};
    struct imap_string string;
    uint8_t decoded[64];
    size_t decoded_len;

    assert_int_equal(imap_arguments_astring(&arguments, &string),
                     IMAP_ARGUMENT_GOOD);
    assert_true(
        imap_string_decode(&string, decoded, sizeof(decoded), &decoded_len));
    assert_int_equal(decoded_len, meaning_len);
    assert_memory_equal(decoded, meaning, meaning_len);
    assert_int_equal(arguments.len, strlen(left));
    assert_memory_equal(arguments.bytes, left, arguments.len);
    free(exact);
}

static enum imap_argument_result take(const char *text, size_t len)
{
    uint8_t *exact = malloc(len + 1);
    struct imap_span arguments = {memcpy(exact, text, len), len};
    struct imap_string string;
    enum imap_argument_result result =
        imap_arguments_astring(&arguments, &string);

    free(exact);
    return result;
}

static void astring_takes_all_forms(void **state)
{
    (void)state;
    assert_astring("bob pw", 6, "bob", 3, " pw");
    assert_astring("b]b@x.org", 9, "b]b@x.org", 9, "");
    assert_astring("\"b o\" pw", 8, "b o", 3, " pw");
    assert_astring("\"\"", 2, "", 0, "");
    assert_astring("{3}\r\nbob pw", 11, "bob", 3, " pw");
    assert_astring("{3+}\r\nb\"\\ pw", 12, "b\"\\", 3, " pw");
    assert_astring("{0}\r\n", 5, "", 0, "");
    assert_astring("{4}\r\na\0\r\n", 9, "a\0\r\n", 4, "");
}

static void quoted_knows_two_escapes(void **state)
{
    (void)state;
    assert_astring("\"a\\\"b\\\\c\" x", 11, "a\"b\\c", 5, " x");
    assert_astring("\"\\\\\"", 4, "\\", 1, "");
    assert_int_equal(take("\"a\\n\"", 5), IMAP_ARGUMENT_BAD);
    assert_int_equal(take("\"a\\", 3), IMAP_ARGUMENT_BAD);
    assert_int_equal(take("\"a\\\"", 4), IMAP_ARGUMENT_BAD);
}

static void quoted_passes_octets_over_127(void **state)
{
    (void)state;
    assert_astring("\"\xc3\xa9\xff\"", 5, "\xc3\xa9\xff", 3, "");
}

static void quoted_refuses_cr_lf_and_nul(void **state)
{
    (void)state;
    assert_int_equal(take("\"a\rb\"", 5), IMAP_ARGUMENT_BAD);
    assert_int_equal(take("\"a\nb\"", 5), IMAP_ARGUMENT_BAD);
    assert_int_equal(take("\"a\0b\"", 5), IMAP_ARGUMENT_BAD);
    assert_int_equal(take("\"a", 2), IMAP_ARGUMENT_BAD);
}

static void what_is_no_string_is_refused(void **state)
{
    static const char *const bad[] = {
        "",         " a",         "(a)",         "%",         "*",
        "\\",       "{",          "{3}",         "{3}\r",     "{3}\nabc",
        "{3}\rabc", "{x}\r\nabc", "{3}x\r\nabc", "{3}x\nabc", "{3}{3}\r\nabc",
        "\x7f",     "\xc3",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(take(bad[i], strlen(bad[i])), IMAP_ARGUMENT_BAD);
}

static void a_literal_to_come_tells_its_length(void **state)
{
    struct imap_span arguments = {(const uint8_t *)"{1024}\r\nab", 10};
    struct imap_string string;

    (void)state;

    assert_int_equal(imap_arguments_astring(&arguments, &string),
                     IMAP_ARGUMENT_MORE);
    assert_int_equal(string.raw.len, 1024);
}

static void decoding_stops_at_the_room(void **state)
{
    struct imap_span arguments = {(const uint8_t *)"\"a\\\"bc\"", 7};
    struct imap_string string;
    uint8_t out[4] = {9, 9, 9, 9};
    size_t len;

    (void)state;
    assert_int_equal(imap_arguments_astring(&arguments, &string),
                     IMAP_ARGUMENT_GOOD);

    assert_false(imap_string_decode(&string, out, 3, &len));
    assert_int_equal(out[3], 9);
    assert_true(imap_string_decode(&string, out, 4, &len));
    assert_int_equal(len, 4);
}

static void nstring_takes_nil_and_strings_only(void **state)
{
    struct imap_span nil = {(const uint8_t *)"nil)", 4};
    struct imap_span atom = {(const uint8_t *)"NILL)", 5};
    struct imap_span quoted = {(const uint8_t *)"\"NIL\"", 5};
    struct imap_string string;

    (void)state;
    assert_int_equal(imap_arguments_nstring(&nil, &string), IMAP_ARGUMENT_GOOD);
    assert_int_equal(string.raw.len, 0);
    assert_int_equal(nil.len, 1);
    assert_int_equal(imap_arguments_nstring(&atom, &string), IMAP_ARGUMENT_BAD);
    assert_int_equal(imap_arguments_nstring(&quoted, &string),
                     IMAP_ARGUMENT_GOOD);
    assert_int_equal(string.raw.len, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(astring_takes_all_forms),
        cmocka_unit_test(quoted_knows_two_escapes),
        cmocka_unit_test(quoted_passes_octets_over_127),
        cmocka_unit_test(quoted_refuses_cr_lf_and_nul),
        cmocka_unit_test(what_is_no_string_is_refused),
        cmocka_unit_test(a_literal_to_come_tells_its_length),
        cmocka_unit_test(decoding_stops_at_the_room),
        cmocka_unit_test(nstring_takes_nil_and_strings_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
