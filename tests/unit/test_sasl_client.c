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

static void assert_text(const uint8_t *text, size_t text_len,
                        const char *expected, size_t expected_len)
{
    uint8_t message[SASL_CLIENT_BASE64_MAX];
    size_t len;

    assert_int_equal(text[text_len], 0);
    assert_true(base64_decode(text, text_len, message, sizeof(message), &len));
    assert_int_equal(len, expected_len);
    assert_memory_equal(message, expected, len);
}

static void assert_message(const struct credentials *credentials,
                           const char *login_as, const char *expected,
                           size_t expected_len)
{
    uint8_t text[SASL_CLIENT_BASE64_MAX];
    size_t text_len;

    assert_true(sasl_client_plain(credentials, login_as, text, &text_len));
    assert_text(text, text_len, expected, expected_len);
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

static void login_as_replaces_the_user(void **state)
{
    struct credentials credentials;

    (void)state;
    fill(&credentials, "", "alice", "pw");
    assert_message(&credentials, "carol", "\0carol\0pw", 9);

    fill(&credentials, "alice", "alice", "pw");
    assert_message(&credentials, "carol", "\0carol\0pw", 9);
}

static void login_as_replaces_whom_to_act_for_and_never_drops_it(void **state)
{
    struct credentials credentials;

    (void)state;
    fill(&credentials, "bob", "alice", "pw");

    assert_message(&credentials, "carol", "carol\0alice\0pw", 14);
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

static bool master(const struct credentials *credentials, const char *login_as,
                   const char *name, const char *secret, size_t secret_len,
                   uint8_t *text, size_t *len)
{
    return sasl_client_master(credentials, login_as, name,
                              (const uint8_t *)secret, secret_len, text, len);
}

static void a_master_acts_as_the_user_or_as_login_as(void **state)
{
    uint8_t text[SASL_CLIENT_BASE64_MAX];
    struct credentials credentials;
    size_t len;

    (void)state;
    fill(&credentials, "bob", "alice", "");

    assert_true(master(&credentials, NULL, "root", "m p", 3, text, &len));
    assert_text(text, len, "alice\0root\0m p", 14);
    assert_true(master(&credentials, "box1", "root", "m p", 3, text, &len));
    assert_text(text, len, "box1\0root\0m p", 13);
}

static void a_master_whose_words_shift_the_fields_is_refused(void **state)
{
    static char flood[CREDENTIALS_SECRET_MAX + 1];
    uint8_t text[SASL_CLIENT_BASE64_MAX];
    struct credentials credentials;
    size_t len;

    (void)state;
    memset(flood, 'x', sizeof(flood));
    fill(&credentials, "", "alice", "");
    assert_false(master(&credentials, NULL, "root", "m\0p", 3, text, &len));
    assert_false(
        master(&credentials, NULL, "root", flood, sizeof(flood), text, &len));
    assert_true(master(&credentials, NULL, "root", flood, sizeof(flood) - 1,
                       text, &len));
    flood[sizeof(flood) - 1] = '\0';
    assert_false(master(&credentials, NULL, flood, "mp", 2, text, &len));
    assert_false(master(&credentials, flood, "root", "mp", 2, text, &len));
    assert_true(
        credentials_set_user(&credentials, (const uint8_t *)"al\0ice", 6));
    assert_false(master(&credentials, NULL, "root", "mp", 2, text, &len));
}

static void a_message_goes_on_as_it_came(void **state)
{
    static const char message[] = "n,a=u,\x01"
                                  "auth=Bearer t\x01\x01";
    uint8_t text[SASL_CLIENT_BASE64_MAX];
    struct credentials credentials;
    size_t len;

    (void)state;
    fill(&credentials, "", "u", message);

    sasl_client_message(&credentials, text, &len);

    assert_text(text, len, message, sizeof(message) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_writes_authzid_user_and_secret),
        cmocka_unit_test(plain_without_authzid_begins_with_a_nul),
        cmocka_unit_test(login_as_replaces_the_user),
        cmocka_unit_test(login_as_replaces_whom_to_act_for_and_never_drops_it),
        cmocka_unit_test(a_nul_that_would_shift_the_fields_is_refused),
        cmocka_unit_test(the_longest_credentials_fit_the_room),
        cmocka_unit_test(a_login_as_that_is_too_long_is_refused),
        cmocka_unit_test(a_master_acts_as_the_user_or_as_login_as),
        cmocka_unit_test(a_master_whose_words_shift_the_fields_is_refused),
        cmocka_unit_test(a_message_goes_on_as_it_came),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
