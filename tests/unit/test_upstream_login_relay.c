/* An exchange between client and backend, passed on message by message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "upstream_case.h"

/* A relayed exchange that has begun. */
static void start_relay(struct upstream_case *fixture,
                        enum sasl_mechanism mechanism)
{
    upstream_case_set_message(fixture, mechanism, "n,,n=bob,r=abc");
    assert_int_equal(
        upstream_case_start(fixture, "SASL-IR AUTH=XOAUTH2 AUTH=OAUTHBEARER "
                                     "AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256"),
        UPSTREAM_LOGIN_MORE);
    upstream_login_to_backend_clear(fixture->login);
}

static void assert_challenge(struct upstream_case *fixture,
                             const char *expected)
{
    size_t len;
    const uint8_t *bytes = upstream_login_challenge(fixture->login, &len);

    assert_bytes(bytes, len, expected, strlen(expected));
}

static enum upstream_login_result answer(struct upstream_case *fixture,
                                         const char *line)
{
    return upstream_login_answer(fixture->login, (const uint8_t *)line,
                                 strlen(line));
}

static void assert_broken(struct upstream_case *fixture, const char *text,
                          const char *reason)
{
    assert_int_equal(upstream_case_feed(fixture, text), UPSTREAM_LOGIN_BROKEN);
    assert_refusal(fixture, LOGIN_ANSWER_UNAVAILABLE, false, reason);
    assert_to_backend(fixture, "");
    assert_to_client(fixture, "");
}

static void scram_passes_message_by_message(void **state)
{
    struct upstream_case *fixture = *state;

    start_relay(fixture, SASL_SCRAM_SHA_256);
    assert_int_equal(upstream_case_feed(fixture, "+ cj1hYmM=\r\n"),
                     UPSTREAM_LOGIN_CHALLENGE);
    assert_challenge(fixture, "cj1hYmM=");
    assert_int_equal(answer(fixture, "Yz1iaXdz"), UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "Yz1iaXdz\r\n");
    assert_int_equal(upstream_case_feed(fixture, "+ dj1hYmM=\r\n"),
                     UPSTREAM_LOGIN_CHALLENGE);
    assert_challenge(fixture, "dj1hYmM=");
    assert_int_equal(answer(fixture, ""), UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "\r\n");

    assert_int_equal(upstream_case_feed(fixture, "a1 OK [CAPABILITY A] in\r\n"),
                     UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "a1 OK [CAPABILITY A] in\r\n");
}

static void a_token_that_is_refused_takes_one_more_step(void **state)
{
    static const enum sasl_mechanism mechanisms[] = {SASL_XOAUTH2,
                                                     SASL_OAUTHBEARER};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct upstream_case fixture;

        upstream_case_init(&fixture);
        start_relay(&fixture, mechanisms[i]);
        assert_int_equal(upstream_case_feed(&fixture, "+ eyJzIjoiNDAxIn0=\r\n"),
                         UPSTREAM_LOGIN_CHALLENGE);
        assert_challenge(&fixture, "eyJzIjoiNDAxIn0=");
        assert_int_equal(answer(&fixture, i == 0 ? "" : "AQ=="),
                         UPSTREAM_LOGIN_MORE);
        assert_to_backend(&fixture, i == 0 ? "\r\n" : "AQ==\r\n");
        assert_int_equal(upstream_case_feed(&fixture, "a1 NO go away\r\n"),
                         UPSTREAM_LOGIN_REFUSED);
        assert_refusal(&fixture, LOGIN_ANSWER_BAD_CREDENTIALS, false,
                       "backend-no");
        upstream_case_deinit(&fixture);
    }
}

static void a_good_token_needs_no_challenge(void **state)
{
    struct upstream_case *fixture = *state;

    start_relay(fixture, SASL_OAUTHBEARER);

    assert_int_equal(upstream_case_feed(fixture, "a1 OK [CAPABILITY A] in\r\n"),
                     UPSTREAM_LOGIN_DONE);
}

static void an_empty_challenge_is_one(void **state)
{
    static const char *const lines[] = {"+\r\n", "+ \r\n"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct upstream_case fixture;

        upstream_case_init(&fixture);
        start_relay(&fixture, SASL_XOAUTH2);
        assert_int_equal(upstream_case_feed(&fixture, lines[i]),
                         UPSTREAM_LOGIN_CHALLENGE);
        assert_challenge(&fixture, "");
        upstream_case_deinit(&fixture);
    }
}

static void nothing_but_base64_reaches_the_client(void **state)
{
    static const char *const lines[] = {
        "+ Go ahead\r\n", "+ e30\r\n",  "+ e30=e30=\r\n",    "+ e30= \r\n",
        "+  e30=\r\n",    "+ e3-_\r\n", "+ e30=\x1b[2J\r\n", "+ =\r\n",
        "+ e31=\r\n",     "+x\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct upstream_case fixture;

        upstream_case_init(&fixture);
        start_relay(&fixture, SASL_XOAUTH2);
        assert_broken(&fixture, lines[i], "backend-challenge");
        assert_challenge(&fixture, "");
        upstream_case_deinit(&fixture);
    }
}

static void eight_challenges_pass_and_no_more(void **state)
{
    struct upstream_case *fixture = *state;

    start_relay(fixture, SASL_SCRAM_SHA_1);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(upstream_case_feed(fixture, "+ e30=\r\n"),
                         UPSTREAM_LOGIN_CHALLENGE);
        assert_int_equal(answer(fixture, "AQ=="), UPSTREAM_LOGIN_MORE);
        assert_to_backend(fixture, "AQ==\r\n");
    }

    assert_broken(fixture, "+ e30=\r\n", "backend-challenges");
}

static void a_challenge_is_bounded_like_every_line(void **state)
{
    struct upstream_case *fixture = *state;
    static char line[8196];
    size_t len;
    size_t used;

    memset(line, 'A', sizeof(line));
    memcpy(line, "+ ", 2);
    memcpy(line + 8190, "\r\n", 3);
    start_relay(fixture, SASL_XOAUTH2);
    assert_int_equal(upstream_case_feed(fixture, line),
                     UPSTREAM_LOGIN_CHALLENGE);
    (void)upstream_login_challenge(fixture->login, &len);
    assert_int_equal(len, 8188);
    assert_int_equal(answer(fixture, ""), UPSTREAM_LOGIN_MORE);
    memset(line + 8190, 'A', 6);

    assert_int_equal(upstream_login_feed(fixture->login, (const uint8_t *)line,
                                         sizeof(line), &used),
                     UPSTREAM_LOGIN_BROKEN);

    assert_refusal(fixture, LOGIN_ANSWER_UNAVAILABLE, false, "too-long");
}

static void a_backend_waits_for_the_answer_before_it_asks_again(void **state)
{
    struct upstream_case *fixture = *state;

    start_relay(fixture, SASL_SCRAM_SHA_1);
    assert_int_equal(upstream_case_feed(fixture, "+ e30=\r\n"),
                     UPSTREAM_LOGIN_CHALLENGE);

    assert_broken(fixture, "+ e30=\r\n", "backend-continuation");
}

static void two_challenges_at_once_break_it(void **state)
{
    struct upstream_case *fixture = *state;

    start_relay(fixture, SASL_SCRAM_SHA_1);

    assert_broken(fixture, "+ e30=\r\n+ e30=\r\n", "backend-continuation");
}

static void a_backend_may_refuse_while_the_client_thinks(void **state)
{
    struct upstream_case *fixture = *state;

    start_relay(fixture, SASL_SCRAM_SHA_1);
    assert_int_equal(upstream_case_feed(fixture, "+ e30=\r\n"),
                     UPSTREAM_LOGIN_CHALLENGE);

    assert_int_equal(
        upstream_case_feed(fixture, "a1 NO [UNAVAILABLE] slow\r\n"),
        UPSTREAM_LOGIN_REFUSED);

    assert_refusal(fixture, LOGIN_ANSWER_CODED, false, "backend-no");
}

static void a_refusal_right_behind_a_challenge_comes_before_it(void **state)
{
    struct upstream_case *fixture = *state;

    start_relay(fixture, SASL_XOAUTH2);

    assert_int_equal(
        upstream_case_feed(fixture, "+ e30=\r\na1 NO [EXPIRED] token\r\n"),
        UPSTREAM_LOGIN_REFUSED);

    assert_refusal(fixture, LOGIN_ANSWER_CODED, false, "backend-no");
}

static void scram_is_not_over_before_the_client_has_proved_itself(void **state)
{
    static const enum sasl_mechanism mechanisms[] = {SASL_SCRAM_SHA_1,
                                                     SASL_SCRAM_SHA_256};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct upstream_case fixture;

        upstream_case_init(&fixture);
        start_relay(&fixture, mechanisms[i]);
        assert_broken(&fixture, "a1 OK [CAPABILITY A] in\r\n",
                      "backend-early-ok");
        upstream_case_deinit(&fixture);
    }
}

static void an_ok_while_the_client_thinks_is_no_login(void **state)
{
    struct upstream_case *fixture = *state;

    start_relay(fixture, SASL_XOAUTH2);
    assert_int_equal(upstream_case_feed(fixture, "+ e30=\r\n"),
                     UPSTREAM_LOGIN_CHALLENGE);

    assert_broken(fixture, "a1 OK in\r\n", "backend-early-ok");
}

static void an_ok_before_the_answer_has_left_is_no_login(void **state)
{
    struct upstream_case *fixture = *state;

    start_relay(fixture, SASL_XOAUTH2);
    assert_int_equal(upstream_case_feed(fixture, "+ e30=\r\n"),
                     UPSTREAM_LOGIN_CHALLENGE);
    assert_int_equal(answer(fixture, "AQ=="), UPSTREAM_LOGIN_MORE);

    assert_broken(fixture, "a1 OK in\r\n", "backend-early-ok");
}

static void a_challenge_after_the_ok_breaks_it(void **state)
{
    struct upstream_case *fixture = *state;

    start_relay(fixture, SASL_XOAUTH2);
    assert_int_equal(upstream_case_feed(fixture, "a1 OK in\r\n"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "G2 CAPABILITY\r\n");

    assert_broken(fixture, "+ e30=\r\n", "backend-continuation");
}

static void a_password_is_never_a_question_to_the_client(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_start_bob(fixture);

    assert_broken(fixture, "+ e30=\r\n", "backend-continuation");
}

static void alerts_go_before_the_challenge_and_only_once(void **state)
{
    struct upstream_case *fixture = *state;

    start_relay(fixture, SASL_XOAUTH2);
    assert_int_equal(upstream_case_feed(fixture, "* OK [ALERT] one\r\n"
                                                 "* OK chatter\r\n+ e30=\r\n"
                                                 "* NO [ALERT] two\r\n"),
                     UPSTREAM_LOGIN_CHALLENGE);
    assert_to_client(fixture, "* OK [ALERT] one\r\n* NO [ALERT] two\r\n");
    assert_int_equal(answer(fixture, "AQ=="), UPSTREAM_LOGIN_MORE);
    upstream_login_to_backend_clear(fixture->login);

    assert_int_equal(
        upstream_case_feed(fixture, "* OK [ALERT] three\r\na1 NO x\r\n"),
        UPSTREAM_LOGIN_REFUSED);

    assert_to_client(fixture, "* OK [ALERT] three\r\n");
}

static void alerts_that_come_while_the_client_thinks_are_kept(void **state)
{
    struct upstream_case *fixture = *state;

    start_relay(fixture, SASL_XOAUTH2);
    assert_int_equal(
        upstream_case_feed(fixture, "* OK [ALERT] one\r\n+ e30=\r\n"),
        UPSTREAM_LOGIN_CHALLENGE);
    assert_int_equal(upstream_case_feed(fixture, "* OK [ALERT] two\r\n"),
                     UPSTREAM_LOGIN_MORE);
    assert_int_equal(answer(fixture, "AQ=="), UPSTREAM_LOGIN_MORE);
    upstream_login_to_backend_clear(fixture->login);

    assert_int_equal(upstream_case_feed(fixture, "a1 NO x\r\n"),
                     UPSTREAM_LOGIN_REFUSED);

    assert_to_client(fixture, "* OK [ALERT] two\r\n");
}

static void a_refusal_does_not_repeat_the_alerts_of_the_challenge(void **state)
{
    struct upstream_case *fixture = *state;

    start_relay(fixture, SASL_XOAUTH2);
    assert_int_equal(
        upstream_case_feed(fixture, "* OK [ALERT] one\r\n+ e30=\r\n"),
        UPSTREAM_LOGIN_CHALLENGE);

    assert_int_equal(upstream_case_feed(fixture, "a1 NO x\r\n"),
                     UPSTREAM_LOGIN_REFUSED);

    assert_to_client(fixture, "");
}

static void alerts_are_bounded_over_all_challenges(void **state)
{
    struct upstream_case *fixture = *state;
    size_t total = 0;
    size_t len;

    start_relay(fixture, SASL_XOAUTH2);
    for (int i = 0; i < 8; i++) {
        for (int k = 0; k < 100; k++)
            assert_int_equal(
                upstream_case_feed(fixture, "* OK [ALERT] 0123456789\r\n"),
                UPSTREAM_LOGIN_MORE);
        assert_int_equal(upstream_case_feed(fixture, "+ e30=\r\n"),
                         UPSTREAM_LOGIN_CHALLENGE);
        (void)upstream_login_to_client(fixture->login, &len);
        total += len;
        assert_int_equal(answer(fixture, ""), UPSTREAM_LOGIN_MORE);
        upstream_login_to_backend_clear(fixture->login);
    }

    assert_in_range(total, 4000, 4096);
}

static void an_answer_that_is_no_base64_goes_nowhere(void **state)
{
    static const char *const lines[] = {"*", "AQ==\r\nx NOOP", "a b", "AQ="};

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct upstream_case fixture;

        upstream_case_init(&fixture);
        start_relay(&fixture, SASL_XOAUTH2);
        assert_int_equal(upstream_case_feed(&fixture, "+ e30=\r\n"),
                         UPSTREAM_LOGIN_CHALLENGE);
        assert_int_equal(answer(&fixture, lines[i]), UPSTREAM_LOGIN_BROKEN);
        assert_to_backend(&fixture, "");
        upstream_case_deinit(&fixture);
    }
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, upstream_case_set_up,                \
                                    upstream_case_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(scram_passes_message_by_message),
        TEST(a_token_that_is_refused_takes_one_more_step),
        TEST(a_good_token_needs_no_challenge),
        TEST(an_empty_challenge_is_one),
        TEST(nothing_but_base64_reaches_the_client),
        TEST(eight_challenges_pass_and_no_more),
        TEST(a_challenge_is_bounded_like_every_line),
        TEST(a_backend_waits_for_the_answer_before_it_asks_again),
        TEST(two_challenges_at_once_break_it),
        TEST(a_backend_may_refuse_while_the_client_thinks),
        TEST(a_refusal_right_behind_a_challenge_comes_before_it),
        TEST(scram_is_not_over_before_the_client_has_proved_itself),
        TEST(an_ok_while_the_client_thinks_is_no_login),
        TEST(an_ok_before_the_answer_has_left_is_no_login),
        TEST(a_challenge_after_the_ok_breaks_it),
        TEST(a_password_is_never_a_question_to_the_client),
        TEST(alerts_go_before_the_challenge_and_only_once),
        TEST(alerts_that_come_while_the_client_thinks_are_kept),
        TEST(a_refusal_does_not_repeat_the_alerts_of_the_challenge),
        TEST(alerts_are_bounded_over_all_challenges),
        TEST(an_answer_that_is_no_base64_goes_nowhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
