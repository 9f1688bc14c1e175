/* EXTERNAL: who the client is was shown by its certificate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "login_case.h"

#define LIST "* CAPABILITY IMAP4rev1 LITERAL- SASL-IR ID AUTH=PLAIN"
#define UNSUPPORTED "a NO Unsupported authentication mechanism.\r\n"

/* Under TLS, with or without EXTERNAL among the rules. */
static struct login *new_login(bool has_external)
{
    struct login_rules rules = login_case_rules();

    rules.mechanisms = SASL_PLAIN;
    if (has_external)
        rules.mechanisms |= SASL_EXTERNAL;
    return login_new(&rules, true);
}

static void assert_list(struct login *login, const char *expected)
{
    assert_int_equal(login_case_feed(login, "a CAPABILITY\r\n"), LOGIN_MORE);
    login_case_assert_output(login, expected);
}

static void external_is_offered_to_whom_showed_a_certificate(void **state)
{
    struct login *login = new_login(true);

    (void)state;
    assert_list(login, LIST "\r\na OK CAPABILITY completed.\r\n");
    login_set_certificate_user(login, "carol");

    assert_list(login, LIST " AUTH=EXTERNAL\r\na OK CAPABILITY completed.\r\n");
    login_free(&login);
}

static void a_certificate_alone_offers_nothing(void **state)
{
    struct login *login = new_login(false);

    (void)state;
    login_set_certificate_user(login, "carol");

    assert_list(login, LIST "\r\na OK CAPABILITY completed.\r\n");
    assert_int_equal(login_case_feed(login, "a AUTHENTICATE EXTERNAL =\r\n"),
                     LOGIN_MORE);
    login_case_assert_output(login, UNSUPPORTED);
    login_free(&login);
}

static void without_a_certificate_external_is_unknown(void **state)
{
    static char too_long[CREDENTIALS_NAME_MAX + 2];
    const char *const users[] = {NULL, "", too_long};

    (void)state;
    memset(too_long, 'x', sizeof(too_long) - 1);
    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        struct login *login = new_login(true);

        login_set_certificate_user(login, "carol");
        login_set_certificate_user(login, users[i]);
        assert_int_equal(
            login_case_feed(login, "a AUTHENTICATE EXTERNAL Y2Fyb2w=\r\n"),
            LOGIN_MORE);
        login_case_assert_output(login, UNSUPPORTED);
        login_free(&login);
    }
}

static void assert_certified(const struct login *login, const char *authzid)
{
    const struct credentials *credentials = login_credentials(login);

    login_case_assert_try(login, "a", "carol", "");
    assert_int_equal(credentials->kind, CREDENTIALS_CERTIFICATE);
    assert_int_equal(credentials->authzid_len, strlen(authzid));
    assert_memory_equal(credentials->authzid, authzid, strlen(authzid));
    assert_int_equal(login_sasl(login), SASL_EXTERNAL);
}

static void external_takes_a_name_or_none(void **state)
{
    static const struct {
        const char *text, *authzid;
    } cases[] = {
        {"a AUTHENTICATE EXTERNAL =\r\n", ""},
        {"a AUTHENTICATE EXTERNAL\r\n\r\n", ""},
        {"a AUTHENTICATE EXTERNAL Y2Fyb2w=\r\n", "carol"},
        {"a AUTHENTICATE external\r\nbWFsbG9yeQ==\r\n", "mallory"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct login *login = new_login(true);

        login_set_certificate_user(login, "carol");
        assert_int_equal(login_case_feed(login, cases[i].text), LOGIN_TRY);
        assert_certified(login, cases[i].authzid);
        login_free(&login);
    }
}

static void a_certificate_makes_no_other_login_its_own(void **state)
{
    static const char *const logins[] = {
        "a LOGIN carol pw\r\n", "a AUTHENTICATE PLAIN AGNhcm9sAHB3\r\n"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct login *login = new_login(true);

        login_set_certificate_user(login, "carol");
        assert_int_equal(login_case_feed(login, logins[i]), LOGIN_TRY);
        login_case_assert_try(login, "a", "carol", "pw");
        assert_int_equal(login_credentials(login)->kind, CREDENTIALS_PASSWORD);
        login_free(&login);
    }
}

static void a_failed_external_leaves_nothing_for_the_next_try(void **state)
{
    struct login *login = new_login(true);

    (void)state;
    login_set_certificate_user(login, "carol");
    assert_int_equal(login_case_feed(login, "a AUTHENTICATE EXTERNAL eA==\r\n"),
                     LOGIN_TRY);
    assert_int_equal(login_case_refuse(login, LOGIN_ANSWER_AUTHORIZATION),
                     LOGIN_MORE);
    login_case_assert_output(
        login,
        "a NO [AUTHORIZATIONFAILED] Not allowed to act as that user.\r\n");
    assert_int_equal(login_case_feed(login, "b LOGIN u p\r\n"), LOGIN_TRY);

    login_case_assert_try(login, "b", "u", "p");
    assert_int_equal(login_credentials(login)->kind, CREDENTIALS_PASSWORD);
    assert_int_equal(login_credentials(login)->authzid_len, 0);
    login_free(&login);
}

static void after_starttls_it_is_as_on_the_other_port(void **state)
{
    struct login_rules rules = login_case_rules();
    struct login *login;

    (void)state;
    rules.mechanisms = SASL_EXTERNAL;
    login = login_new(&rules, false);
    assert_int_equal(login_case_feed(login, "s STARTTLS\r\n"), LOGIN_STARTTLS);
    login_secured(login);
    login_set_certificate_user(login, "carol");

    assert_int_equal(login_case_feed(login, "a AUTHENTICATE EXTERNAL =\r\n"),
                     LOGIN_TRY);
    assert_certified(login, "");
    login_free(&login);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(external_is_offered_to_whom_showed_a_certificate),
        cmocka_unit_test(a_certificate_alone_offers_nothing),
        cmocka_unit_test(without_a_certificate_external_is_unknown),
        cmocka_unit_test(external_takes_a_name_or_none),
        cmocka_unit_test(a_certificate_makes_no_other_login_its_own),
        cmocka_unit_test(a_failed_external_leaves_nothing_for_the_next_try),
        cmocka_unit_test(after_starttls_it_is_as_on_the_other_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
