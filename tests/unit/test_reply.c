/* Every text that a client reads of us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/sasl_server.h"
#include "imap/reply.h"

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct wiped_buffer));
    return 0;
}

static int tear_down(void **state)
{
    wiped_buffer_deinit(*state);
    free(*state);
    return 0;
}

static void assert_text(const struct wiped_buffer *out, const char *expected)
{
    assert_int_equal(out->len, strlen(expected));
    assert_memory_equal(out->bytes, expected, out->len);
}

static void the_greeting_in_clear_offers_starttls_and_no_login(void **state)
{
    struct reply_offer offer = {false, true, false, SASL_PLAIN | SASL_LOGIN};

    reply_greeting(*state, &offer);

    assert_text(*state, "* OK [CAPABILITY IMAP4rev1 LITERAL- SASL-IR ID "
                        "STARTTLS LOGINDISABLED] Gatepost ready\r\n");
}

static void starttls_that_would_fail_is_not_offered(void **state)
{
    struct reply_offer offer = {false, false, false, SASL_PLAIN};

    reply_capability(*state, &offer);

    assert_text(*state, "* CAPABILITY IMAP4rev1 LITERAL- SASL-IR ID "
                        "LOGINDISABLED\r\n");
}

static void under_tls_exactly_the_configured_mechanisms_show(void **state)
{
    struct reply_offer both = {true, true, false, SASL_PLAIN | SASL_LOGIN};
    struct reply_offer login = {true, true, false, SASL_LOGIN};

    reply_capability(*state, &both);
    reply_capability(*state, &login);

    assert_text(*state, "* CAPABILITY IMAP4rev1 LITERAL- SASL-IR ID "
                        "AUTH=PLAIN AUTH=LOGIN\r\n"
                        "* CAPABILITY IMAP4rev1 LITERAL- SASL-IR ID "
                        "AUTH=LOGIN\r\n");
}

static void rev2_stands_beside_rev1_when_it_is_said(void **state)
{
    struct reply_offer clear = {false, true, true, SASL_PLAIN};
    struct reply_offer secure = {true, true, true, SASL_PLAIN};

    reply_capability(*state, &clear);
    reply_capability(*state, &secure);

    assert_text(*state, "* CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR ID "
                        "STARTTLS LOGINDISABLED\r\n"
                        "* CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR ID "
                        "AUTH=PLAIN\r\n");
}

static void every_mechanism_has_its_capability_and_none_in_clear(void **state)
{
    struct reply_offer clear = {false, false, false, 127};
    struct reply_offer secure = {true, false, false, 127};

    reply_capability(*state, &clear);
    reply_capability(*state, &secure);

    assert_text(*state, "* CAPABILITY IMAP4rev1 LITERAL- SASL-IR ID "
                        "LOGINDISABLED\r\n"
                        "* CAPABILITY IMAP4rev1 LITERAL- SASL-IR ID "
                        "AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER "
                        "AUTH=EXTERNAL AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256"
                        "\r\n");
}

static void an_uncoded_no_carries_its_text(void **state)
{
    assert_true(reply_uncoded_no(*state, "a1",
                                 "Mail\x01"
                                 "box gone",
                                 13));

    assert_text(*state, "a1 NO Mail?box gone\r\n");
}

static void an_uncoded_no_cannot_bring_a_code_in(void **state)
{
    const struct wiped_buffer *out = *state;

    assert_false(reply_uncoded_no(*state, "a", "[REFERRAL x] y", 14));
    assert_false(reply_uncoded_no(*state, "a", " \t[X", 4));
    assert_false(reply_uncoded_no(*state, "a", "", 0));

    assert_int_equal(out->len, 0);
}

static void a_reply_without_tag_is_untagged(void **state)
{
    reply_write(*state, REPLY_BAD_COMMAND, NULL);
    reply_write(*state, REPLY_BAD_COMMAND, "a1");

    assert_text(*state,
                "* BAD Unknown command.\r\na1 BAD Unknown command.\r\n");
}

static void every_reply_is_one_printable_line_with_a_status(void **state)
{
    static const char *const statuses[] = {"OK ", "NO ", "BAD ", "BYE "};

    for (int reply = 0; reply < REPLY_COUNT; reply++) {
        struct wiped_buffer out = {0};
        bool has_status = false;

        reply_write(&out, (enum reply)reply, NULL);

        for (size_t i = 0; i < 4; i++)
            has_status |=
                memcmp(out.bytes + 2, statuses[i], strlen(statuses[i])) == 0;
        assert_true(has_status);
        assert_memory_equal(out.bytes + out.len - 2, "\r\n", 2);
        for (size_t i = 0; i < out.len - 2; i++)
            assert_in_range(out.bytes[i], 0x20, 0x7e);
        wiped_buffer_deinit(&out);
    }
    (void)state;
}

static void an_empty_challenge_keeps_its_space(void **state)
{
    reply_challenge(*state, (struct imap_span){NULL, 0});
    reply_challenge(*state,
                    (struct imap_span){(const uint8_t *)"VXNlcm5hbWU6", 12});

    assert_text(*state, "+ \r\n+ VXNlcm5hbWU6\r\n");
}

static void a_coded_no_carries_code_and_text(void **state)
{
    assert_true(reply_coded_no(*state, "a1", "EXPIRED", 7, "too old", 7));

    assert_text(*state, "a1 NO [EXPIRED] too old\r\n");
}

static void odd_bytes_of_a_text_become_question_marks(void **state)
{
    assert_true(reply_coded_no(*state, "a", "X", 1, "a\r\nb OK\0\x1b\xff", 10));

    assert_text(*state, "a NO [X] a??b OK???\r\n");
}

static void a_long_text_is_cut_at_512(void **state)
{
    const struct wiped_buffer *out = *state;
    char text[600];

    memset(text, 'x', sizeof(text));

    assert_true(reply_coded_no(*state, "a", "X", 1, text, sizeof(text)));

    assert_int_equal(out->len, strlen("a NO [X] \r\n") + 512);
}

static void a_code_that_no_client_could_parse_is_refused(void **state)
{
    const struct wiped_buffer *out = *state;
    char code[REPLY_CODE_MAX + 1];

    memset(code, 'x', sizeof(code));

    assert_false(reply_coded_no(*state, "a", "", 0, "t", 1));
    assert_false(reply_coded_no(*state, "a", "X]", 2, "t", 1));
    assert_false(reply_coded_no(*state, "a", " X", 2, "t", 1));
    assert_false(reply_coded_no(*state, "a", "X\r\n", 3, "t", 1));
    assert_false(reply_coded_no(*state, "a", "X\xff", 2, "t", 1));
    assert_false(reply_coded_no(*state, "a", code, sizeof(code), "t", 1));

    assert_int_equal(out->len, 0);
    assert_true(reply_coded_no(*state, "a", code, sizeof(code) - 1, "t", 1));
}

static void a_coded_no_without_text_gets_one(void **state)
{
    assert_true(reply_coded_no(*state, "a", "LIMIT", 5, "", 0));

    assert_text(*state, "a NO [LIMIT] Login failed.\r\n");
}

static void a_wiped_buffer_leaves_nothing_behind(void **state)
{
    struct wiped_buffer *out = *state;
    static const uint8_t zeros[100];

    for (int i = 0; i < 10; i++)
        wiped_buffer_append(out, "secretsecr", 10);
    wiped_buffer_cut(out, 10);
    assert_memory_equal(out->bytes, "secretsecr", 10);
    assert_memory_equal(out->bytes + 10, zeros, 90);
    wiped_buffer_clear(out);

    assert_memory_equal(out->bytes, zeros, 100);
    assert_int_equal(out->len, 0);
}

static void a_wiped_buffer_grows_by_need(void **state)
{
    struct wiped_buffer *out = *state;
    char bytes[1000];

    memset(bytes, 'x', sizeof(bytes));
    wiped_buffer_append_number(out, 0);
    wiped_buffer_append_number(out, 18446744073709551615u);
    assert_text(out, "018446744073709551615");
    assert_int_equal(out->capacity, 256);
    wiped_buffer_append(out, bytes, sizeof(bytes));
    assert_int_equal(out->capacity, 1024);
    assert_memory_equal(out->bytes + 21, bytes, sizeof(bytes));

    wiped_buffer_clear(out);
    assert_int_equal(out->capacity, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_greeting_in_clear_offers_starttls_and_no_login),
        TEST(starttls_that_would_fail_is_not_offered),
        TEST(under_tls_exactly_the_configured_mechanisms_show),
        TEST(rev2_stands_beside_rev1_when_it_is_said),
        TEST(every_mechanism_has_its_capability_and_none_in_clear),
        TEST(an_uncoded_no_carries_its_text),
        TEST(an_uncoded_no_cannot_bring_a_code_in),
        TEST(a_reply_without_tag_is_untagged),
        TEST(every_reply_is_one_printable_line_with_a_status),
        TEST(an_empty_challenge_keeps_its_space),
        TEST(a_coded_no_carries_code_and_text),
        TEST(odd_bytes_of_a_text_become_question_marks),
        TEST(a_long_text_is_cut_at_512),
        TEST(a_code_that_no_client_could_parse_is_refused),
        TEST(a_coded_no_without_text_gets_one),
        TEST(a_wiped_buffer_leaves_nothing_behind),
        TEST(a_wiped_buffer_grows_by_need),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
