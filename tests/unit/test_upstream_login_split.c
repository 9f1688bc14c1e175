/* A login at a backend, however its bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "transcript.h"
#include "upstream_case.h"

static void assert_same_at_every_cut(const struct transcript_upstream *upstream,
                                     const char *text)
{
    const uint8_t *input = (const uint8_t *)text;
    size_t len = strlen(text);
    struct wiped_buffer whole = {0};

    transcript_of_upstream(upstream, input, len, (struct transcript_cut){0, 0},
                           &whole);
    for (size_t cut = 0; cut <= len; cut++) {
        struct transcript_cut ways[] = {{cut, 0}, {cut, 1}};

        for (size_t way = 0; way < 2; way++) {
            struct wiped_buffer split = {0};

            transcript_of_upstream(upstream, input, len, ways[way], &split);
            assert_bytes(split.bytes, split.len, (const char *)whole.bytes,
                         whole.len);
            wiped_buffer_deinit(&split);
        }
    }
    wiped_buffer_deinit(&whole);
}

static void the_login_is_the_same_whatever_the_split(void **state)
{
    static const struct {
        const char *user, *secret, *capabilities, *input;
    } cases[] = {
        {"bob", "pw", "SASL-IR AUTH=PLAIN",
         "* OK [ALERT] x\r\n* CAPABILITY A\r\na1 OK in\r\n* 1 EXISTS\r\n"},
        {"bob", "pw", "AUTH=PLAIN LOGINDISABLED",
         "+ \r\na1 OK [ALERT] x\r\n* CAPABILITY IDLE ID\r\nG2 OK\r\nmore"},
        {"b\xc3\xb6", "p\nw", "",
         "+ go\r\n+\r\na1 OK [CAPABILITY X] in\r\n\r\nrest\n"},
        {"b\xc3\xb6", "p\nw", "",
         "+ go\r\na1 NO [EXPIRED] too old\r\n* BYE\r\n"},
        {"bob", "pw", "", "* OK [ALERT] x\r\n* OK {5}\r\n"},
        {"bob", "pw", "", "a1 OK in\r\n* NO [ALERT] z\r\nG2 BAD\r\nrest"},
        {"bob", "pw", "", "a1 OK in\n"},
        {"bob", "pw", "", "* PREAUTH x\r\n"},
        {"bob", "pw", "AUTH=PLAIN LOGINDISABLED", "+\r\n+\r\n"},
        {"bob", "pw", "LOGINDISABLED", "x"},
        {"bob", "pw", "AUTH=LOGIN LOGINDISABLED",
         "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\na1 OK [CAPABILITY A] x\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct upstream_case fixture;
        struct transcript_upstream upstream;

        upstream_case_init(&fixture);
        upstream_case_set(&fixture, cases[i].user, cases[i].secret);
        upstream = (struct transcript_upstream){fixture.request,
                                                cases[i].capabilities};
        assert_same_at_every_cut(&upstream, cases[i].input);
        upstream_case_deinit(&fixture);
    }
}

static void an_exchange_is_the_same_whatever_the_split(void **state)
{
    static const char *const inputs[] = {
        "* OK [ALERT] x\r\n+ cj1hYmM=\r\n* NO [ALERT] y\r\n+ dj1hYmM=\r\n"
        "a1 OK [CAPABILITY IDLE UNAUTHENTICATE] in\r\nrest",
        "+ e30=\r\n* CAPABILITY A\r\na1 NO [EXPIRED] token\r\nrest",
        "+ raw words\r\n",
        "+\r\n+ \r\n+\r\n+\r\n+\r\n+\r\n+\r\n+\r\n+\r\n",
        "+ e30=\r\n* BYE\r\n",
        "a1 OK at once\r\n",
    };
    struct upstream_case *fixture = *state;
    struct transcript_upstream upstream;

    upstream_case_set(fixture, "bob", "n,,n=bob,r=abc");
    fixture->credentials.kind = CREDENTIALS_MESSAGE;
    fixture->request.sasl = SASL_SCRAM_SHA_256;
    upstream = (struct transcript_upstream){
        fixture->request, "SASL-IR AUTH=SCRAM-SHA-256 AUTH=PLAIN"};
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        assert_same_at_every_cut(&upstream, inputs[i]);
}

static void an_id_first_is_the_same_whatever_the_split(void **state)
{
    static const char *const inputs[] = {
        "* ID (\"name\" \"x\")\r\nG2 OK\r\na1 OK [CAPABILITY A] in\r\nrest",
        "* OK [ALERT] x\r\nG2 NO\r\na1 NO\r\n",
        "* ID (\"name\" {1}\r\nx)\r\nG2 OK\r\n",
        "G2 BAD what?\r\nG2 BAD\r\n",
        "a1 OK in\r\n",
    };
    struct upstream_case *fixture = *state;
    struct transcript_upstream upstream;

    upstream_case_set(fixture, "bob", "pw");
    fixture->request.id = (const uint8_t *)"(\"a\" \"b\")";
    fixture->request.id_len = 9;
    upstream =
        (struct transcript_upstream){fixture->request, "SASL-IR AUTH=PLAIN ID"};
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        assert_same_at_every_cut(&upstream, inputs[i]);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, upstream_case_set_up,                \
                                    upstream_case_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_login_is_the_same_whatever_the_split),
        TEST(an_exchange_is_the_same_whatever_the_split),
        TEST(an_id_first_is_the_same_whatever_the_split),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
