#include "login_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/base64.h"

struct login_rules login_case_rules(void)
{
    return (struct login_rules){
        .line_max = 16384,
        .literal_max = 8192,
        .login_tries = 3,
        .bad_commands = 5,
        .wrong_state_commands = 20,
        .mechanisms = SASL_PLAIN | SASL_LOGIN,
        .starttls = true,
    };
}

struct login *login_case_clear(void)
{
    struct login_rules rules = login_case_rules();

    return login_new(&rules, false);
}

struct login *login_case_secure(void)
{
    struct login_rules rules = login_case_rules();

    return login_new(&rules, true);
}

struct login *login_case_of(const struct login_rules *rules)
{
    struct login *login = login_new(rules, true);

    if (rules->mechanisms & SASL_EXTERNAL)
        login_set_certificate_user(login, "carol");
    return login;
}

struct login *login_case_with(unsigned mechanisms)
{
    struct login_rules rules = login_case_rules();

    rules.mechanisms = mechanisms;
    return login_case_of(&rules);
}

enum login_decision login_case_feed_bytes(struct login *login,
                                          const void *bytes, size_t len)
{
    size_t used;
    enum login_decision decision = login_feed(login, bytes, len, &used);

    assert_int_equal(used, len);
    return decision;
}

enum login_decision login_case_feed(struct login *login, const char *text)
{
    return login_case_feed_bytes(login, text, strlen(text));
}

void login_case_assert_output(struct login *login, const char *expected)
{
    size_t len;
    const uint8_t *bytes = login_output(login, &len);

    if (len != strlen(expected) ||
        (len > 0 && memcmp(bytes, expected, len) != 0))
        print_error("output: %.*s\nexpected: %s\n", (int)len,
                    (const char *)bytes, expected);
    assert_int_equal(len, strlen(expected));
    if (len > 0)
        assert_memory_equal(bytes, expected, len);
    login_output_clear(login);
}

void login_case_assert_output_begins(struct login *login, const char *expected)
{
    size_t len;
    const uint8_t *bytes = login_output(login, &len);

    assert_true(len >= strlen(expected));
    assert_memory_equal(bytes, expected, strlen(expected));
    login_output_clear(login);
}

void login_case_assert_output_ends(struct login *login, const char *expected)
{
    size_t len;
    const uint8_t *bytes = login_output(login, &len);

    assert_true(len >= strlen(expected));
    assert_memory_equal(bytes + len - strlen(expected), expected,
                        strlen(expected));
    login_output_clear(login);
}

enum login_decision login_case_feed_message(struct login *login,
                                            const char *before,
                                            const void *message, size_t len)
{
    size_t room = strlen(before) + BASE64_LENGTH(len) + 3;
    uint8_t *line = malloc(room);
    size_t line_len = strlen(before);
    enum login_decision decision;

    memcpy(line, before, line_len);
    line_len += base64_encode(message, len, line + line_len);
    memcpy(line + line_len, "\r\n", 2);
    decision = login_case_feed_bytes(login, line, line_len + 2);
    free(line);
    return decision;
}

enum login_decision login_case_refuse(struct login *login,
                                      enum login_answer answer)
{
    return login_failed(login, answer, NULL, 0, NULL, 0);
}

void login_case_assert_try(const struct login *login, const char *tag,
                           const char *user, const char *secret)
{
    const struct credentials *credentials = login_credentials(login);

    assert_string_equal(login_tag(login), tag);
    assert_int_equal(credentials->user_len, strlen(user));
    assert_memory_equal(credentials->user, user, strlen(user));
    assert_int_equal(credentials->secret_len, strlen(secret));
    assert_memory_equal(credentials->secret, secret, strlen(secret));
}
