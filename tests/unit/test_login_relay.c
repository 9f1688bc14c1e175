/* What a backend and a client say to each other within AUTHENTICATE. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "login_case.h"

#define CANCELLED "a BAD AUTHENTICATE cancelled.\r\n"
#define BAD "a BAD Invalid authentication data.\r\n"

static bool challenge(struct login *login, const char *base64)
{
    return login_challenge(login, (const uint8_t *)base64, strlen(base64));
}

static void start_scram(struct login *login)
{
    assert_int_equal(
        login_case_feed_message(login, "a AUTHENTICATE SCRAM-SHA-256 ",
                                LOGIN_CASE_BYTES("n,,n=alice,r=x")),
        LOGIN_TRY);
}

/* A dialogue whose client has a challenge to answer. */
static struct login *new_challenged(void)
{
    struct login *login = login_case_with(LOGIN_CASE_ALL_MECHANISMS);

    start_scram(login);
    assert_true(challenge(login, "cj14"));
    login_case_assert_output(login, "+ cj14\r\n");
    return login;
}

static void assert_relayed(const struct login *login, const char *expected)
{
    size_t len;
    const uint8_t *line = login_relayed(login, &len);

    assert_int_equal(len, strlen(expected));
    assert_memory_equal(line, expected, len);
}

static void a_challenge_goes_out_and_the_answer_comes_back(void **state)
{
    struct login *login = new_challenged();

    (void)state;
    assert_int_equal(login_case_feed(login, "Yz1iaXdz\r\n"), LOGIN_RELAY);

    assert_relayed(login, "Yz1iaXdz");
    login_case_assert_output(login, "");
    login_case_assert_try(login, "a", "alice", "n,,n=alice,r=x");
    login_free(&login);
}

static void it_may_go_on(void **state)
{
    struct login *login = new_challenged();

    (void)state;
    assert_int_equal(login_case_feed(login, "Yz1iaXdz\r\n"), LOGIN_RELAY);
    assert_true(challenge(login, "dj14"));
    login_case_assert_output(login, "+ dj14\r\n");
    assert_int_equal(login_case_feed(login, "\r\n"), LOGIN_RELAY);

    assert_relayed(login, "");
    assert_int_equal(login_case_refuse(login, LOGIN_ANSWER_BAD_CREDENTIALS),
                     LOGIN_MORE);
    login_case_assert_output(login, "a " LOGIN_CASE_AUTHENTICATION_FAILED);
    login_free(&login);
}

static void an_error_of_a_token_is_answered_either_way(void **state)
{
    static const struct {
        const char *before, *message, *answer;
    } cases[] = {
        {"a AUTHENTICATE XOAUTH2 ",
         "user=u\x01"
         "auth=Bearer t\x01\x01",
         ""},
        {"a AUTHENTICATE OAUTHBEARER ",
         "n,a=u,\x01"
         "auth=Bearer t\x01\x01",
         "AQ=="},
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct login *login = login_case_with(LOGIN_CASE_ALL_MECHANISMS);

        assert_int_equal(login_case_feed_message(login, cases[i].before,
                                                 cases[i].message,
                                                 strlen(cases[i].message)),
                         LOGIN_TRY);
        assert_true(challenge(login, "eyJzdGF0dXMiOiI0MDEifQ=="));
        login_case_assert_output(login, "+ eyJzdGF0dXMiOiI0MDEifQ==\r\n");
        assert_int_equal(login_case_feed(login, cases[i].answer), LOGIN_MORE);
        assert_int_equal(login_case_feed(login, "\r\n"), LOGIN_RELAY);
        assert_relayed(login, cases[i].answer);
        login_free(&login);
    }
}

static void an_empty_challenge_is_passed_on(void **state)
{
    struct login *login = login_case_with(LOGIN_CASE_ALL_MECHANISMS);

    (void)state;
    start_scram(login);
    assert_true(login_challenge(login, NULL, 0));

    login_case_assert_output(login, "+ \r\n");
    assert_int_equal(login_case_feed(login, "eA==\r\n"), LOGIN_RELAY);
    login_free(&login);
}

static void what_is_no_base64_is_not_passed_on(void **state)
{
    static const char *const bad[] = {
        "hello", "eA=", "eA==\r\nb OK in", "eA==\r\n", " eA==", "eA== eA==",
        "eB==",  "*",
    };
    struct login *login = login_case_with(LOGIN_CASE_ALL_MECHANISMS);

    (void)state;
    start_scram(login);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(challenge(login, bad[i]));

    login_case_assert_output(login, "");
    assert_int_equal(login_case_refuse(login, LOGIN_ANSWER_UNAVAILABLE),
                     LOGIN_MORE);
    login_free(&login);
}

static void the_ninth_challenge_is_one_too_many(void **state)
{
    struct login *login = login_case_with(LOGIN_CASE_ALL_MECHANISMS);

    (void)state;
    start_scram(login);
    for (int i = 0; i < 8; i++) {
        assert_true(challenge(login, "eA=="));
        assert_int_equal(login_case_feed(login, "eQ==\r\n"), LOGIN_RELAY);
    }
    login_output_clear(login);

    assert_false(challenge(login, "eA=="));
    login_case_assert_output(login, "");
    assert_int_equal(login_case_refuse(login, LOGIN_ANSWER_UNAVAILABLE),
                     LOGIN_MORE);
    login_case_assert_output_begins(login, "a NO [UNAVAILABLE]");
    start_scram(login);
    assert_true(challenge(login, "eA=="));
    login_free(&login);
}

static void a_star_gives_the_attempt_up(void **state)
{
    struct login *login = new_challenged();

    (void)state;
    assert_int_equal(login_case_feed(login, "*\r\n"), LOGIN_CANCELLED);

    login_case_assert_output(login, CANCELLED);
    assert_int_equal(login_case_feed(login, "b NOOP\r\n"), LOGIN_MORE);
    login_case_assert_output(login, "b OK NOOP completed.\r\n");
    login_free(&login);
}

static void an_answer_that_is_no_base64_ends_the_attempt(void **state)
{
    static const char *const bad[] = {
        "!!!!\r\n", "eA=\r\n",   "eB==\r\n", "b LOGOUT\r\n",
        "eA==\n",   "eA== \r\n", " \r\n",    "=\r\n",
        "**\r\n",   "* \r\n",    "{5+}\r\n", "\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct login *login = new_challenged();

        assert_int_equal(login_case_feed(login, bad[i]), LOGIN_CANCELLED);
        login_case_assert_output(login, BAD);
        assert_int_equal(login_tally(login)->bad_commands, 1);
        assert_int_equal(login_case_feed(login, "b LOGIN u p\r\n"), LOGIN_TRY);
        login_case_assert_try(login, "b", "u", "p");
        login_free(&login);
    }
}

static void who_gives_up_has_tried(void **state)
{
    struct login *login = login_case_with(LOGIN_CASE_ALL_MECHANISMS);

    (void)state;
    for (int i = 0; i < 2; i++) {
        start_scram(login);
        assert_true(challenge(login, "eA=="));
        assert_int_equal(login_case_feed(login, i == 0 ? "*\r\n" : "!\r\n"),
                         LOGIN_CANCELLED);
    }
    start_scram(login);
    assert_true(challenge(login, "eA=="));
    login_output_clear(login);

    assert_int_equal(login_case_feed(login, "*\r\n"), LOGIN_END);
    login_case_assert_output(login,
                             CANCELLED "* BYE Too many failed logins.\r\n");
    assert_string_equal(login_end_reason(login), "login-tries");
    login_free(&login);
}

static void before_the_first_challenge_a_star_is_no_try(void **state)
{
    struct login *login = login_case_with(LOGIN_CASE_ALL_MECHANISMS);

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(
            login_case_feed(login, "a AUTHENTICATE SCRAM-SHA-1\r\n*\r\n"),
            LOGIN_MORE);
    start_scram(login);
    login_free(&login);
}

static void a_bad_answer_is_a_bad_command_too(void **state)
{
    struct login_rules rules = login_case_rules();
    struct login *login;

    (void)state;
    rules.mechanisms = SASL_SCRAM_SHA_256;
    rules.bad_commands = 2;
    login = login_case_of(&rules);
    assert_int_equal(login_case_feed(login, "a XYZZY\r\n"), LOGIN_MORE);
    start_scram(login);
    assert_true(challenge(login, "eA=="));
    login_output_clear(login);

    assert_int_equal(login_case_feed(login, "!\r\n"), LOGIN_END);
    login_case_assert_output(login, BAD "* BYE Too many bad commands.\r\n");
    assert_string_equal(login_end_reason(login), "bad-commands");
    login_free(&login);
}

static void what_is_behind_an_answer_stays_with_the_caller(void **state)
{
    static const char text[] = "eA==\r\nb SELECT INBOX\r\n";
    static const char star[] = "*\r\nb NOOP\r\n";
    struct login *login = new_challenged();
    size_t used;

    (void)state;
    assert_int_equal(
        login_feed(login, (const uint8_t *)text, sizeof(text) - 1, &used),
        LOGIN_RELAY);
    assert_int_equal(used, 6);
    assert_true(challenge(login, "eA=="));
    assert_int_equal(
        login_feed(login, (const uint8_t *)star, sizeof(star) - 1, &used),
        LOGIN_CANCELLED);
    assert_int_equal(used, 3);
    login_free(&login);
}

static void after_a_refusal_the_next_line_is_a_command(void **state)
{
    struct login *login = new_challenged();

    (void)state;
    assert_int_equal(login_case_feed(login, "eA==\r\n"), LOGIN_RELAY);
    assert_int_equal(
        login_failed(login, LOGIN_ANSWER_CODED, "EXPIRED", 7, "old", 3),
        LOGIN_MORE);
    login_case_assert_output(login, "a NO [EXPIRED] old\r\n");

    assert_int_equal(login_case_feed(login, "b NOOP\r\n"), LOGIN_MORE);
    login_case_assert_output(login, "b OK NOOP completed.\r\n");
    login_free(&login);
}

static void a_backend_may_refuse_before_the_answer(void **state)
{
    struct login *login = new_challenged();

    (void)state;
    assert_int_equal(login_case_refuse(login, LOGIN_ANSWER_UNAVAILABLE),
                     LOGIN_MORE);
    login_output_clear(login);

    assert_int_equal(login_case_feed(login, "b NOOP\r\n"), LOGIN_MORE);
    login_case_assert_output(login, "b OK NOOP completed.\r\n");
    login_free(&login);
}

static void half_an_answer_is_dropped_with_the_attempt(void **state)
{
    struct login *login = new_challenged();

    (void)state;
    assert_int_equal(login_case_feed(login, "eA"), LOGIN_MORE);
    assert_int_equal(login_case_refuse(login, LOGIN_ANSWER_UNAVAILABLE),
                     LOGIN_MORE);
    login_output_clear(login);

    assert_int_equal(login_case_feed(login, "b NOOP\r\n"), LOGIN_MORE);
    login_case_assert_output(login, "b OK NOOP completed.\r\n");
    login_free(&login);
}

static void an_endless_answer_ends_the_dialogue(void **state)
{
    struct login *login = new_challenged();
    static char bytes[16384];

    (void)state;
    memset(bytes, 'A', sizeof(bytes));
    assert_int_equal(login_case_feed_bytes(login, bytes, sizeof(bytes)),
                     LOGIN_MORE);

    assert_int_equal(login_case_feed(login, "A"), LOGIN_END);
    assert_string_equal(login_end_reason(login), "too-long");
    login_free(&login);
}

static void a_client_may_leave_at_any_octet_of_its_answer(void **state)
{
    static const char answer[] = "Yz1iaXdz\r\n";

    (void)state;
    for (size_t cut = 0; cut < sizeof(answer); cut++) {
        struct login *login = new_challenged();

        assert_int_equal(login_case_feed_bytes(login, answer, cut),
                         cut == sizeof(answer) - 1 ? LOGIN_RELAY : LOGIN_MORE);
        login_free(&login);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_challenge_goes_out_and_the_answer_comes_back),
        cmocka_unit_test(it_may_go_on),
        cmocka_unit_test(an_error_of_a_token_is_answered_either_way),
        cmocka_unit_test(an_empty_challenge_is_passed_on),
        cmocka_unit_test(what_is_no_base64_is_not_passed_on),
        cmocka_unit_test(the_ninth_challenge_is_one_too_many),
        cmocka_unit_test(a_star_gives_the_attempt_up),
        cmocka_unit_test(an_answer_that_is_no_base64_ends_the_attempt),
        cmocka_unit_test(who_gives_up_has_tried),
        cmocka_unit_test(before_the_first_challenge_a_star_is_no_try),
        cmocka_unit_test(a_bad_answer_is_a_bad_command_too),
        cmocka_unit_test(what_is_behind_an_answer_stays_with_the_caller),
        cmocka_unit_test(after_a_refusal_the_next_line_is_a_command),
        cmocka_unit_test(a_backend_may_refuse_before_the_answer),
        cmocka_unit_test(half_an_answer_is_dropped_with_the_attempt),
        cmocka_unit_test(an_endless_answer_ends_the_dialogue),
        cmocka_unit_test(a_client_may_leave_at_any_octet_of_its_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
