/* SASL seen from the server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/base64.h"
#include "auth/sasl_server.h"

struct fixture {
    struct sasl_server server;
    struct credentials credentials;
};

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

/* Encodes into memory of exactly that length, where a sanitizer sees any read
 * behind it, and takes the step. */
static enum sasl_result step(struct fixture *fixture, const void *message,
                             size_t len)
{
    uint8_t *text = malloc(BASE64_LENGTH(len) + 1);
    size_t text_len = base64_encode(message, len, text);
    uint8_t *exact = malloc(text_len);
    enum sasl_result result;

    if (text_len > 0)
        memcpy(exact, text, text_len);
    result = sasl_server_step(&fixture->server, exact, text_len);
    free(text);
    free(exact);
    return result;
}

static enum sasl_result plain(struct fixture *fixture, const void *message,
                              size_t len)
{
    sasl_server_start(&fixture->server, SASL_PLAIN, &fixture->credentials);
    return step(fixture, message, len);
}

static void assert_field(const uint8_t *bytes, size_t len, const char *expected)
{
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(bytes, expected, len);
}

static void plain_gives_user_and_secret(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(plain(fixture, "\0alice\0sec ret", 14), SASL_DONE);

    assert_field(fixture->credentials.user, fixture->credentials.user_len,
                 "alice");
    assert_field(fixture->credentials.secret, fixture->credentials.secret_len,
                 "sec ret");
    assert_int_equal(fixture->credentials.authzid_len, 0);
}

static void plain_keeps_the_authzid(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(plain(fixture, "bob\0alice\0pw", 12), SASL_DONE);

    assert_field(fixture->credentials.authzid, fixture->credentials.authzid_len,
                 "bob");
    assert_field(fixture->credentials.user, fixture->credentials.user_len,
                 "alice");
}

static void plain_refuses_all_but_two_nuls_and_an_empty_authcid(void **state)
{
    static const struct {
        const char *message;
        size_t len;
    } cases[] = {
        {"", 0},           {"alice", 5},          {"\0alice", 6},
        {"\0", 1},         {"\0\0", 2},           {"\0\0pw", 4},
        {"a\0\0pw", 5},    {"\0alice\0p\0w", 10}, {"\0alice\0pw\0", 10},
        {"\0\0\0\0\0", 5},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(plain(fixture, cases[i].message, cases[i].len),
                         SASL_BAD);
        assert_int_equal(fixture->credentials.user_len, 0);
        assert_int_equal(fixture->credentials.secret_len, 0);
    }
}

/* authzid of `names` octets, user of as many, secret of `secret` octets. */
static enum sasl_result long_plain(struct fixture *fixture, size_t names,
                                   size_t secret)
{
    size_t len = 2 * names + secret + 2;
    uint8_t *message = malloc(len);
    enum sasl_result result;

    memset(message, 'x', len);
    message[names] = 0;
    message[2 * names + 1] = 0;
    result = plain(fixture, message, len);
    free(message);
    return result;
}

static void plain_takes_every_field_at_its_longest(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(long_plain(fixture, 1024, 8192), SASL_DONE);
    assert_int_equal(fixture->credentials.secret_len, 8192);
    assert_int_equal(fixture->credentials.user_len, 1024);
    assert_int_equal(fixture->credentials.authzid_len, 1024);
}

static void plain_refuses_fields_that_are_too_long(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(long_plain(fixture, 1025, 10), SASL_BAD);
    assert_int_equal(long_plain(fixture, 10, 8193), SASL_BAD);
    assert_int_equal(long_plain(fixture, 1024, 8193), SASL_BAD);
    assert_int_equal(long_plain(fixture, 10, 65536), SASL_BAD);
    assert_int_equal(fixture->credentials.user_len, 0);
}

static void login_asks_for_the_user_and_then_the_secret(void **state)
{
    struct fixture *fixture = *state;

    sasl_server_start(&fixture->server, SASL_LOGIN, &fixture->credentials);
    assert_string_equal(sasl_server_challenge(&fixture->server),
                        "VXNlcm5hbWU6");
    assert_int_equal(step(fixture, "alice", 5), SASL_MORE);
    assert_string_equal(sasl_server_challenge(&fixture->server),
                        "UGFzc3dvcmQ6");
    assert_int_equal(step(fixture, "pw", 2), SASL_DONE);

    assert_field(fixture->credentials.user, fixture->credentials.user_len,
                 "alice");
    assert_field(fixture->credentials.secret, fixture->credentials.secret_len,
                 "pw");
}

static void login_refuses_an_empty_user(void **state)
{
    struct fixture *fixture = *state;

    sasl_server_start(&fixture->server, SASL_LOGIN, &fixture->credentials);

    assert_int_equal(step(fixture, "", 0), SASL_BAD);
}

static void a_bad_step_wipes_what_was_learnt(void **state)
{
    static const struct credentials empty;
    struct fixture *fixture = *state;

    sasl_server_start(&fixture->server, SASL_LOGIN, &fixture->credentials);
    assert_int_equal(step(fixture, "alice", 5), SASL_MORE);

    assert_int_equal(
        sasl_server_step(&fixture->server, (const uint8_t *)"!!!!", 4),
        SASL_BAD);

    assert_memory_equal(&fixture->credentials, &empty, sizeof(empty));
}

static void nothing_is_taken_after_the_end(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(plain(fixture, "\0alice\0pw", 9), SASL_DONE);

    assert_int_equal(step(fixture, "\0bob\0pw", 7), SASL_BAD);
    assert_int_equal(fixture->credentials.user_len, 0);
}

static void a_start_forgets_the_exchange_before(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(plain(fixture, "bob\0alice\0pw", 12), SASL_DONE);
    sasl_server_start(&fixture->server, SASL_LOGIN, &fixture->credentials);

    assert_int_equal(fixture->credentials.authzid_len, 0);
    assert_int_equal(fixture->credentials.secret_len, 0);
}

static void each_mechanism_has_its_name(void **state)
{
    static const struct {
        enum sasl_mechanism mechanism;
        const char *name;
    } cases[] = {
        {SASL_NONE, ""},
        {SASL_PLAIN, "PLAIN"},
        {SASL_LOGIN, "LOGIN"},
        {SASL_XOAUTH2, "XOAUTH2"},
        {SASL_OAUTHBEARER, "OAUTHBEARER"},
        {SASL_EXTERNAL, "EXTERNAL"},
        {SASL_SCRAM_SHA_1, "SCRAM-SHA-1"},
        {SASL_SCRAM_SHA_256, "SCRAM-SHA-256"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(cases[i].mechanism, i == 0 ? 0 : 1u << (i - 1));
        assert_string_equal(sasl_mechanism_name(cases[i].mechanism),
                            cases[i].name);
    }
    assert_int_equal(SASL_MECHANISM_COUNT,
                     sizeof(cases) / sizeof(cases[0]) - 1);
}

static const struct {
    enum sasl_mechanism mechanism;
    const char *message;
    const char *user;
    enum credentials_kind kind;
} one_message[] = {
    {SASL_XOAUTH2,
     "user=bob\x01"
     "auth=Bearer t\x01\x01",
     "bob", CREDENTIALS_MESSAGE},
    {SASL_OAUTHBEARER,
     "n,a=bob,\x01"
     "auth=Bearer t\x01\x01",
     "bob", CREDENTIALS_MESSAGE},
    {SASL_SCRAM_SHA_1, "n,,n=bob,r=x", "bob", CREDENTIALS_MESSAGE},
    {SASL_SCRAM_SHA_256, "y,,n=bob,r=x", "bob", CREDENTIALS_MESSAGE},
    {SASL_EXTERNAL, "bob", "", CREDENTIALS_CERTIFICATE},
};
#define ONE_MESSAGE_COUNT (sizeof(one_message) / sizeof(one_message[0]))

static void a_message_that_a_backend_judges_is_one_step(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ONE_MESSAGE_COUNT; i++) {
        const char *message = one_message[i].message;

        sasl_server_start(&fixture->server, one_message[i].mechanism,
                          &fixture->credentials);
        assert_string_equal(sasl_server_challenge(&fixture->server), "");
        assert_int_equal(step(fixture, message, strlen(message)), SASL_DONE);

        assert_int_equal(fixture->credentials.kind, one_message[i].kind);
        assert_field(fixture->credentials.user, fixture->credentials.user_len,
                     one_message[i].user);
        assert_int_equal(step(fixture, message, strlen(message)), SASL_BAD);
    }
}

static void no_mechanism_takes_anothers_message(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ONE_MESSAGE_COUNT; i++) {
        for (unsigned bit = 0; bit < SASL_MECHANISM_COUNT; bit++) {
            enum sasl_mechanism other = (enum sasl_mechanism)(1u << bit);
            const char *message = one_message[i].message;
            bool is_scram =
                other == SASL_SCRAM_SHA_1 || other == SASL_SCRAM_SHA_256;

            if (other == one_message[i].mechanism || other == SASL_LOGIN ||
                other == SASL_EXTERNAL ||
                (is_scram && strstr(message, ",n=bob,r=") != NULL))
                continue;
            sasl_server_start(&fixture->server, other, &fixture->credentials);
            assert_int_equal(step(fixture, message, strlen(message)), SASL_BAD);
        }
    }
}

static void external_learns_whom_to_act_as_or_nobody(void **state)
{
    static const struct credentials empty;
    struct fixture *fixture = *state;

    sasl_server_start(&fixture->server, SASL_EXTERNAL, &fixture->credentials);
    assert_int_equal(step(fixture, "bob", 3), SASL_DONE);
    assert_field(fixture->credentials.authzid, fixture->credentials.authzid_len,
                 "bob");
    assert_int_equal(fixture->credentials.secret_len, 0);

    sasl_server_start(&fixture->server, SASL_EXTERNAL, &fixture->credentials);
    assert_int_equal(step(fixture, "", 0), SASL_DONE);
    assert_int_equal(fixture->credentials.authzid_len, 0);

    sasl_server_start(&fixture->server, SASL_PLAIN, &fixture->credentials);
    assert_memory_equal(&fixture->credentials, &empty, sizeof(empty));
}

static void external_keeps_the_user_that_it_was_given(void **state)
{
    struct fixture *fixture = *state;

    sasl_server_start(&fixture->server, SASL_EXTERNAL, &fixture->credentials);
    assert_true(credentials_set_user(&fixture->credentials,
                                     (const uint8_t *)"carol", 5));
    assert_int_equal(step(fixture, "bob", 3), SASL_DONE);

    assert_field(fixture->credentials.user, fixture->credentials.user_len,
                 "carol");
    assert_int_equal(credentials_check(&fixture->credentials),
                     CREDENTIALS_GOOD);
}

static void a_message_over_its_bound_is_refused(void **state)
{
    static char name[CREDENTIALS_NAME_MAX + 1];
    static char flood[65536];
    struct fixture *fixture = *state;

    memset(name, 'x', sizeof(name));
    memset(flood, 'x', sizeof(flood));
    sasl_server_start(&fixture->server, SASL_EXTERNAL, &fixture->credentials);
    assert_int_equal(step(fixture, name, sizeof(name)), SASL_BAD);
    for (unsigned bit = 0; bit < SASL_MECHANISM_COUNT; bit++) {
        sasl_server_start(&fixture->server, (enum sasl_mechanism)(1u << bit),
                          &fixture->credentials);
        assert_int_equal(step(fixture, flood, sizeof(flood)), SASL_BAD);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(plain_gives_user_and_secret),
        TEST(plain_keeps_the_authzid),
        TEST(plain_refuses_all_but_two_nuls_and_an_empty_authcid),
        TEST(plain_takes_every_field_at_its_longest),
        TEST(plain_refuses_fields_that_are_too_long),
        TEST(login_asks_for_the_user_and_then_the_secret),
        TEST(login_refuses_an_empty_user),
        TEST(a_bad_step_wipes_what_was_learnt),
        TEST(nothing_is_taken_after_the_end),
        TEST(a_start_forgets_the_exchange_before),
        TEST(each_mechanism_has_its_name),
        TEST(a_message_that_a_backend_judges_is_one_step),
        TEST(no_mechanism_takes_anothers_message),
        TEST(external_learns_whom_to_act_as_or_nobody),
        TEST(external_keeps_the_user_that_it_was_given),
        TEST(a_message_over_its_bound_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
