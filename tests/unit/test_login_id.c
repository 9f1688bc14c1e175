/* ID before the login, and what is kept of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "login_case.h"

static void id_is_answered_and_its_pairs_are_dropped(void **state)
{
    struct login *login = login_case_clear();

    (void)state;
    assert_int_equal(login_case_feed(login,
                                     "a ID NIL\r\nb ID (\"name\" \"x\" {2+}\r\n"
                                     "os NIL)\r\nc ID ()\r\n"),
                     LOGIN_MORE);
    login_case_assert_output(
        login, "* ID (\"name\" \"Gatepost\")\r\na OK ID completed.\r\n"
               "* ID (\"name\" \"Gatepost\")\r\nb OK ID completed.\r\n"
               "* ID (\"name\" \"Gatepost\")\r\nc OK ID completed.\r\n");
    assert_int_equal(
        login_case_feed(login, "d ID (\"x-originating-ip\" {3}\r\n"),
        LOGIN_MORE);
    login_case_assert_output(login, "+ OK\r\n");
    assert_int_equal(login_case_feed(login, "::1)\r\n"), LOGIN_MORE);
    login_case_assert_output_begins(login,
                                    "* ID (\"name\" \"Gatepost\")\r\nd OK");
    login_free(&login);
}

static void write_id(char *out, size_t pairs, size_t key, size_t value)
{
    out += sprintf(out, "a ID (");
    for (size_t i = 0; i < pairs; i++)
        out += sprintf(out, "%s\"%0*d\" \"%0*d\"", i == 0 ? "" : " ", (int)key,
                       0, (int)value, 0);
    sprintf(out, ")\r\n");
}

static void id_is_bounded_as_its_rfc_says(void **state)
{
    static const struct {
        size_t pairs, key, value;
        bool is_good;
    } cases[] = {
        {30, 30, 100, true}, {31, 3, 3, false},   {1, 31, 3, false},
        {1, 30, 1024, true}, {1, 3, 1025, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct login *login = login_case_secure();
        char line[8192];

        write_id(line, cases[i].pairs, cases[i].key, cases[i].value);
        assert_int_equal(login_case_feed(login, line), LOGIN_MORE);
        login_case_assert_output_begins(login,
                                        cases[i].is_good ? "* ID" : "a BAD");
        login_free(&login);
    }
}

static void a_malformed_id_is_bad(void **state)
{
    static const char *const bad[] = {
        "a ID\r\n",
        "a ID \r\n",
        "a ID x\r\n",
        "a ID NIL x\r\n",
        "a ID (\"a\")\r\n",
        "a ID (\"a\" )\r\n",
        "a ID (\"a\" \"b\"\r\n",
        "a ID (\"a\" \"b\" )\r\n",
        "a ID (\"a\" \"b\")x\r\n",
        "a ID (a b)\r\n",
        "a ID ((\"a\" \"b\"))\r\n",
        "a ID (\"a\"  \"b\")\r\n",
        "a ID (NIL \"b\")\r\n",
        "a ID (\"a\" {1025}\r\n",
        "a ID ({31}\r\n",
        "a ID NIL {3}\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct login *login = login_case_secure();

        assert_int_equal(login_case_feed(login, bad[i]), LOGIN_MORE);
        login_case_assert_output(login, "a BAD Invalid arguments.\r\n");
        login_free(&login);
    }
}

/* Under TLS; keeps what the client says. */
static struct login *new_keeping(void)
{
    struct login_rules rules = login_case_rules();

    rules.keeps_id = true;
    return login_new(&rules, true);
}

static void assert_kept(const struct login *login, unsigned count,
                        const char *pairs)
{
    const struct login_id *id = login_client_id(login);

    assert_int_equal(id->count, count);
    assert_int_equal(id->len, strlen(pairs));
    if (id->len > 0)
        assert_memory_equal(id->pairs, pairs, id->len);
}

static void assert_keeps(const char *text, unsigned count, const char *pairs)
{
    struct login *login = new_keeping();

    assert_int_equal(login_case_feed(login, text), LOGIN_MORE);
    assert_kept(login, count, pairs);
    login_free(&login);
}

static void what_a_client_says_of_itself_is_kept(void **state)
{
    (void)state;
    assert_keeps("a ID (\"name\" \"mutt\" \"OS\" NIL \"os\" nil)\r\n", 3,
                 "\"name\" \"mutt\" \"OS\" NIL \"os\" NIL");
    assert_keeps("a ID (\"name\" \"\" \"nil\" \"NIL\")\r\n", 2,
                 "\"name\" \"\" \"nil\" \"NIL\"");
    assert_keeps("a ID ()\r\n", 0, "");
    assert_keeps("a ID NIL\r\n", 0, "");
    assert_keeps("a NOOP\r\n", 0, "");
}

static void literals_are_kept_as_quoted_strings(void **state)
{
    (void)state;
    assert_keeps("a ID ({4+}\r\nname {6}\r\na \"b\\c \"os\" {0+}\r\n)\r\n", 2,
                 "\"name\" \"a \\\"b\\\\c\" \"os\" \"\"");
    assert_keeps("a ID (\"a\\\"\" \"\\\\\")\r\n", 1, "\"a\\\"\" \"\\\\\"");
}

static void what_only_a_proxy_may_say_is_dropped(void **state)
{
    static const char *const keys[] = {
        "x-originating-ip", "X-Originating-IP", "x-originating-port",
        "x-originating-",   "x-connected-ip",   "X-CONNECTED-PORT",
        "x-connected-name", "x-session-id",     "x-session-ext-id",
        "X-Session-ID",     "x-forward-user",   "x-forward-",
        "x-proxy-ttl",      "X-Proxy-Anything",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char text[128];

        snprintf(text, sizeof(text),
                 "a ID (\"a\" \"1\" \"%s\" \"10.0.0.1\" \"b\" \"2\")\r\n",
                 keys[i]);
        assert_keeps(text, 2, "\"a\" \"1\" \"b\" \"2\"");
        snprintf(text, sizeof(text), "a ID ({%zu+}\r\n%s {1+}\r\n9)\r\n",
                 strlen(keys[i]), keys[i]);
        assert_keeps(text, 0, "");
    }
}

static void names_that_only_look_alike_are_kept(void **state)
{
    (void)state;
    assert_keeps(
        "a ID (\"x-originatin\" \"1\" \"xx-proxy-ttl\" \"2\" \"x-proxy\" "
        "\"3\" \"x-sessions\" \"4\")\r\n",
        4,
        "\"x-originatin\" \"1\" \"xx-proxy-ttl\" \"2\" \"x-proxy\" "
        "\"3\" \"x-sessions\" \"4\"");
}

static void what_fits_no_quoted_string_is_dropped(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {LOGIN_CASE_BYTES("a ID (\"a\" {3+}\r\nx\ry \"b\" \"2\")\r\n")},
        {LOGIN_CASE_BYTES("a ID (\"a\" {3+}\r\nx\ny \"b\" \"2\")\r\n")},
        {LOGIN_CASE_BYTES("a ID (\"a\" {3+}\r\nx\0y \"b\" \"2\")\r\n")},
        {LOGIN_CASE_BYTES("a ID (\"a\" \"j\xc3\xb6\" \"b\" \"2\")\r\n")},
        {LOGIN_CASE_BYTES("a ID (\"a\" \"\x1b\" \"b\" \"2\")\r\n")},
        {LOGIN_CASE_BYTES("a ID (\"\x7f\" \"a\" \"b\" \"2\")\r\n")},
        {LOGIN_CASE_BYTES("a ID ({2+}\r\n\r\n NIL \"b\" \"2\")\r\n")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct login *login = new_keeping();

        assert_int_equal(
            login_case_feed_bytes(login, cases[i].bytes, cases[i].len),
            LOGIN_MORE);
        login_case_assert_output_begins(login, "* ID");
        assert_kept(login, 1, "\"b\" \"2\"");
        login_free(&login);
    }
}

static void no_more_than_24_pairs_are_kept(void **state)
{
    struct login *login = new_keeping();
    char line[8192];

    (void)state;
    write_id(line, 30, 3, 3);
    assert_int_equal(login_case_feed(login, line), LOGIN_MORE);

    assert_int_equal(login_client_id(login)->count, 24);
    assert_int_equal(login_client_id(login)->len, 24 * 12 - 1);
    login_free(&login);
}

static void no_more_than_2048_octets_are_kept(void **state)
{
    struct login *login = new_keeping();
    const struct login_id *id = login_client_id(login);
    char line[8192];

    (void)state;
    write_id(line, 3, 4, 673);
    assert_int_equal(login_case_feed(login, line), LOGIN_MORE);
    assert_int_equal(id->count, 3);
    assert_int_equal(id->len, 2048);
    write_id(line, 3, 4, 674);
    assert_int_equal(login_case_feed(login, line), LOGIN_MORE);
    assert_int_equal(id->count, 2);
    assert_int_equal(id->len, 2 * 683 + 1);
    login_free(&login);
}

static void the_last_id_is_the_one_that_counts(void **state)
{
    struct login *login = new_keeping();

    (void)state;
    assert_int_equal(login_case_feed(login, "a ID (\"a\" \"1\")\r\n"
                                            "b ID (\"b\" \"2\")\r\n"),
                     LOGIN_MORE);
    assert_kept(login, 1, "\"b\" \"2\"");
    assert_int_equal(login_case_feed(login, "c ID (\"c\" \"3\" x)\r\n"),
                     LOGIN_MORE);
    assert_kept(login, 1, "\"b\" \"2\"");
    assert_int_equal(login_case_feed(login, "d LOGIN u p\r\n"), LOGIN_TRY);
    assert_kept(login, 1, "\"b\" \"2\"");
    assert_int_equal(login_case_refuse(login, LOGIN_ANSWER_UNAVAILABLE),
                     LOGIN_MORE);
    assert_int_equal(login_case_feed(login, "e ID NIL\r\n"), LOGIN_MORE);
    assert_kept(login, 0, "");
    login_free(&login);
}

static void without_the_rule_nothing_is_kept(void **state)
{
    struct login *login = login_case_secure();

    (void)state;
    assert_int_equal(login_case_feed(login, "a ID (\"a\" \"1\")\r\n"),
                     LOGIN_MORE);

    assert_kept(login, 0, "");
    login_free(&login);
}

static void what_was_said_in_clear_is_forgotten(void **state)
{
    struct login_rules rules = login_case_rules();
    struct login *login;

    (void)state;
    rules.keeps_id = true;
    login = login_new(&rules, false);
    assert_int_equal(
        login_case_feed(login, "a ID (\"a\" \"1\" \"x-proxy-ttl\" \"3\")\r\n"),
        LOGIN_MORE);
    assert_kept(login, 1, "\"a\" \"1\"");
    assert_int_equal(login_proxy_ttl(login), 3);
    assert_int_equal(login_case_feed(login, "s STARTTLS\r\n"), LOGIN_STARTTLS);

    login_secured(login);

    assert_kept(login, 0, "");
    assert_int_equal(login_proxy_ttl(login), LOGIN_PROXY_TTL_NONE);
    login_free(&login);
}

static void assert_ttl(const char *text, unsigned ttl)
{
    struct login *login = login_case_secure();

    assert_int_equal(login_case_feed(login, text), LOGIN_MORE);
    assert_int_equal(login_proxy_ttl(login), ttl);
    login_free(&login);
}

static void the_smallest_ttl_is_heard(void **state)
{
    (void)state;
    assert_ttl("a NOOP\r\n", LOGIN_PROXY_TTL_NONE);
    assert_ttl("a ID (\"x-proxy-ttl\" \"0\")\r\n", 0);
    assert_ttl("a ID (\"a\" \"1\" \"X-Proxy-TTL\" {1+}\r\n4)\r\n", 4);
    assert_ttl("a ID (\"x-proxy-ttl\" \"5\" \"x-proxy-ttl\" \"3\")\r\n"
               "b ID (\"x-proxy-ttl\" \"4\")\r\nc ID NIL\r\n",
               3);
    assert_ttl("a ID (\"x-proxy-ttl\" \"999999999\")\r\n", 999999999);
}

static void a_ttl_that_is_no_number_is_not_heard(void **state)
{
    static const char *const values[] = {
        "NIL", "\"\"", "\"-1\"", "\"1 \"", "\"0x1\"", "\"1000000000\"", "\"a\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char text[128];

        snprintf(text, sizeof(text), "a ID (\"x-proxy-ttl\" %s)\r\n",
                 values[i]);
        assert_ttl(text, LOGIN_PROXY_TTL_NONE);
    }
    assert_ttl("a ID (\"x-proxy-ttl\" \"1\" x)\r\n", LOGIN_PROXY_TTL_NONE);
    assert_ttl("a ID (\"x-proxy-ttls\" \"1\")\r\n", LOGIN_PROXY_TTL_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(id_is_answered_and_its_pairs_are_dropped),
        cmocka_unit_test(id_is_bounded_as_its_rfc_says),
        cmocka_unit_test(a_malformed_id_is_bad),
        cmocka_unit_test(what_a_client_says_of_itself_is_kept),
        cmocka_unit_test(literals_are_kept_as_quoted_strings),
        cmocka_unit_test(what_only_a_proxy_may_say_is_dropped),
        cmocka_unit_test(names_that_only_look_alike_are_kept),
        cmocka_unit_test(what_fits_no_quoted_string_is_dropped),
        cmocka_unit_test(no_more_than_24_pairs_are_kept),
        cmocka_unit_test(no_more_than_2048_octets_are_kept),
        cmocka_unit_test(the_last_id_is_the_one_that_counts),
        cmocka_unit_test(without_the_rule_nothing_is_kept),
        cmocka_unit_test(what_was_said_in_clear_is_forgotten),
        cmocka_unit_test(the_smallest_ttl_is_heard),
        cmocka_unit_test(a_ttl_that_is_no_number_is_not_heard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
