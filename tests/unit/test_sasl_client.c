/* The message that logs in at a backend. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/sasl_client.h"

static void fill(struct credentials *credentials, const char *authzid,
                 const char *user, const char *secret)
{
    *credentials = (struct credentials){0};
    assert_true(credentials_set_authzid(credentials, (const uint8_t *)authzid,
                                        strlen(authzid)));
    assert_true(
        credentials_set_user(credentials, (const uint8_t *)user, strlen(user)));
    assert_true(credentials_set_secret(credentials, (const uint8_t *)secret,
                                       strlen(secret)));
}

static void assert_message(const struct credentials *credentials,
                           const char *login_as, const char *expected,
                           size_t expected_len)
{
    uint8_t text[SASL_CLIENT_BASE64_MAX];
    uint8_t message[SASL_CLIENT_BASE64_MAX];
    size_t text_len;
    size_t len;

    assert_true(sasl_client_plain(credentials, login_as, text, &text_len));
    assert_int_equal(text[text_len], 0);
    assert_true(base64_decode(text, text_len, message, sizeof(message), &len));
    assert_int_equal(len, expected_len);
    assert_memory_equal(message, expected, len);
}

static void plain_writes_authzid_user_and_secret(void **state)
{
    struct credentials credentials;

    (void)state;
    fill(&credentials, "bob", "alice", "p w");

    assert_message(&credentials, NULL, "bob\0alice\0p w", 13);
}

static void plain_without_authzid_begins_with_a_nul(void **state)
{
    struct credentials credentials;

    (void)state;
    fill(&credentials, "", "alice", "pw");

    assert_message(&credentials, NULL, "\0alice\0pw", 9);
}

static void login_as_replaces_the_user_and_drops_the_authzid(void **state)
{
    struct credentials credentials;

    (void)state;
    fill(&credentials, "bob", "alice", "pw");

    assert_message(&credentials, "carol", "\0carol\0pw", 9);
}

static void a_nul_that_would_shift_the_fields_is_refused(void **state)
{
    static const uint8_t with_nul[] = {'a', 0, 'b'};
    uint8_t text[SASL_CLIENT_BASE64_MAX];
    struct credentials credentials;
    size_t len;

    (void)state;
    fill(&credentials, "", "alice", "pw");
    assert_true(credentials_set_user(&credentials, with_nul, 3));
    assert_false(sasl_client_plain(&credentials, NULL, text, &len));
    fill(&credentials, "", "alice", "pw");
    assert_true(credentials_set_authzid(&credentials, with_nul, 3));
    assert_false(sasl_client_plain(&credentials, NULL, text, &len));
    fill(&credentials, "", "alice", "pw");
    assert_true(credentials_set_secret(&credentials, with_nul, 3));
    assert_false(sasl_client_plain(&credentials, NULL, text, &len));
}

static void the_longest_credentials_fit_the_room(void **state)
{
    static uint8_t bytes[CREDENTIALS_SECRET_MAX];
    uint8_t text[SASL_CLIENT_BASE64_MAX];
    struct credentials credentials = {0};
    size_t len;

    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    assert_true(credentials_set_authzid(&credentials, bytes, 1024));
    assert_true(credentials_set_user(&credentials, bytes, 1024));
    assert_true(credentials_set_secret(&credentials, bytes, 8192));

    assert_true(sasl_client_plain(&credentials, NULL, text, &len));

    assert_int_equal(len, SASL_CLIENT_BASE64_MAX - 1);
}

static void a_login_as_that_is_too_long_is_refused(void **state)
{
    uint8_t text[SASL_CLIENT_BASE64_MAX];
    char name[CREDENTIALS_NAME_MAX + 2];
    struct credentials credentials;
    size_t len;

    (void)state;
    fill(&credentials, "", "alice", "pw");
    memset(name, 'x', sizeof(name));
    name[CREDENTIALS_NAME_MAX + 1] = '\0';
    assert_false(sasl_client_plain(&credentials, name, text, &len));

    name[CREDENTIALS_NAME_MAX] = '\0';
    assert_true(sasl_client_plain(&credentials, name, text, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_writes_authzid_user_and_secret),
        cmocka_unit_test(plain_without_authzid_begins_with_a_nul),
        cmocka_unit_test(login_as_replaces_the_user_and_drops_the_authzid),
        cmocka_unit_test(a_nul_that_would_shift_the_fields_is_refused),
        cmocka_unit_test(the_longest_credentials_fit_the_room),
        cmocka_unit_test(a_login_as_that_is_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
