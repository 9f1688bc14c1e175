/* Which files of ticket keys are taken, and what is told of the others. */
#include "state/ticket_key_files.h"

#include "memory_files.h"
#include "reasons_text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
    struct memory_files *files;
    struct settings settings; /* just what is read of them */
    struct ticket_key_files keys;
    char *text; /* of the reasons */
};

static char config[] = "/gp/gatepost.json";
static char one[] = "/gp/one";
static char two[] = "/gp/two";

/* A file of so many bytes; those with another letter have another name. */
static void put(struct world *world, const char *path, char letter, size_t len)
{
    uint8_t bytes[200];

    assert_true(len <= sizeof(bytes));
    memset(bytes, '.', sizeof(bytes));
    bytes[15] = (uint8_t)letter;
    memory_files_put_pem(world->files, path,
                         (struct pem_file){path, bytes, len});
}

static void name(struct world *world, char *path)
{
    struct tls_settings *tls = &world->settings.tls;

    tls->ticket_keys[tls->ticket_key_count++] = path;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    world->files = memory_files_new();
    world->settings.file = config;
    world->settings.tls.ticket_keys =
        calloc(SETTINGS_TICKET_KEYS_MAX, sizeof(char *));
    put(world, one, '1', SHARED_TICKET_KEY_SIZE);
    put(world, two, '2', SHARED_TICKET_KEY_SIZE);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    memory_files_free(&world->files);
    free(world->settings.tls.ticket_keys);
    free(world->text);
    free(world);
    return 0;
}

static bool reads(struct world *world)
{
    struct reasons *reasons = reasons_new();
    bool is_good =
        ticket_key_files_read(&world->keys, memory_files_source(world->files),
                              &world->settings, reasons);

    free(world->text);
    world->text = reasons_text(reasons);
    reasons_free(&reasons);
    return is_good;
}

static void assert_refuses(struct world *world, const char *said)
{
    assert_false(reads(world));
    assert_non_null(strstr(world->text, "/gp/gatepost.json"));
    if (strstr(world->text, said) == NULL)
        fail_msg("nobody tells %s, but: %s", said, world->text);
}

static void none_is_fine(void **state)
{
    struct world *world = *state;

    assert_true(reads(world));

    assert_int_equal(world->keys.count, 0);
}

static void keys_come_in_the_order_of_the_settings(void **state)
{
    struct world *world = *state;

    name(world, two);
    name(world, one);

    assert_true(reads(world));

    assert_string_equal(world->text, "");
    assert_int_equal(world->keys.count, 2);
    assert_int_equal(world->keys.keys[0].name[15], '2');
    assert_int_equal(world->keys.keys[1].name[15], '1');
    ticket_key_files_deinit(&world->keys);
    assert_int_equal(world->keys.count, 0);
    assert_int_equal(world->keys.keys[0].name[15], 0);
}

static void a_file_of_another_length_is_refused(void **state)
{
    static const size_t lens[] = {0, 1, 79, 81, 160};
    struct world *world = *state;

    name(world, one);

    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        char said[64];

        snprintf(said, sizeof(said), "\"/gp/one\", which has %zu bytes,",
                 lens[i]);
        put(world, one, '1', lens[i]);
        assert_refuses(world, said);
        assert_non_null(strstr(world->text, "openssl rand 80"));
    }
}

static void a_short_key_of_nginx_is_called_so(void **state)
{
    struct world *world = *state;

    put(world, one, '1', 48);
    name(world, one);

    assert_refuses(world, "48 bytes, a key of AES-128");
}

static void a_file_that_everybody_may_read_is_refused(void **state)
{
    struct world *world = *state;

    memory_files_expose(world->files, two);
    name(world, one);
    name(world, two);

    assert_refuses(world, "$.tls.ticket_keys[1]: found \"/gp/two\", which "
                          "everybody may read");
}

static void a_second_key_of_one_name_is_refused(void **state)
{
    struct world *world = *state;

    put(world, two, '1', SHARED_TICKET_KEY_SIZE);
    name(world, one);
    name(world, two);

    assert_refuses(world, "its name, as \"/gp/one\"");
}

static void a_missing_file_is_refused_and_others_are_looked_at(void **state)
{
    struct world *world = *state;
    char gone[] = "/gp/gone";

    put(world, two, '2', 3);
    name(world, gone);
    name(world, two);

    assert_refuses(world, "/gp/gone");
    assert_non_null(strstr(world->text, "$.tls.ticket_keys[1]"));
}

static void as_many_as_the_settings_may_name_have_room(void **state)
{
    struct world *world = *state;
    char paths[SETTINGS_TICKET_KEYS_MAX][16];

    for (size_t i = 0; i < SETTINGS_TICKET_KEYS_MAX; i++) {
        snprintf(paths[i], sizeof(paths[i]), "/gp/%zu", i);
        put(world, paths[i], (char)('a' + i), SHARED_TICKET_KEY_SIZE);
        name(world, paths[i]);
    }

    assert_true(reads(world));

    assert_int_equal(world->keys.count, SETTINGS_TICKET_KEYS_MAX);
}

static const char *warned(struct world *world, int64_t now)
{
    struct reasons *reasons = reasons_new();

    free(world->text);
    ticket_key_files_warn(&world->settings, world->keys.made, now, reasons);
    world->text = reasons_text(reasons);
    reasons_free(&reasons);
    return world->text;
}

static void the_first_key_is_warned_of_when_it_is_old(void **state)
{
    static const int64_t day = INT64_C(24) * 60 * 60;
    struct world *world = *state;

    assert_string_equal(warned(world, 100 * day), "");
    memory_files_date(world->files, one, 20 * day);
    memory_files_date(world->files, two, 10 * day);
    name(world, one);
    name(world, two);
    assert_true(reads(world));

    assert_string_equal(warned(world, 35 * day - 1), "");
    assert_string_equal(
        warned(world, 43 * day),
        "/gp/gatepost.json: warning: $.tls.ticket_keys[0]: found \"/gp/one\", "
        "a key of 23 days ago, expected a new one each day, or each week at "
        "least\n");
}

static void no_date_of_a_file_is_too_far_off(void **state)
{
    static const int64_t day = INT64_C(24) * 60 * 60;
    static const int64_t before[] = {INT64_MIN, INT64_MIN + 1, -1, 0};
    struct world *world = *state;

    name(world, one);

    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
        memory_files_date(world->files, one, before[i]);
        assert_true(reads(world));
        assert_non_null(
            strstr(warned(world, 20000 * day), "a key of 20000 days ago"));
    }
    memory_files_date(world->files, one, INT64_MAX);
    assert_true(reads(world));
    assert_string_equal(warned(world, 20000 * day), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(none_is_fine),
        TEST(keys_come_in_the_order_of_the_settings),
        TEST(a_file_of_another_length_is_refused),
        TEST(a_short_key_of_nginx_is_called_so),
        TEST(a_file_that_everybody_may_read_is_refused),
        TEST(a_second_key_of_one_name_is_refused),
        TEST(a_missing_file_is_refused_and_others_are_looked_at),
        TEST(as_many_as_the_settings_may_name_have_room),
        TEST(the_first_key_is_warned_of_when_it_is_old),
        TEST(no_date_of_a_file_is_too_far_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
