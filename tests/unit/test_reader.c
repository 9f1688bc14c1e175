/* A client's bytes, cut into commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "imap/reader.h"
#include "transcript.h"

#define TEXT_MAX 16384
#define LITERAL_MAX 8192

static int set_up(void **state)
{
    struct imap_reader *reader = calloc(1, sizeof(*reader));

    imap_reader_init(reader, TEXT_MAX, LITERAL_MAX);
    *state = reader;
    return 0;
}

static int tear_down(void **state)
{
    imap_reader_deinit(*state);
    free(*state);
    return 0;
}

/* Feeds the text; returns what the reader says when it stops, and wants it to
 * have stopped at the text's end. */
static enum imap_reader_result feed(struct imap_reader *reader,
                                    const char *text)
{
    size_t used;
    enum imap_reader_result result =
        imap_reader_feed(reader, (const uint8_t *)text, strlen(text), &used);

    assert_int_equal(used, strlen(text));
    return result;
}

static enum imap_reader_result feed_repeated(struct imap_reader *reader,
                                             char byte, size_t count)
{
    char *bytes = malloc(count);
    enum imap_reader_result result;
    size_t used;

    memset(bytes, byte, count);
    result = imap_reader_feed(reader, (uint8_t *)bytes, count, &used);
    free(bytes);
    return result;
}

static void assert_span(struct imap_span span, const char *expected)
{
    assert_int_equal(span.len, strlen(expected));
    assert_memory_equal(span.bytes, expected, span.len);
}

static void reader_gives_tag_name_and_arguments(void **state)
{
    struct imap_reader *reader = *state;
    const struct imap_command *command = imap_reader_command(reader);

    assert_int_equal(feed(reader, "a.1] login u p\r\n"), IMAP_READER_COMMAND);

    assert_span(command->tag, "a.1]");
    assert_int_equal(command->name, IMAP_LOGIN);
    assert_span(command->arguments, " u p");
}

static void reader_stops_right_after_a_command(void **state)
{
    static const char text[] = "a NOOP\r\nb NOOP\r\n";
    struct imap_reader *reader = *state;
    size_t used;

    assert_int_equal(imap_reader_feed(reader, (const uint8_t *)text,
                                      sizeof(text) - 1, &used),
                     IMAP_READER_COMMAND);

    assert_int_equal(used, 8);
}

static void reader_tells_later_commands_from_unknown_ones(void **state)
{
    struct imap_reader *reader = *state;

    assert_int_equal(feed(reader, "a sElEcT INBOX\r\n"), IMAP_READER_COMMAND);
    assert_int_equal(imap_reader_command(reader)->name, IMAP_WRONG_STATE);
    imap_reader_reset(reader);
    assert_int_equal(feed(reader, "a XYZZY\r\n"), IMAP_READER_COMMAND);
    assert_int_equal(imap_reader_command(reader)->name, IMAP_UNKNOWN);
}

static void reader_waits_for_the_rest_of_a_literal(void **state)
{
    struct imap_reader *reader = *state;

    assert_int_equal(feed(reader, "a LOGIN {3}\r\n"), IMAP_READER_CONTINUE);
    assert_int_equal(feed(reader, "bo"), IMAP_READER_MORE);
    assert_int_equal(feed(reader, "b {2+}\r\npw"), IMAP_READER_MORE);
    assert_int_equal(feed(reader, "\r\n"), IMAP_READER_COMMAND);

    assert_span(imap_reader_command(reader)->arguments,
                " {3}\r\nbob {2+}\r\npw");
}

static void reader_takes_no_mark_from_inside_a_literal(void **state)
{
    struct imap_reader *reader = *state;

    assert_int_equal(feed(reader, "a LOGIN {5+}\r\n{9+}\r"), IMAP_READER_MORE);
    assert_int_equal(feed(reader, "\r\n"), IMAP_READER_COMMAND);
    imap_reader_reset(reader);
    assert_int_equal(feed(reader, "a X {2+}\r\n{9+}\r\n"), IMAP_READER_COMMAND);
}

static void reader_takes_an_empty_literal(void **state)
{
    struct imap_reader *reader = *state;

    assert_int_equal(feed(reader, "a LOGIN {0}\r\n"), IMAP_READER_CONTINUE);
    assert_int_equal(feed(reader, " {0+}\r\n\r\n"), IMAP_READER_COMMAND);

    assert_span(imap_reader_command(reader)->arguments, " {0}\r\n {0+}\r\n");
    imap_reader_reset(reader);
    assert_int_equal(feed(reader, "a X {0+}\r\n}\r\n"), IMAP_READER_COMMAND);
}

static void reader_obeys_no_line_that_ends_in_a_lone_lf(void **state)
{
    struct imap_reader *reader = *state;
    size_t used;

    assert_int_equal(imap_reader_feed(reader,
                                      (const uint8_t *)"a STARTTLS\nb NOOP\n",
                                      18, &used),
                     IMAP_READER_BAD);
    assert_int_equal(used, 11);
    assert_int_equal(imap_reader_fault(reader), IMAP_READER_FAULT_LINE_END);
    assert_span(imap_reader_command(reader)->tag, "a");
    imap_reader_reset(reader);
    assert_int_equal(feed(reader, "b NOOP\n"), IMAP_READER_BAD);
    imap_reader_reset(reader);
    assert_int_equal(feed(reader, "c STARTTLS\r\n"), IMAP_READER_COMMAND);
}

static void reader_gives_no_tag_that_is_not_one(void **state)
{
    static const char *const bad[] = {
        "\r\n",           " NOOP\r\n",          "a\r\n",        "a \r\n",
        "a  NOOP\r\n",    "+ NOOP\r\n",         "a+b NOOP\r\n", "* NOOP\r\n",
        "\xff NOOP\r\n",  "%n%n NOOP\r\n",      "a{ NOOP\r\n",  "(a NOOP\r\n",
        "a\x01 NOOP\r\n", "\"a\" NOOP\r\n",     "a\\ NOOP\r\n", "a\tNOOP\r\n",
        "a NOOP\"\r\n",   "a NOOP\rx NOOP\r\n",
    };
    struct imap_reader *reader = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct imap_span tag;

        assert_int_equal(feed(reader, bad[i]), IMAP_READER_BAD);
        assert_int_equal(imap_reader_fault(reader), IMAP_READER_FAULT_SYNTAX);
        tag = imap_reader_command(reader)->tag;
        if (tag.len > 0)
            assert_span(tag, "a");
        imap_reader_reset(reader);
    }
}

static void reader_refuses_a_nul_in_the_tag(void **state)
{
    struct imap_reader *reader = *state;
    size_t used;

    assert_int_equal(
        imap_reader_feed(reader, (const uint8_t *)"a\0b NOOP\r\n", 10, &used),
        IMAP_READER_BAD);

    assert_int_equal(imap_reader_command(reader)->tag.len, 0);
}

static void reader_refuses_a_tag_longer_than_the_limit(void **state)
{
    struct imap_reader *reader = *state;

    assert_int_equal(feed_repeated(reader, 'a', 126), IMAP_READER_MORE);
    assert_int_equal(feed(reader, " NOOP\r\n"), IMAP_READER_COMMAND);
    assert_int_equal(imap_reader_command(reader)->tag.len, 126);
    imap_reader_reset(reader);
    assert_int_equal(feed_repeated(reader, 'a', 127), IMAP_READER_MORE);
    assert_int_equal(feed(reader, " NOOP\r\n"), IMAP_READER_BAD);
    assert_int_equal(imap_reader_command(reader)->tag.len, 0);
}

static void reader_closes_at_the_octet_that_is_too_many(void **state)
{
    struct imap_reader *reader = *state;

    assert_int_equal(feed(reader, "a NOOP "), IMAP_READER_MORE);
    assert_int_equal(feed_repeated(reader, '(', TEXT_MAX - 7),
                     IMAP_READER_MORE);
    assert_int_equal(feed_repeated(reader, '(', 1), IMAP_READER_CLOSE);
    assert_int_equal(imap_reader_fault(reader), IMAP_READER_FAULT_TOO_LONG);
}

static void reader_counts_all_lines_of_a_command_together(void **state)
{
    struct imap_reader *reader = *state;

    assert_int_equal(feed_repeated(reader, 'a', 10000), IMAP_READER_MORE);
    assert_int_equal(feed(reader, " {1+}\r\nx"), IMAP_READER_MORE);
    assert_int_equal(feed_repeated(reader, 'a', 10000), IMAP_READER_CLOSE);
}

static void reader_holds_little_however_much_comes(void **state)
{
    struct imap_reader *reader = *state;

    assert_int_equal(feed_repeated(reader, '(', TEXT_MAX - 2),
                     IMAP_READER_MORE);
    assert_true(reader->held.capacity <= 32768);
    assert_int_equal(feed(reader, "\r\n"), IMAP_READER_BAD);
    imap_reader_reset(reader);

    assert_int_equal(reader->held.capacity, 0);
}

static void reader_leaves_a_brace_in_a_quoted_string_alone(void **state)
{
    static const char *const good[] = {
        "a LOGIN \"us{er\" pa}\r\n",
        "a LOGIN \"us{er\" pa+}\r\n",
        "a LOGIN \"{5\" \"+\" }\r\n",
        "a LOGIN user pa}\r\n",
    };
    struct imap_reader *reader = *state;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(feed(reader, good[i]), IMAP_READER_COMMAND);
        imap_reader_reset(reader);
    }
}

static void reader_refuses_malformed_literals(void **state)
{
    static const char *const bad[] = {
        "a LOGIN {}\r\n",    "a LOGIN {-1}\r\n", "a LOGIN {+10}\r\n",
        "a LOGIN {010}\r\n", "a LOGIN {1 }\r\n", "a LOGIN {1x}\r\n",
    };
    struct imap_reader *reader = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(feed(reader, bad[i]), IMAP_READER_BAD);
        assert_int_equal(imap_reader_fault(reader), IMAP_READER_FAULT_LITERAL);
        assert_span(imap_reader_command(reader)->tag, "a");
        imap_reader_reset(reader);
    }
}

static void reader_refuses_large_synchronising_literals_unread(void **state)
{
    static const char *const bad[] = {
        "a LOGIN {8193}\r\n",
        "a LOGIN {4294967297}\r\n",
        "a LOGIN {18446744073709551616}\r\n",
        "a LOGIN {18446744073709551621}\r\n",
        "a LOGIN {99999999999999999999999999999999999999999}\r\n",
    };
    struct imap_reader *reader = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(feed(reader, bad[i]), IMAP_READER_BAD);
        assert_int_equal(imap_reader_fault(reader), IMAP_READER_FAULT_TOO_BIG);
        imap_reader_reset(reader);
    }
    assert_int_equal(feed(reader, "a LOGIN {8192}\r\n"), IMAP_READER_CONTINUE);
}

static void reader_closes_where_it_cannot_tell_what_follows(void **state)
{
    static const char *const bad[] = {
        "a X {8193+}\r\n", "a X {4294967298+}\r\n",
        "a X {010+}\r\n",  "a X {18446744073709551617+}\r\n",
        "a X {+}\r\n",     "a X {10++}\r\n",
        "a X {-1+}\r\n",   "a X {5+}\n",
        "a X {3 +}\r\n",   "a X {x+}\r\n",
        "a X {0x3+}\r\n",  "a X { 3+}\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct imap_reader reader;

        imap_reader_init(&reader, TEXT_MAX, LITERAL_MAX);
        assert_int_equal(feed(&reader, bad[i]), IMAP_READER_CLOSE);
        imap_reader_deinit(&reader);
    }
}

static void reader_swallows_a_literal_that_was_sent_unasked(void **state)
{
    struct imap_reader *reader = *state;

    assert_int_equal(feed(reader, "a LOGIN {4097+}\r\n"), IMAP_READER_MORE);
    assert_int_equal(feed_repeated(reader, '\n', 4097), IMAP_READER_MORE);
    assert_true(reader->held.capacity <= 512);
    assert_int_equal(feed(reader, " {1+}\r\nb {2+}\r\nx\r\r\n"),
                     IMAP_READER_BAD);

    assert_int_equal(imap_reader_fault(reader), IMAP_READER_FAULT_TOO_BIG);
    assert_span(imap_reader_command(reader)->tag, "a");
}

static void reader_keeps_a_literal_of_4096_sent_unasked(void **state)
{
    struct imap_reader *reader = *state;

    assert_int_equal(feed(reader, "a LOGIN {4096+}\r\n"), IMAP_READER_MORE);
    assert_int_equal(feed_repeated(reader, '\n', 4096), IMAP_READER_MORE);
    assert_int_equal(feed(reader, " x\r\n"), IMAP_READER_COMMAND);
}

static void reader_makes_no_command_of_an_unknown_ones_literal(void **state)
{
    struct imap_reader *reader = *state;

    assert_int_equal(feed(reader, "a FOO {13+}\r\nb LOGIN u p\r\n"),
                     IMAP_READER_MORE);
    assert_int_equal(feed(reader, " c NOOP\r\n"), IMAP_READER_COMMAND);
    assert_span(imap_reader_command(reader)->tag, "a");
    imap_reader_reset(reader);
    assert_int_equal(feed(reader, "( {13+}\r\nb LOGIN u p\r\n"),
                     IMAP_READER_MORE);
    assert_int_equal(feed(reader, " c NOOP\r\n"), IMAP_READER_BAD);
}

static void reader_bounds_all_literals_of_a_command(void **state)
{
    struct imap_reader *reader = *state;

    assert_int_equal(feed(reader, "a LOGIN {8192}\r\n"), IMAP_READER_CONTINUE);
    assert_int_equal(feed_repeated(reader, 'x', 8192), IMAP_READER_MORE);
    assert_int_equal(feed(reader, " {8192}\r\n"), IMAP_READER_CONTINUE);
    assert_int_equal(feed_repeated(reader, 'x', 8192), IMAP_READER_MORE);
    assert_int_equal(feed(reader, " {1}\r\n"), IMAP_READER_BAD);
    assert_int_equal(imap_reader_fault(reader), IMAP_READER_FAULT_TOO_BIG);
}

static void reader_gives_a_raw_line_when_asked(void **state)
{
    struct imap_reader *reader = *state;

    imap_reader_expect_line(reader);
    assert_int_equal(feed(reader, "AGFi{5+}\r\n"), IMAP_READER_LINE);
    assert_span(imap_reader_line(reader), "AGFi{5+}");

    imap_reader_expect_line(reader);
    assert_int_equal(feed(reader, "\r\n"), IMAP_READER_LINE);
    assert_int_equal(imap_reader_line(reader).len, 0);

    imap_reader_expect_line(reader);
    assert_int_equal(feed(reader, "AGFi\n"), IMAP_READER_BAD);
}

static void reader_takes_commands_again_after_a_raw_line(void **state)
{
    struct imap_reader *reader = *state;

    imap_reader_expect_line(reader);
    assert_int_equal(feed(reader, "a NOOP\r\n"), IMAP_READER_LINE);
    imap_reader_reset(reader);

    assert_int_equal(feed(reader, "a NOOP\r\n"), IMAP_READER_COMMAND);
}

static void reader_wipes_what_it_held(void **state)
{
    struct imap_reader *reader = *state;
    static const uint8_t zeros[32];

    assert_int_equal(feed(reader, "a LOGIN user secretsecretsec\r\n"),
                     IMAP_READER_COMMAND);

    imap_reader_reset(reader);

    assert_true(reader->held.capacity >= 32);
    assert_memory_equal(reader->held.bytes, zeros, 30);
    assert_int_equal(reader->held.len, 0);
}

static void only_a_browser_is_taken_for_a_browser(void **state)
{
    struct imap_reader *reader = *state;

    assert_int_equal(feed(reader, "GET / HTTP/1.1\r\n"), IMAP_READER_COMMAND);
    assert_true(imap_command_is_http(imap_reader_command(reader)));
    imap_reader_reset(reader);
    assert_int_equal(feed(reader, "PRI * HTTP/2.0\r\n"), IMAP_READER_BAD);
    assert_true(imap_command_is_http(imap_reader_command(reader)));
    imap_reader_reset(reader);
    assert_int_equal(feed(reader, "GET NOOP\r\n"), IMAP_READER_COMMAND);
    assert_false(imap_command_is_http(imap_reader_command(reader)));
}

/* Whole, at every offset in two, and octet by octet. */
static void reader_says_the_same_whatever_the_split(void **state)
{
    static const char *const inputs[] = {
        "a NOOP\r\nb CAPABILITY\r\n",
        "a LOGIN {3}\r\nbob {2+}\r\npw\r\nb NOOP\r\n",
        "a STARTTLS\nb NOOP\n\nc STARTTLS\r\n",
        "a FOO {12+}\r\nb LOGIN u p\r\n c NOOP\r\nd NOOP\r\n",
        "a AUTHENTICATE PLAIN\r\nAGFiAGNk\r\nb NOOP\r\n",
        "a X {40+}\r\n0123456789012345678901234567890123456789 {2+}\r\nab\r\n",
        "a LOGIN {010}\r\nb X {10++}\r\nc NOOP\r\n",
        "a LOGIN {99999}\r\nb LOGIN {10}\r\n0123456789 x\r\nc NOOP\r\n",
        "\r\n\r\r\n \r\n\n+ x\r\n",
        "a LOGIN \"{3+}\" {3+}\r\n{3} {3}\r\nabc\r\n",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        const uint8_t *input = (const uint8_t *)inputs[i];
        size_t len = strlen(inputs[i]);
        struct wiped_buffer whole = {0};

        transcript_of_reader(64, 20, input, len, (struct transcript_cut){0, 0},
                             &whole);
        for (size_t cut = 0; cut <= len; cut++) {
            struct transcript_cut ways[] = {{cut, 0}, {cut, 1}};

            for (size_t way = 0; way < 2; way++) {
                struct wiped_buffer split = {0};

                transcript_of_reader(64, 20, input, len, ways[way], &split);
                assert_int_equal(split.len, whole.len);
                if (whole.len > 0)
                    assert_memory_equal(split.bytes, whole.bytes, whole.len);
                wiped_buffer_deinit(&split);
            }
        }
        wiped_buffer_deinit(&whole);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reader_gives_tag_name_and_arguments),
        TEST(reader_stops_right_after_a_command),
        TEST(reader_tells_later_commands_from_unknown_ones),
        TEST(reader_waits_for_the_rest_of_a_literal),
        TEST(reader_takes_no_mark_from_inside_a_literal),
        TEST(reader_takes_an_empty_literal),
        TEST(reader_obeys_no_line_that_ends_in_a_lone_lf),
        TEST(reader_gives_no_tag_that_is_not_one),
        TEST(reader_refuses_a_nul_in_the_tag),
        TEST(reader_refuses_a_tag_longer_than_the_limit),
        TEST(reader_closes_at_the_octet_that_is_too_many),
        TEST(reader_counts_all_lines_of_a_command_together),
        TEST(reader_holds_little_however_much_comes),
        TEST(reader_leaves_a_brace_in_a_quoted_string_alone),
        TEST(reader_refuses_malformed_literals),
        TEST(reader_refuses_large_synchronising_literals_unread),
        TEST(reader_closes_where_it_cannot_tell_what_follows),
        TEST(reader_swallows_a_literal_that_was_sent_unasked),
        TEST(reader_keeps_a_literal_of_4096_sent_unasked),
        TEST(reader_makes_no_command_of_an_unknown_ones_literal),
        TEST(reader_bounds_all_literals_of_a_command),
        TEST(reader_gives_a_raw_line_when_asked),
        TEST(reader_takes_commands_again_after_a_raw_line),
        TEST(reader_wipes_what_it_held),
        TEST(only_a_browser_is_taken_for_a_browser),
        TEST(reader_says_the_same_whatever_the_split),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
