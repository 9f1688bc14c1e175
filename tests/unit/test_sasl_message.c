/* The names in the first message of a token or of SCRAM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/sasl_message.h"

/* A string, NULs in it included, and its length. */
#define BYTES(text) (text), sizeof(text) - 1

typedef bool read_message(struct credentials *credentials,
                          const uint8_t *message, size_t len);

/* Reads from memory of the message's own length, where a sanitizer sees any
 * read behind it. */
static bool read_exact(read_message *read, const char *message, size_t len,
                       struct credentials *credentials_out)
{
    uint8_t *exact = malloc(len + 1);
    bool is_good;

    if (len > 0)
        memcpy(exact + 1, message, len);
    *credentials_out = (struct credentials){0};
    is_good = read(credentials_out, exact + 1, len);
    free(exact);
    return is_good;
}

struct good_message {
    const char *message;
    size_t len;
    const char *user, *authzid;
};

static void assert_field(const uint8_t *bytes, size_t len, const char *expected)
{
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(bytes, expected, len);
}

static void assert_good(read_message *read, const struct good_message *cases,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct credentials credentials;

        assert_true(
            read_exact(read, cases[i].message, cases[i].len, &credentials));
        assert_field(credentials.user, credentials.user_len, cases[i].user);
        assert_field(credentials.authzid, credentials.authzid_len,
                     cases[i].authzid);
        assert_int_equal(credentials.kind, CREDENTIALS_MESSAGE);
        assert_int_equal(credentials.secret_len, cases[i].len);
        assert_memory_equal(credentials.secret, cases[i].message, cases[i].len);
        assert_int_equal(credentials_check(&credentials), CREDENTIALS_GOOD);
    }
}

struct bad_message {
    const char *message;
    size_t len;
};

static void assert_bad(read_message *read, const struct bad_message *cases,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct credentials credentials;

        if (read_exact(read, cases[i].message, cases[i].len, &credentials))
            print_error("taken: %s\n", cases[i].message);
        assert_false(
            read_exact(read, cases[i].message, cases[i].len, &credentials));
    }
}

/* No message stays good when it ends early. */
static void assert_every_beginning_is_bad(read_message *read,
                                          const char *message, size_t len,
                                          size_t good_from)
{
    struct credentials credentials;

    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(read_exact(read, message, cut, &credentials),
                         cut >= good_from);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void scram_names_its_user_and_whom_to_act_as(void **state)
{
    static const struct good_message cases[] = {
        {BYTES("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"), "user", ""},
        {BYTES("y,,n=user,r=x"), "user", ""},
        {BYTES("n,a=boss,n=clerk,r=x"), "clerk", "boss"},
        {BYTES("y,a=b=2Co=3Dss,n=cl=3D=2Cerk,r=x"), "cl=,erk", "b,o=ss"},
        {BYTES("n,,n=j\xc3\xb6rg@x.org,r=x,e=more,f=yet"), "j\xc3\xb6rg@x.org",
         ""},
        {BYTES("n,,n=n=3Dx,r="), "n=x", ""},
    };

    (void)state;
    assert_good(sasl_message_scram, cases, COUNT(cases));
}

static void scram_that_is_malformed_is_refused(void **state)
{
    static const struct bad_message cases[] = {
        {BYTES("")},
        {BYTES("user")},
        {BYTES("n,n=user,r=x")},
        {BYTES("n,,r=x")},
        {BYTES("n,,n=,r=x")},
        {BYTES("n,,n=user")},
        {BYTES("n,,n=user,")},
        {BYTES("n,,n=user,x=y,r=x")},
        {BYTES("n,,a=boss,n=user,r=x")},
        {BYTES("n,boss,n=user,r=x")},
        {BYTES("n,a=,n=user,r=x")},
        {BYTES("N,,n=user,r=x")},
        {BYTES("x,,n=user,r=x")},
        {BYTES("F,n,,n=user,r=x")},
        {BYTES("n,,N=user,r=x")},
        {BYTES("n,,n=user,r=x\0")},
        {BYTES("n,,n=us\0er,r=x")},
        {BYTES(" n,,n=user,r=x")},
    };

    (void)state;
    assert_bad(sasl_message_scram, cases, COUNT(cases));
}

static void scram_with_channel_binding_is_refused(void **state)
{
    static const struct bad_message cases[] = {
        {BYTES("p=tls-exporter,,n=user,r=x")},
        {BYTES("p=tls-unique,,n=user,r=x")},
        {BYTES("p=tls-server-end-point,a=boss,n=user,r=x")},
        {BYTES("p=,,n=user,r=x")},
        {BYTES("p,,n=user,r=x")},
    };

    (void)state;
    assert_bad(sasl_message_scram, cases, COUNT(cases));
}

/* RFC 5802, 5.1: a reserved extension that nobody knows must fail. */
static void scram_with_a_mandatory_extension_is_refused(void **state)
{
    static const struct bad_message cases[] = {
        {BYTES("n,,m=x,n=user,r=x")},
    };

    (void)state;
    assert_bad(sasl_message_scram, cases, COUNT(cases));
}

static void names_have_no_other_escapes(void **state)
{
    static const struct bad_message cases[] = {
        {BYTES("n,,n=a=b,r=x")},     {BYTES("n,,n=a=2c,r=x")},
        {BYTES("n,,n=a=3d,r=x")},    {BYTES("n,,n=a=2,r=x")},
        {BYTES("n,,n=a=,r=x")},      {BYTES("n,,n=a=41,r=x")},
        {BYTES("n,,n=a==2C,r=x")},   {BYTES("n,a=b=,n=a,r=x")},
        {BYTES("n,a=b=2c,n=a,r=x")},
    };

    (void)state;
    assert_bad(sasl_message_scram, cases, COUNT(cases));
}

static void scram_that_ends_early_is_refused(void **state)
{
    static const char message[] = "n,a=boss,n=clerk,r=x";

    (void)state;
    assert_every_beginning_is_bad(sasl_message_scram, BYTES(message),
                                  sizeof("n,a=boss,n=clerk,r=") - 1);
}

/* A name of this many octets, each sent as this text. */
static bool long_scram(const char *octet, size_t count)
{
    static char message[5 * 1024];
    struct credentials credentials;
    size_t len = 0;

    memcpy(message, "n,,n=", 5);
    len = 5;
    for (size_t i = 0; i < count; i++) {
        memcpy(message + len, octet, strlen(octet));
        len += strlen(octet);
    }
    memcpy(message + len, ",r=x", 4);
    return read_exact(sasl_message_scram, message, len + 4, &credentials);
}

static void names_are_bounded_as_they_are_meant(void **state)
{
    (void)state;
    assert_true(long_scram("x", CREDENTIALS_NAME_MAX));
    assert_false(long_scram("x", CREDENTIALS_NAME_MAX + 1));
    assert_true(long_scram("=2C", CREDENTIALS_NAME_MAX));
    assert_false(long_scram("=2C", CREDENTIALS_NAME_MAX + 1));
}

static bool message_of(read_message *read, const char *head, size_t len)
{
    char *message = malloc(len);
    struct credentials credentials;
    bool is_good;

    memset(message, 'x', len);
    memcpy(message, head, strlen(head));
    memcpy(message + len - 2, "\x01\x01", 2);
    is_good = read_exact(read, message, len, &credentials);
    free(message);
    return is_good;
}

static void messages_are_bounded_like_passwords(void **state)
{
    static const char bearer[] = "n,a=u,\x01"
                                 "auth=Bearer ";
    static const char google[] = "user=u\x01"
                                 "auth=Bearer ";

    (void)state;
    assert_true(message_of(sasl_message_oauthbearer, bearer, 8192));
    assert_false(message_of(sasl_message_oauthbearer, bearer, 8193));
    assert_true(message_of(sasl_message_xoauth2, google, 8192));
    assert_false(message_of(sasl_message_xoauth2, google, 8193));
    assert_true(message_of(sasl_message_scram, "n,,n=u,r=", 8192));
    assert_false(message_of(sasl_message_scram, "n,,n=u,r=", 8193));
}

static void oauthbearer_names_its_user_or_none(void **state)
{
    static const struct good_message cases[] = {
        {BYTES("n,a=user@example.com,\x01host=server.example.com\x01port=143"
               "\x01"
               "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01"
               "\x01"),
         "user@example.com", ""},
        {BYTES("n,,\x01"
               "auth=Bearer t\x01\x01"),
         "", ""},
        {BYTES("y,a=a=2Cb,\x01"
               "auth=bearer   t\x01port=\x01\x01"),
         "a,b", ""},
        {BYTES("n,a=u,\x01host=h\x01"
               "auth=\x01\x01"),
         "u", ""},
        {BYTES("n,a=u,\x01x=\t\r\n ~=\x01"
               "auth=BEARER ~/+-._=\x01\x01"),
         "u", ""},
    };

    (void)state;
    assert_good(sasl_message_oauthbearer, cases, COUNT(cases));
}

static void oauthbearer_that_is_malformed_is_refused(void **state)
{
    static const struct bad_message cases[] = {
        {BYTES("")},
        {BYTES("\x01")},
        {BYTES("n,,\x01\x01")},
        {BYTES("n,a=u,\x01host=h\x01port=1\x01\x01")},
        {BYTES("p=tls-exporter,a=u,\x01"
               "auth=Bearer t\x01\x01")},
        {BYTES("n,u,\x01"
               "auth=Bearer t\x01\x01")},
        {BYTES("n,a=,\x01"
               "auth=Bearer t\x01\x01")},
        {BYTES("n,a=u=2c,\x01"
               "auth=Bearer t\x01\x01")},
        {BYTES("n,a=u\x01"
               "auth=Bearer t\x01\x01")},
        {BYTES("n,a=u,auth=Bearer t\x01\x01")},
        {BYTES("n,a=u,\x01"
               "auth=Bearer t\x01")},
        {BYTES("n,a=u,\x01"
               "auth=Bearer t\x01\x01x")},
        {BYTES("n,a=u,\x01"
               "auth=Bearer t\x01\x01\x01")},
        {BYTES("n,a=u,\x01"
               "auth=Bearer \x01\x01")},
        {BYTES("n,a=u,\x01"
               "auth=Bearer a b\x01\x01")},
        {BYTES("n,a=u,\x01"
               "auth=Bearert\x01\x01")},
        {BYTES("n,a=u,\x01"
               "auth=Bearer   \x01\x01")},
        {BYTES("n,a=u,\x01"
               "auth=Basic dTpw\x01\x01")},
        {BYTES("n,a=u,\x01"
               "Auth=Bearer t\x01\x01")},
        {BYTES("n,a=u,\x01"
               "auth=Bearer t\x01"
               "auth=Bearer s\x01\x01")},
        {BYTES("n,a=u,\x01=x\x01"
               "auth=Bearer t\x01\x01")},
        {BYTES("n,a=u,\x01host\x01"
               "auth=Bearer t\x01\x01")},
        {BYTES("n,a=u,\x01h-t=x\x01"
               "auth=Bearer t\x01\x01")},
        {BYTES("n,a=u,\x01host=\x02\x01"
               "auth=Bearer t\x01\x01")},
        {BYTES("n,a=u,\x01host=\x7f\x01"
               "auth=Bearer t\x01\x01")},
        {BYTES("n,a=u,\x01host=\xc3\xb6\x01"
               "auth=Bearer t\x01\x01")},
        {BYTES("n,a=u,\x01host=\0\x01"
               "auth=Bearer t\x01\x01")},
        {BYTES("n,a=u\0v,\x01"
               "auth=Bearer t\x01\x01")},
    };

    (void)state;
    assert_bad(sasl_message_oauthbearer, cases, COUNT(cases));
}

static void oauthbearer_that_ends_early_is_refused(void **state)
{
    static const char message[] = "n,a=u,\x01host=h\x01"
                                  "auth=Bearer t\x01port=1\x01\x01";

    (void)state;
    assert_every_beginning_is_bad(sasl_message_oauthbearer, BYTES(message),
                                  sizeof(message));
}

static void xoauth2_names_its_user(void **state)
{
    static const struct good_message cases[] = {
        {BYTES("user=someuser@example.com\x01"
               "auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
               "\x01\x01"),
         "someuser@example.com", ""},
        {BYTES("user=a=b,c\x01"
               "auth=bearer t\x01\x01"),
         "a=b,c", ""},
    };

    (void)state;
    assert_good(sasl_message_xoauth2, cases, COUNT(cases));
}

static void xoauth2_that_is_malformed_is_refused(void **state)
{
    static const struct bad_message cases[] = {
        {BYTES("")},
        {BYTES("\x01")},
        {BYTES("user=\x01"
               "auth=Bearer t\x01\x01")},
        {BYTES("auth=Bearer t\x01user=u\x01\x01")},
        {BYTES("user=u\x01"
               "auth=Bearer \x01\x01")},
        {BYTES("user=u\x01"
               "auth=Bearer\x01\x01")},
        {BYTES("user=u\x01"
               "auth=\x01\x01")},
        {BYTES("user=u\x01"
               "auth=Basic t\x01\x01")},
        {BYTES("user=u\x01"
               "auth=Bearer t\x01")},
        {BYTES("user=u\x01"
               "auth=Bearer t\x01\x01\x01")},
        {BYTES("user=u\x01"
               "auth=Bearer t\x01x=y\x01\x01")},
        {BYTES("user=u\x01\x01"
               "auth=Bearer t\x01\x01")},
        {BYTES("user=u\x01"
               "auth=Bearer t\0\x01\x01")},
        {BYTES("user=u\0v\x01"
               "auth=Bearer t\x01\x01")},
        {BYTES("User=u\x01"
               "auth=Bearer t\x01\x01")},
        {BYTES("user=u")},
    };

    (void)state;
    assert_bad(sasl_message_xoauth2, cases, COUNT(cases));
}

static void xoauth2_that_ends_early_is_refused(void **state)
{
    static const char message[] = "user=u\x01"
                                  "auth=Bearer t\x01\x01";

    (void)state;
    assert_every_beginning_is_bad(sasl_message_xoauth2, BYTES(message),
                                  sizeof(message));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scram_names_its_user_and_whom_to_act_as),
        cmocka_unit_test(scram_that_is_malformed_is_refused),
        cmocka_unit_test(scram_with_channel_binding_is_refused),
        cmocka_unit_test(scram_with_a_mandatory_extension_is_refused),
        cmocka_unit_test(names_have_no_other_escapes),
        cmocka_unit_test(scram_that_ends_early_is_refused),
        cmocka_unit_test(names_are_bounded_as_they_are_meant),
        cmocka_unit_test(messages_are_bounded_like_passwords),
        cmocka_unit_test(oauthbearer_names_its_user_or_none),
        cmocka_unit_test(oauthbearer_that_is_malformed_is_refused),
        cmocka_unit_test(oauthbearer_that_ends_early_is_refused),
        cmocka_unit_test(xoauth2_names_its_user),
        cmocka_unit_test(xoauth2_that_is_malformed_is_refused),
        cmocka_unit_test(xoauth2_that_ends_early_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
