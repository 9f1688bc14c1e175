/* Every mechanism of AUTHENTICATE, up to where a backend is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/base64.h"
#include "login_case.h"

/* Each with a message that it takes. */
static const struct {
    enum sasl_mechanism mechanism;
    const char *message;
    size_t len;
    const char *user, *authzid;
    enum credentials_kind kind;
} mechanisms[] = {
    {SASL_PLAIN, LOGIN_CASE_BYTES("bob\0alice\0pw"), "alice", "bob",
     CREDENTIALS_PASSWORD},
    {SASL_XOAUTH2,
     LOGIN_CASE_BYTES("user=alice\x01"
                      "auth=Bearer t\x01\x01"),
     "alice", "", CREDENTIALS_MESSAGE},
    {SASL_OAUTHBEARER,
     LOGIN_CASE_BYTES("n,a=alice,\x01"
                      "auth=Bearer t\x01\x01"),
     "alice", "", CREDENTIALS_MESSAGE},
    {SASL_EXTERNAL, LOGIN_CASE_BYTES("bob"), "carol", "bob",
     CREDENTIALS_CERTIFICATE},
    {SASL_SCRAM_SHA_1, LOGIN_CASE_BYTES("n,a=bob,n=alice,r=x"), "alice", "bob",
     CREDENTIALS_MESSAGE},
    {SASL_SCRAM_SHA_256, LOGIN_CASE_BYTES("y,,n=alice,r=x"), "alice", "",
     CREDENTIALS_MESSAGE},
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* "a AUTHENTICATE NAME" and what follows. */
static const char *command(size_t i, const char *rest)
{
    static char line[128];

    snprintf(line, sizeof(line), "a AUTHENTICATE %s%s",
             sasl_mechanism_name(mechanisms[i].mechanism), rest);
    return line;
}

static void assert_tried(const struct login *login, size_t i)
{
    const struct credentials *credentials = login_credentials(login);

    assert_string_equal(login_tag(login), "a");
    assert_int_equal(login_sasl(login), mechanisms[i].mechanism);
    assert_string_equal(login_mechanism(login),
                        sasl_mechanism_name(mechanisms[i].mechanism));
    assert_int_equal(credentials->kind, mechanisms[i].kind);
    assert_int_equal(credentials->user_len, strlen(mechanisms[i].user));
    assert_memory_equal(credentials->user, mechanisms[i].user,
                        credentials->user_len);
    assert_int_equal(credentials->authzid_len, strlen(mechanisms[i].authzid));
    assert_memory_equal(credentials->authzid, mechanisms[i].authzid,
                        credentials->authzid_len);
    if (mechanisms[i].kind != CREDENTIALS_MESSAGE)
        return;
    assert_int_equal(credentials->secret_len, mechanisms[i].len);
    assert_memory_equal(credentials->secret, mechanisms[i].message,
                        mechanisms[i].len);
}

static void every_mechanism_takes_an_initial_response(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(mechanisms); i++) {
        struct login *login = login_case_with(mechanisms[i].mechanism);

        assert_int_equal(login_case_feed_message(login, command(i, " "),
                                                 mechanisms[i].message,
                                                 mechanisms[i].len),
                         LOGIN_TRY);

        login_case_assert_output(login, "");
        assert_tried(login, i);
        login_free(&login);
    }
}

static void every_mechanism_asks_when_there_is_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(mechanisms); i++) {
        struct login *login = login_case_with(mechanisms[i].mechanism);

        assert_int_equal(login_case_feed(login, command(i, "\r\n")),
                         LOGIN_MORE);
        login_case_assert_output(login, "+ \r\n");
        assert_int_equal(login_case_feed_message(login, "",
                                                 mechanisms[i].message,
                                                 mechanisms[i].len),
                         LOGIN_TRY);

        assert_tried(login, i);
        login_free(&login);
    }
}

static void the_command_login_is_no_mechanism(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    assert_int_equal(login_case_feed(login, "a LOGIN u p\r\n"), LOGIN_TRY);

    assert_int_equal(login_sasl(login), SASL_NONE);
    assert_string_equal(login_mechanism(login), "LOGIN");
    assert_int_equal(login_credentials(login)->kind, CREDENTIALS_PASSWORD);
    login_free(&login);
}

static void auth_login_says_so_in_the_log(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    assert_int_equal(
        login_case_feed(login, "a AUTHENTICATE LOGIN dQ==\r\ncA==\r\n"),
        LOGIN_TRY);

    assert_int_equal(login_sasl(login), SASL_LOGIN);
    assert_string_equal(login_mechanism(login), "AUTH=LOGIN");
    login_free(&login);
}

static void what_is_not_offered_is_unknown(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(mechanisms); i++) {
        struct login *login = login_case_with(
            LOGIN_CASE_ALL_MECHANISMS & ~(unsigned)mechanisms[i].mechanism);

        assert_int_equal(login_case_feed_message(login, command(i, " "),
                                                 mechanisms[i].message,
                                                 mechanisms[i].len),
                         LOGIN_MORE);

        login_case_assert_output(
            login, "a NO Unsupported authentication mechanism.\r\n");
        login_free(&login);
    }
}

static void channel_binding_is_never_offered_nor_taken(void **state)
{
    struct login *login = login_case_with(LOGIN_CASE_ALL_MECHANISMS);
    static const char message[] = "p=tls-exporter,,n=u,r=x";
    size_t len;
    const char *greeting;

    (void)state;
    login_greet(login);
    greeting = (const char *)login_output(login, &len);
    assert_null(memmem(greeting, len, "-PLUS", 5));
    login_output_clear(login);
    assert_int_equal(
        login_case_feed_message(login, "a AUTHENTICATE SCRAM-SHA-256-PLUS ",
                                LOGIN_CASE_BYTES(message)),
        LOGIN_MORE);
    login_case_assert_output(login,
                             "a NO Unsupported authentication mechanism.\r\n");
    assert_int_equal(login_case_feed_message(login,
                                             "a AUTHENTICATE SCRAM-SHA-256 ",
                                             LOGIN_CASE_BYTES(message)),
                     LOGIN_MORE);
    login_case_assert_output(login, "a BAD Invalid authentication data.\r\n");
    login_free(&login);
}

static void no_sasl_is_no_mechanism_either(void **state)
{
    static const char *const names[] = {
        "a AUTHENTICATE NONE\r\n",           "a AUTHENTICATE XOAUTH\r\n",
        "a AUTHENTICATE SCRAM-SHA-2561\r\n", "a AUTHENTICATE SCRAM-SHA-512\r\n",
        "a AUTHENTICATE CRAM-MD5\r\n",
    };
    struct login *login = login_case_with(LOGIN_CASE_ALL_MECHANISMS);

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_int_equal(login_case_feed(login, names[i]), LOGIN_MORE);
        login_case_assert_output(
            login, "a NO Unsupported authentication mechanism.\r\n");
    }
    login_free(&login);
}

/* One message for each, which is another one's or nobody's. */
static void
a_malformed_message_is_bad_and_the_next_command_is_heard(void **state)
{
    static const char *const message[] = {"n,,n=\x01", "auth=Bearer t", "\x01",
                                          "n,,r=x"};

    (void)state;
    for (size_t i = 0; i < COUNT(mechanisms); i++) {
        if (mechanisms[i].mechanism == SASL_EXTERNAL)
            continue; /* takes any name */
        for (size_t j = 0; j < COUNT(message); j++) {
            struct login *login = login_case_with(LOGIN_CASE_ALL_MECHANISMS);

            assert_int_equal(login_case_feed_message(login, command(i, " "),
                                                     message[j],
                                                     strlen(message[j])),
                             LOGIN_MORE);
            login_case_assert_output(login,
                                     "a BAD Invalid authentication data.\r\n");
            assert_int_equal(login_case_feed(login, command(i, "\r\n")),
                             LOGIN_MORE);
            assert_int_equal(login_case_feed_message(login, "", message[j],
                                                     strlen(message[j])),
                             LOGIN_MORE);
            login_case_assert_output(
                login, "+ \r\na BAD Invalid authentication data.\r\n");
            assert_int_equal(login_case_feed(login, "b LOGIN u p\r\n"),
                             LOGIN_TRY);
            login_case_assert_try(login, "b", "u", "p");
            login_free(&login);
        }
    }
}

static void what_is_no_base64_is_bad_for_every_mechanism(void **state)
{
    static const char *const lines[] = {
        "!!!!", "YQ", "YR==", " YQ==", "Y=Q=", "YQ== "};

    (void)state;
    for (size_t i = 0; i < COUNT(mechanisms); i++) {
        for (size_t j = 0; j < COUNT(lines); j++) {
            struct login *login = login_case_with(mechanisms[i].mechanism);

            assert_int_equal(login_case_feed(login, command(i, "\r\n")),
                             LOGIN_MORE);
            assert_int_equal(login_case_feed(login, lines[j]), LOGIN_MORE);
            assert_int_equal(login_case_feed(login, "\r\n"), LOGIN_MORE);
            login_case_assert_output(
                login, "+ \r\na BAD Invalid authentication data.\r\n");
            login_free(&login);
        }
    }
}

static void every_mechanism_can_be_cancelled(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(mechanisms); i++) {
        struct login *login = login_case_with(mechanisms[i].mechanism);

        assert_int_equal(login_case_feed(login, command(i, "\r\n*\r\n")),
                         LOGIN_MORE);
        assert_int_equal(login_case_feed(login, "b NOOP\r\n"), LOGIN_MORE);

        login_case_assert_output(login,
                                 "+ \r\na BAD AUTHENTICATE cancelled.\r\n"
                                 "b OK NOOP completed.\r\n");
        login_free(&login);
    }
}

/* What is held is freed, which a sanitizer sees (threat C9). */
static void a_client_may_leave_at_any_octet(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(mechanisms); i++) {
        uint8_t text[256];
        size_t head = strlen(command(i, "\r\n"));
        size_t len;

        memcpy(text, command(i, "\r\n"), head);
        len = head + base64_encode((const uint8_t *)mechanisms[i].message,
                                   mechanisms[i].len, text + head);
        for (size_t cut = 0; cut <= len; cut++) {
            struct login *login = login_case_with(mechanisms[i].mechanism);

            assert_int_equal(login_case_feed_bytes(login, text, cut),
                             LOGIN_MORE);
            login_free(&login);
        }
    }
}

static void a_token_without_a_user_is_tried(void **state)
{
    struct login *login = login_case_with(SASL_OAUTHBEARER);

    (void)state;
    assert_int_equal(
        login_case_feed_message(login, "a AUTHENTICATE OAUTHBEARER ",
                                LOGIN_CASE_BYTES("n,,\x01"
                                                 "auth=Bearer t\x01\x01")),
        LOGIN_TRY);

    assert_int_equal(login_credentials(login)->user_len, 0);
    login_free(&login);
}

static void a_name_with_controls_fails_like_a_wrong_one(void **state)
{
    static const struct {
        const char *before, *message;
    } cases[] = {
        {"a AUTHENTICATE SCRAM-SHA-1 ", "n,,n=a\rb,r=x"},
        {"a AUTHENTICATE SCRAM-SHA-256 ", "n,a=b\n,n=a,r=x"},
        {"a AUTHENTICATE OAUTHBEARER ", "n,a=\x7f,\x01"
                                        "auth=Bearer t\x01\x01"},
        {"a AUTHENTICATE XOAUTH2 ", "user=a\tb\x01"
                                    "auth=Bearer t\x01\x01"},
        {"a AUTHENTICATE EXTERNAL ", "a\r\nb LOGIN u p"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct login *login = login_case_with(LOGIN_CASE_ALL_MECHANISMS);

        assert_int_equal(login_case_feed_message(login, cases[i].before,
                                                 cases[i].message,
                                                 strlen(cases[i].message)),
                         LOGIN_MORE);
        login_case_assert_output(login, "a " LOGIN_CASE_AUTHENTICATION_FAILED);
        login_free(&login);
    }
}

static void in_clear_no_mechanism_runs(void **state)
{
    struct login_rules rules = login_case_rules();

    (void)state;
    rules.mechanisms = LOGIN_CASE_ALL_MECHANISMS;
    for (size_t i = 0; i < COUNT(mechanisms); i++) {
        struct login *login = login_new(&rules, false);

        login_set_certificate_user(login, "carol");
        assert_int_equal(login_case_feed_message(login, command(i, " "),
                                                 mechanisms[i].message,
                                                 mechanisms[i].len),
                         LOGIN_MORE);
        login_case_assert_output(login, "a " LOGIN_CASE_PRIVACY_REQUIRED);
        login_greet(login);
        login_case_assert_output(login, "* OK [" LOGIN_CASE_CLEAR_LIST
                                        "] Gatepost ready\r\n");
        login_free(&login);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mechanism_takes_an_initial_response),
        cmocka_unit_test(every_mechanism_asks_when_there_is_none),
        cmocka_unit_test(the_command_login_is_no_mechanism),
        cmocka_unit_test(auth_login_says_so_in_the_log),
        cmocka_unit_test(what_is_not_offered_is_unknown),
        cmocka_unit_test(channel_binding_is_never_offered_nor_taken),
        cmocka_unit_test(no_sasl_is_no_mechanism_either),
        cmocka_unit_test(
            a_malformed_message_is_bad_and_the_next_command_is_heard),
        cmocka_unit_test(what_is_no_base64_is_bad_for_every_mechanism),
        cmocka_unit_test(every_mechanism_can_be_cancelled),
        cmocka_unit_test(a_client_may_leave_at_any_octet),
        cmocka_unit_test(a_token_without_a_user_is_tried),
        cmocka_unit_test(a_name_with_controls_fails_like_a_wrong_one),
        cmocka_unit_test(in_clear_no_mechanism_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
