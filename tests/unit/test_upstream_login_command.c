/* What a login at a backend sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "upstream_case.h"

static enum upstream_login_result start_login_as(struct upstream_case *fixture,
                                                 const char *list)
{
    fixture->request.login_as = "bob";
    return upstream_case_start(fixture, list);
}

static void plain_goes_with_the_command_where_sasl_ir_is(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "bob", "pw");

    assert_int_equal(
        upstream_case_start(fixture, "IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN"),
        UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, "a1 AUTHENTICATE PLAIN AGJvYgBwdw==\r\n");
}

static void plain_waits_for_the_backend_where_no_sasl_ir_is(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "bob", "pw");
    assert_int_equal(upstream_case_start(fixture, "AUTH=PLAIN LOGINDISABLED"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 AUTHENTICATE PLAIN\r\n");
    assert_int_equal(upstream_case_feed(fixture, "+\r\n"), UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, "AGJvYgBwdw==\r\n");
}

static void login_saves_the_round_trip_where_no_sasl_ir_is(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "bob", "p\"w");

    assert_int_equal(upstream_case_start(fixture, "IMAP4rev1 AUTH=PLAIN"),
                     UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, "a1 LOGIN \"bob\" \"p\\\"w\"\r\n");
}

static void what_login_cannot_quote_goes_by_plain(void **state)
{
    static const char *const names[][2] = {
        {"bob", "\xc3\xa4"}, {"b\xc3\xb6", "pw"}, {"bob", "p\tw"}};
    struct upstream_case *fixture = *state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        upstream_case_set(fixture, names[i][0], names[i][1]);
        assert_int_equal(upstream_case_start(fixture, "IMAP4rev1 AUTH=PLAIN"),
                         UPSTREAM_LOGIN_MORE);
        assert_to_backend(fixture, "a1 AUTHENTICATE PLAIN\r\n");
    }
}

static void a_long_message_waits_even_with_sasl_ir(void **state)
{
    struct upstream_case *fixture = *state;
    char secret[2001];

    memset(secret, 'x', sizeof(secret));
    secret[2000] = '\0';
    upstream_case_set(fixture, "bob", secret);

    assert_int_equal(upstream_case_start(fixture, "SASL-IR AUTH=PLAIN"),
                     UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, "a1 AUTHENTICATE PLAIN\r\n");
}

static void the_clients_authzid_is_passed_on(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "alice", "pw");
    assert_true(credentials_set_authzid(&fixture->credentials,
                                        (const uint8_t *)"bob", 3));

    assert_int_equal(upstream_case_start(fixture, "SASL-IR AUTH=PLAIN"),
                     UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, "a1 AUTHENTICATE PLAIN Ym9iAGFsaWNlAHB3\r\n");
}

static void login_as_replaces_the_user_on_both_ways(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "alice", "pw");
    assert_int_equal(start_login_as(fixture, "SASL-IR AUTH=PLAIN"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 AUTHENTICATE PLAIN AGJvYgBwdw==\r\n");

    assert_int_equal(start_login_as(fixture, "IMAP4rev1"), UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 LOGIN \"bob\" \"pw\"\r\n");
}

static void login_as_replaces_whom_a_client_acts_for(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "alice", "pw");
    assert_true(credentials_set_authzid(&fixture->credentials,
                                        (const uint8_t *)"carol", 5));
    assert_int_equal(start_login_as(fixture, "SASL-IR AUTH=PLAIN"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 AUTHENTICATE PLAIN Ym9iAGFsaWNlAHB3\r\n");

    assert_int_equal(start_login_as(fixture, "IMAP4rev1"),
                     UPSTREAM_LOGIN_REFUSED);
    assert_to_backend(fixture, "");
}

static void login_quotes_printable_ascii(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "b o\"b", "p\\w {3}");

    assert_int_equal(upstream_case_start(fixture, "IMAP4rev1"),
                     UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, "a1 LOGIN \"b o\\\"b\" \"p\\\\w {3}\"\r\n");
}

static void login_sends_all_else_as_literals_when_invited(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "j\xc3\xb6rg", "p\r\nx NOOP");
    assert_int_equal(upstream_case_start(fixture, "IMAP4rev1"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 LOGIN {5}\r\n");
    assert_int_equal(upstream_case_feed(fixture, "+ OK\r\n"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "j\xc3\xb6rg {9}\r\n");
    assert_int_equal(upstream_case_feed(fixture, "+ OK\r\n"),
                     UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, "p\r\nx NOOP\r\n");
}

static void login_quotes_nothing_that_is_long(void **state)
{
    struct upstream_case *fixture = *state;
    char secret[1026];

    memset(secret, 'x', sizeof(secret));
    secret[1025] = '\0';
    upstream_case_set(fixture, "bob", secret);
    assert_int_equal(upstream_case_start(fixture, "IMAP4rev1"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 LOGIN \"bob\" {1025}\r\n");
    secret[1024] = '\0';
    upstream_case_set(fixture, "bob", secret);
    assert_int_equal(upstream_case_start(fixture, "IMAP4rev1"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend_begins(fixture, "a1 LOGIN \"bob\" \"x");
}

static void literals_go_unasked_where_the_backend_allows(void **state)
{
    static const char *const lists[] = {"LITERAL+", "LITERAL-"};
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "bob", "p\xc3\xa4");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(upstream_case_start(fixture, lists[i]),
                         UPSTREAM_LOGIN_MORE);
        assert_to_backend(fixture, "a1 LOGIN \"bob\" {3+}\r\np\xc3\xa4\r\n");
    }
}

static void literal_minus_ends_at_4096_and_literal_plus_does_not(void **state)
{
    struct upstream_case *fixture = *state;
    char secret[4098];

    memset(secret, '\xc3', sizeof(secret));
    secret[4097] = '\0';
    upstream_case_set(fixture, "bob", secret);
    assert_int_equal(upstream_case_start(fixture, "LITERAL-"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 LOGIN \"bob\" {4097}\r\n");
    secret[4096] = '\0';
    upstream_case_set(fixture, "bob", secret);
    assert_int_equal(upstream_case_start(fixture, "LITERAL-"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend_begins(fixture, "a1 LOGIN \"bob\" {4096+}\r\n\xc3");
    secret[4096] = '\xc3';
    upstream_case_set(fixture, "bob", secret);
    assert_int_equal(upstream_case_start(fixture, "LITERAL+"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend_begins(fixture, "a1 LOGIN \"bob\" {4097+}\r\n\xc3");
}

static void a_backend_that_takes_no_login_is_a_config_fault(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "bob", "pw");

    assert_int_equal(
        upstream_case_start(fixture, "IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2"),
        UPSTREAM_LOGIN_REFUSED);

    assert_refusal(fixture, LOGIN_ANSWER_UNAVAILABLE, true,
                   "backend-lacks-mechanism");
    assert_to_backend(fixture, "");
}

static void an_authzid_that_login_cannot_carry_is_a_config_fault(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "alice", "pw");
    assert_true(credentials_set_authzid(&fixture->credentials,
                                        (const uint8_t *)"bob", 3));
    assert_int_equal(upstream_case_start(fixture, "IMAP4rev1"),
                     UPSTREAM_LOGIN_REFUSED);
    assert_refusal(fixture, LOGIN_ANSWER_UNAVAILABLE, true,
                   "backend-lacks-authzid");

    assert_true(credentials_set_authzid(&fixture->credentials,
                                        (const uint8_t *)"alice", 5));
    assert_int_equal(upstream_case_start(fixture, "IMAP4rev1"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 LOGIN \"alice\" \"pw\"\r\n");
}

static void a_name_with_a_line_end_never_leaves(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "bob\r\nx NOOP", "pw");

    assert_int_equal(upstream_case_start(fixture, "SASL-IR AUTH=PLAIN"),
                     UPSTREAM_LOGIN_REFUSED);

    assert_refusal(fixture, LOGIN_ANSWER_BAD_CREDENTIALS, false,
                   "bad-credentials");
    assert_to_backend(fixture, "");
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, upstream_case_set_up,                \
                                    upstream_case_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(plain_goes_with_the_command_where_sasl_ir_is),
        TEST(plain_waits_for_the_backend_where_no_sasl_ir_is),
        TEST(login_saves_the_round_trip_where_no_sasl_ir_is),
        TEST(what_login_cannot_quote_goes_by_plain),
        TEST(a_long_message_waits_even_with_sasl_ir),
        TEST(the_clients_authzid_is_passed_on),
        TEST(login_as_replaces_the_user_on_both_ways),
        TEST(login_as_replaces_whom_a_client_acts_for),
        TEST(login_quotes_printable_ascii),
        TEST(login_sends_all_else_as_literals_when_invited),
        TEST(login_quotes_nothing_that_is_long),
        TEST(literals_go_unasked_where_the_backend_allows),
        TEST(literal_minus_ends_at_4096_and_literal_plus_does_not),
        TEST(a_backend_that_takes_no_login_is_a_config_fault),
        TEST(an_authzid_that_login_cannot_carry_is_a_config_fault),
        TEST(a_name_with_a_line_end_never_leaves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
