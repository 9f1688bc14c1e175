/* What becomes of a backend that refuses a login. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "upstream_case.h"

static void alerts_of_a_failed_login_pass_but_not_its_list(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_start_bob(fixture);

    assert_int_equal(upstream_case_feed(fixture, "* NO [ALERT] expired\r\n"
                                                 "* CAPABILITY IMAP4rev1\r\n"
                                                 "a1 NO sorry\r\n"),
                     UPSTREAM_LOGIN_REFUSED);

    assert_to_client(fixture, "* NO [ALERT] expired\r\n");
}

static void each_refusal_is_answered_by_the_table(void **state)
{
    static const struct {
        const char *line;
        enum login_answer answer;
        bool is_config_fault;
        const char *reason, *code, *text;
    } cases[] = {
        {"a1 NO Unknown user bob\r\n", LOGIN_ANSWER_BAD_CREDENTIALS, false,
         "backend-no", "", ""},
        {"a1 NO\r\n", LOGIN_ANSWER_BAD_CREDENTIALS, false, "backend-no", "",
         ""},
        {"a1 NO [authenticationfailed] No such user\r\n",
         LOGIN_ANSWER_BAD_CREDENTIALS, false, "backend-no", "", ""},
        {"a1 NO [CAPABILITY A B] x\r\n", LOGIN_ANSWER_BAD_CREDENTIALS, false,
         "backend-no", "", ""},
        {"a1 NO [EXPIRED] Too old\r\n", LOGIN_ANSWER_CODED, false, "backend-no",
         "EXPIRED", "Too old"},
        {"a1 NO [temporary failure\r\n", LOGIN_ANSWER_BAD_CREDENTIALS, false,
         "backend-no", "", ""},
        {"a1 NO [AUTHORIZATIONFAILED] not you\r\n", LOGIN_ANSWER_CODED, false,
         "backend-no", "AUTHORIZATIONFAILED", "not you"},
        {"a1 NO [UNAVAILABLE] later\r\n", LOGIN_ANSWER_CODED, false,
         "backend-no", "UNAVAILABLE", "later"},
        {"a1 NO [X-NEW with data] hm\r\n", LOGIN_ANSWER_CODED, false,
         "backend-no", "X-NEW with data", "hm"},
        {"a1 NO [REFERRAL imap://evil/] x\r\n", LOGIN_ANSWER_UNAVAILABLE, false,
         "backend-referral", "", ""},
        {"a1 NO [PRIVACYREQUIRED] x\r\n", LOGIN_ANSWER_UNAVAILABLE, true,
         "backend-wants-tls", "", ""},
        {"a1 BAD Unknown command\r\n", LOGIN_ANSWER_UNAVAILABLE, true,
         "backend-bad", "", ""},
        {"a1 BAD [EXPIRED] x\r\n", LOGIN_ANSWER_UNAVAILABLE, true,
         "backend-bad", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct upstream_case fixture;
        const struct upstream_refusal *refusal;

        upstream_case_init(&fixture);
        upstream_case_start_bob(&fixture);
        assert_int_equal(upstream_case_feed(&fixture, cases[i].line),
                         UPSTREAM_LOGIN_REFUSED);

        refusal = upstream_login_refusal(fixture.login);
        assert_refusal(&fixture, cases[i].answer, cases[i].is_config_fault,
                       cases[i].reason);
        assert_bytes((const uint8_t *)refusal->code, refusal->code_len,
                     cases[i].code, strlen(cases[i].code));
        assert_bytes((const uint8_t *)refusal->text, refusal->text_len,
                     cases[i].text, strlen(cases[i].text));
        if (strncmp(cases[i].line, "a1 BAD", 6) == 0) {
            assert_int_equal(refusal->kind, UPSTREAM_REFUSAL_BAD);
            assert_int_equal(refusal->original_len, 0);
        } else {
            assert_int_equal(refusal->kind, UPSTREAM_REFUSAL_NO);
            assert_bytes(refusal->original, refusal->original_len,
                         cases[i].line, strlen(cases[i].line) - 2);
        }
        upstream_case_deinit(&fixture);
    }
}

static void a_no_that_echoes_the_secret_is_not_kept(void **state)
{
    static const char *const lines[] = {
        "a1 NO LOGIN bob hu\"nt\\er2: no\r\n",
        "a1 NO LOGIN \"bob\" \"hu\\\"nt\\\\er2\"\r\n",
        /* \0user\0secret, with users of three lengths */
        "a1 NO AUTHENTICATE PLAIN AGIAaHUibnRcZXIy\r\n",
        "a1 NO AUTHENTICATE PLAIN AGJvAGh1Im50XGVyMg==\r\n",
        "a1 NO AUTHENTICATE PLAIN AGJvYgBodSJudFxlcjI=\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct upstream_case fixture;
        const struct upstream_refusal *refusal;

        upstream_case_init(&fixture);
        upstream_case_set(&fixture, "bob", "hu\"nt\\er2");
        assert_int_equal(upstream_case_start(&fixture, "IMAP4rev1"),
                         UPSTREAM_LOGIN_MORE);
        assert_int_equal(upstream_case_feed(&fixture, lines[i]),
                         UPSTREAM_LOGIN_REFUSED);

        refusal = upstream_login_refusal(fixture.login);
        assert_int_equal(refusal->kind, UPSTREAM_REFUSAL_NO);
        assert_int_equal(refusal->original_len, 0);
        upstream_case_deinit(&fixture);
    }
}

static void long_refusals_are_cut(void **state)
{
    struct upstream_case *fixture = *state;
    char line[1100] = "a1 NO [EXPIRED] ";

    memset(line + 16, 'x', 1000);
    strcpy(line + 1016, "\r\n");
    upstream_case_start_bob(fixture);

    assert_int_equal(upstream_case_feed(fixture, line), UPSTREAM_LOGIN_REFUSED);

    assert_int_equal(upstream_login_refusal(fixture->login)->text_len, 512);
    assert_int_equal(upstream_login_refusal(fixture->login)->original_len, 512);
}

static void a_code_with_too_much_data_passes_without_them(void **state)
{
    struct upstream_case *fixture = *state;
    const struct upstream_refusal *refusal;
    char line[300] = "a1 NO [UNAVAILABLE ";

    memset(line + 19, 'x', 129);
    strcpy(line + 148, "] later\r\n");
    upstream_case_start_bob(fixture);

    assert_int_equal(upstream_case_feed(fixture, line), UPSTREAM_LOGIN_REFUSED);

    refusal = upstream_login_refusal(fixture->login);
    assert_refusal(fixture, LOGIN_ANSWER_CODED, false, "backend-no");
    assert_bytes((const uint8_t *)refusal->code, refusal->code_len,
                 "UNAVAILABLE", 11);
    assert_bytes((const uint8_t *)refusal->text, refusal->text_len, "later", 5);
}

static void a_code_too_long_to_pass_is_as_good_as_none(void **state)
{
    struct upstream_case *fixture = *state;
    char line[300] = "a1 NO [";

    memset(line + 7, 'x', 129);
    strcpy(line + 136, "] x\r\n");
    upstream_case_start_bob(fixture);

    assert_int_equal(upstream_case_feed(fixture, line), UPSTREAM_LOGIN_REFUSED);

    assert_refusal(fixture, LOGIN_ANSWER_BAD_CREDENTIALS, false, "backend-no");
}

static void a_no_instead_of_an_invitation_is_a_no(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "b\xc3\xb6", "pw");
    assert_int_equal(upstream_case_start(fixture, "IMAP4rev1"),
                     UPSTREAM_LOGIN_MORE);

    assert_int_equal(upstream_case_feed(fixture, "a1 NO [LIMIT] x\r\n"),
                     UPSTREAM_LOGIN_REFUSED);

    assert_refusal(fixture, LOGIN_ANSWER_CODED, false, "backend-no");
}

/* RFC 5530, 3, and what follows from protocol.md, rows 31 and 32. */
static void every_code_that_helps_the_client_passes(void **state)
{
    static const char *const codes[] = {
        "UNAVAILABLE",
        "AUTHORIZATIONFAILED",
        "EXPIRED",
        "CONTACTADMIN",
        "NOPERM",
        "INUSE",
        "EXPUNGEISSUED",
        "CORRUPTION",
        "SERVERBUG",
        "CLIENTBUG",
        "CANNOT",
        "LIMIT",
        "OVERQUOTA",
        "ALERT",
        "WEBALERT https://x.example/",
        "X-NEVER-HEARD",
        "unavailable",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct upstream_case fixture;
        const struct upstream_refusal *refusal;
        char line[128];

        upstream_case_init(&fixture);
        upstream_case_start_bob(&fixture);
        snprintf(line, sizeof(line), "a1 NO [%s] In words.\r\n", codes[i]);
        assert_int_equal(upstream_case_feed(&fixture, line),
                         UPSTREAM_LOGIN_REFUSED);

        refusal = upstream_login_refusal(fixture.login);
        assert_refusal(&fixture, LOGIN_ANSWER_CODED, false, "backend-no");
        assert_bytes((const uint8_t *)refusal->code, refusal->code_len,
                     codes[i], strlen(codes[i]));
        assert_bytes((const uint8_t *)refusal->text, refusal->text_len,
                     "In words.", 9);
        upstream_case_deinit(&fixture);
    }
}

static void an_uncoded_no_passes_where_that_is_wanted(void **state)
{
    static const struct {
        const char *line;
        enum login_answer answer;
        const char *text;
    } cases[] = {
        {"a1 NO Unknown user bob\r\n", LOGIN_ANSWER_UNCODED,
         "Unknown user bob"},
        {"a1 NO [CAPABILITY A] Wrong\r\n", LOGIN_ANSWER_UNCODED, "Wrong"},
        {"a1 NO\r\n", LOGIN_ANSWER_BAD_CREDENTIALS, ""},
        {"a1 NO [AUTHENTICATIONFAILED] No such user\r\n",
         LOGIN_ANSWER_BAD_CREDENTIALS, ""},
        {"a1 NO [EXPIRED] Old\r\n", LOGIN_ANSWER_CODED, "Old"},
        {"a1 NO [REFERRAL imap://evil/] x\r\n", LOGIN_ANSWER_UNAVAILABLE, ""},
        {"a1 BAD Unknown command\r\n", LOGIN_ANSWER_UNAVAILABLE, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct upstream_case fixture;
        const struct upstream_refusal *refusal;

        upstream_case_init(&fixture);
        fixture.request.passes_uncoded_no = true;
        upstream_case_start_bob(&fixture);
        assert_int_equal(upstream_case_feed(&fixture, cases[i].line),
                         UPSTREAM_LOGIN_REFUSED);

        refusal = upstream_login_refusal(fixture.login);
        assert_int_equal(refusal->answer, cases[i].answer);
        assert_bytes((const uint8_t *)refusal->text, refusal->text_len,
                     cases[i].text, strlen(cases[i].text));
        upstream_case_deinit(&fixture);
    }
}

/* What a client wrote itself is no fault of our config. */
static void a_message_that_a_backend_cannot_read_is_the_clients(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set_message(fixture, SASL_XOAUTH2, "user=bob\x01\x01");
    assert_int_equal(upstream_case_start(fixture, "SASL-IR AUTH=XOAUTH2"),
                     UPSTREAM_LOGIN_MORE);
    upstream_login_to_backend_clear(fixture->login);

    assert_int_equal(upstream_case_feed(fixture, "a1 BAD what?\r\n"),
                     UPSTREAM_LOGIN_REFUSED);

    assert_refusal(fixture, LOGIN_ANSWER_BAD_CREDENTIALS, false, "backend-bad");
}

static void a_no_that_echoes_a_token_is_not_kept(void **state)
{
    static const struct {
        const char *line;
        bool is_kept;
    } cases[] = {
        {"a1 NO bad token tok-0123456789abcdef\r\n", false},
        {"a1 NO bad token 0123456789ab...\r\n", false},
        {"a1 NO bad token 0123456789ab\r\n", false},
        {"a1 NO AUTHENTICATE XOAUTH2 "
         "dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rLTAxMjM0NTY3ODlhYmNkZWYBAQ==\r\n",
         false},
        {"a1 NO AUTHENTICATE XOAUTH2 "
         "ZWFyZXIgdG9rLTAxMjM0NTY3ODlhYmNkZWYBAQ==\r\n",
         false},
        {"a1 NO bad token 0123456789a\r\n", true},
        {"a1 NO bob is not known\r\n", true},
        {"a1 NO\r\n", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct upstream_case fixture;

        upstream_case_init(&fixture);
        upstream_case_set_message(&fixture, SASL_XOAUTH2,
                                  "user=bob\x01"
                                  "auth=Bearer tok-0123456789abcdef\x01\x01");
        assert_int_equal(upstream_case_start(&fixture, "SASL-IR AUTH=XOAUTH2"),
                         UPSTREAM_LOGIN_MORE);
        upstream_login_to_backend_clear(fixture.login);
        assert_int_equal(upstream_case_feed(&fixture, cases[i].line),
                         UPSTREAM_LOGIN_REFUSED);

        assert_int_equal(upstream_login_refusal(fixture.login)->original_len >
                             0,
                         cases[i].is_kept);
        upstream_case_deinit(&fixture);
    }
}

static void a_masters_secret_reaches_neither_log_nor_client(void **state)
{
    static const char *const lines[] = {
        "a1 NO [LIMIT] PLAIN boss hunter2 failed\r\n",
        "a1 NO [X-hunter2] failed\r\n",
        "a1 NO boss/hunter2 failed\r\n",
        "a1 NO [LIMIT] AUTHENTICATE PLAIN Ym9iAGJvc3MAaHVudGVyMg==\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct upstream_case fixture;
        const struct upstream_refusal *refusal;

        upstream_case_init(&fixture);
        upstream_case_set_certificate(&fixture, "bob");
        fixture.request.passes_uncoded_no = true;
        assert_int_equal(upstream_case_start(&fixture, "SASL-IR AUTH=PLAIN"),
                         UPSTREAM_LOGIN_MORE);
        upstream_login_to_backend_clear(fixture.login);
        assert_int_equal(
            upstream_case_feed(&fixture, "* NO [ALERT] hunter2 is wrong\r\n"),
            UPSTREAM_LOGIN_MORE);
        assert_int_equal(upstream_case_feed(&fixture, lines[i]),
                         UPSTREAM_LOGIN_REFUSED);

        refusal = upstream_login_refusal(fixture.login);
        assert_int_equal(refusal->answer, LOGIN_ANSWER_BAD_CREDENTIALS);
        assert_int_equal(refusal->text_len, 0);
        assert_int_equal(refusal->code_len, 0);
        assert_int_equal(refusal->original_len, 0);
        assert_to_client(&fixture, "");
        upstream_case_deinit(&fixture);
    }
}

static void a_masters_refusal_passes_like_any_other(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set_certificate(fixture, "bob");
    assert_int_equal(upstream_case_start(fixture, "SASL-IR AUTH=PLAIN"),
                     UPSTREAM_LOGIN_MORE);
    upstream_login_to_backend_clear(fixture->login);

    assert_int_equal(
        upstream_case_feed(fixture, "a1 NO [AUTHORIZATIONFAILED] not bob\r\n"),
        UPSTREAM_LOGIN_REFUSED);

    assert_refusal(fixture, LOGIN_ANSWER_CODED, false, "backend-no");
    assert_int_equal(upstream_login_refusal(fixture->login)->original_len, 35);
}

static void a_secret_that_was_not_sent_yet_is_not_sent_after_a_no(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "b\xc3\xb6", "pw");
    assert_int_equal(upstream_case_start(fixture, "LOGINDISABLED AUTH=PLAIN"),
                     UPSTREAM_LOGIN_MORE);
    upstream_login_to_backend_clear(fixture->login);

    assert_int_equal(upstream_case_feed(fixture, "+ \r\na1 NO [LIMIT] x\r\n"),
                     UPSTREAM_LOGIN_REFUSED);

    assert_to_backend(fixture, "");
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, upstream_case_set_up,                \
                                    upstream_case_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(alerts_of_a_failed_login_pass_but_not_its_list),
        TEST(each_refusal_is_answered_by_the_table),
        TEST(a_no_that_echoes_the_secret_is_not_kept),
        TEST(long_refusals_are_cut),
        TEST(a_code_with_too_much_data_passes_without_them),
        TEST(a_code_too_long_to_pass_is_as_good_as_none),
        TEST(a_no_instead_of_an_invitation_is_a_no),
        TEST(every_code_that_helps_the_client_passes),
        TEST(an_uncoded_no_passes_where_that_is_wanted),
        TEST(a_message_that_a_backend_cannot_read_is_the_clients),
        TEST(a_no_that_echoes_a_token_is_not_kept),
        TEST(a_masters_secret_reaches_neither_log_nor_client),
        TEST(a_masters_refusal_passes_like_any_other),
        TEST(a_secret_that_was_not_sent_yet_is_not_sent_after_a_no),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
