/* SASL seen from the server, and the strict base64 below it. */
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

static void base64_refuses_what_is_not_strict(void **state)
{
    static const char *const bad[] = {
        "A",        "AA",       "AAA",      "AAAAA",      "AA=A",
        "A===",     "====",     "AA==AAAA", "AAAA====",   "AA= =",
        "AAAA\r\n", " AAAA",    "AAA A",    "AAAA\n",     "AA-_",
        "!!!!",     "AAAA AAA", "AAAA=AAA", "AGFi\tAGFi", "=AAA",
    };
    uint8_t out[64];
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(base64_decode((const uint8_t *)bad[i], strlen(bad[i]), out,
                                   sizeof(out), &len));
    assert_false(base64_decode((const uint8_t *)"AA\0A", 4, out, 64, &len));
    assert_false(base64_decode((const uint8_t *)"AAA\xff", 4, out, 64, &len));
}

static void base64_gives_back_what_it_encoded(void **state)
{
    uint8_t bytes[67];
    uint8_t text[BASE64_LENGTH(sizeof(bytes)) + 1];
    uint8_t back[BASE64_LENGTH(sizeof(bytes))];
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i <= sizeof(bytes); i++) {
        size_t text_len = base64_encode(bytes, i, text);

        assert_int_equal(text_len, BASE64_LENGTH(i));
        assert_true(base64_decode(text, text_len, back, sizeof(back), &len));
        assert_int_equal(len, i);
        assert_memory_equal(back, bytes, i);
    }
}

static void base64_never_writes_past_its_room(void **state)
{
    uint8_t out[4] = {9, 9, 9, 9};
    size_t len;

    (void)state;

    assert_false(base64_decode((const uint8_t *)"AAAAAAAA", 8, out, 3, &len));
    assert_int_equal(out[3], 9);
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
        TEST(base64_refuses_what_is_not_strict),
        TEST(base64_gives_back_what_it_encoded),
        TEST(base64_never_writes_past_its_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
