/* The dialogue is the same however its bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "login_case.h"
#include "transcript.h"

static void assert_same_for_every_split(const struct login_rules *its_rules,
                                        bool secure, const char *text)
{
    const uint8_t *input = (const uint8_t *)text;
    size_t len = strlen(text);
    struct wiped_buffer whole = {0};

    transcript_of_login(its_rules, secure, input, len,
                        (struct transcript_cut){0, 0}, &whole);
    for (size_t cut = 0; cut <= len; cut++) {
        struct transcript_cut ways[] = {{cut, 0}, {cut, 1}};

        for (size_t way = 0; way < 2; way++) {
            struct wiped_buffer split = {0};

            transcript_of_login(its_rules, secure, input, len, ways[way],
                                &split);
            assert_int_equal(split.len, whole.len);
            assert_memory_equal(split.bytes, whole.bytes, whole.len);
            wiped_buffer_deinit(&split);
        }
    }
    wiped_buffer_deinit(&whole);
}

static void the_dialogue_is_the_same_whatever_the_split(void **state)
{
    static const char *const inputs[] = {
        "a LOGIN u p\r\nb SELECT INBOX\r\nc LOGOUT\r\n",
        "a LOGIN ok p\r\nb SELECT INBOX\r\nc LOGOUT\r\n",
        "a STARTTLS\r\nb LOGIN {2}\r\nok {4+}\r\nsecr\r\nc SELECT x\r\n",
        "a LOGIN u p\r\nb AUTHENTICATE PLAIN AGJvYgBwdw==\r\nc STARTTLS\r\n"
        "d AUTHENTICATE PLAIN\r\nAGJvYgBwdw==\r\ne LOGIN down x\r\n"
        "f LOGIN coded x\r\ng LOGOUT\r\nh NOOP\r\n",
        "a AUTHENTICATE LOGIN\r\nYm9i\r\ncHc=\r\nb AUTHENTICATE LOGIN b2s=\r\n"
        "cHc=\r\nrest\n\r\nrest",
        "a AUTHENTICATE PLAIN\r\n*\r\nb AUTHENTICATE PLAIN\r\n!!\r\nc NOOP\r\n",
        "a FOO {12+}\r\nb LOGIN u p\r\n c NOOP\r\nd LOGIN {1+}\r\nu p\r\n",
        "a STARTTLS\nb NOOP\n\r\nc STARTTLS\r\nd ID (\"a\" {2}\r\nbc)\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n",
        "\x16\x03\x01 NOOP\r\n",
        "a NOOP\r\n\x16\x03\x01 NOOP\r\nb NOOP\r\n",
        "a LOGIN {1000}\r\nb NOOP\r\n",
        "a X\r\nb X\r\nc X\r\nd NOOP\r\ne X\r\nf X\r\ng X\r\n",
        "a CAPABILITY\r\nb ID NIL\r\nc LOGIN \"o\\\"k\" \"\\\\\"\r\n",
        "a LOGIN {70+}\r\n"
        "0123456789012345678901234567890123456789012345678901234567890123456789"
        " p\r\nb LOGIN {2000+}\r\nx\r\n",
    };

    struct login_rules rules = login_case_rules();

    (void)state;
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        assert_same_for_every_split(&rules, false, inputs[i]);
        assert_same_for_every_split(&rules, true, inputs[i]);
    }
}

/* An argument as it is sent, and what it means. */
struct form {
    const char *sent, *meant;
};

static void assert_tries(const struct login_rules *its_rules, const char *text,
                         const struct form *user, const struct form *secret)
{
    struct wiped_buffer whole = {0};
    char expected[128];

    snprintf(expected, sizeof(expected),
             "<try a LOGIN user %zu:%s authzid 0: secret %zu:%s>",
             strlen(user->meant), user->meant, strlen(secret->meant),
             secret->meant);
    transcript_of_login(its_rules, true, (const uint8_t *)text, strlen(text),
                        (struct transcript_cut){0, 0}, &whole);
    assert_non_null(memmem(whole.bytes, whole.len, expected, strlen(expected)));
    wiped_buffer_deinit(&whole);
}

/* Atom, quoted, and both kinds of literal: each with each, at every split. */
static void all_forms_of_login_are_the_same_whatever_the_split(void **state)
{
    static const struct form users[] = {{"bob", "bob"},
                                        {"\"b\\\"o \"", "b\"o "},
                                        {"{4}\r\nb {}", "b {}"},
                                        {"{5+}\r\n{3+}b", "{3+}b"}};
    static const struct form secrets[] = {{"p]w", "p]w"},
                                          {"\"p\\\\w\"", "p\\w"},
                                          {"{3}\r\n)\n(", ")\n("},
                                          {"{5+}\r\n\r\nb \"", "\r\nb \""}};
    struct login_rules rules = login_case_rules();

    (void)state;
    for (size_t i = 0; i < 16; i++) {
        const struct form *user = &users[i / 4];
        const struct form *secret = &secrets[i % 4];
        char text[128];

        snprintf(text, sizeof(text),
                 "a LOGIN %s %s\r\nb NOOP\r\nc LOGIN ok %s\r\nrest", user->sent,
                 secret->sent, secret->sent);
        assert_tries(&rules, text, user, secret);
        assert_same_for_every_split(&rules, true, text);
        assert_same_for_every_split(&rules, false, text);
    }
}

/* The same four forms but the atom, for field and value. */
static void all_forms_of_id_are_the_same_whatever_the_split(void **state)
{
    static const char *const fields[] = {"\"na\\\"me\"", "{4}\r\n)\r\n(",
                                         "{11+}\r\nx-proxy-ttl"};
    static const char *const values[] = {"\"3\"", "{1}\r\n2", "{1+}\r\n7",
                                         "NIL"};
    struct login_rules rules = login_case_rules();

    (void)state;
    rules.keeps_id = true;
    for (size_t i = 0; i < 12; i++) {
        char text[256];

        snprintf(text, sizeof(text),
                 "a ID (%s %s \"b\" %s)\r\nb LOGIN u p\r\n"
                 "c ID (\"os\" %s {1+}\r\nx)\r\nd LOGIN ok p\r\nrest",
                 fields[i / 4], values[i % 4], values[3 - i % 4],
                 values[i % 4]);
        assert_same_for_every_split(&rules, true, text);
    }
}

static void every_mechanism_is_the_same_whatever_the_split(void **state)
{
    static const char *const inputs[] = {
        "a AUTHENTICATE SCRAM-SHA-256 biwsbj11LHI9eA==\r\neA==\r\nb2s=\r\nrest",
        "a AUTHENTICATE SCRAM-SHA-1\r\nbiwsbj11LHI9eA==\r\n*\r\nb NOOP\r\n",
        "a AUTHENTICATE SCRAM-SHA-1\r\nbiwsbj11LHI9eA==\r\n!\r\nb NOOP\r\n"
        "c AUTHENTICATE SCRAM-SHA-1 =\r\nd NOOP\r\n",
        "a AUTHENTICATE SCRAM-SHA-1 biwsbj11LHI9eA==\r\neA==\r\neA==\r\n"
        "eA==\r\neA==\r\neA==\r\neA==\r\neA==\r\neA==\r\nb NOOP\r\n",
        "a AUTHENTICATE XOAUTH2 dXNlcj11AWF1dGg9QmVhcmVyIHQBAQ==\r\n\r\n"
        "b LOGIN u p\r\n",
        "a AUTHENTICATE OAUTHBEARER\r\nbixhPXUsAWF1dGg9QmVhcmVyIHQBAQ==\r\n"
        "AQ==\r\nb AUTHENTICATE OAUTHBEARER "
        "biwsAWF1dGg9QmVhcmVyIHQBAQ==\r\n*\r\nc X\r\n",
        "a AUTHENTICATE EXTERNAL =\r\nb AUTHENTICATE EXTERNAL\r\n\r\n"
        "c AUTHENTICATE EXTERNAL b2s=\r\nd NOOP\r\n",
    };
    struct login_rules rules = login_case_rules();

    (void)state;
    rules.mechanisms = LOGIN_CASE_ALL_MECHANISMS;
    rules.imap4rev2 = true;
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        assert_same_for_every_split(&rules, true, inputs[i]);
        assert_same_for_every_split(&rules, false, inputs[i]);
    }
}

static void the_limits_cut_the_same_whatever_the_split(void **state)
{
    static const struct login_rules tight = {40,         8,    2,     3,    3,
                                             SASL_PLAIN, true, false, false};
    static const char *const inputs[] = {
        "a LOGIN {8}\r\n01234567 {9}\r\nb NOOP\r\n",
        "a NOOP xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
        "a AUTHENTICATE PLAIN\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "a LOGIN {8+}\r\n01234567 {8+}\r\n01234567\r\n",
        "a LOGIN {9+}\r\n012345678 x\r\n",
        "a STATUS {8+}\r\n01234567\r\nb LIST\r\nc SELECT\r\nd NOOP\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        assert_same_for_every_split(&tight, true, inputs[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_dialogue_is_the_same_whatever_the_split),
        cmocka_unit_test(all_forms_of_login_are_the_same_whatever_the_split),
        cmocka_unit_test(all_forms_of_id_are_the_same_whatever_the_split),
        cmocka_unit_test(every_mechanism_is_the_same_whatever_the_split),
        cmocka_unit_test(the_limits_cut_the_same_whatever_the_split),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
