/* What becomes of the files: a snapshot, or every reason why not. */
#include "state/snapshot.h"

#include "certificates.h"
#include "memory_files.h"
#include "reasons_text.h"
#include "state/link_targets.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CONFIG "/gp/gatepost.json"
#define ROUTES "/gp/routes.json"

static const char settings_json[] =
    "{\"listeners\": [{\"address\": \"*\", \"port\": 993,"
    "                  \"tls\": \"implicit\"}],"
    " \"tls\": {\"certificates\": [{\"chain\": \"tls.pem\","
    "                              \"key\": \"tls.key\"}]},"
    " \"timeouts\": {\"user_timeout\": 167,"
    "                \"keepalive\": {\"idle\": 11, \"interval\": 12,"
    "                                \"count\": 13}},"
    " \"routes\": \"routes.json\"}";

static const char folder_json[] =
    "{\"listeners\": [{\"address\": \"*\", \"port\": 993,"
    "                  \"tls\": \"implicit\"}],"
    " \"tls\": {\"certificates\": [{\"directory\": \"live\"}]},"
    " \"routes\": \"routes.json\"}";

static const char tickets_json[] =
    "{\"listeners\": [{\"address\": \"*\", \"port\": 993,"
    "                  \"tls\": \"implicit\"}],"
    " \"tls\": {\"certificates\": [{\"chain\": \"tls.pem\","
    "                              \"key\": \"tls.key\"}],"
    "           \"ticket_keys\": [\"ticket.key\"]},"
    " \"routes\": \"routes.json\"}";

static const char routes_json[] =
    "{\"backends\": {"
    "   \"a\": {\"host\": \"a.test\", \"port\": 993, \"tls\": \"implicit\","
    "         \"ca\": \"ca.pem\"},"
    "   \"b\": {\"host\": \"b.test\", \"port\": 143, \"tls\": \"starttls\","
    "         \"ca\": \"ca.pem\", \"certificate\": \"us.pem\","
    "         \"key\": \"us.key\"},"
    "   \"c\": {\"host\": \"127.0.0.1\", \"port\": 143, \"tls\": \"none\"}},"
    " \"pools\": {\"p\": {\"backends\": [\"a\", \"b\"]},"
    "             \"q\": {\"backends\": [\"c\"]}},"
    " \"users\": {\"bob@x.test\": \"q\"},"
    " \"default\": \"p\"}";

struct world {
    struct memory_files *files;
    struct backend_registry *registry;
    struct ticket_keys *tickets;
    struct reasons *reasons;
    char *text; /* of the reasons, after load */
    struct reaper *reaper;
    bool may_shrink; /* at a reload, whatever its settings say */
    struct test_certificate *authority;
    struct test_certificate *leaf;
    struct test_certificate *other;
};

static struct test_certificate *make_leaf(const char *name, enum test_key key)
{
    const struct test_recipe recipe = {.dns = {name}, .key = key};

    return test_certificate_new(&recipe);
}

static void put_pair(struct world *world, const char *chain, const char *key,
                     const struct test_certificate *certificate)
{
    memory_files_put_pem(world->files, chain,
                         test_chain_file(certificate, chain));
    memory_files_put_pem(world->files, key, test_key_file(certificate, key));
}

static void put_files(struct world *world)
{
    memory_files_put(world->files, CONFIG, settings_json);
    memory_files_put(world->files, ROUTES, routes_json);
    put_pair(world, "/gp/tls.pem", "/gp/tls.key", world->leaf);
    put_pair(world, "/gp/us.pem", "/gp/us.key", world->leaf);
    memory_files_put_pem(world->files, "/gp/ca.pem",
                         test_anchor_file(world->authority, "ca"));
}

static int set_up(void **state)
{
    struct world *world = mem_zalloc(sizeof(*world));

    world->files = memory_files_new();
    world->may_shrink = true; /* these tables are small */
    world->registry = backend_registry_new();
    world->tickets = ticket_keys_new(0);
    world->authority = test_certificate_new(
        &(struct test_recipe){.common_name = "ca", .is_authority = true});
    world->leaf = make_leaf("leaf.test", TEST_KEY_P256);
    world->other = make_leaf("other.test", TEST_KEY_OTHER_P256);
    put_files(world);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    test_certificate_free(&world->authority);
    test_certificate_free(&world->leaf);
    test_certificate_free(&world->other);
    reaper_free(&world->reaper);
    reasons_free(&world->reasons);
    free(world->text);
    ticket_keys_unref(&world->tickets);
    backend_registry_free(&world->registry);
    memory_files_free(&world->files);
    free(world);
    return 0;
}

static struct snapshot *load_after(struct world *world,
                                   const struct snapshot *former)
{
    const struct snapshot_parts parts = {
        .files = memory_files_source(world->files),
        .registry = world->registry,
        .tickets = world->tickets,
        .reaper = world->reaper,
        .former = former,
        .may_shrink = world->may_shrink,
    };
    struct snapshot *snapshot;

    reasons_free(&world->reasons);
    free(world->text);
    world->reasons = reasons_new();
    snapshot = snapshot_load(CONFIG, &parts, world->reasons);
    world->text = reasons_text(world->reasons);
    return snapshot;
}

static struct snapshot *load(struct world *world)
{
    return load_after(world, NULL);
}

static void assert_tells(const struct world *world, const char *line)
{
    if (strstr(world->text, line) == NULL)
        fail_msg("nobody tells:\n%s\nbut:\n%s", line, world->text);
}

static void assert_loads_silently(struct world *world)
{
    struct snapshot *snapshot = load(world);

    assert_non_null(snapshot);
    assert_string_equal(world->text, "");
    snapshot_unref(&snapshot);
}

static void assert_refuses(struct world *world, const char *line)
{
    assert_null(load(world));
    assert_true(reasons_has_errors(world->reasons));
    assert_tells(world, line);
}

/* What a snapshot holds. */

static void snapshot_holds_what_the_files_say(void **state)
{
    struct world *world = *state;

    struct snapshot *snapshot = load(world);

    assert_non_null(snapshot);
    assert_string_equal(world->text, "");
    assert_int_equal(snapshot->settings->listener_count, 1);
    assert_non_null(snapshot->tls);
    assert_int_equal(snapshot->certificate_count, 1);
    assert_int_equal(snapshot->target_count, 3);
    assert_int_equal(snapshot->keepalive.idle_s, 11);
    assert_int_equal(snapshot->keepalive.interval_s, 12);
    assert_int_equal(snapshot->keepalive.count, 13);
    assert_int_equal(snapshot->keepalive.user_timeout_ms, 167000);
    snapshot_unref(&snapshot);
}

static void snapshot_finds_the_route_of_a_user(void **state)
{
    struct world *world = *state;
    struct snapshot *snapshot = load(world);
    struct identity identity;
    struct route route;

    assert_int_equal(identity_normalise(&snapshot->settings->auth.identity,
                                        (const uint8_t *)"Bob@X.test", 10,
                                        &identity),
                     IDENTITY_OK);

    assert_true(snapshot_find_route(snapshot, &identity, &route));

    assert_int_equal(route.kind, ROUTE_USER);
    assert_string_equal(route.pool->name, "q");
    snapshot_unref(&snapshot);
}

static void targets_belong_to_the_backends_of_the_table(void **state)
{
    struct world *world = *state;
    struct snapshot *snapshot = load(world);
    size_t count;
    const struct backend_config *configs =
        route_table_backends(snapshot->table, &count);

    for (size_t i = 0; i < count; i++) {
        const struct link_target *target =
            snapshot_target(snapshot, &configs[i]);

        assert_ptr_equal(target->config, &configs[i]);
        assert_string_equal(backend_name(target->facts), configs[i].name);
        assert_int_equal(target->tls != NULL,
                         configs[i].tls != BACKEND_TLS_NONE);
    }
    snapshot_unref(&snapshot);
}

static void facts_of_a_backend_outlive_the_snapshot_before(void **state)
{
    struct world *world = *state;
    struct snapshot *former = load(world);
    struct snapshot *snapshot = load_after(world, former);
    struct backend *facts = former->targets[0].facts;

    snapshot_unref(&former);

    assert_ptr_equal(snapshot->targets[0].facts, facts);
    snapshot_unref(&snapshot);
}

static void snapshot_lives_as_long_as_a_reference(void **state)
{
    struct world *world = *state;
    struct snapshot *snapshot = load(world);
    struct snapshot *reference = snapshot_ref(snapshot);

    snapshot_unref(&snapshot);

    assert_null(snapshot);
    assert_int_equal(reference->target_count, 3);
    snapshot_unref(&reference);
    snapshot_unref(&reference); /* NULL is accepted */
}

/* What may be wrong. */

static void a_missing_config_file_is_told_in_the_systems_words(void **state)
{
    struct world *world = *state;

    memory_files_remove(world->files, CONFIG);

    assert_refuses(world, CONFIG ": found No such file or directory, expected "
                                 "a file that can be read\n");
}

static void a_missing_table_is_told_where_it_is_named(void **state)
{
    struct world *world = *state;

    memory_files_break(world->files, ROUTES, EACCES);

    assert_refuses(world, CONFIG ": $.routes: found \"" ROUTES
                                 "\" (Permission denied), expected a file "
                                 "that can be read\n");
}

static void faults_of_all_files_are_told_at_once(void **state)
{
    struct world *world = *state;

    memory_files_remove(world->files, "/gp/tls.pem");
    memory_files_break(world->files, "/gp/tls.key", EIO);
    memory_files_remove(world->files, "/gp/ca.pem");
    memory_files_put(world->files, "/gp/us.key", "no key");

    assert_null(load(world));

    assert_tells(world, CONFIG ": $.tls.certificates[0].chain: found "
                               "\"/gp/tls.pem\" (No such file or directory)");
    assert_tells(world, CONFIG ": $.tls.certificates[0].key: found "
                               "\"/gp/tls.key\" (Input/output error)");
    assert_tells(world, ROUTES ": $.backends.a.ca: found \"/gp/ca.pem\" "
                               "(No such file or directory)");
    assert_tells(world, "/gp/us.key: ");
}

/* Each is a fault of the settings, and must not hide that of the table. */
static void faults_of_settings_hide_none_of_other_files(void **state)
{
    static const char *const settings[] = {
        "{\"routes\": \"routes.json\"}",
        "{\"routes\": \"routes.json\", \"tls\": 3, \"auth\": 3}",
        "{\"routes\": \"routes.json\", \"tls\": {\"certificates\": []}}",
        "{\"routes\": \"routes.json\", \"tls\": {\"certificates\": [3]}}",
        "{\"routes\": \"routes.json\","
        " \"tls\": {\"certificates\": [{\"chain\": \"x\"}, {}]}}",
        "{\"routes\": \"routes.json\","
        " \"tls\": {\"certificates\": [{\"key\": \"x\"}]},"
        " \"auth\": {\"username\": {\"case\": \"x\","
        "   \"default_domain\": 3, \"separators\": 3}}}"};
    struct world *world = *state;

    memory_files_put(world->files, ROUTES, "{\"pools\": 3}");
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        memory_files_put(world->files, CONFIG, settings[i]);

        assert_null(load(world));

        assert_tells(world, CONFIG ": $.listeners");
        assert_tells(world, CONFIG ": $.tls");
        assert_tells(world, ROUTES ": $.pools: found 3");
    }
}

static void settings_without_a_table_hide_no_fault_of_certificates(void **state)
{
    struct world *world = *state;

    memory_files_put(world->files, CONFIG,
                     "{\"tls\": {\"certificates\": [{\"chain\": \"x.pem\","
                     " \"key\": \"tls.key\"}]}}");

    assert_null(load(world));

    assert_tells(world, CONFIG ": $.routes: found nothing");
    assert_tells(world, "\"/gp/x.pem\" (No such file or directory)");
}

static void a_broken_table_hides_no_fault_of_certificates(void **state)
{
    struct world *world = *state;

    memory_files_put(world->files, ROUTES, "{");
    memory_files_put(world->files, "/gp/tls.pem", "");

    assert_null(load(world));

    assert_tells(world, ROUTES ":1:");
    assert_tells(world, "/gp/tls.pem: ");
}

static void a_key_of_another_certificate_is_refused(void **state)
{
    struct world *world = *state;

    memory_files_put_pem(world->files, "/gp/tls.key",
                         test_key_file(world->other, "other"));

    assert_refuses(world, "/gp/tls.key");
}

static void a_file_of_many_backends_is_told_once(void **state)
{
    struct world *world = *state;

    memory_files_remove(world->files, "/gp/ca.pem");

    assert_null(load(world));

    assert_int_equal(world->reasons->errors, 1);
}

static void an_empty_client_certificate_is_not_taken_for_none(void **state)
{
    struct world *world = *state;

    memory_files_put(world->files, "/gp/us.pem", "");
    memory_files_put(world->files, "/gp/us.key", "");

    assert_null(load(world));

    assert_tells(world, ROUTES ": $.backends.b.certificate: found an empty "
                               "file");
    assert_tells(world, ROUTES ": $.backends.b.key: found an empty file");
}

static void a_missing_system_bundle_names_the_backend(void **state)
{
    struct world *world = *state;

    memory_files_put(world->files, ROUTES,
                     "{\"backends\": {\"z\": {\"host\": \"z.test\","
                     "  \"port\": 993, \"tls\": \"implicit\"}},"
                     " \"pools\": {\"p\": {\"backends\": [\"z\"]}},"
                     " \"default\": \"p\"}");

    assert_refuses(world, ROUTES
                   ": $.backends.z.ca: found \"" LINK_TARGETS_SYSTEM_CA
                   "\" (No such file or directory), expected a file of the "
                   "authorities that backends are verified by; without \"ca\" "
                   "it is the system's\n");
}

static void verify_none_needs_no_bundle_and_is_told(void **state)
{
    struct world *world = *state;
    struct snapshot *snapshot;

    memory_files_put(world->files, ROUTES,
                     "{\"backends\": {\"z\": {\"host\": \"z.test\","
                     "  \"port\": 993, \"tls\": \"implicit\","
                     "  \"verify\": \"none\"}},"
                     " \"pools\": {\"p\": {\"backends\": [\"z\"]}},"
                     " \"default\": \"p\"}");

    snapshot = load(world);

    assert_non_null(snapshot);
    assert_tells(world,
                 ROUTES ": warning: $.backends.z.verify: found \"none\"");
    snapshot_unref(&snapshot);
}

static void a_key_that_everybody_may_read_is_told(void **state)
{
    struct world *world = *state;
    struct snapshot *snapshot;

    memory_files_expose(world->files, "/gp/tls.key");
    memory_files_expose(world->files, "/gp/us.key");
    memory_files_expose(world->files, "/gp/tls.pem"); /* no secret */

    snapshot = load(world);

    assert_non_null(snapshot);
    assert_int_equal(world->reasons->warnings, 2);
    assert_tells(world, CONFIG ": warning: $.tls.certificates[0].key: found "
                               "\"/gp/tls.key\", which everybody may read");
    assert_tells(world, ROUTES ": warning: $.backends.b.key: found a file that "
                               "everybody may read");
    snapshot_unref(&snapshot);
}

/* Each file in turn fails in each way; the sanitizer looks for leaks. */
static void any_unreadable_file_refuses_all(void **state)
{
    struct world *world = *state;
    const char *path;

    for (size_t i = 0; (path = memory_files_path(world->files, i)); i++) {
        memory_files_break(world->files, path, EIO);
        assert_null(load(world));
        assert_tells(world, "Input/output error");
        memory_files_break(world->files, path, 0);
    }

    assert_loads_silently(world);
}

static void any_file_of_garbage_refuses_all(void **state)
{
    static const char *const garbage[] = {
        "", "{}", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n"};
    struct world *world = *state;

    for (size_t i = 0; memory_files_path(world->files, i) != NULL; i++) {
        for (size_t g = 0; g < sizeof(garbage) / sizeof(garbage[0]); g++) {
            memory_files_put(world->files, memory_files_path(world->files, i),
                             garbage[g]);

            assert_null(load(world));
            assert_true(reasons_has_errors(world->reasons));
        }
        put_files(world);
    }

    assert_loads_silently(world);
}

/* Folders of certificates. */

static void use_folder(struct world *world)
{
    memory_files_put(world->files, CONFIG, folder_json);
}

static const char *first_name(const struct snapshot *snapshot,
                              size_t certificate)
{
    return tls_server_context_name(snapshot->tls, certificate, 0);
}

static void a_folder_gives_pairs_and_subfolders_in_order(void **state)
{
    struct world *world = *state;
    struct snapshot *snapshot;
    struct test_certificate *third = make_leaf("third.test", TEST_KEY_P384);

    use_folder(world);
    put_pair(world, "/gp/live/m/fullchain.pem", "/gp/live/m/privkey.pem",
             world->other);
    put_pair(world, "/gp/live/z.crt", "/gp/live/z.key", third);
    put_pair(world, "/gp/live/a.pem", "/gp/live/a.key", world->leaf);
    memory_files_put(world->files, "/gp/live/README", "by certbot");
    memory_files_put(world->files, "/gp/live/.hidden.pem", "garbage");
    memory_files_put(world->files, "/gp/live/empty/note", "nothing here");

    snapshot = load(world);

    assert_string_equal(world->text, "");
    assert_int_equal(snapshot->certificate_count, 3);
    assert_string_equal(first_name(snapshot, 0), "leaf.test");
    assert_string_equal(first_name(snapshot, 1), "other.test");
    assert_string_equal(first_name(snapshot, 2), "third.test");
    snapshot_unref(&snapshot);
    test_certificate_free(&third);
}

static void a_crt_goes_before_a_pem_of_the_same_name(void **state)
{
    struct world *world = *state;
    struct snapshot *snapshot;

    use_folder(world);
    put_pair(world, "/gp/live/a.crt", "/gp/live/a.key", world->leaf);
    memory_files_put(world->files, "/gp/live/a.pem", "another form");

    snapshot = load(world);

    assert_int_equal(snapshot->certificate_count, 1);
    assert_tells(world, "found \"/gp/live/a.pem\", which is left out");
    snapshot_unref(&snapshot);
}

static void half_a_pair_is_left_out_and_told(void **state)
{
    static const char *const halves[] = {
        "/gp/live/b.pem", "/gp/live/c.crt", "/gp/live/d.key",
        "/gp/live/e/fullchain.pem", "/gp/live/f/privkey.pem"};
    struct world *world = *state;
    struct snapshot *snapshot;
    char line[256];

    use_folder(world);
    put_pair(world, "/gp/live/a.pem", "/gp/live/a.key", world->leaf);
    for (size_t i = 0; i < 5; i++)
        memory_files_put(world->files, halves[i], "half");

    snapshot = load(world);

    assert_int_equal(snapshot->certificate_count, 1);
    assert_int_equal(world->reasons->warnings, 5);
    for (size_t i = 0; i < 5; i++) {
        snprintf(line, sizeof(line),
                 CONFIG ": warning: $.tls.certificates[0].directory: found "
                        "\"%s\", which is left out, expected a certificate "
                        "chain beside its key\n",
                 halves[i]);
        assert_tells(world, line);
    }
    snapshot_unref(&snapshot);
}

static void a_folder_without_a_pair_is_refused(void **state)
{
    struct world *world = *state;

    use_folder(world);

    assert_refuses(world,
                   CONFIG ": $.tls.certificates[0].directory: found "
                          "\"/gp/live\", which holds no certificate, expected "
                          "NAME/fullchain.pem with NAME/privkey.pem, or "
                          "NAME.crt or NAME.pem with NAME.key\n");
}

static void a_folder_that_cannot_be_listed_is_refused(void **state)
{
    struct world *world = *state;

    use_folder(world);
    memory_files_break(world->files, "/gp/live", EACCES);

    assert_refuses(world, CONFIG
                   ": $.tls.certificates[0].directory: found \"/gp/live\" "
                   "(Permission denied), expected a folder that can be "
                   "read\n");
}

static void an_unreadable_file_in_a_folder_is_refused(void **state)
{
    struct world *world = *state;

    use_folder(world);
    put_pair(world, "/gp/live/a/fullchain.pem", "/gp/live/a/privkey.pem",
             world->leaf);
    put_pair(world, "/gp/live/b/fullchain.pem", "/gp/live/b/privkey.pem",
             world->leaf);
    memory_files_break(world->files, "/gp/live/b/privkey.pem", EACCES);

    assert_refuses(world, "\"/gp/live/b/privkey.pem\" (Permission denied)");
}

static void an_exposed_key_in_a_folder_is_told(void **state)
{
    struct world *world = *state;
    struct snapshot *snapshot;

    use_folder(world);
    put_pair(world, "/gp/live/a.pem", "/gp/live/a.key", world->leaf);
    memory_files_expose(world->files, "/gp/live/a.key");

    snapshot = load(world);

    assert_tells(world, "$.tls.certificates[0].directory: found "
                        "\"/gp/live/a.key\", which everybody may read");
    snapshot_unref(&snapshot);
}

/* Whoever is told by a certificate who a user is. */

static const char external_json[] =
    "{\"listeners\": [{\"address\": \"*\", \"port\": 993,"
    "   \"tls\": \"implicit\", \"client_certificates\": true}],"
    " \"tls\": {\"certificates\": [{\"chain\": \"tls.pem\","
    "   \"key\": \"tls.key\"}],"
    "   \"client_certificates\": {\"ca\": \"people.pem\"}},"
    " \"auth\": {\"mechanisms\": [\"EXTERNAL\"]},"
    " \"routes\": \"routes.json\"}";

static const char master_json[] =
    "{\"backends\": {"
    "   \"c\": {\"host\": \"127.0.0.1\", \"port\": 143, \"tls\": \"none\"}},"
    " \"pools\": {\"q\": {\"backends\": [\"c\"],"
    "   \"master\": {\"user\": \"root\", \"secret\": \"secret\"}}},"
    " \"default\": \"q\"}";

static void use_masters(struct world *world)
{
    memory_files_put(world->files, CONFIG, external_json);
    memory_files_put(world->files, ROUTES, master_json);
    memory_files_put(world->files, "/gp/secret", "open sesame\n");
    memory_files_put_pem(world->files, "/gp/people.pem",
                         test_anchor_file(world->authority, "people"));
}

static const struct master_login *first_master(const struct snapshot *snapshot)
{
    size_t count;

    return snapshot_master(snapshot, route_table_pools(snapshot->table, &count),
                           route_table_backends(snapshot->table, &count));
}

static void a_snapshot_lends_its_masters(void **state)
{
    struct world *world = *state;
    struct snapshot *snapshot;

    use_masters(world);

    snapshot = load(world);

    assert_string_equal(world->text, "");
    assert_string_equal(first_master(snapshot)->user, "root");
    assert_int_equal(first_master(snapshot)->secret_len, 11);
    assert_memory_equal(first_master(snapshot)->secret, "open sesame", 11);
    snapshot_unref(&snapshot);
}

static void each_snapshot_has_the_secret_of_its_time(void **state)
{
    struct world *world = *state;
    struct snapshot *former;
    struct snapshot *snapshot;

    use_masters(world);
    former = load(world);
    memory_files_put(world->files, "/gp/secret", "new");
    snapshot = load_after(world, former);

    assert_memory_equal(first_master(former)->secret, "open sesame", 11);
    assert_int_equal(first_master(snapshot)->secret_len, 3);
    assert_memory_equal(first_master(snapshot)->secret, "new", 3);
    snapshot_unref(&former);
    snapshot_unref(&snapshot);
}

static void a_snapshot_without_masters_lends_none(void **state)
{
    struct world *world = *state;
    struct snapshot *snapshot = load(world);

    assert_null(first_master(snapshot));
    snapshot_unref(&snapshot);
}

static void a_bad_secret_refuses_all_and_hides_no_fault(void **state)
{
    struct world *world = *state;

    use_masters(world);
    memory_files_expose(world->files, "/gp/secret");
    assert_refuses(world, "found a file that everybody may read");
    memory_files_remove(world->files, "/gp/tls.key");

    assert_null(load(world));

    assert_tells(world, ROUTES ": $.pools.q.master.secret: found a file that "
                               "everybody may read");
    assert_tells(world, "\"/gp/tls.key\" (No such file or directory)");
}

/* Without a byte of a CA nobody must be believed, and nobody asked. */
static void the_authority_of_clients_is_read(void **state)
{
    static const char *const bad[] = {"", "garbage"};
    struct world *world = *state;

    use_masters(world);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memory_files_put(world->files, "/gp/people.pem", bad[i]);

        assert_refuses(world, "/gp/people.pem: ");
    }

    memory_files_remove(world->files, "/gp/people.pem");

    assert_refuses(world, CONFIG ": $.tls.client_certificates.ca: found "
                                 "\"/gp/people.pem\" (No such file or "
                                 "directory)");
}

static void another_authority_of_clients_makes_a_new_context(void **state)
{
    struct world *world = *state;
    struct snapshot *former;
    struct snapshot *snapshot;

    use_masters(world);
    former = load(world);
    snapshot = load_after(world, former);
    assert_ptr_equal(snapshot->tls, former->tls);
    snapshot_unref(&snapshot);

    memory_files_put_pem(world->files, "/gp/people.pem",
                         test_anchor_file(world->other, "people"));
    snapshot = load_after(world, former);

    assert_non_null(snapshot);
    assert_ptr_not_equal(snapshot->tls, former->tls);
    snapshot_unref(&former);
    snapshot_unref(&snapshot);
}

static void settings_and_table_are_held_together(void **state)
{
    static const char renaming[] =
        "{\"backends\": {"
        "   \"c\": {\"host\": \"::1\", \"port\": 143, \"tls\": \"none\"}},"
        " \"pools\": {\"q\": {\"backends\": [\"c\"]}},"
        " \"default\": {\"pool\": \"q\", \"login_as\": \"x\"}}";
    static const char scram[] =
        "{\"listeners\": [{\"address\": \"*\", \"port\": 993,"
        "   \"tls\": \"implicit\"}],"
        " \"tls\": {\"certificates\": [{\"chain\": \"tls.pem\","
        "   \"key\": \"tls.key\"}]},"
        " \"auth\": {\"mechanisms\": [\"SCRAM-SHA-256\"]},"
        " \"routes\": \"routes.json\"}";
    struct world *world = *state;

    memory_files_put(world->files, ROUTES, renaming);
    assert_loads_silently(world);
    memory_files_put(world->files, CONFIG, scram);

    assert_refuses(world, ROUTES ": $.default.login_as: found login_as, while "
                                 "$.auth.mechanisms offers SCRAM or a token");
}

/* What is left of refused settings offers no EXTERNAL, so that each master
 * would seem useless. */
static void refused_settings_blame_no_table(void **state)
{
    struct world *world = *state;

    use_masters(world);
    memory_files_put(world->files, CONFIG,
                     "{\"listeners\": 3, \"routes\": \"routes.json\"}");

    assert_null(load(world));

    assert_null(strstr(world->text, ROUTES));
}

/* What is carried over. */

static void anchors_of_one_file_are_read_once(void **state)
{
    struct world *world = *state;
    struct snapshot *snapshot = load(world);

    assert_int_equal(memory_files_reads(world->files, "/gp/ca.pem"), 1);

    snapshot_unref(&snapshot);
}

static void equal_contexts_are_carried_over(void **state)
{
    struct world *world = *state;
    struct snapshot *former = load(world);
    struct snapshot *snapshot = load_after(world, former);

    assert_ptr_equal(snapshot->tls, former->tls);
    assert_ptr_equal(snapshot->targets[0].tls, former->targets[0].tls);
    assert_ptr_equal(snapshot->targets[1].tls, former->targets[1].tls);

    snapshot_unref(&former);
    snapshot_unref(&snapshot);
}

static void contexts_are_carried_over_whatever_the_order(void **state)
{
    static const char turned[] =
        "{\"backends\": {"
        "   \"new\": {\"host\": \"n.test\", \"port\": 993,"
        "     \"tls\": \"implicit\", \"ca\": \"ca.pem\"},"
        "   \"b\": {\"host\": \"b.test\", \"port\": 143,"
        "     \"tls\": \"starttls\", \"ca\": \"ca.pem\","
        "     \"certificate\": \"us.pem\", \"key\": \"us.key\"},"
        "   \"a\": {\"host\": \"a.test\", \"port\": 993,"
        "     \"tls\": \"implicit\", \"ca\": \"ca.pem\"}},"
        " \"pools\": {\"p\": {\"backends\": [\"a\", \"b\", \"new\"]}},"
        " \"default\": \"p\"}";
    struct world *world = *state;
    struct snapshot *former = load(world);
    struct snapshot *snapshot;

    memory_files_put(world->files, ROUTES, turned);
    snapshot = load_after(world, former);

    assert_ptr_equal(snapshot->targets[1].tls, former->targets[1].tls);
    assert_ptr_equal(snapshot->targets[2].tls, former->targets[0].tls);
    assert_ptr_not_equal(snapshot->targets[0].tls, former->targets[0].tls);
    snapshot_unref(&former);
    snapshot_unref(&snapshot);
}

static void a_new_certificate_makes_a_new_server_context(void **state)
{
    struct world *world = *state;
    struct snapshot *former = load(world);
    struct snapshot *snapshot;

    put_pair(world, "/gp/tls.pem", "/gp/tls.key", world->other);
    snapshot = load_after(world, former);

    assert_ptr_not_equal(snapshot->tls, former->tls);
    assert_string_equal(first_name(snapshot, 0), "other.test");
    assert_ptr_equal(snapshot->targets[0].tls, former->targets[0].tls);
    snapshot_unref(&former);
    snapshot_unref(&snapshot);
}

static void put_ticket_key(struct world *world, const char *text)
{
    memory_files_put(world->files, CONFIG, tickets_json);
    memory_files_put(world->files, "/gp/ticket.key", text);
    memory_files_date(world->files, "/gp/ticket.key", (int64_t)time(NULL));
}

/* Of 80 characters each, and told apart by the last one. */
#define TWENTY "a ticket key of text"
#define TICKET_KEY(last) TWENTY TWENTY TWENTY "a ticket key of tex" last

static void equal_ticket_keys_are_carried_over(void **state)
{
    struct world *world = *state;
    struct snapshot *former;
    struct snapshot *snapshot;

    put_ticket_key(world, TICKET_KEY("t"));
    former = load(world);
    snapshot = load_after(world, former);

    assert_ptr_equal(snapshot->tls, former->tls);
    snapshot_unref(&former);
    snapshot_unref(&snapshot);
}

static void a_new_ticket_key_makes_a_new_server_context(void **state)
{
    struct world *world = *state;
    struct snapshot *former;
    struct snapshot *snapshot;

    put_ticket_key(world, TICKET_KEY("t"));
    former = load(world);
    put_ticket_key(world, TICKET_KEY("!"));
    snapshot = load_after(world, former);

    assert_string_equal(world->text, "");
    assert_ptr_not_equal(snapshot->tls, former->tls);
    snapshot_unref(&former);
    snapshot_unref(&snapshot);
}

static void an_old_ticket_key_is_warned_of_at_each_load(void **state)
{
    struct world *world = *state;
    int64_t made = (int64_t)time(NULL) - 20 * 24 * 60 * 60;
    struct snapshot *former;
    struct snapshot *snapshot;

    put_ticket_key(world, TICKET_KEY("t"));
    memory_files_date(world->files, "/gp/ticket.key", made);
    former = load(world);
    assert_tells(world, "\"/gp/ticket.key\", a key of 20 days ago");
    snapshot = load_after(world, former);

    assert_tells(world, "\"/gp/ticket.key\", a key of 20 days ago");
    assert_int_equal(snapshot->ticket_key_made, made);
    snapshot_unref(&former);
    snapshot_unref(&snapshot);
}

static void a_bad_ticket_key_is_refused_beside_all_else(void **state)
{
    struct world *world = *state;

    put_ticket_key(world, TICKET_KEY("two"));
    assert_refuses(world, "$.tls.ticket_keys[0]: found \"/gp/ticket.key\", "
                          "which has 82 bytes");
    memory_files_put(world->files, "/gp/tls.key", "no key");

    assert_refuses(world, "$.tls.ticket_keys[0]");
    assert_tells(world, "/gp/tls.key");
}

static void new_anchors_make_new_client_contexts(void **state)
{
    struct world *world = *state;
    struct snapshot *former = load(world);
    struct snapshot *snapshot;

    memory_files_put_pem(world->files, "/gp/ca.pem",
                         test_anchor_file(world->other, "ca"));
    snapshot = load_after(world, former);

    assert_ptr_equal(snapshot->tls, former->tls);
    assert_ptr_not_equal(snapshot->targets[0].tls, former->targets[0].tls);
    assert_ptr_not_equal(snapshot->targets[1].tls, former->targets[1].tls);
    snapshot_unref(&former);
    snapshot_unref(&snapshot);
}

static void a_new_client_certificate_makes_a_new_context(void **state)
{
    struct world *world = *state;
    struct snapshot *former = load(world);
    struct snapshot *snapshot;

    put_pair(world, "/gp/us.pem", "/gp/us.key", world->other);
    snapshot = load_after(world, former);

    assert_ptr_equal(snapshot->targets[0].tls, former->targets[0].tls);
    assert_ptr_not_equal(snapshot->targets[1].tls, former->targets[1].tls);
    snapshot_unref(&former);
    snapshot_unref(&snapshot);
}

static void a_failed_load_leaves_the_former_whole(void **state)
{
    struct world *world = *state;
    struct snapshot *former = load(world);

    memory_files_remove(world->files, "/gp/us.key");
    assert_null(load_after(world, former));
    put_files(world);

    struct snapshot *snapshot = load_after(world, former);

    assert_ptr_equal(snapshot->tls, former->tls);
    assert_ptr_equal(snapshot->targets[1].tls, former->targets[1].tls);
    snapshot_unref(&former);
    snapshot_unref(&snapshot);
}

/* Who frees it. The registry's end asserts that no facts are left. */

static void the_reaper_has_freed_all_when_it_ends(void **state)
{
    struct world *world = *state;
    struct snapshot *snapshots[3];

    world->reaper = reaper_new();
    for (size_t i = 0; i < 3; i++)
        snapshots[i] = load(world);
    for (size_t i = 0; i < 3; i++)
        snapshot_unref(&snapshots[i]);

    reaper_free(&world->reaper);

    assert_null(world->reaper);
    backend_registry_free(&world->registry);
}

static void *drop(void *argument)
{
    struct snapshot *snapshot = argument;

    for (int i = 0; i < 1000; i++) {
        struct snapshot *mine = snapshot_ref(snapshot);

        snapshot_unref(&mine);
    }
    snapshot_unref(&snapshot);
    return NULL;
}

static const char many_json[] =
    "{\"backends\": {"
    "   \"a\": {\"host\": \"::1\", \"port\": 1, \"tls\": \"none\"},"
    "   \"b\": {\"host\": \"::1\", \"port\": 2, \"tls\": \"none\"},"
    "   \"c\": {\"host\": \"::1\", \"port\": 3, \"tls\": \"none\"},"
    "   \"d\": {\"host\": \"::1\", \"port\": 4, \"tls\": \"none\"},"
    "   \"e\": {\"host\": \"::1\", \"port\": 5, \"tls\": \"none\"}},"
    " \"pools\": {\"p\": {\"backends\": [\"a\", \"b\", \"c\", \"d\","
    "                                \"e\"]}},"
    " \"users\": {\"u1\": \"p\", \"u2\": \"p\", \"u3\": \"p\", \"u4\": \"p\","
    "             \"u5\": \"p\", \"u6\": \"p\"},"
    " \"domains\": {\"d1\": \"p\", \"d2\": \"p\", \"*.d3\": \"p\"}}";

static const char fewer_json[] =
    "{\"backends\": {"
    "   \"a\": {\"host\": \"::1\", \"port\": 1, \"tls\": \"none\"},"
    "   \"b\": {\"host\": \"::1\", \"port\": 2, \"tls\": \"none\"},"
    "   \"c\": {\"host\": \"::1\", \"port\": 3, \"tls\": \"none\"}},"
    " \"pools\": {\"p\": {\"backends\": [\"a\", \"b\", \"c\"]}},"
    " \"users\": {\"u1\": \"p\", \"u2\": \"p\", \"u3\": \"p\", \"u4\": \"p\"},"
    " \"domains\": {\"d1\": \"p\"},"
    " \"default\": \"p\"}";

static void a_table_that_shrank_too_much_is_refused(void **state)
{
    struct world *world = *state;
    struct snapshot *former;

    memory_files_put(world->files, ROUTES, many_json);
    former = load(world);
    memory_files_put(world->files, ROUTES, fewer_json);
    world->may_shrink = false;

    assert_non_null(former);
    assert_null(load_after(world, former));
    assert_string_equal(
        world->text, ROUTES
        ": $.users: found 4 users, while 6 are in force, expected 5 or "
        "more, as $.max_shrink is 20 %; 100 there takes any table\n" ROUTES
        ": $.domains: found 1 domain, while 3 are in force, expected 3 "
        "or more, as $.max_shrink is 20 %; 100 there takes any table\n" ROUTES
        ": $.backends: found 3 backends, while 5 are in force, expected "
        "4 or more, as $.max_shrink is 20 %; 100 there takes any "
        "table\n");
    snapshot_unref(&former);
}

/* The new settings judge. */
static void a_table_may_shrink_where_that_is_allowed(void **state)
{
    static const struct {
        unsigned max_shrink;
        bool is_taken;
    } cases[] = {{100, true}, {67, true}, {66, false}, {0, false}};
    struct world *world = *state;
    char settings[512];

    world->may_shrink = false;
    memory_files_put(world->files, ROUTES, many_json);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct snapshot *former = load(world);
        struct snapshot *snapshot;

        snprintf(settings, sizeof(settings), "{\"max_shrink\": %u, %s",
                 cases[i].max_shrink, settings_json + 1);
        memory_files_put(world->files, CONFIG, settings);
        memory_files_put(world->files, ROUTES, fewer_json);
        snapshot = load_after(world, former);

        assert_int_equal(snapshot != NULL, cases[i].is_taken);
        snapshot_unref(&snapshot);
        snapshot_unref(&former);
        put_files(world);
        memory_files_put(world->files, ROUTES, many_json);
    }
}

static void a_forced_reload_may_shrink(void **state)
{
    struct world *world = *state;
    struct snapshot *former, *snapshot;

    memory_files_put(world->files, ROUTES, many_json);
    former = load(world);
    memory_files_put(world->files, ROUTES, fewer_json);
    snapshot = load_after(world, former);

    assert_non_null(snapshot);
    snapshot_unref(&snapshot);
    snapshot_unref(&former);
}

static void a_table_may_grow_or_stay(void **state)
{
    struct world *world = *state;
    struct snapshot *former, *snapshot;

    world->may_shrink = false;
    memory_files_put(world->files, ROUTES, fewer_json);
    former = load(world);
    snapshot = load_after(world, former);
    assert_non_null(snapshot);
    snapshot_unref(&snapshot);
    memory_files_put(world->files, ROUTES, many_json);
    snapshot = load_after(world, former);

    assert_non_null(snapshot);
    snapshot_unref(&snapshot);
    snapshot_unref(&former);
}

static const char users_json[] =
    "{\"backends\": {"
    "   \"a\": {\"host\": \"::1\", \"port\": 1, \"tls\": \"none\"}},"
    " \"pools\": {\"p\": {\"backends\": [\"a\"]}},"
    " \"users\": {\"file\": \"users.tsv\"}}";

static void users_come_from_their_file(void **state)
{
    struct world *world = *state;
    struct snapshot *former, *snapshot;

    world->may_shrink = false;
    memory_files_put(world->files, ROUTES, users_json);
    snapshot = load(world);
    assert_null(snapshot);
    assert_tells(world, ROUTES ": $.users.file: found \"/gp/users.tsv\" (No "
                               "such file or directory), expected a file that "
                               "can be read\n");
    memory_files_put(world->files, "/gp/users.tsv", "a\tp\nb\tp\n# end 2\n");
    former = load(world);
    assert_non_null(former);
    assert_int_equal(route_table_user_count(former->table), 2);
    memory_files_put(world->files, "/gp/users.tsv", "a\tp\n# end 1\n");
    snapshot = load_after(world, former);

    assert_null(snapshot);
    assert_tells(world, "/gp/users.tsv: found 1 user, while 2 are in force, "
                        "expected 2 or more, as $.max_shrink is 20 %; 100 "
                        "there takes any table\n");
    snapshot_unref(&former);
}

static void threads_may_drop_a_snapshot_together(void **state)
{
    struct world *world = *state;
    struct snapshot *snapshot;
    pthread_t threads[4];

    world->reaper = reaper_new();
    snapshot = load(world);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, drop, snapshot_ref(snapshot)), 0);
    snapshot_unref(&snapshot);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);

    reaper_free(&world->reaper);

    backend_registry_free(&world->registry);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||           \
    !defined(__GLIBC__)
#define MALLOC_IS_GLIBC false
#else
#define MALLOC_IS_GLIBC true
#endif

static size_t resident_bytes(void)
{
    FILE *statm = fopen("/proc/self/statm", "r");
    unsigned long size;
    unsigned long resident;

    assert_non_null(statm);
    assert_int_equal(fscanf(statm, "%lu %lu", &size, &resident), 2);
    fclose(statm);
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void the_reaper_gives_pages_between_small_blocks_back(void **state)
{
    enum {
        COUNT = 1000,
        LARGE = 32 * 1024
    };
    struct reaper *reaper;
    void *small[COUNT];
    void *large[COUNT];
    size_t before;

    (void)state;
    if (!MALLOC_IS_GLIBC)
        skip();
    reaper = reaper_new();
    for (size_t i = 0; i < COUNT; i++) {
        large[i] = memset(mem_alloc(LARGE), 1, LARGE);
        small[i] = memset(mem_alloc(64), 1, 64);
    }
    for (size_t i = 0; i < COUNT; i++)
        free(large[i]);
    before = resident_bytes();

    reaper_trim(reaper);
    reaper_free(&reaper);

    assert_true(resident_bytes() < before - COUNT * LARGE / 2);
    for (size_t i = 0; i < COUNT; i++)
        free(small[i]);
}

static void a_reaper_without_work_ends(void **state)
{
    struct reaper *reaper = reaper_new();

    (void)state;
    assert_non_null(reaper);
    reaper_free(&reaper);
    assert_null(reaper);
    reaper_free(&reaper); /* NULL is accepted */
}

static int free_keys(void **state)
{
    (void)state;
    test_keys_free();
    return 0;
}

#define CLAIM(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(snapshot_holds_what_the_files_say),
        CLAIM(snapshot_finds_the_route_of_a_user),
        CLAIM(targets_belong_to_the_backends_of_the_table),
        CLAIM(facts_of_a_backend_outlive_the_snapshot_before),
        CLAIM(snapshot_lives_as_long_as_a_reference),
        CLAIM(a_missing_config_file_is_told_in_the_systems_words),
        CLAIM(a_missing_table_is_told_where_it_is_named),
        CLAIM(faults_of_all_files_are_told_at_once),
        CLAIM(faults_of_settings_hide_none_of_other_files),
        CLAIM(settings_without_a_table_hide_no_fault_of_certificates),
        CLAIM(a_broken_table_hides_no_fault_of_certificates),
        CLAIM(a_key_of_another_certificate_is_refused),
        CLAIM(a_file_of_many_backends_is_told_once),
        CLAIM(an_empty_client_certificate_is_not_taken_for_none),
        CLAIM(a_missing_system_bundle_names_the_backend),
        CLAIM(verify_none_needs_no_bundle_and_is_told),
        CLAIM(a_key_that_everybody_may_read_is_told),
        CLAIM(any_unreadable_file_refuses_all),
        CLAIM(any_file_of_garbage_refuses_all),
        CLAIM(a_folder_gives_pairs_and_subfolders_in_order),
        CLAIM(a_crt_goes_before_a_pem_of_the_same_name),
        CLAIM(half_a_pair_is_left_out_and_told),
        CLAIM(a_folder_without_a_pair_is_refused),
        CLAIM(a_folder_that_cannot_be_listed_is_refused),
        CLAIM(an_unreadable_file_in_a_folder_is_refused),
        CLAIM(an_exposed_key_in_a_folder_is_told),
        CLAIM(a_snapshot_lends_its_masters),
        CLAIM(each_snapshot_has_the_secret_of_its_time),
        CLAIM(a_snapshot_without_masters_lends_none),
        CLAIM(a_bad_secret_refuses_all_and_hides_no_fault),
        CLAIM(the_authority_of_clients_is_read),
        CLAIM(another_authority_of_clients_makes_a_new_context),
        CLAIM(settings_and_table_are_held_together),
        CLAIM(refused_settings_blame_no_table),
        CLAIM(anchors_of_one_file_are_read_once),
        CLAIM(equal_contexts_are_carried_over),
        CLAIM(contexts_are_carried_over_whatever_the_order),
        CLAIM(a_new_certificate_makes_a_new_server_context),
        CLAIM(equal_ticket_keys_are_carried_over),
        CLAIM(a_new_ticket_key_makes_a_new_server_context),
        CLAIM(an_old_ticket_key_is_warned_of_at_each_load),
        CLAIM(a_bad_ticket_key_is_refused_beside_all_else),
        CLAIM(new_anchors_make_new_client_contexts),
        CLAIM(a_new_client_certificate_makes_a_new_context),
        CLAIM(a_failed_load_leaves_the_former_whole),
        CLAIM(the_reaper_has_freed_all_when_it_ends),
        CLAIM(a_table_that_shrank_too_much_is_refused),
        CLAIM(a_table_may_shrink_where_that_is_allowed),
        CLAIM(a_forced_reload_may_shrink),
        CLAIM(a_table_may_grow_or_stay),
        CLAIM(users_come_from_their_file),
        CLAIM(threads_may_drop_a_snapshot_together),
        CLAIM(the_reaper_gives_pages_between_small_blocks_back),
        CLAIM(a_reaper_without_work_ends),
    };

    return cmocka_run_group_tests(tests, NULL, free_keys);
}
