/* Secrets of master users: whose they are, and what is none. */
#include "state/master_logins.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "memory_files.h"
#include "reasons_text.h"
#include "route_case.h"

#define ROUTES "/gp/routes.json"
#define OWN "/gp/s/own"
#define POOLS "/gp/s/pool"

/* "own" has a master, so has pool "p", and pool "q" has none. */
static const char routes_json[] =
    "{\"backends\": {"
    "   \"own\": {\"host\": \"::1\", \"port\": 1, \"tls\": \"none\","
    "     \"master\": {\"user\": \"root\", \"secret\": \"s/own\"}},"
    "   \"bare\": {\"host\": \"::1\", \"port\": 2, \"tls\": \"none\"}},"
    " \"pools\": {"
    "   \"q\": {\"backends\": [\"own\", \"bare\"]},"
    "   \"p\": {\"backends\": [\"own\", \"bare\"],"
    "     \"master\": {\"user\": \"gate\", \"secret\": \"s/pool\"}}},"
    " \"users\": {\"a\": \"q\"}, \"default\": \"p\"}";

struct world {
    struct memory_files *files;
    struct route_table *table;
    struct master_logins *logins;
    char *text; /* of the reasons, after load */
};

static int set_up(void **state)
{
    struct world *world = mem_zalloc(sizeof(*world));
    struct identity_rules rules;

    identity_rules_init(&rules);
    world->table = route_case_parse(routes_json, ROUTES, &rules, "");
    identity_rules_deinit(&rules);
    assert_non_null(world->table);
    world->files = memory_files_new();
    memory_files_put(world->files, OWN, "own secret");
    memory_files_put(world->files, POOLS, "pool secret");
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    master_logins_free(&world->logins);
    route_table_free(&world->table);
    memory_files_free(&world->files);
    free(world->text);
    free(world);
    return 0;
}

/* Whether the secrets are taken. */
static bool load(struct world *world)
{
    struct reasons *reasons = reasons_new();

    master_logins_free(&world->logins);
    free(world->text);
    world->logins = master_logins_load(memory_files_source(world->files),
                                       ROUTES, world->table, reasons);
    world->text = reasons_text(reasons);
    assert_int_equal(world->logins == NULL, reasons_has_errors(reasons));
    reasons_free(&reasons);
    return world->logins != NULL;
}

enum {
    POOL_Q,
    POOL_P
};
enum {
    BACKEND_OWN,
    BACKEND_BARE
};

static const struct master_login *find(const struct world *world, size_t pool,
                                       size_t backend)
{
    size_t count;

    return master_logins_find(
        world->logins, &route_table_pools(world->table, &count)[pool],
        &route_table_backends(world->table, &count)[backend]);
}

static void assert_login(const struct master_login *login, const char *user,
                         const char *secret)
{
    assert_non_null(login);
    assert_string_equal(login->user, user);
    assert_int_equal(login->secret_len, strlen(secret));
    assert_memory_equal(login->secret, secret, login->secret_len);
}

static void assert_refuses(struct world *world, const char *content, size_t len,
                           const char *found)
{
    char line[256];

    memory_files_put_pem(world->files, OWN,
                         (struct pem_file){OWN, (const uint8_t *)content, len});
    snprintf(line, sizeof(line),
             ROUTES ": $.backends.own.master.secret: found %s, expected a file "
                    "of one line, the secret, that only its user and group "
                    "may read\n",
             found);

    assert_false(load(world));

    assert_string_equal(world->text, line);
}

static void the_backends_own_master_goes_first(void **state)
{
    struct world *world = *state;

    assert_true(load(world));

    assert_login(find(world, POOL_P, BACKEND_OWN), "root", "own secret");
    assert_login(find(world, POOL_Q, BACKEND_OWN), "root", "own secret");
}

static void a_pools_master_is_of_its_other_backends(void **state)
{
    struct world *world = *state;

    assert_true(load(world));

    assert_login(find(world, POOL_P, BACKEND_BARE), "gate", "pool secret");
}

static void a_backend_without_any_has_no_master(void **state)
{
    struct world *world = *state;

    assert_true(load(world));

    assert_null(find(world, POOL_Q, BACKEND_BARE));
}

/* The table of above, with a probe user where there is no master. */
static void add_probe(struct world *world)
{
    struct identity_rules rules;

    route_table_free(&world->table);
    identity_rules_init(&rules);
    world->table = route_case_parse(
        "{\"backends\": {"
        "   \"own\": {\"host\": \"::1\", \"port\": 1, \"tls\": \"none\"},"
        "   \"bare\": {\"host\": \"::1\", \"port\": 2, \"tls\": \"none\","
        "     \"probe\": {\"user\": \"look\", \"secret\": \"s/pool\"}}},"
        " \"pools\": {\"p\": {\"backends\": [\"own\", \"bare\"]}},"
        " \"default\": \"p\"}",
        ROUTES, &rules, "");
    identity_rules_deinit(&rules);
}

static const struct master_login *find_probe(const struct world *world,
                                             size_t backend)
{
    size_t count;

    return master_logins_probe(
        world->logins, &route_table_backends(world->table, &count)[backend]);
}

static void a_probe_user_is_its_backends_only(void **state)
{
    struct world *world = *state;

    add_probe(world);
    assert_true(load(world));

    assert_login(find_probe(world, BACKEND_BARE), "look", "pool secret");
    assert_null(find_probe(world, BACKEND_OWN));
    assert_null(find(world, 0, BACKEND_BARE));
}

static void a_probes_secret_is_checked_as_a_masters(void **state)
{
    struct world *world = *state;

    add_probe(world);
    memory_files_expose(world->files, POOLS);

    assert_false(load(world));

    assert_string_equal(
        world->text,
        ROUTES ": $.backends.bare.probe.secret: found a file that everybody "
               "may read, expected a file of one line, the secret, that only "
               "its user and group may read\n");
}

static void a_table_without_masters_reads_nothing(void **state)
{
    struct world *world = *state;
    struct identity_rules rules;

    route_table_free(&world->table);
    identity_rules_init(&rules);
    world->table = route_case_parse(
        ROUTE_CASE_POOL("\"backends\": [\"b1\", \"b2\"]"), ROUTES, &rules, "");
    identity_rules_deinit(&rules);

    assert_true(load(world));

    assert_null(find(world, 0, 1));
    assert_int_equal(memory_files_reads(world->files, OWN), 0);
}

static void one_line_end_behind_a_secret_is_cut(void **state)
{
    static const char *const contents[] = {"own secret\n", "own secret\r\n"};
    struct world *world = *state;

    for (size_t i = 0; i < 2; i++) {
        memory_files_put(world->files, OWN, contents[i]);

        assert_true(load(world));

        assert_login(find(world, POOL_P, BACKEND_OWN), "root", "own secret");
    }
}

static void a_secret_keeps_its_other_bytes(void **state)
{
    static const char secret[] = " \t\xff\"\\{user} ";
    struct world *world = *state;

    memory_files_put(world->files, OWN, secret);

    assert_true(load(world));

    assert_login(find(world, POOL_P, BACKEND_OWN), "root", secret);
}

/* threats.md, H8 */
static void an_empty_secret_is_refused(void **state)
{
    assert_refuses(*state, "", 0, "an empty file");
    assert_refuses(*state, "\n", 1, "an empty file");
    assert_refuses(*state, "\r\n", 2, "an empty file");
}

static void a_secret_of_several_lines_is_refused(void **state)
{
    assert_refuses(*state, "a\nb", 3, "more than one line");
    assert_refuses(*state, "a\n\n", 3, "more than one line");
    assert_refuses(*state, "a\rb", 3, "more than one line");
    assert_refuses(*state, "a\r", 2, "more than one line");
}

static void a_nul_in_a_secret_is_refused(void **state)
{
    assert_refuses(*state, "a\0b", 3, "a NUL byte");
    assert_refuses(*state, "a\0\n", 3, "a NUL byte");
}

static void a_secret_has_1024_bytes_at_most(void **state)
{
    struct world *world = *state;
    char secret[1026];

    memset(secret, 'x', sizeof(secret));
    assert_refuses(world, secret, 1025, "more than 1024 bytes");

    secret[1024] = '\n';
    secret[1025] = '\0';
    memory_files_put(world->files, OWN, secret);

    assert_true(load(world));
    assert_int_equal(find(world, POOL_P, BACKEND_OWN)->secret_len, 1024);
}

static void a_secret_that_everybody_may_read_is_refused(void **state)
{
    struct world *world = *state;

    memory_files_expose(world->files, OWN);

    assert_refuses(world, "own secret", 10, "a file that everybody may read");
}

static void a_missing_secret_is_told_where_it_is_named(void **state)
{
    struct world *world = *state;

    memory_files_remove(world->files, OWN);
    memory_files_break(world->files, POOLS, EACCES);

    assert_false(load(world));

    assert_string_equal(
        world->text,
        ROUTES ": $.backends.own.master.secret: found \"" OWN
               "\" (No such file or directory), expected a file that can be "
               "read\n" ROUTES ": $.pools.p.master.secret: found \"" POOLS
               "\" (Permission denied), expected a file that can be read\n");
}

/* The reason quotes what stands in a file of config, never this. */
static void no_reason_tells_a_secret(void **state)
{
    struct world *world = *state;

    memory_files_put(world->files, OWN, "hush\nhush");
    memory_files_expose(world->files, POOLS);

    assert_false(load(world));

    assert_null(strstr(world->text, "hush"));
    assert_null(strstr(world->text, "pool secret"));
}

#define CLAIM(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(the_backends_own_master_goes_first),
        CLAIM(a_pools_master_is_of_its_other_backends),
        CLAIM(a_backend_without_any_has_no_master),
        CLAIM(a_probe_user_is_its_backends_only),
        CLAIM(a_probes_secret_is_checked_as_a_masters),
        CLAIM(a_table_without_masters_reads_nothing),
        CLAIM(one_line_end_behind_a_secret_is_cut),
        CLAIM(a_secret_keeps_its_other_bytes),
        CLAIM(an_empty_secret_is_refused),
        CLAIM(a_secret_of_several_lines_is_refused),
        CLAIM(a_nul_in_a_secret_is_refused),
        CLAIM(a_secret_has_1024_bytes_at_most),
        CLAIM(a_secret_that_everybody_may_read_is_refused),
        CLAIM(a_missing_secret_is_told_where_it_is_named),
        CLAIM(no_reason_tells_a_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
