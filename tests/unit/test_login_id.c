/* ID before the login. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(id_is_answered_and_its_pairs_are_dropped),
        cmocka_unit_test(id_is_bounded_as_its_rfc_says),
        cmocka_unit_test(a_malformed_id_is_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
