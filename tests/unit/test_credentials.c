/* Who wants to log in: bounds, checks, and that nothing stays behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/credentials.h"

static struct credentials good(void)
{
    struct credentials credentials = {0};

    assert_true(
        credentials_set_user(&credentials, (const uint8_t *)"alice", 5));
    assert_true(
        credentials_set_secret(&credentials, (const uint8_t *)"secret", 6));
    return credentials;
}

static void assert_all_zero(const void *memory, size_t len)
{
    const uint8_t *bytes = memory;

    for (size_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], 0);
}

static void credentials_take_each_field_at_its_longest(void **state)
{
    static uint8_t bytes[CREDENTIALS_SECRET_MAX];
    struct credentials credentials = {0};

    (void)state;
    memset(bytes, 'x', sizeof(bytes));

    assert_true(credentials_set_user(&credentials, bytes, 1024));
    assert_true(credentials_set_authzid(&credentials, bytes, 1024));
    assert_true(credentials_set_secret(&credentials, bytes, 8192));

    assert_int_equal(credentials.user_len, 1024);
    assert_int_equal(credentials.authzid_len, 1024);
    assert_int_equal(credentials.secret_len, 8192);
    assert_memory_equal(credentials.secret, bytes, 8192);
}

static void credentials_refuse_one_octet_more_and_keep_what_was(void **state)
{
    static uint8_t bytes[CREDENTIALS_SECRET_MAX + 1];
    struct credentials credentials = good();

    (void)state;

    assert_false(credentials_set_user(&credentials, bytes, 1025));
    assert_false(credentials_set_authzid(&credentials, bytes, 1025));
    assert_false(credentials_set_secret(&credentials, bytes, 8193));

    assert_int_equal(credentials.user_len, 5);
    assert_memory_equal(credentials.user, "alice", 5);
    assert_int_equal(credentials.authzid_len, 0);
    assert_memory_equal(credentials.secret, "secret", 6);
}

static void credentials_keep_nothing_of_a_longer_secret(void **state)
{
    struct credentials credentials = good();

    (void)state;
    assert_true(credentials_set_secret(&credentials, (const uint8_t *)"ab", 2));

    assert_int_equal(credentials.secret_len, 2);
    assert_all_zero(credentials.secret + 2, CREDENTIALS_SECRET_MAX - 2);
}

static void credentials_wipe_leaves_all_zero(void **state)
{
    struct credentials credentials = good();

    (void)state;

    credentials_wipe(&credentials);

    assert_all_zero(&credentials, sizeof(credentials));
}

static void credentials_check_finds_each_fault(void **state)
{
    static const struct {
        const char *user, *authzid, *secret;
        size_t user_len, authzid_len, secret_len;
        enum credentials_fault fault;
    } cases[] = {
        {"alice", "", "s", 5, 0, 1, CREDENTIALS_GOOD},
        {"al\xc3\xa9", "bob", "s\r\n", 4, 3, 3, CREDENTIALS_GOOD},
        {"", "", "s", 0, 0, 1, CREDENTIALS_NO_USER},
        {"alice", "", "", 5, 0, 0, CREDENTIALS_NO_SECRET},
        {"a\rb", "", "s", 3, 0, 1, CREDENTIALS_CONTROL_IN_NAME},
        {"a\nb", "", "s", 3, 0, 1, CREDENTIALS_CONTROL_IN_NAME},
        {"a\0b", "", "s", 3, 0, 1, CREDENTIALS_CONTROL_IN_NAME},
        {"a\x1b", "", "s", 2, 0, 1, CREDENTIALS_CONTROL_IN_NAME},
        {"a\x7f", "", "s", 2, 0, 1, CREDENTIALS_CONTROL_IN_NAME},
        {"alice", "\n", "s", 5, 1, 1, CREDENTIALS_CONTROL_IN_NAME},
        {"alice", "", "s\0t", 5, 0, 3, CREDENTIALS_NUL_IN_SECRET},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct credentials credentials = {0};

        assert_true(credentials_set_user(
            &credentials, (const uint8_t *)cases[i].user, cases[i].user_len));
        assert_true(credentials_set_authzid(&credentials,
                                            (const uint8_t *)cases[i].authzid,
                                            cases[i].authzid_len));
        assert_true(credentials_set_secret(&credentials,
                                           (const uint8_t *)cases[i].secret,
                                           cases[i].secret_len));

        assert_int_equal(credentials_check(&credentials), cases[i].fault);
    }
}

static void credentials_check_knows_what_each_kind_needs(void **state)
{
    static const struct {
        enum credentials_kind kind;
        const char *user, *secret;
        enum credentials_fault fault;
    } cases[] = {
        {CREDENTIALS_MESSAGE, "alice", "n,,n=alice,r=x", CREDENTIALS_GOOD},
        {CREDENTIALS_MESSAGE, "",
         "n,,\x01"
         "auth=Bearer t\x01\x01",
         CREDENTIALS_GOOD},
        {CREDENTIALS_MESSAGE, "alice", "", CREDENTIALS_NO_SECRET},
        {CREDENTIALS_MESSAGE, "al\tice", "m", CREDENTIALS_CONTROL_IN_NAME},
        {CREDENTIALS_CERTIFICATE, "alice", "", CREDENTIALS_GOOD},
        {CREDENTIALS_CERTIFICATE, "", "", CREDENTIALS_NO_USER},
        {CREDENTIALS_CERTIFICATE, "al\rice", "", CREDENTIALS_CONTROL_IN_NAME},
        {CREDENTIALS_PASSWORD, "alice", "", CREDENTIALS_NO_SECRET},
        {CREDENTIALS_PASSWORD, "", "pw", CREDENTIALS_NO_USER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct credentials credentials = {.kind = cases[i].kind};

        assert_true(credentials_set_user(&credentials,
                                         (const uint8_t *)cases[i].user,
                                         strlen(cases[i].user)));
        assert_true(credentials_set_secret(&credentials,
                                           (const uint8_t *)cases[i].secret,
                                           strlen(cases[i].secret)));

        assert_int_equal(credentials_check(&credentials), cases[i].fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials_take_each_field_at_its_longest),
        cmocka_unit_test(credentials_refuse_one_octet_more_and_keep_what_was),
        cmocka_unit_test(credentials_keep_nothing_of_a_longer_secret),
        cmocka_unit_test(credentials_wipe_leaves_all_zero),
        cmocka_unit_test(credentials_check_finds_each_fault),
        cmocka_unit_test(credentials_check_knows_what_each_kind_needs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
