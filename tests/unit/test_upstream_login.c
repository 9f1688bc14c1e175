/* Our login at a backend. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/base64.h"
#include "session/upstream_login.h"
#include "transcript.h"

/* A string with NULs in it, and its length. */
#define BYTES(text) (text), sizeof(text) - 1

struct fixture {
    struct upstream_login *login;
    struct credentials credentials;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->login = upstream_login_new();
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    upstream_login_free(&fixture->login);
    assert_null(fixture->login);
    upstream_login_free(&fixture->login);
    free(fixture);
    return 0;
}

static void set(struct fixture *fixture, const char *user, const char *secret)
{
    assert_true(credentials_set_user(&fixture->credentials,
                                     (const uint8_t *)user, strlen(user)));
    assert_true(credentials_set_secret(
        &fixture->credentials, (const uint8_t *)secret, strlen(secret)));
}

static enum upstream_login_result start_as(struct fixture *fixture,
                                           const char *login_as,
                                           const char *tag, const char *list)
{
    struct imap_capabilities known;

    imap_capabilities_parse((const uint8_t *)list, strlen(list), &known);
    return upstream_login_start(
        fixture->login,
        &(struct upstream_login_request){.credentials = &fixture->credentials,
                                         .login_as = login_as,
                                         .tag = tag,
                                         .known = &known});
}

static enum upstream_login_result start(struct fixture *fixture,
                                        const char *list)
{
    return start_as(fixture, NULL, "a1", list);
}

/* Starts the plain case, so that the test can begin behind it. */
static void start_bob(struct fixture *fixture)
{
    set(fixture, "bob", "pw");
    assert_int_equal(start(fixture, "SASL-IR AUTH=PLAIN"), UPSTREAM_LOGIN_MORE);
    upstream_login_to_backend_clear(fixture->login);
}

static enum upstream_login_result feed(struct fixture *fixture,
                                       const char *text)
{
    size_t used;
    enum upstream_login_result result = upstream_login_feed(
        fixture->login, (const uint8_t *)text, strlen(text), &used);

    assert_int_equal(used, strlen(text));
    return result;
}

static void assert_bytes(const uint8_t *bytes, size_t len, const char *expected,
                         size_t expected_len)
{
    if (len != expected_len || (len > 0 && memcmp(bytes, expected, len) != 0))
        print_error("is: %.*s\nexpected: %s\n", (int)len, (const char *)bytes,
                    expected);
    assert_int_equal(len, expected_len);
    if (len > 0)
        assert_memory_equal(bytes, expected, len);
}

static void assert_to_backend(struct fixture *fixture, const char *expected)
{
    size_t len;
    const uint8_t *bytes = upstream_login_to_backend(fixture->login, &len);

    assert_bytes(bytes, len, expected, strlen(expected));
    upstream_login_to_backend_clear(fixture->login);
}

static void assert_to_backend_begins(struct fixture *fixture,
                                     const char *expected)
{
    size_t len;
    const uint8_t *bytes = upstream_login_to_backend(fixture->login, &len);

    assert_true(len >= strlen(expected));
    assert_memory_equal(bytes, expected, strlen(expected));
    upstream_login_to_backend_clear(fixture->login);
}

static void assert_to_client(struct fixture *fixture, const char *expected)
{
    size_t len;
    const uint8_t *bytes = upstream_login_to_client(fixture->login, &len);

    assert_bytes(bytes, len, expected, strlen(expected));
}

static void assert_refusal(struct fixture *fixture, enum login_answer answer,
                           bool is_config_fault, const char *reason)
{
    const struct upstream_refusal *refusal =
        upstream_login_refusal(fixture->login);

    assert_int_equal(refusal->answer, answer);
    assert_int_equal(refusal->is_config_fault, is_config_fault);
    assert_string_equal(refusal->reason, reason);
}

static void plain_goes_with_the_command_where_sasl_ir_is(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, "bob", "pw");

    assert_int_equal(start(fixture, "IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN"),
                     UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, "a1 AUTHENTICATE PLAIN AGJvYgBwdw==\r\n");
}

static void plain_waits_for_the_backend_where_no_sasl_ir_is(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, "bob", "pw");
    assert_int_equal(start(fixture, "AUTH=PLAIN LOGINDISABLED"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 AUTHENTICATE PLAIN\r\n");
    assert_int_equal(feed(fixture, "+\r\n"), UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, "AGJvYgBwdw==\r\n");
}

static void a_long_message_waits_even_with_sasl_ir(void **state)
{
    struct fixture *fixture = *state;
    char secret[2001];

    memset(secret, 'x', sizeof(secret));
    secret[2000] = '\0';
    set(fixture, "bob", secret);

    assert_int_equal(start(fixture, "SASL-IR AUTH=PLAIN"), UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, "a1 AUTHENTICATE PLAIN\r\n");
}

static void the_clients_authzid_is_passed_on(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, "alice", "pw");
    assert_true(credentials_set_authzid(&fixture->credentials,
                                        (const uint8_t *)"bob", 3));

    assert_int_equal(start(fixture, "SASL-IR AUTH=PLAIN"), UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, "a1 AUTHENTICATE PLAIN Ym9iAGFsaWNlAHB3\r\n");
}

static void login_as_replaces_the_user_on_both_ways(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, "alice", "pw");
    assert_true(credentials_set_authzid(&fixture->credentials,
                                        (const uint8_t *)"carol", 5));
    assert_int_equal(start_as(fixture, "bob", "a1", "SASL-IR AUTH=PLAIN"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 AUTHENTICATE PLAIN AGJvYgBwdw==\r\n");

    assert_int_equal(start_as(fixture, "bob", "a1", "IMAP4rev1"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 LOGIN \"bob\" \"pw\"\r\n");
}

static void login_quotes_printable_ascii(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, "b o\"b", "p\\w {3}");

    assert_int_equal(start(fixture, "IMAP4rev1"), UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, "a1 LOGIN \"b o\\\"b\" \"p\\\\w {3}\"\r\n");
}

static void login_sends_all_else_as_literals_when_invited(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, "j\xc3\xb6rg", "p\r\nx NOOP");
    assert_int_equal(start(fixture, "IMAP4rev1"), UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 LOGIN {5}\r\n");
    assert_int_equal(feed(fixture, "+ OK\r\n"), UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "j\xc3\xb6rg {9}\r\n");
    assert_int_equal(feed(fixture, "+ OK\r\n"), UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, "p\r\nx NOOP\r\n");
}

static void login_quotes_nothing_that_is_long(void **state)
{
    struct fixture *fixture = *state;
    char secret[1026];

    memset(secret, 'x', sizeof(secret));
    secret[1025] = '\0';
    set(fixture, "bob", secret);
    assert_int_equal(start(fixture, "IMAP4rev1"), UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 LOGIN \"bob\" {1025}\r\n");
    secret[1024] = '\0';
    set(fixture, "bob", secret);
    assert_int_equal(start(fixture, "IMAP4rev1"), UPSTREAM_LOGIN_MORE);
    assert_to_backend_begins(fixture, "a1 LOGIN \"bob\" \"x");
}

static void literals_go_unasked_where_the_backend_allows(void **state)
{
    static const char *const lists[] = {"LITERAL+", "LITERAL-"};
    struct fixture *fixture = *state;

    set(fixture, "bob", "p\xc3\xa4");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(start(fixture, lists[i]), UPSTREAM_LOGIN_MORE);
        assert_to_backend(fixture, "a1 LOGIN \"bob\" {3+}\r\np\xc3\xa4\r\n");
    }
}

static void literal_minus_ends_at_4096_and_literal_plus_does_not(void **state)
{
    struct fixture *fixture = *state;
    char secret[4098];

    memset(secret, '\xc3', sizeof(secret));
    secret[4097] = '\0';
    set(fixture, "bob", secret);
    assert_int_equal(start(fixture, "LITERAL-"), UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 LOGIN \"bob\" {4097}\r\n");
    secret[4096] = '\0';
    set(fixture, "bob", secret);
    assert_int_equal(start(fixture, "LITERAL-"), UPSTREAM_LOGIN_MORE);
    assert_to_backend_begins(fixture, "a1 LOGIN \"bob\" {4096+}\r\n\xc3");
    secret[4096] = '\xc3';
    set(fixture, "bob", secret);
    assert_int_equal(start(fixture, "LITERAL+"), UPSTREAM_LOGIN_MORE);
    assert_to_backend_begins(fixture, "a1 LOGIN \"bob\" {4097+}\r\n\xc3");
}

static void a_backend_that_takes_no_login_is_a_config_fault(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, "bob", "pw");

    assert_int_equal(start(fixture, "IMAP4rev1 LOGINDISABLED AUTH=LOGIN"),
                     UPSTREAM_LOGIN_REFUSED);

    assert_refusal(fixture, LOGIN_ANSWER_UNAVAILABLE, true,
                   "backend-lacks-mechanism");
    assert_to_backend(fixture, "");
}

static void an_authzid_that_login_cannot_carry_is_a_config_fault(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, "alice", "pw");
    assert_true(credentials_set_authzid(&fixture->credentials,
                                        (const uint8_t *)"bob", 3));
    assert_int_equal(start(fixture, "IMAP4rev1"), UPSTREAM_LOGIN_REFUSED);
    assert_refusal(fixture, LOGIN_ANSWER_UNAVAILABLE, true,
                   "backend-lacks-authzid");

    assert_true(credentials_set_authzid(&fixture->credentials,
                                        (const uint8_t *)"alice", 5));
    assert_int_equal(start(fixture, "IMAP4rev1"), UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 LOGIN \"alice\" \"pw\"\r\n");
}

static void a_name_with_a_line_end_never_leaves(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, "bob\r\nx NOOP", "pw");

    assert_int_equal(start(fixture, "SASL-IR AUTH=PLAIN"),
                     UPSTREAM_LOGIN_REFUSED);

    assert_refusal(fixture, LOGIN_ANSWER_BAD_CREDENTIALS, false,
                   "bad-credentials");
    assert_to_backend(fixture, "");
}

static void an_ok_with_capabilities_passes_with_them_filtered(void **state)
{
    struct fixture *fixture = *state;

    start_bob(fixture);

    assert_int_equal(feed(fixture,
                          "a1 OK [CAPABILITY IMAP4rev1 IDLE AUTH=PLAIN "
                          "STARTTLS UNAUTHENTICATE MOVE] Logged in\r\n"),
                     UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture,
                     "a1 OK [CAPABILITY IMAP4rev1 IDLE MOVE] Logged in\r\n");
    assert_to_backend(fixture, "");
}

static void a_volunteered_list_goes_once_and_into_the_ok(void **state)
{
    struct fixture *fixture = *state;

    start_bob(fixture);

    assert_int_equal(feed(fixture, "* CAPABILITY OLD\r\n"
                                   "* CAPABILITY IMAP4rev1 STARTTLS IDLE\r\n"
                                   "a1 OK in\r\n"),
                     UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "* CAPABILITY IMAP4rev1 IDLE\r\n"
                              "a1 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n");
}

static void a_list_that_was_not_volunteered_is_asked_for(void **state)
{
    struct fixture *fixture = *state;

    start_bob(fixture);
    assert_int_equal(feed(fixture, "a1 OK in\r\n"), UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "G2 CAPABILITY\r\n");
    assert_int_equal(feed(fixture, "* CAPABILITY IMAP4rev1 IDLE\r\n"),
                     UPSTREAM_LOGIN_MORE);
    assert_int_equal(feed(fixture, "G2 OK done\r\n"), UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "a1 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n");
}

static void an_untagged_ok_may_carry_the_list_too(void **state)
{
    struct fixture *fixture = *state;

    start_bob(fixture);

    assert_int_equal(feed(fixture, "* OK [CAPABILITY IMAP4rev1 X] hm\r\n"
                                   "a1 OK\r\n"),
                     UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "a1 OK [CAPABILITY IMAP4rev1 X] Logged in.\r\n");
}

static void our_tag_is_never_the_clients(void **state)
{
    static const char *const tags[] = {"G2", "g2"};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < 2; i++) {
        char ok[16];

        upstream_login_free(&fixture->login);
        fixture->login = upstream_login_new();
        set(fixture, "bob", "pw");
        assert_int_equal(start_as(fixture, NULL, tags[i], "SASL-IR AUTH=PLAIN"),
                         UPSTREAM_LOGIN_MORE);
        upstream_login_to_backend_clear(fixture->login);
        snprintf(ok, sizeof(ok), "%s OK in\r\n", tags[i]);
        assert_int_equal(feed(fixture, ok), UPSTREAM_LOGIN_MORE);
        assert_to_backend(fixture, "H2 CAPABILITY\r\n");
    }
}

static void a_backend_that_tells_no_list_is_logged_in_all_the_same(void **state)
{
    struct fixture *fixture = *state;

    start_bob(fixture);
    assert_int_equal(feed(fixture, "a1 OK in\r\n"), UPSTREAM_LOGIN_MORE);
    assert_int_equal(feed(fixture, "G2 NO not now\r\n"), UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "a1 OK in\r\n");
}

static void another_code_stays_and_the_list_goes_before_it(void **state)
{
    struct fixture *fixture = *state;

    start_bob(fixture);
    assert_int_equal(feed(fixture, "a1 OK [X-QUOTA low] in\r\n"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "G2 CAPABILITY\r\n");
    assert_int_equal(feed(fixture, "* CAPABILITY IMAP4rev1\r\nG2 OK x\r\n"),
                     UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "* CAPABILITY IMAP4rev1\r\n"
                              "a1 OK [X-QUOTA low] in\r\n");
}

static void a_referral_never_reaches_the_client(void **state)
{
    struct fixture *fixture = *state;

    start_bob(fixture);

    assert_int_equal(feed(fixture, "* OK [REFERRAL imap://evil/] x\r\n"
                                   "* CAPABILITY A\r\n"
                                   "a1 OK [REFERRAL imap://evil/] in\r\n"),
                     UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "* CAPABILITY A\r\n"
                              "a1 OK [CAPABILITY A] in\r\n");
}

static void a_second_code_never_takes_the_place_of_the_first(void **state)
{
    static const char *const lines[] = {
        "a1 OK [REFERRAL imap://x/] [REFERRAL imap://evil/] hi\r\n",
        "a1 OK [CAPABILITY ] [CAPABILITY IMAP4rev1 UNAUTHENTICATE] hi\r\n",
        "a1 OK [CAPABILITY A][REFERRAL imap://evil/] hi\r\n",
        "a1 OK  [REFERRAL imap://evil/] hi\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct fixture fixture = {.login = upstream_login_new()};
        enum upstream_login_result result;

        start_bob(&fixture);
        result = feed(&fixture, lines[i]);
        if (result == UPSTREAM_LOGIN_MORE)
            result = feed(&fixture, "* CAPABILITY A\r\nG2 OK x\r\n");
        assert_int_equal(result, UPSTREAM_LOGIN_DONE);

        assert_to_client(&fixture, "a1 OK [CAPABILITY A] Logged in.\r\n");
        upstream_login_free(&fixture.login);
    }
}

static void a_second_code_does_not_pass_without_a_list_either(void **state)
{
    struct fixture *fixture = *state;

    start_bob(fixture);
    assert_int_equal(feed(fixture, "a1 OK [REFERRAL x] [REFERRAL y] hi\r\n"),
                     UPSTREAM_LOGIN_MORE);
    assert_int_equal(feed(fixture, "G2 NO\r\n"), UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "a1 OK Logged in.\r\n");
}

static void alerts_pass_and_all_else_untagged_is_dropped(void **state)
{
    struct fixture *fixture = *state;

    start_bob(fixture);

    assert_int_equal(feed(fixture, "* OK [ALERT] one\r\n* 5 EXISTS\r\n"
                                   "* NO [ALERT] two\r\n* OK still here\r\n"
                                   "* ID NIL\r\n* BAD [ALERT] three\r\n"
                                   "a1 OK [CAPABILITY A] in\r\n"),
                     UPSTREAM_LOGIN_DONE);

    assert_to_client(fixture, "* OK [ALERT] one\r\n* NO [ALERT] two\r\n"
                              "a1 OK [CAPABILITY A] in\r\n");
}

static void alerts_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    size_t len;

    start_bob(fixture);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(feed(fixture, "* OK [ALERT] 0123456789\r\n"),
                         UPSTREAM_LOGIN_MORE);
    assert_int_equal(feed(fixture, "a1 NO x\r\n"), UPSTREAM_LOGIN_REFUSED);

    (void)upstream_login_to_client(fixture->login, &len);
    assert_in_range(len, 4000, 4200);
}

static void alerts_of_a_failed_login_pass_but_not_its_list(void **state)
{
    struct fixture *fixture = *state;

    start_bob(fixture);

    assert_int_equal(feed(fixture, "* NO [ALERT] expired\r\n"
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
        struct fixture fixture = {.login = upstream_login_new()};
        const struct upstream_refusal *refusal;

        start_bob(&fixture);
        assert_int_equal(feed(&fixture, cases[i].line), UPSTREAM_LOGIN_REFUSED);

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
        upstream_login_free(&fixture.login);
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
        struct fixture fixture = {.login = upstream_login_new()};
        const struct upstream_refusal *refusal;

        set(&fixture, "bob", "hu\"nt\\er2");
        assert_int_equal(start(&fixture, "IMAP4rev1"), UPSTREAM_LOGIN_MORE);
        assert_int_equal(feed(&fixture, lines[i]), UPSTREAM_LOGIN_REFUSED);

        refusal = upstream_login_refusal(fixture.login);
        assert_int_equal(refusal->kind, UPSTREAM_REFUSAL_NO);
        assert_int_equal(refusal->original_len, 0);
        upstream_login_free(&fixture.login);
    }
}

static void a_line_that_breaks_the_login_is_not_kept(void **state)
{
    struct fixture *fixture = *state;
    const struct upstream_refusal *refusal;

    start_bob(fixture);
    assert_int_equal(feed(fixture, "a2 NO other\r\n"), UPSTREAM_LOGIN_BROKEN);

    refusal = upstream_login_refusal(fixture->login);
    assert_int_equal(refusal->kind, UPSTREAM_REFUSAL_BROKEN);
    assert_int_equal(refusal->original_len, 0);
}

static void long_refusals_are_cut(void **state)
{
    struct fixture *fixture = *state;
    char line[1100] = "a1 NO [EXPIRED] ";

    memset(line + 16, 'x', 1000);
    strcpy(line + 1016, "\r\n");
    start_bob(fixture);

    assert_int_equal(feed(fixture, line), UPSTREAM_LOGIN_REFUSED);

    assert_int_equal(upstream_login_refusal(fixture->login)->text_len, 512);
    assert_int_equal(upstream_login_refusal(fixture->login)->original_len, 512);
}

static void a_code_with_too_much_data_passes_without_them(void **state)
{
    struct fixture *fixture = *state;
    const struct upstream_refusal *refusal;
    char line[300] = "a1 NO [UNAVAILABLE ";

    memset(line + 19, 'x', 129);
    strcpy(line + 148, "] later\r\n");
    start_bob(fixture);

    assert_int_equal(feed(fixture, line), UPSTREAM_LOGIN_REFUSED);

    refusal = upstream_login_refusal(fixture->login);
    assert_refusal(fixture, LOGIN_ANSWER_CODED, false, "backend-no");
    assert_bytes((const uint8_t *)refusal->code, refusal->code_len,
                 "UNAVAILABLE", 11);
    assert_bytes((const uint8_t *)refusal->text, refusal->text_len, "later", 5);
}

static void a_code_too_long_to_pass_is_as_good_as_none(void **state)
{
    struct fixture *fixture = *state;
    char line[300] = "a1 NO [";

    memset(line + 7, 'x', 129);
    strcpy(line + 136, "] x\r\n");
    start_bob(fixture);

    assert_int_equal(feed(fixture, line), UPSTREAM_LOGIN_REFUSED);

    assert_refusal(fixture, LOGIN_ANSWER_BAD_CREDENTIALS, false, "backend-no");
}

static void only_our_tag_and_ok_is_a_login(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *reason;
    } cases[] = {
        {BYTES("a2 OK in\r\n"), "backend-wrong-tag"},
        {BYTES("A1 OK in\r\n"), "backend-wrong-tag"},
        {BYTES("G2 OK in\r\n"), "backend-wrong-tag"},
        {BYTES("* BYE go away\r\n"), "backend-bye"},
        {BYTES("* PREAUTH in\r\n"), "backend-preauth"},
        {BYTES("+ more\r\n"), "backend-continuation"},
        {BYTES("a1 OKAY in\r\n"), "backend-garbage"},
        {BYTES("\r\n"), "backend-garbage"},
        {BYTES("HTTP/1.1 400 Bad\r\n"), "backend-garbage"},
        {BYTES("a1 OK in\n"), "lone-lf"},
        {BYTES("a1 \0OK in\r\n"), "odd-byte"},
        {BYTES("* LIST {9999999999}\r\n"), "literal"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture fixture = {.login = upstream_login_new()};
        size_t used;

        start_bob(&fixture);
        assert_int_equal(feed(&fixture, "* OK [ALERT] psst\r\n"),
                         UPSTREAM_LOGIN_MORE);
        assert_int_equal(upstream_login_feed(fixture.login,
                                             (const uint8_t *)cases[i].text,
                                             cases[i].len, &used),
                         UPSTREAM_LOGIN_BROKEN);
        assert_refusal(&fixture, LOGIN_ANSWER_UNAVAILABLE, false,
                       cases[i].reason);
        assert_to_client(&fixture, "");
        upstream_login_free(&fixture.login);
    }
}

static void a_secret_that_garbage_follows_is_kept(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, "bob", "pw");
    assert_int_equal(start(fixture, "AUTH=PLAIN"), UPSTREAM_LOGIN_MORE);
    upstream_login_to_backend_clear(fixture->login);

    assert_int_equal(feed(fixture, "+ \r\n* BYE\r\n"), UPSTREAM_LOGIN_BROKEN);

    assert_to_backend(fixture, "");
}

static void an_untagged_ok_is_no_login(void **state)
{
    struct fixture *fixture = *state;

    start_bob(fixture);

    assert_int_equal(feed(fixture, "* OK Logged in\r\n"), UPSTREAM_LOGIN_MORE);
}

static void an_ok_before_the_secret_is_no_login(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, "bob", "pw");
    assert_int_equal(start(fixture, "AUTH=PLAIN"), UPSTREAM_LOGIN_MORE);

    assert_int_equal(feed(fixture, "a1 OK sure\r\n"), UPSTREAM_LOGIN_BROKEN);

    assert_refusal(fixture, LOGIN_ANSWER_UNAVAILABLE, false,
                   "backend-early-ok");
}

static void a_no_instead_of_an_invitation_is_a_no(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, "b\xc3\xb6", "pw");
    assert_int_equal(start(fixture, "IMAP4rev1"), UPSTREAM_LOGIN_MORE);

    assert_int_equal(feed(fixture, "a1 NO [LIMIT] x\r\n"),
                     UPSTREAM_LOGIN_REFUSED);

    assert_refusal(fixture, LOGIN_ANSWER_CODED, false, "backend-no");
}

static void a_bye_while_we_ask_for_the_list_breaks_it(void **state)
{
    struct fixture *fixture = *state;

    start_bob(fixture);
    assert_int_equal(feed(fixture, "a1 OK in\r\n"), UPSTREAM_LOGIN_MORE);

    assert_int_equal(feed(fixture, "* BYE\r\n"), UPSTREAM_LOGIN_BROKEN);

    assert_to_client(fixture, "");
}

static void a_second_answer_to_the_login_breaks_it(void **state)
{
    struct fixture *fixture = *state;

    start_bob(fixture);
    assert_int_equal(feed(fixture, "a1 OK in\r\n"), UPSTREAM_LOGIN_MORE);

    assert_int_equal(feed(fixture, "a1 OK again\r\n"), UPSTREAM_LOGIN_BROKEN);
}

static void what_follows_the_ok_belongs_to_the_splice(void **state)
{
    static const char text[] = "a1 OK [CAPABILITY A] in\r\n* 5 EXISTS\r\n";
    struct fixture *fixture = *state;
    size_t used;

    start_bob(fixture);

    assert_int_equal(upstream_login_feed(fixture->login, (const uint8_t *)text,
                                         sizeof(text) - 1, &used),
                     UPSTREAM_LOGIN_DONE);

    assert_int_equal(used, 25);
}

static void the_login_is_the_same_whatever_the_split(void **state)
{
    static const struct {
        const char *user, *secret, *capabilities, *input;
    } cases[] = {
        {"bob", "pw", "SASL-IR AUTH=PLAIN",
         "* OK [ALERT] x\r\n* CAPABILITY A\r\na1 OK in\r\n* 1 EXISTS\r\n"},
        {"bob", "pw", "AUTH=PLAIN",
         "+ \r\na1 OK [ALERT] x\r\n* CAPABILITY IDLE ID\r\nG2 OK\r\nmore"},
        {"b\xc3\xb6", "p\nw", "",
         "+ go\r\n+\r\na1 OK [CAPABILITY X] in\r\n\r\nrest\n"},
        {"b\xc3\xb6", "p\nw", "",
         "+ go\r\na1 NO [EXPIRED] too old\r\n* BYE\r\n"},
        {"bob", "pw", "", "* OK [ALERT] x\r\n* OK {5}\r\n"},
        {"bob", "pw", "", "a1 OK in\r\n* NO [ALERT] z\r\nG2 BAD\r\nrest"},
        {"bob", "pw", "", "a1 OK in\n"},
        {"bob", "pw", "", "* PREAUTH x\r\n"},
        {"bob", "pw", "AUTH=PLAIN", "+\r\n+\r\n"},
        {"bob", "pw", "LOGINDISABLED", "x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint8_t *input = (const uint8_t *)cases[i].input;
        size_t len = strlen(cases[i].input);
        struct fixture fixture = {.login = NULL};
        struct transcript_upstream upstream = {&fixture.credentials, NULL, "a1",
                                               cases[i].capabilities};
        struct wiped_buffer whole = {0};

        set(&fixture, cases[i].user, cases[i].secret);
        transcript_of_upstream(&upstream, input, len,
                               (struct transcript_cut){0, 0}, &whole);
        for (size_t cut = 0; cut <= len; cut++) {
            struct transcript_cut ways[] = {{cut, 0}, {cut, 1}};

            for (size_t way = 0; way < 2; way++) {
                struct wiped_buffer split = {0};

                transcript_of_upstream(&upstream, input, len, ways[way],
                                       &split);
                assert_bytes(split.bytes, split.len, (const char *)whole.bytes,
                             whole.len);
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
        TEST(plain_goes_with_the_command_where_sasl_ir_is),
        TEST(plain_waits_for_the_backend_where_no_sasl_ir_is),
        TEST(a_long_message_waits_even_with_sasl_ir),
        TEST(the_clients_authzid_is_passed_on),
        TEST(login_as_replaces_the_user_on_both_ways),
        TEST(login_quotes_printable_ascii),
        TEST(login_sends_all_else_as_literals_when_invited),
        TEST(login_quotes_nothing_that_is_long),
        TEST(literals_go_unasked_where_the_backend_allows),
        TEST(literal_minus_ends_at_4096_and_literal_plus_does_not),
        TEST(a_backend_that_takes_no_login_is_a_config_fault),
        TEST(an_authzid_that_login_cannot_carry_is_a_config_fault),
        TEST(a_name_with_a_line_end_never_leaves),
        TEST(an_ok_with_capabilities_passes_with_them_filtered),
        TEST(a_volunteered_list_goes_once_and_into_the_ok),
        TEST(a_list_that_was_not_volunteered_is_asked_for),
        TEST(an_untagged_ok_may_carry_the_list_too),
        TEST(our_tag_is_never_the_clients),
        TEST(a_backend_that_tells_no_list_is_logged_in_all_the_same),
        TEST(another_code_stays_and_the_list_goes_before_it),
        TEST(a_referral_never_reaches_the_client),
        TEST(a_second_code_never_takes_the_place_of_the_first),
        TEST(a_second_code_does_not_pass_without_a_list_either),
        TEST(alerts_pass_and_all_else_untagged_is_dropped),
        TEST(alerts_are_bounded),
        TEST(alerts_of_a_failed_login_pass_but_not_its_list),
        TEST(each_refusal_is_answered_by_the_table),
        TEST(a_no_that_echoes_the_secret_is_not_kept),
        TEST(a_line_that_breaks_the_login_is_not_kept),
        TEST(long_refusals_are_cut),
        TEST(a_code_with_too_much_data_passes_without_them),
        TEST(a_code_too_long_to_pass_is_as_good_as_none),
        TEST(only_our_tag_and_ok_is_a_login),
        TEST(a_secret_that_garbage_follows_is_kept),
        TEST(an_untagged_ok_is_no_login),
        TEST(an_ok_before_the_secret_is_no_login),
        TEST(a_no_instead_of_an_invitation_is_a_no),
        TEST(a_bye_while_we_ask_for_the_list_breaks_it),
        TEST(a_second_answer_to_the_login_breaks_it),
        TEST(what_follows_the_ok_belongs_to_the_splice),
        TEST(the_login_is_the_same_whatever_the_split),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
