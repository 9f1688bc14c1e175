/* Users in a file of their own: which bytes make a table, and what is said of
 * the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/route_table.h"
#include "reasons_text.h"
#include "route_case.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define TSV "\"users\": {\"file\": \"u.tsv\"}"
#define JSON "\"users\": {\"file\": \"u.json\"}"

/* The one file beside routes.json, and how it was asked for. */
struct other_file {
    const char *bytes; /* NULL: it cannot be read */
    size_t len;
    char path[64];
    char mention[64];
};

static bool read_other(void *owner, const char *path, const char *mention,
                       struct reasons *reasons, const uint8_t **bytes_out,
                       size_t *len_out)
{
    struct other_file *other = owner;

    (void)snprintf(other->path, sizeof(other->path), "%s", path);
    (void)snprintf(other->mention, sizeof(other->mention), "%s", mention);
    if (other->bytes == NULL) {
        reasons_add(reasons, REASON_ERROR, "d/f", mention, "no file", "one");
        return false;
    }
    *bytes_out = (const uint8_t *)other->bytes;
    *len_out = other->len;
    return true;
}

/* NULL when it was refused. The users are in a block of just their size, so
 * that sanitizers see a read past it. */
static struct route_table *parse(const char *routes, const char *users,
                                 size_t len, struct other_file *other,
                                 const char *expected)
{
    const struct route_files files = {.owner = other, .read = read_other};
    struct reasons *reasons = reasons_new();
    struct route_table *table = NULL;
    char *block = mem_alloc(len);

    if (users != NULL)
        memcpy(block, users, len);
    *other =
        (struct other_file){.bytes = users == NULL ? NULL : block, .len = len};

    bool is_good =
        route_table_parse_with((const uint8_t *)routes, strlen(routes), "d/f",
                               route_case_rules(), &files, &table, reasons);
    char *lines = reasons_text(reasons);

    if (expected != NULL)
        assert_string_equal(lines, expected);
    assert_int_equal(is_good, table != NULL);
    assert_int_equal(is_good, !reasons_has_errors(reasons));
    free(lines);
    free(block);
    reasons_free(&reasons);
    return table;
}

static struct route_table *parse_text(const char *members, const char *users,
                                      const char *expected)
{
    char routes[1024];
    struct other_file other;

    (void)snprintf(routes, sizeof(routes), ROUTE_CASE_RULES("%s"), members);
    return parse(routes, users, users == NULL ? 0 : strlen(users), &other,
                 expected);
}

static const char *pool_of(const struct route_table *table, const char *name,
                           bool is_held)
{
    struct identity identity;
    struct route route;

    assert_int_equal(identity_normalise(route_case_rules(),
                                        (const uint8_t *)name, strlen(name),
                                        &identity),
                     IDENTITY_OK);
    if (!route_table_find(table, &identity, &route))
        return "nowhere";
    assert_int_equal(route.kind, ROUTE_USER);
    assert_int_equal(route.hold, is_held);
    return route.pool->name;
}

static void lines_send_users_to_their_pools(void **state)
{
    static const char users[] = "# who is where\n"
                                "\n"
                                "a@x.test\tp1\n"
                                "B@X.TEST\tp2\r\n"
                                "\xc3\xa4 b\tp2\thold\n"
                                "c\tp2\n"
                                "# end 4\n";
    struct route_table *table = parse_text(TSV, users, "");

    (void)state;
    assert_non_null(table);
    assert_int_equal(route_table_user_count(table), 4);
    assert_string_equal(pool_of(table, "A@x.test", false), "p1");
    assert_string_equal(pool_of(table, "b@x.test", false), "p2");
    assert_string_equal(pool_of(table, "\xc3\xa4 b", true), "p2");
    assert_string_equal(pool_of(table, "c", false), "p2");
    assert_string_equal(pool_of(table, "# who is where", false), "nowhere");
    assert_string_equal(pool_of(table, "d", false), "nowhere");
    route_table_free(&table);
}

static void an_object_in_a_file_is_as_one_in_routes_json(void **state)
{
    struct route_table *table = parse_text(
        JSON ", \"domains\": {\"x.test\": \"p1\"}",
        "{\"a@x.test\": \"p1\", \"b\": {\"pool\": \"p2\", \"hold\": true}}",
        "");

    (void)state;
    assert_non_null(table);
    assert_int_equal(route_table_user_count(table), 2);
    assert_string_equal(pool_of(table, "a@x.test", false), "p1");
    assert_string_equal(pool_of(table, "b", true), "p2");
    route_table_free(&table);
}

static void the_path_is_beside_routes_json(void **state)
{
    struct other_file other;
    struct route_table *table =
        parse(ROUTE_CASE_RULES(TSV ", \"default\": \"p1\""), "# end 0",
              strlen("# end 0"), &other,
              "d/f: warning: $.pools.p2: found no rule that names it, "
              "expected one\n");

    (void)state;
    assert_non_null(table);
    assert_string_equal(other.path, "d/u.tsv");
    assert_string_equal(other.mention, "$.users.file");
    assert_string_equal(route_table_users_file(table), "d/u.tsv");
    route_table_free(&table);
}

static void users_in_routes_json_have_no_file(void **state)
{
    struct route_table *table =
        parse_text("\"users\": {\"file\": \"p1\", \"x\": \"p2\"}", NULL, "");

    (void)state;
    assert_non_null(table);
    assert_null(route_table_users_file(table));
    assert_string_equal(pool_of(table, "file", false), "p1");
    route_table_free(&table);
    table = parse_text("\"users\": {\"file\": {\"pool\": \"p2\"}}, "
                       "\"default\": \"p1\"",
                       NULL, "");
    assert_non_null(table);
    assert_string_equal(pool_of(table, "file", false), "p2");
    route_table_free(&table);
}

static void the_format_may_be_said(void **state)
{
    static const struct {
        const char *member;
        const char *users;
    } cases[] = {
        {"{\"file\": \"u\", \"format\": \"tsv\"}", "a\tp1\n# end 1\n"},
        {"{\"file\": \"u.json\", \"format\": \"tsv\"}", "a\tp1\n# end 1\n"},
        {"{\"file\": \"u.tsv\", \"format\": \"json\"}", "{\"a\": \"p1\"}"},
    };
    char members[128];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        (void)snprintf(members, sizeof(members),
                       "\"users\": %s, \"default\": \"p2\"", cases[i].member);

        struct route_table *table = parse_text(members, cases[i].users, "");

        assert_non_null(table);
        assert_int_equal(route_table_user_count(table), 1);
        route_table_free(&table);
    }
}

struct refusal {
    const char *bytes;
    const char *reason;
};

/* Both pools are named, lest they were warned of; errors hush warnings. */
static void assert_refused(const char *members, const struct refusal *refusals,
                           size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_null(parse_text(members, refusals[i].bytes, refusals[i].reason));
}

/* Its rows may name any pool. */
static void a_database_is_named_and_not_read(void **state)
{
    static const char *const members[] = {
        "\"users\": {\"file\": \"u.sqlite\"}",
        "\"users\": {\"file\": \"u.sqlite\", \"format\": \"sqlite\"}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(members); i++) {
        struct route_table *table = parse_text(members[i], NULL, "");
        struct route route;

        assert_non_null(table);
        assert_true(route_table_has_user_database(table));
        assert_string_equal(route_table_users_file(table), "d/u.sqlite");
        assert_true(route_table_user_route(table, "p2", true, &route));
        assert_string_equal(route.pool->name, "p2");
        assert_true(route.hold && route.kind == ROUTE_USER);
        assert_false(route_table_user_route(table, "p", false, &route));
        route_table_free(&table);
    }
}

static void bad_references_are_refused(void **state)
{
    static const struct refusal refusals[] = {
        {"\"users\": {\"file\": \"u\"}",
         "d/f: $.users.file: found \"u\", expected a name that ends in .json, "
         ".tsv or .sqlite, or \"format\" beside it\n"},
        {"\"users\": {\"file\": \"\", \"format\": \"tsv\"}",
         "d/f: $.users.file: found \"\", expected text of 1 to 4095 "
         "characters\n"},
        {"\"users\": {\"file\": \"u\", \"format\": \"csv\"}",
         "d/f: $.users.format: found \"csv\", expected \"json\", \"tsv\" or "
         "\"sqlite\"\n"},
        {"\"users\": {\"file\": \"u.tsv\", \"format\": 1}",
         "d/f: $.users.format: found 1, expected \"json\", \"tsv\" or "
         "\"sqlite\"\n"},
        {"\"users\": {\"file\": \"u.tsv\", \"fromat\": \"tsv\"}",
         "d/f: $.users.file: found \"u.tsv\", expected the name of a pool\n"
         "d/f: $.users.fromat: found \"tsv\", expected the name of a pool\n"},
        {"\"users\": {\"file\": \"u.tsv\"}",
         "d/f: $.users.file: found no file, expected one\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++)
        assert_null(parse_text(refusals[i].bytes, NULL, refusals[i].reason));
}

static void bad_lines_are_refused_by_their_number(void **state)
{
    static const struct refusal refusals[] = {
        {"a\tp1\nb p2\n# end 2\n",
         "d/u.tsv:2:1: found \"b p2\", expected a user, a tab and the name of "
         "a pool\n"},
        {"a\tp1\nb\tp\n# end 2\n",
         "d/u.tsv:2:3: found \"p\", expected the pool \"p1\"\n"},
        {"a\tp1\nb\t\n# end 2\n",
         "d/u.tsv:2:3: found \"\", expected the name of a pool\n"},
        {"a\tp1 \n# end 1\n",
         "d/u.tsv:1:3: found \"p1 \", expected the pool \"p1\"\n"},
        {"a\tp1\thold\tx\n# end 1\n",
         "d/u.tsv:1:6: found \"hold\\x09x\", expected \"hold\" or the end of "
         "the line\n"},
        {"a\tp1\thole\n# end 1\n",
         "d/u.tsv:1:6: found \"hole\", expected \"hold\" or the end of the "
         "line\n"},
        {"a\tp1\t\n# end 1\n",
         "d/u.tsv:1:6: found \"\", expected \"hold\" or the end of the line\n"},
        {"\tp1\n# end 1\n",
         "d/u.tsv:1:1: found this name, expected a user name of 1 to 512 "
         "bytes, without control characters and without a master user\n"},
        {"a\x01\tp1\n# end 1\n",
         "d/u.tsv:1:1: found this name, expected a user name of 1 to 512 "
         "bytes, without control characters and without a master user\n"},
        {"# a\na\tp1\nb\tp2\n\nA\tp2\n# end 3\n",
         "d/u.tsv:5:1: found \"A\", the same name as in line 2, expected each "
         "name once\n"},
        {"\xef\xbb\xbf"
         "a\tp1\n# end 1\n",
         "d/u.tsv:1:1: found a byte order mark, expected UTF-8 without one\n"},
    };

    (void)state;
    assert_refused(TSV, refusals, COUNT(refusals));
}

static void a_file_without_its_end_was_cut(void **state)
{
    static const struct refusal refusals[] = {
        {"", "d/u.tsv:1:1: found the end of the file, expected \"# end\" and "
             "the number of users: the file was cut\n"},
        {"a\tp1\n",
         "d/u.tsv:2:1: found the end of the file, expected \"# end\" and the "
         "number of users: the file was cut\n"},
        {"a\tp1\n# end \n",
         "d/u.tsv:3:1: found the end of the file, expected \"# end\" and the "
         "number of users: the file was cut\n"},
        {"# end 00\n", "d/u.tsv:1:1: found \"# end 00\", expected \"# end 0\", "
                       "the number of users above it\n"},
        {"# end 0 of it\n",
         "d/u.tsv:1:1: found \"# end 0 of it\", expected \"# end 0\", the "
         "number of users above it\n"},
        {"a\tp1\n# end of it\n",
         "d/u.tsv:3:1: found the end of the file, expected \"# end\" and the "
         "number of users: the file was cut\n"},
        {"a\tp1\n# end 2\n",
         "d/u.tsv:2:1: found \"# end 2\", expected \"# end 1\", the number "
         "of users above it\n"},
        {"a\tp1\n# end 18446744073709551617\n",
         "d/u.tsv:2:1: found \"# end 18446744073709551617\", expected \"# end "
         "1\", the number of users above it\n"},
        {"a\tp1\n# end 1\nb\tp2\nc\tp2\n# end 2\n",
         "d/u.tsv:3:1: found more text, expected nothing behind \"# end\"\n"},
    };

    (void)state;
    assert_refused(TSV, refusals, COUNT(refusals));
}

static void every_cut_is_noticed(void **state)
{
    static const char users[] = "a@x.test\tp1\nb\tp1\thold\nc\tp1\nd\tp1\n"
                                "e\tp1\nf\tp1\ng\tp1\nh\tp1\ni\tp1\nj\tp1\n"
                                "# end 10\n";
    size_t whole = strlen(users);
    struct other_file other;

    (void)state;
    for (size_t len = 0; len <= whole; len++) {
        struct route_table *table =
            parse(ROUTE_CASE_RULES(TSV ", \"default\": \"p2\""), users, len,
                  &other, NULL);

        /* The last line's end alone may be missing. */
        assert_int_equal(table != NULL, len + 1 >= whole);
        route_table_free(&table);
    }
}

static void bad_objects_in_a_file_are_told_by_its_name(void **state)
{
    static const struct refusal refusals[] = {
        {"[]", "d/u.json: $: found an empty list, expected an object of "
               "users\n"},
        {"{\"a\": \"p1\"", "d/u.json:1:10: $.a: found the end of the file, "
                           "expected the rest of the JSON text\n"},
        {"{\"a\": \"p\"}",
         "d/u.json: $.a: found \"p\", expected the pool \"p1\"\n"},
        {"{\"a\": \"p1\", \"A\": \"p1\"}",
         "d/u.json: $.A: found the same name as \"a\", expected each name "
         "once\n"},
        {"{\"file\": \"u.json\"}",
         "d/u.json: $.file: found \"u.json\", expected the name of a pool\n"},
    };

    (void)state;
    assert_refused(JSON, refusals, COUNT(refusals));
}

static void login_as_in_a_file_is_found_there(void **state)
{
    struct route_table *table =
        parse_text(JSON ", \"default\": \"p2\"",
                   "{\"a\": {\"pool\": \"p1\", \"login_as\": \"x\"}}", "");

    (void)state;
    assert_non_null(table);
    assert_string_equal(route_table_login_as_path(table), "$.a.login_as");
    assert_string_equal(route_table_login_as_file(table), "d/u.json");
    route_table_free(&table);
}

/* Each search goes through the file. */
static void equal_names_are_searched_for_a_few_times_only(void **state)
{
    struct other_file other = {
        .bytes = "a\tp1\na\tp1\na\tp1\na\tp1\na\tp1\na\tp1\na\tp1\na\tp1\n"
                 "a\tp1\na\tp1\na\tp1\na\tp1\na\tp1\na\tp1\na\tp1\na\tp1\n"
                 "a\tp1\na\tp1\n# end 18\n"};
    const struct route_files files = {.owner = &other, .read = read_other};
    struct reasons *reasons = reasons_new();
    struct route_table *table = NULL;

    (void)state;
    other.len = strlen(other.bytes);
    assert_false(route_table_parse_with(
        (const uint8_t *)ROUTE_CASE_RULES(TSV), strlen(ROUTE_CASE_RULES(TSV)),
        "d/f", route_case_rules(), &files, &table, reasons));
    assert_int_equal(reasons->errors, 17);
    assert_string_equal(reasons->items[15].found,
                        "\"a\", the same name as in line 1");
    assert_string_equal(reasons->items[16].found,
                        "\"a\", the same name as before");
    reasons_free(&reasons);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_send_users_to_their_pools),
        cmocka_unit_test(an_object_in_a_file_is_as_one_in_routes_json),
        cmocka_unit_test(the_path_is_beside_routes_json),
        cmocka_unit_test(users_in_routes_json_have_no_file),
        cmocka_unit_test(the_format_may_be_said),
        cmocka_unit_test(a_database_is_named_and_not_read),
        cmocka_unit_test(bad_references_are_refused),
        cmocka_unit_test(bad_lines_are_refused_by_their_number),
        cmocka_unit_test(a_file_without_its_end_was_cut),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(bad_objects_in_a_file_are_told_by_its_name),
        cmocka_unit_test(login_as_in_a_file_is_found_there),
        cmocka_unit_test(equal_names_are_searched_for_a_few_times_only),
    };

    return cmocka_run_group_tests(tests, route_case_set_up,
                                  route_case_tear_down);
}
