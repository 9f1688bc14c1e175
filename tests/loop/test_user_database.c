/* Users in an SQLite database: what is found, and that what cannot be read is
 * no unknown user. */
#include "state/user_database.h"

#include "reasons_text.h"
#include "route_case.h"
#include "state/snapshot.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TABLE                                                                  \
    "CREATE TABLE users(user TEXT PRIMARY KEY, pool TEXT, hold INTEGER);"
#define ROWS                                                                   \
    "INSERT INTO users VALUES('a@x.test', 'p1', 0), ('b@x.test', 'p2', 1),"    \
    "('c@x.test', 'p3', 0), ('d@x.test', NULL, 0);"

struct world {
    char path[64];
    struct identity_rules rules;
    struct route_table *table;
    struct user_database *users;
    struct snapshot *snapshot;
    uv_loop_t loop;
    unsigned calls;
    enum user_answer answer;
    struct route route;
};

static struct identity identity_of(const struct world *world, const char *name)
{
    struct identity identity;

    assert_int_equal(identity_normalise(&world->rules, (const uint8_t *)name,
                                        strlen(name), &identity),
                     IDENTITY_OK);
    return identity;
}

static sqlite3 *write_database(const struct world *world, const char *text)
{
    sqlite3 *file;

    assert_int_equal(sqlite3_open(world->path, &file), SQLITE_OK);
    assert_int_equal(sqlite3_exec(file, text, NULL, NULL, NULL), SQLITE_OK);
    return file;
}

static int set_up(void **state)
{
    struct world *world = mem_zalloc(sizeof(*world));
    char text[1024];
    int fd;

    snprintf(world->path, sizeof(world->path), "/tmp/gp-users-XXXXXX");
    fd = mkstemp(world->path);
    assert_true(fd >= 0);
    close(fd);
    identity_rules_init(&world->rules);
    snprintf(text, sizeof(text),
             ROUTE_CASE_RULES("\"users\": {\"file\": \"%s\", "
                              "\"format\": \"sqlite\"}"),
             world->path);
    world->table = route_case_parse(text, "f", &world->rules, "");
    assert_non_null(world->table);
    assert_true(route_table_has_user_database(world->table));
    assert_int_equal(uv_loop_init(&world->loop), 0);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    if (world->snapshot == NULL) {
        user_database_free(&world->users);
        route_table_free(&world->table);
    }
    snapshot_unref(&world->snapshot);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    identity_rules_deinit(&world->rules);
    unlink(world->path);
    free(world);
    return 0;
}

static void open_users(struct world *world)
{
    struct reasons *reasons = reasons_new();

    world->users = user_database_open(world->table, "f", reasons);
    assert_non_null(world->users);
    assert_int_equal(reasons->count, 0);
    reasons_free(&reasons);
}

/* With all four rows. */
static void open_good_users(struct world *world)
{
    sqlite3_close(write_database(world, TABLE ROWS));
    open_users(world);
}

static enum user_answer ask(struct world *world, const char *name)
{
    struct identity identity = identity_of(world, name);

    return user_database_ask(world->users, &identity, &world->route);
}

static void rows_send_users_to_their_pools(void **state)
{
    struct world *world = *state;

    open_good_users(world);

    assert_int_equal(user_database_count(world->users), 4);
    assert_int_equal(ask(world, "A@x.test"), USER_FOUND);
    assert_string_equal(world->route.pool->name, "p1");
    assert_false(world->route.hold);
    assert_int_equal(ask(world, "b@x.test"), USER_FOUND);
    assert_string_equal(world->route.pool->name, "p2");
    assert_true(world->route.hold);
    assert_int_equal(ask(world, "e@x.test"), USER_UNKNOWN);
    assert_int_equal(ask(world, "' OR 1=1 --"), USER_UNKNOWN);
}

static void a_row_without_a_pool_of_ours_is_unavailable(void **state)
{
    struct world *world = *state;

    open_good_users(world);

    assert_int_equal(ask(world, "c@x.test"), USER_UNAVAILABLE);
    assert_int_equal(ask(world, "d@x.test"), USER_UNAVAILABLE);
}

static void a_hold_that_is_neither_yes_nor_no_is_unavailable(void **state)
{
    static const char *const none[] = {
        "'true'", "'yes'", "''", "2", "-1", "0.5", "x'01'", "4294967296"};
    struct world *world = *state;
    char text[128];

    open_good_users(world);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        snprintf(text, sizeof(text), "UPDATE users SET hold = %s", none[i]);
        sqlite3_close(write_database(world, text));
        assert_int_equal(ask(world, "a@x.test"), USER_UNAVAILABLE);
    }
    sqlite3_close(write_database(world, "UPDATE users SET hold = NULL"));
    assert_int_equal(ask(world, "a@x.test"), USER_FOUND);
    assert_false(world->route.hold);
    sqlite3_close(write_database(world, "UPDATE users SET hold = TRUE"));
    assert_int_equal(ask(world, "a@x.test"), USER_FOUND);
    assert_true(world->route.hold);
}

static void a_database_that_was_replaced_is_unavailable(void **state)
{
    struct world *world = *state;
    char former[80];

    open_good_users(world);
    snprintf(former, sizeof(former), "%s.former", world->path);
    assert_int_equal(rename(world->path, former), 0);
    assert_int_equal(ask(world, "a@x.test"), USER_UNAVAILABLE);
    sqlite3_close(write_database(world, TABLE));

    assert_int_equal(ask(world, "a@x.test"), USER_UNAVAILABLE);
    assert_int_equal(ask(world, "e@x.test"), USER_UNAVAILABLE);
    assert_int_equal(rename(former, world->path), 0);
    assert_int_equal(ask(world, "a@x.test"), USER_FOUND);
}

static void two_of_one_file_are_the_same(void **state)
{
    struct world *world = *state;
    struct user_database *first;

    open_good_users(world);
    first = world->users;
    open_users(world);
    assert_true(user_database_is_same(first, world->users));
    user_database_free(&world->users);
    unlink(world->path);
    open_good_users(world);

    assert_false(user_database_is_same(first, world->users));
    user_database_free(&first);
}

static void what_another_writes_is_seen_at_once(void **state)
{
    struct world *world = *state;

    open_good_users(world);
    assert_int_equal(ask(world, "a@x.test"), USER_FOUND);
    sqlite3_close(write_database(
        world, "UPDATE users SET pool = 'p2' WHERE user = 'a@x.test'"));

    assert_int_equal(ask(world, "a@x.test"), USER_FOUND);
    assert_string_equal(world->route.pool->name, "p2");
}

static void a_locked_database_is_no_unknown_user(void **state)
{
    struct world *world = *state;
    sqlite3 *writer;

    open_good_users(world);
    writer = write_database(world, "BEGIN EXCLUSIVE");

    assert_int_equal(ask(world, "a@x.test"), USER_UNAVAILABLE);
    assert_int_equal(ask(world, "e@x.test"), USER_UNAVAILABLE);
    sqlite3_close(writer);
    assert_int_equal(ask(world, "a@x.test"), USER_FOUND);
}

static void a_broken_database_is_no_unknown_user(void **state)
{
    struct world *world = *state;
    char garbage[8192];
    FILE *file;

    open_good_users(world);
    memset(garbage, 'x', sizeof(garbage));
    file = fopen(world->path, "r+");
    assert_non_null(file);
    assert_int_equal(fwrite(garbage, 1, sizeof(garbage), file),
                     sizeof(garbage));
    fclose(file);

    assert_int_equal(ask(world, "a@x.test"), USER_UNAVAILABLE);
    assert_int_equal(ask(world, "e@x.test"), USER_UNAVAILABLE);
}

static void assert_refused(struct world *world, const char *why)
{
    struct reasons *reasons = reasons_new();
    char expected[512];
    char *text;

    assert_null(user_database_open(world->table, "f", reasons));
    text = reasons_text(reasons);
    snprintf(expected, sizeof(expected),
             "f: $.users.file: found \"%s\" (%s), expected an SQLite database "
             "with a table users of user (its key), pool and hold\n",
             world->path, why);
    assert_string_equal(text, expected);
    free(text);
    reasons_free(&reasons);
}

static void what_is_no_such_database_is_refused(void **state)
{
    struct world *world = *state;
    FILE *file;

    assert_refused(world, "no such table: users");
    sqlite3_close(write_database(world, "CREATE TABLE users(user, pool)"));
    assert_refused(world, "no such column: hold");
    sqlite3_close(write_database(world,
                                 "DROP TABLE users;"
                                 "CREATE TABLE users(user, pool, hold)"));
    assert_refused(world,
                   "no key or index on user: each lookup would read all");
    file = fopen(world->path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < 2000; i++)
        fprintf(file, "no database");
    fclose(file);
    assert_refused(world, "file is not a database");
    unlink(world->path);
    assert_refused(world, "unable to open database file");
}

static void give_snapshot(struct world *world)
{
    world->snapshot = mem_zalloc(sizeof(*world->snapshot));
    atomic_init(&world->snapshot->refs, 1);
    world->snapshot->table = world->table;
    world->snapshot->users = world->users;
}

static void on_user(struct user_lookup *lookup, void *owner)
{
    struct world *world = owner;

    world->calls++;
    world->answer = user_lookup_answer(lookup, &world->route);
}

static struct user_lookup *start(struct world *world, const char *name)
{
    struct identity identity = identity_of(world, name);

    return user_lookup_start(world->snapshot, &world->loop, &identity, on_user,
                             world);
}

static void a_lookup_is_answered_on_the_loop(void **state)
{
    struct world *world = *state;

    open_good_users(world);
    give_snapshot(world);

    assert_non_null(start(world, "b@x.test"));
    assert_int_equal(world->calls, 0);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->calls, 1);
    assert_int_equal(world->answer, USER_FOUND);
    assert_string_equal(world->route.pool->name, "p2");
    assert_non_null(start(world, "e@x.test"));
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->answer, USER_UNKNOWN);
}

static void a_dropped_lookup_calls_nobody(void **state)
{
    struct world *world = *state;
    struct user_lookup *lookup;

    open_good_users(world);
    give_snapshot(world);
    lookup = start(world, "a@x.test");
    user_lookup_drop(&lookup);

    assert_null(lookup);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->calls, 0);
    user_lookup_drop(&lookup);
}

/* The session that asked may be gone, and a reload may have come. */
static void a_lookup_keeps_its_snapshot(void **state)
{
    struct world *world = *state;

    open_good_users(world);
    give_snapshot(world);

    assert_non_null(start(world, "a@x.test"));
    assert_int_equal(atomic_load(&world->snapshot->refs), 2);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(atomic_load(&world->snapshot->refs), 1);
}

/* While nothing can be read, all get an answer, and soon. */
static void too_many_lookups_are_answered_at_once(void **state)
{
    struct world *world = *state;
    unsigned started = 0;
    uint64_t since;
    sqlite3 *writer;

    open_good_users(world);
    give_snapshot(world);
    writer = write_database(world, "BEGIN EXCLUSIVE");
    while (start(world, "a@x.test") != NULL)
        started++;
    since = uv_hrtime();

    assert_in_range(started, USER_LOOKUPS_MAX, USER_LOOKUPS_MAX + 8);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->calls, started);
    assert_int_equal(world->answer, USER_UNAVAILABLE);
    assert_true(uv_hrtime() - since < UINT64_C(20000000000));
    sqlite3_close(writer);
    assert_non_null(start(world, "a@x.test"));
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->answer, USER_FOUND);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(rows_send_users_to_their_pools),
        CLAIM(a_row_without_a_pool_of_ours_is_unavailable),
        CLAIM(a_hold_that_is_neither_yes_nor_no_is_unavailable),
        CLAIM(a_database_that_was_replaced_is_unavailable),
        CLAIM(two_of_one_file_are_the_same),
        CLAIM(what_another_writes_is_seen_at_once),
        CLAIM(a_locked_database_is_no_unknown_user),
        CLAIM(a_broken_database_is_no_unknown_user),
        CLAIM(what_is_no_such_database_is_refused),
        CLAIM(a_lookup_is_answered_on_the_loop),
        CLAIM(a_dropped_lookup_calls_nobody),
        CLAIM(a_lookup_keeps_its_snapshot),
        CLAIM(too_many_lookups_are_answered_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
