/* Who we and our client are, told to a backend before the login. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "upstream_case.h"

static void set_id(struct upstream_case *fixture)
{
    static const char id[] = "(\"name\" \"x\" \"os\" NIL)";

    upstream_case_set(fixture, "bob", "pw");
    fixture->request.id = (const uint8_t *)id;
    fixture->request.id_len = sizeof(id) - 1;
}

#define LIST "SASL-IR AUTH=PLAIN ID"
#define ID_COMMAND "G2 ID (\"name\" \"x\" \"os\" NIL)\r\n"
#define LOGIN_COMMAND "a1 AUTHENTICATE PLAIN AGJvYgBwdw==\r\n"

static void an_id_is_answered_before_the_login_leaves(void **state)
{
    struct upstream_case *fixture = *state;

    set_id(fixture);
    assert_int_equal(upstream_case_start(fixture, LIST), UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, ID_COMMAND);
    assert_int_equal(upstream_case_feed(fixture, "* ID (\"name\" \"y\")\r\n"),
                     UPSTREAM_LOGIN_MORE);
    assert_to_backend(fixture, "");

    assert_int_equal(upstream_case_feed(fixture, "G2 OK done\r\n"),
                     UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, LOGIN_COMMAND);
}

static void a_backend_that_dislikes_the_id_gets_the_login(void **state)
{
    static const char *const lines[] = {"G2 NO\r\n", "G2 BAD what?\r\n"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct upstream_case fixture;

        upstream_case_init(&fixture);
        set_id(&fixture);
        assert_int_equal(upstream_case_start(&fixture, LIST),
                         UPSTREAM_LOGIN_MORE);
        upstream_login_to_backend_clear(fixture.login);
        assert_int_equal(upstream_case_feed(&fixture, lines[i]),
                         UPSTREAM_LOGIN_MORE);
        assert_to_backend(&fixture, LOGIN_COMMAND);
        assert_int_equal(
            upstream_case_feed(&fixture, "a1 OK [CAPABILITY A] in\r\n"),
            UPSTREAM_LOGIN_DONE);
        upstream_case_deinit(&fixture);
    }
}

static void an_id_goes_only_where_it_is_known(void **state)
{
    struct upstream_case *fixture = *state;

    set_id(fixture);

    assert_int_equal(upstream_case_start(fixture, "SASL-IR AUTH=PLAIN IDLE"),
                     UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, LOGIN_COMMAND);
}

static void no_id_is_sent_where_no_login_can_follow(void **state)
{
    struct upstream_case *fixture = *state;

    set_id(fixture);

    assert_int_equal(upstream_case_start(fixture, "LOGINDISABLED ID"),
                     UPSTREAM_LOGIN_REFUSED);

    assert_to_backend(fixture, "");
}

static void a_list_before_the_login_is_not_the_one_after_it(void **state)
{
    struct upstream_case *fixture = *state;

    set_id(fixture);
    assert_int_equal(upstream_case_start(fixture, LIST), UPSTREAM_LOGIN_MORE);
    upstream_login_to_backend_clear(fixture->login);
    assert_int_equal(upstream_case_feed(fixture,
                                        "* CAPABILITY OLD\r\n"
                                        "G2 OK [CAPABILITY OLD] done\r\n"),
                     UPSTREAM_LOGIN_MORE);
    upstream_login_to_backend_clear(fixture->login);

    assert_int_equal(upstream_case_feed(fixture, "a1 OK in\r\n"),
                     UPSTREAM_LOGIN_MORE);

    assert_to_backend(fixture, "G2 CAPABILITY\r\n");
}

static void an_alert_that_comes_with_the_id_is_kept(void **state)
{
    struct upstream_case *fixture = *state;

    set_id(fixture);
    assert_int_equal(upstream_case_start(fixture, LIST), UPSTREAM_LOGIN_MORE);
    upstream_login_to_backend_clear(fixture->login);
    assert_int_equal(upstream_case_feed(fixture, "* OK [ALERT] x\r\nG2 OK\r\n"),
                     UPSTREAM_LOGIN_MORE);
    upstream_login_to_backend_clear(fixture->login);

    assert_int_equal(upstream_case_feed(fixture, "a1 NO\r\n"),
                     UPSTREAM_LOGIN_REFUSED);

    assert_to_client(fixture, "* OK [ALERT] x\r\n");
}

static void what_else_answers_an_id_breaks_the_login(void **state)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"a1 OK in\r\n", "backend-wrong-tag"},
        {"a1 NO\r\n", "backend-wrong-tag"},
        {"g2 OK\r\n", "backend-wrong-tag"},
        {"+ go\r\n", "backend-continuation"},
        {"* BYE\r\n", "backend-bye"},
        {"* PREAUTH\r\n", "backend-preauth"},
        {"* ID (\"name\" {4}\r\n", "literal"},
        {"* ID (\"name\" {9999999999}\r\n", "literal"},
        {"G2 OK\r\na1 OK in\r\n", "backend-early-ok"},
        {"G2 OK\r\nG2 OK\r\n", "backend-wrong-tag"},
        {"G2 OK\r\n* BYE\r\n", "backend-bye"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct upstream_case fixture;

        upstream_case_init(&fixture);
        set_id(&fixture);
        assert_int_equal(upstream_case_start(&fixture, LIST),
                         UPSTREAM_LOGIN_MORE);
        upstream_login_to_backend_clear(fixture.login);
        assert_int_equal(upstream_case_feed(&fixture, cases[i].text),
                         UPSTREAM_LOGIN_BROKEN);
        assert_refusal(&fixture, LOGIN_ANSWER_UNAVAILABLE, false,
                       cases[i].reason);
        assert_to_backend(&fixture, "");
        upstream_case_deinit(&fixture);
    }
}

static void an_endless_answer_to_an_id_breaks_the_login(void **state)
{
    struct upstream_case *fixture = *state;
    static char value[9000];
    size_t used;

    memset(value, 'x', sizeof(value));
    set_id(fixture);
    assert_int_equal(upstream_case_start(fixture, LIST), UPSTREAM_LOGIN_MORE);
    upstream_login_to_backend_clear(fixture->login);
    assert_int_equal(upstream_case_feed(fixture, "* ID (\"name\" \""),
                     UPSTREAM_LOGIN_MORE);

    assert_int_equal(upstream_login_feed(fixture->login, (const uint8_t *)value,
                                         sizeof(value), &used),
                     UPSTREAM_LOGIN_BROKEN);

    assert_refusal(fixture, LOGIN_ANSWER_UNAVAILABLE, false, "too-long");
}

static void answers_to_an_id_without_end_break_the_login(void **state)
{
    enum upstream_login_result result = UPSTREAM_LOGIN_MORE;
    struct upstream_case *fixture = *state;
    int lines = 0;

    set_id(fixture);
    assert_int_equal(upstream_case_start(fixture, LIST), UPSTREAM_LOGIN_MORE);
    while (result == UPSTREAM_LOGIN_MORE && lines++ < 100000) {
        static const char line[] = "* ID (\"name\" \"0123456789abcdef\")\r\n";
        size_t used;

        result = upstream_login_feed(fixture->login, (const uint8_t *)line,
                                     sizeof(line) - 1, &used);
    }

    assert_int_equal(result, UPSTREAM_LOGIN_BROKEN);
    assert_refusal(fixture, LOGIN_ANSWER_UNAVAILABLE, false, "too-long");
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, upstream_case_set_up,                \
                                    upstream_case_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_id_is_answered_before_the_login_leaves),
        TEST(a_backend_that_dislikes_the_id_gets_the_login),
        TEST(an_id_goes_only_where_it_is_known),
        TEST(no_id_is_sent_where_no_login_can_follow),
        TEST(a_list_before_the_login_is_not_the_one_after_it),
        TEST(an_alert_that_comes_with_the_id_is_kept),
        TEST(what_else_answers_an_id_breaks_the_login),
        TEST(an_endless_answer_to_an_id_breaks_the_login),
        TEST(answers_to_an_id_without_end_break_the_login),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
