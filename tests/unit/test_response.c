/* A backend's bytes: cut into lines, classified, its capabilities read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "imap/capability.h"
#include "imap/response.h"
#include "imap/response_reader.h"

static int set_up(void **state)
{
    struct imap_response_reader *reader = calloc(1, sizeof(*reader));

    imap_response_reader_init(reader);
    *state = reader;
    return 0;
}

static int tear_down(void **state)
{
    imap_response_reader_deinit(*state);
    free(*state);
    return 0;
}

static enum imap_line_result feed(struct imap_response_reader *reader,
                                  const char *bytes, size_t len, size_t *used)
{
    return imap_response_reader_feed(reader, (const uint8_t *)bytes, len, used);
}

static void assert_span(struct imap_span span, const char *expected)
{
    assert_int_equal(span.len, strlen(expected));
    if (span.len > 0)
        assert_memory_equal(span.bytes, expected, span.len);
}

static struct imap_response parse(const char *line)
{
    struct imap_span span = {(const uint8_t *)line, strlen(line)};
    struct imap_response response;

    imap_response_parse(span, &response);
    return response;
}

static void lines_come_one_by_one(void **state)
{
    struct imap_response_reader *reader = *state;
    size_t used;

    assert_int_equal(feed(reader, "* OK a\r\n* OK b\r\n", 16, &used),
                     IMAP_LINE_READY);
    assert_int_equal(used, 8);
    assert_span(imap_response_reader_line(reader), "* OK a");
    assert_int_equal(feed(reader, "* OK", 4, &used), IMAP_LINE_MORE);
    assert_int_equal(feed(reader, " b\r", 3, &used), IMAP_LINE_MORE);
    assert_int_equal(feed(reader, "\n", 1, &used), IMAP_LINE_READY);
    assert_span(imap_response_reader_line(reader), "* OK b");
}

static void what_is_no_line_breaks_the_dialogue(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *fault;
    } cases[] = {
        {"* OK\n", 5, "lone-lf"},
        {"\n", 1, "lone-lf"},
        {"* O\0K\r\n", 7, "odd-byte"},
        {"* O\rK\r\n", 7, "odd-byte"},
        {"* ID {5}\r\n", 10, "literal"},
        {"* ID {5+}\r\n", 11, "literal"},
        {"* LIST {9999999999}\r\n", 21, "literal"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct imap_response_reader reader;
        size_t used;

        imap_response_reader_init(&reader);
        assert_int_equal(feed(&reader, cases[i].bytes, cases[i].len, &used),
                         IMAP_LINE_BROKEN);
        assert_string_equal(imap_response_reader_fault(&reader),
                            cases[i].fault);
        assert_int_equal(feed(&reader, "* OK\r\n", 6, &used), IMAP_LINE_BROKEN);
        imap_response_reader_deinit(&reader);
    }
}

static void a_brace_at_the_end_of_a_text_is_text(void **state)
{
    static const char *const lines[] = {
        "* OK ready {host1}\r\n",
        "* OK [ALERT] quota {50%}\r\n",
        "a OK Logged in {sid=77}\r\n",
        "a OK in }\r\n",
        "a OK in {77}\r\n",
        "a NO [LIMIT] {5+}\r\n",
        "* BYE {010+}\r\n",
        "* ID {host}\r\n",
        "+ go {5}\r\n",
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        size_t used;

        assert_int_equal(feed(*state, lines[i], strlen(lines[i]), &used),
                         IMAP_LINE_READY);
    }
}

static void a_line_may_be_8192_octets_and_no_more(void **state)
{
    struct imap_response_reader *reader = *state;
    char line[IMAP_RESPONSE_LINE_MAX + 1];
    size_t used;

    memset(line, 'x', sizeof(line));
    memcpy(line + IMAP_RESPONSE_LINE_MAX - 2, "\r\n", 2);
    assert_int_equal(feed(reader, line, IMAP_RESPONSE_LINE_MAX, &used),
                     IMAP_LINE_READY);
    memset(line, 'x', sizeof(line));
    memcpy(line + IMAP_RESPONSE_LINE_MAX - 1, "\r\n", 2);
    assert_int_equal(feed(reader, line, sizeof(line), &used), IMAP_LINE_BROKEN);
    assert_string_equal(imap_response_reader_fault(reader), "too-long");
}

static void an_endless_line_is_cut_at_once(void **state)
{
    struct imap_response_reader *reader = *state;
    size_t used;

    for (size_t i = 0; i < IMAP_RESPONSE_LINE_MAX; i++)
        assert_int_equal(feed(reader, "x", 1, &used), IMAP_LINE_MORE);
    assert_int_equal(feed(reader, "x", 1, &used), IMAP_LINE_BROKEN);
    assert_true(reader->line.capacity <= IMAP_RESPONSE_LINE_MAX);
}

static void a_dialogue_may_not_go_on_for_ever(void **state)
{
    struct imap_response_reader *reader = *state;
    size_t used;

    for (size_t i = 0; i < IMAP_RESPONSE_TOTAL_MAX / 8; i++)
        assert_int_equal(feed(reader, "* OK x\r\n", 8, &used), IMAP_LINE_READY);
    assert_int_equal(feed(reader, "* OK x\r\n", 8, &used), IMAP_LINE_BROKEN);
    assert_string_equal(imap_response_reader_fault(reader), "too-long");
}

static void statuses_are_told_apart(void **state)
{
    static const struct {
        const char *line;
        enum imap_response_kind kind;
        enum imap_status status;
    } cases[] = {
        {"* OK ready", IMAP_RESPONSE_UNTAGGED, IMAP_STATUS_OK},
        {"* ok ready", IMAP_RESPONSE_UNTAGGED, IMAP_STATUS_OK},
        {"* OK", IMAP_RESPONSE_UNTAGGED, IMAP_STATUS_OK},
        {"* NO x", IMAP_RESPONSE_UNTAGGED, IMAP_STATUS_NO},
        {"* BAD x", IMAP_RESPONSE_UNTAGGED, IMAP_STATUS_BAD},
        {"* PREAUTH x", IMAP_RESPONSE_UNTAGGED, IMAP_STATUS_PREAUTH},
        {"* BYE x", IMAP_RESPONSE_UNTAGGED, IMAP_STATUS_BYE},
        {"* CAPABILITY x", IMAP_RESPONSE_UNTAGGED, IMAP_STATUS_NONE},
        {"* OKAY x", IMAP_RESPONSE_UNTAGGED, IMAP_STATUS_NONE},
        {"* 5 EXISTS", IMAP_RESPONSE_UNTAGGED, IMAP_STATUS_NONE},
        {"a1 OK in", IMAP_RESPONSE_TAGGED, IMAP_STATUS_OK},
        {"a1 NO in", IMAP_RESPONSE_TAGGED, IMAP_STATUS_NO},
        {"a1 BAD in", IMAP_RESPONSE_TAGGED, IMAP_STATUS_BAD},
        {"+ go on", IMAP_RESPONSE_CONTINUE, IMAP_STATUS_NONE},
        {"+", IMAP_RESPONSE_CONTINUE, IMAP_STATUS_NONE},
        {"+ ", IMAP_RESPONSE_CONTINUE, IMAP_STATUS_NONE},
        {"+go", IMAP_RESPONSE_CONTINUE, IMAP_STATUS_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct imap_response response = parse(cases[i].line);

        assert_int_equal(response.kind, cases[i].kind);
        assert_int_equal(response.status, cases[i].status);
    }
}

static void what_is_no_imap_is_invalid(void **state)
{
    static const char *const bad[] = {
        "",
        "*",
        "* ",
        "*OK",
        "a1",
        "a1 ",
        "a1 BYE x",
        "a1 PREAUTH x",
        "a1 FETCH x",
        "a1 OKAY",
        "HTTP/1.1 400 Bad Request",
        " OK x",
        "a\x01 OK",
        "* OK [ALERT x",
        "a1 OK [",
        "a1 OK [] x",
        "* NO []",
        "* NO [ x] y",
        "220 smtp ESMTP",
        "\xff OK x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct imap_response response = parse(bad[i]);

        assert_int_equal(response.kind, IMAP_RESPONSE_INVALID);
    }
}

static void code_and_text_are_parted(void **state)
{
    struct imap_response response =
        parse("a1 NO [CAPABILITY IMAP4rev1 ID] no [way]");

    (void)state;
    assert_span(response.tag, "a1");
    assert_span(response.code, "CAPABILITY");
    assert_span(response.code_data, "IMAP4rev1 ID");
    assert_span(response.text, "no [way]");
    response = parse("* OK [ALERT] mind the gap");
    assert_span(response.code, "ALERT");
    assert_span(response.code_data, "");
    assert_span(response.text, "mind the gap");
    response = parse("* OK no code [here]");
    assert_span(response.code, "");
    assert_span(response.text, "no code [here]");
}

static void an_unreadable_code_of_a_refusal_is_text(void **state)
{
    static const char *const texts[] = {"[temporary failure", "[] x", "[ x] y",
                                        "["};
    static const struct {
        const char *name;
        enum imap_status status;
    } refusals[] = {{"NO", IMAP_STATUS_NO}, {"BAD", IMAP_STATUS_BAD}};

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(texts) / sizeof(texts[0]); i++) {
        char line[64];
        struct imap_response response;

        snprintf(line, sizeof(line), "a1 %s %s", refusals[i % 2].name,
                 texts[i / 2]);
        response = parse(line);

        assert_int_equal(response.kind, IMAP_RESPONSE_TAGGED);
        assert_int_equal(response.status, refusals[i % 2].status);
        assert_span(response.code, "");
        assert_span(response.code_data, "");
        assert_span(response.text, texts[i / 2]);
    }
}

static void only_our_own_tag_is_ours(void **state)
{
    struct imap_response ours = parse("a1 OK x");
    struct imap_response other = parse("a12 OK x");
    struct imap_response shorter = parse("a OK x");
    struct imap_response upper = parse("A1 OK x");
    struct imap_response untagged = parse("* OK x");

    (void)state;
    assert_true(imap_response_is_for(&ours, "a1"));
    assert_false(imap_response_is_for(&other, "a1"));
    assert_false(imap_response_is_for(&shorter, "a1"));
    assert_false(imap_response_is_for(&upper, "a1"));
    assert_false(imap_response_is_for(&untagged, "*"));
}

static void capabilities_are_found_in_data_and_in_codes(void **state)
{
    struct imap_response data = parse("* capability A B");
    struct imap_response code = parse("* OK [CAPABILITY C D] hi");
    struct imap_response tagged = parse("a OK [CAPABILITY E] hi");
    struct imap_response alert = parse("* OK [ALERT] CAPABILITY X");
    struct imap_response other = parse("* CAPABILITIES A");
    struct imap_span list;

    (void)state;
    assert_true(imap_response_capabilities(&data, &list));
    assert_span(list, "A B");
    assert_true(imap_response_capabilities(&code, &list));
    assert_span(list, "C D");
    assert_true(imap_response_capabilities(&tagged, &list));
    assert_span(list, "E");
    assert_false(imap_response_capabilities(&alert, &list));
    assert_false(imap_response_capabilities(&other, &list));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_come_one_by_one),
        TEST(what_is_no_line_breaks_the_dialogue),
        TEST(a_brace_at_the_end_of_a_text_is_text),
        TEST(a_line_may_be_8192_octets_and_no_more),
        TEST(an_endless_line_is_cut_at_once),
        TEST(a_dialogue_may_not_go_on_for_ever),
        TEST(statuses_are_told_apart),
        TEST(what_is_no_imap_is_invalid),
        TEST(code_and_text_are_parted),
        TEST(an_unreadable_code_of_a_refusal_is_text),
        TEST(only_our_own_tag_is_ours),
        TEST(capabilities_are_found_in_data_and_in_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
