/* Which way a login takes to a backend, and in whose name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "upstream_case.h"

static void a_certificate_logs_in_by_the_master_who_acts_for_it(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set_certificate(fixture, "bob");

    assert_int_equal(upstream_case_start(fixture, "SASL-IR AUTH=PLAIN"),
                     UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture,
                      "a1 AUTHENTICATE PLAIN Ym9iAGJvc3MAaHVudGVyMg==\r\n");
}

static void a_masters_secret_waits_where_no_sasl_ir_is(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set_certificate(fixture, "bob");
    assert_int_equal(upstream_case_start(fixture, "AUTH=PLAIN"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 AUTHENTICATE PLAIN\r\n");
    assert_int_equal(upstream_case_feed(fixture, "+ \r\n"),
                     UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, "Ym9iAGJvc3MAaHVudGVyMg==\r\n");
}

static void login_as_is_whom_the_master_acts_for(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set_certificate(fixture, "bob");
    fixture->request.login_as = "carol";

    assert_int_equal(upstream_case_start(fixture, "SASL-IR AUTH=PLAIN"),
                     UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture,
                      "a1 AUTHENTICATE PLAIN Y2Fyb2wAYm9zcwBodW50ZXIy\r\n");
}

static void a_certificate_without_a_master_is_a_config_fault(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set_certificate(fixture, "bob");
    fixture->request.master = NULL;

    assert_int_equal(upstream_case_start(fixture, "SASL-IR AUTH=PLAIN"),
                     UPSTREAM_LOGIN_REFUSED);

    assert_refusal(fixture, LOGIN_ANSWER_UNAVAILABLE, true, "no-master");
    assert_to_backend(fixture, "");
}

static void a_master_that_fits_no_message_is_none(void **state)
{
    static const uint8_t nul[] = "x\0y";
    static uint8_t secret[CREDENTIALS_SECRET_MAX + 1];
    static char name[CREDENTIALS_NAME_MAX + 2];
    const struct master_login masters[] = {
        {"boss", secret, 0},
        {"boss", secret, sizeof(secret)},
        {"boss", nul, 3},
        {name, (const uint8_t *)"pw", 2},
    };
    struct upstream_case *fixture = *state;

    memset(secret, 'x', sizeof(secret));
    memset(name, 'x', sizeof(name) - 1);
    upstream_case_set_certificate(fixture, "bob");
    for (size_t i = 0; i < sizeof(masters) / sizeof(masters[0]); i++) {
        fixture->request.master = &masters[i];
        assert_int_equal(upstream_case_start(fixture, "SASL-IR AUTH=PLAIN"),
                         UPSTREAM_LOGIN_REFUSED);
        assert_refusal(fixture, LOGIN_ANSWER_UNAVAILABLE, true, "no-master");
        assert_to_backend(fixture, "");
    }
}

static void a_certificate_needs_plain_at_the_backend(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set_certificate(fixture, "bob");

    assert_int_equal(
        upstream_case_start(fixture, "IMAP4rev1 AUTH=LOGIN AUTH=EXTERNAL"),
        UPSTREAM_LOGIN_REFUSED);

    assert_refusal(fixture, LOGIN_ANSWER_UNAVAILABLE, true,
                   "backend-lacks-mechanism");
    assert_to_backend(fixture, "");
}

/* Whoever does not come by a verified certificate logs in by what he knows,
 * and fails if that is wrong, however a master is configured. */
static void a_master_is_asked_for_nobody_else(void **state)
{
    static const struct {
        const char *list, *sent;
    } cases[] = {
        {"SASL-IR AUTH=PLAIN", "a1 AUTHENTICATE PLAIN AGJvYgBwdw==\r\n"},
        {"IMAP4rev1", "a1 LOGIN \"bob\" \"pw\"\r\n"},
        {"LOGINDISABLED AUTH=LOGIN", "a1 AUTHENTICATE LOGIN\r\n"},
    };
    static const enum sasl_mechanism relayed[] = {
        SASL_XOAUTH2, SASL_OAUTHBEARER, SASL_SCRAM_SHA_1, SASL_SCRAM_SHA_256};
    struct upstream_case *fixture = *state;

    upstream_case_set_certificate(fixture, "bob");
    fixture->credentials.kind = CREDENTIALS_PASSWORD;
    upstream_case_set(fixture, "bob", "pw");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(upstream_case_start(fixture, cases[i].list),
                         UPSTREAM_LOGIN_MORE);
        assert_to_backend(fixture, cases[i].sent);
    }
    for (size_t i = 0; i < sizeof(relayed) / sizeof(relayed[0]); i++) {
        upstream_case_set_message(fixture, relayed[i], "pw");
        assert_int_equal(upstream_case_start(fixture, "SASL-IR AUTH=PLAIN"),
                         UPSTREAM_LOGIN_REFUSED);
        assert_to_backend(fixture, "");
    }
}

static void a_message_goes_on_as_it_came_by_its_own_mechanism(void **state)
{
    static const struct {
        enum sasl_mechanism mechanism;
        const char *list, *sent;
    } cases[] = {
        {SASL_XOAUTH2, "SASL-IR AUTH=XOAUTH2 AUTH=PLAIN",
         "a1 AUTHENTICATE XOAUTH2 "
         "dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rLTAxMjM0NTY3ODkBAQ==\r\n"},
        {SASL_OAUTHBEARER, "SASL-IR AUTH=OAUTHBEARER AUTH=XOAUTH2",
         "a1 AUTHENTICATE OAUTHBEARER "
         "dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rLTAxMjM0NTY3ODkBAQ==\r\n"},
        {SASL_SCRAM_SHA_1, "SASL-IR AUTH=SCRAM-SHA-1",
         "a1 AUTHENTICATE SCRAM-SHA-1 "
         "dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rLTAxMjM0NTY3ODkBAQ==\r\n"},
        {SASL_SCRAM_SHA_256, "SASL-IR AUTH=SCRAM-SHA-256",
         "a1 AUTHENTICATE SCRAM-SHA-256 "
         "dXNlcj1ib2IBYXV0aD1CZWFyZXIgdG9rLTAxMjM0NTY3ODkBAQ==\r\n"},
    };
    struct upstream_case *fixture = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        upstream_case_set_message(fixture, cases[i].mechanism,
                                  "user=bob\x01"
                                  "auth=Bearer tok-0123456789\x01\x01");
        assert_int_equal(upstream_case_start(fixture, cases[i].list),
                         UPSTREAM_LOGIN_MORE);
        assert_to_backend(fixture, cases[i].sent);
    }
}

static void a_message_waits_where_no_sasl_ir_is(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set_message(fixture, SASL_SCRAM_SHA_1, "n,,n=bob,r=abc");
    assert_int_equal(upstream_case_start(fixture, "AUTH=SCRAM-SHA-1"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 AUTHENTICATE SCRAM-SHA-1\r\n");
    assert_int_equal(upstream_case_feed(fixture, "+ whatever\r\n"),
                     UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, "biwsbj1ib2Iscj1hYmM=\r\n");
}

static void a_long_token_waits_even_with_sasl_ir(void **state)
{
    struct upstream_case *fixture = *state;
    char token[1538];

    memset(token, 'x', sizeof(token));
    token[1537] = '\0';
    upstream_case_set_message(fixture, SASL_XOAUTH2, token);
    assert_int_equal(upstream_case_start(fixture, "SASL-IR AUTH=XOAUTH2"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 AUTHENTICATE XOAUTH2\r\n");

    token[1536] = '\0';
    upstream_case_set_message(fixture, SASL_XOAUTH2, token);
    assert_int_equal(upstream_case_start(fixture, "SASL-IR AUTH=XOAUTH2"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend_begins(fixture, "a1 AUTHENTICATE XOAUTH2 eHh4");
}

static void a_message_goes_only_where_its_mechanism_is_announced(void **state)
{
    static const char *const lists[] = {
        "SASL-IR AUTH=PLAIN AUTH=LOGIN",
        "SASL-IR AUTH=SCRAM-SHA-256 AUTH=OAUTHBEARER",
        "SASL-IR AUTH=SCRAM-SHA-1-PLUS AUTH=SCRAM-SHA-1X",
        "IMAP4rev1",
    };
    struct upstream_case *fixture = *state;

    upstream_case_set_message(fixture, SASL_SCRAM_SHA_1, "n,,n=bob,r=abc");
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        assert_int_equal(upstream_case_start(fixture, lists[i]),
                         UPSTREAM_LOGIN_REFUSED);
        assert_refusal(fixture, LOGIN_ANSWER_UNAVAILABLE, true,
                       "backend-lacks-mechanism");
        assert_to_backend(fixture, "");
    }
}

static void no_name_can_replace_the_one_inside_a_message(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set_message(fixture, SASL_XOAUTH2, "user=bob\x01\x01");
    fixture->request.login_as = "carol";

    assert_int_equal(upstream_case_start(fixture, "SASL-IR AUTH=XOAUTH2"),
                     UPSTREAM_LOGIN_REFUSED);

    assert_refusal(fixture, LOGIN_ANSWER_UNAVAILABLE, true,
                   "login-as-in-message");
    assert_to_backend(fixture, "");
}

static void a_token_may_name_no_user(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set_message(fixture, SASL_OAUTHBEARER,
                              "n,,\x01"
                              "auth=\x01\x01");
    assert_true(credentials_set_user(&fixture->credentials, NULL, 0));

    assert_int_equal(upstream_case_start(fixture, "AUTH=OAUTHBEARER"),
                     UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, "a1 AUTHENTICATE OAUTHBEARER\r\n");
}

static void who_takes_sasl_login_alone_gets_that(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "b\xc3\xb6", "p\"w\r\nx NOOP");
    assert_int_equal(
        upstream_case_start(fixture, "SASL-IR LOGINDISABLED AUTH=LOGIN"),
        UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 AUTHENTICATE LOGIN\r\n");
    assert_int_equal(upstream_case_feed(fixture, "+ VXNlcm5hbWU6\r\n"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "YsO2\r\n");
    assert_int_equal(upstream_case_feed(fixture, "+\r\n"), UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "cCJ3DQp4IE5PT1A=\r\n");

    assert_int_equal(upstream_case_feed(fixture, "a1 OK [CAPABILITY A] in\r\n"),
                     UPSTREAM_LOGIN_DONE);
}

static void sasl_login_asks_twice_and_no_more(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "bob", "pw");
    assert_int_equal(upstream_case_start(fixture, "LOGINDISABLED AUTH=LOGIN"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 AUTHENTICATE LOGIN\r\n");
    assert_int_equal(upstream_case_feed(fixture, "+\r\n"), UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "Ym9i\r\n");
    assert_int_equal(upstream_case_feed(fixture, "+\r\n"), UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "cHc=\r\n");

    assert_int_equal(upstream_case_feed(fixture, "+ again?\r\n"),
                     UPSTREAM_LOGIN_BROKEN);

    assert_to_backend(fixture, "");
}

static void the_command_is_taken_before_sasl_login(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "bob", "pw");
    fixture->request.login_as = "carol";
    assert_int_equal(upstream_case_start(fixture, "AUTH=LOGIN"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 LOGIN \"carol\" \"pw\"\r\n");

    assert_int_equal(upstream_case_start(fixture, "AUTH=LOGIN LOGINDISABLED"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "a1 AUTHENTICATE LOGIN\r\n");
    assert_int_equal(upstream_case_feed(fixture, "+\r\n"), UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "Y2Fyb2w=\r\n");
}

static void sasl_login_carries_no_authzid_either(void **state)
{
    struct upstream_case *fixture = *state;

    upstream_case_set(fixture, "alice", "pw");
    assert_true(credentials_set_authzid(&fixture->credentials,
                                        (const uint8_t *)"bob", 3));

    assert_int_equal(upstream_case_start(fixture, "LOGINDISABLED AUTH=LOGIN"),
                     UPSTREAM_LOGIN_REFUSED);

    assert_refusal(fixture, LOGIN_ANSWER_UNAVAILABLE, true,
                   "backend-lacks-authzid");
    assert_to_backend(fixture, "");
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, upstream_case_set_up,                \
                                    upstream_case_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_certificate_logs_in_by_the_master_who_acts_for_it),
        TEST(a_masters_secret_waits_where_no_sasl_ir_is),
        TEST(login_as_is_whom_the_master_acts_for),
        TEST(a_certificate_without_a_master_is_a_config_fault),
        TEST(a_master_that_fits_no_message_is_none),
        TEST(a_certificate_needs_plain_at_the_backend),
        TEST(a_master_is_asked_for_nobody_else),
        TEST(a_message_goes_on_as_it_came_by_its_own_mechanism),
        TEST(a_message_waits_where_no_sasl_ir_is),
        TEST(a_long_token_waits_even_with_sasl_ir),
        TEST(a_message_goes_only_where_its_mechanism_is_announced),
        TEST(no_name_can_replace_the_one_inside_a_message),
        TEST(a_token_may_name_no_user),
        TEST(who_takes_sasl_login_alone_gets_that),
        TEST(sasl_login_asks_twice_and_no_more),
        TEST(the_command_is_taken_before_sasl_login),
        TEST(sasl_login_carries_no_authzid_either),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
