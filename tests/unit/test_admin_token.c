/* Who may administer by TCP: which token is one. */
#include "state/admin_token.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "memory_files.h"
#include "reasons_text.h"

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define PATH "/gp/token"
#define TOKEN "0123456789abcdef"

struct world {
    struct memory_files *files;
    struct listener_config listen;
    struct settings settings; /* as much of them as is looked at */
    struct secret_file token;
    char *text; /* of the reasons, after read_it */
};

static char file_name[] = "f";
static char token_path[] = PATH;
static char loopback[] = "::1";
static char everywhere[] = "*";

static int set_up(void **state)
{
    struct world *world = mem_zalloc(sizeof(*world));

    world->files = memory_files_new();
    memory_files_put(world->files, PATH, TOKEN);
    world->listen.address = loopback;
    world->settings.file = file_name;
    world->settings.admin_listen = &world->listen;
    world->settings.admin_token = token_path;
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    secret_file_deinit(&world->token);
    memory_files_free(&world->files);
    free(world->text);
    free(world);
    return 0;
}

/* Whether the token is taken. */
static bool read_it(struct world *world)
{
    struct reasons *reasons = reasons_new();
    bool is_good = admin_token_read(memory_files_source(world->files),
                                    &world->settings, &world->token, reasons);

    world->text = reasons_text(reasons);
    assert_int_equal(is_good, !reasons_has_errors(reasons));
    reasons_free(&reasons);
    return is_good;
}

static void assert_refused(struct world *world, const char *token,
                           const char *line)
{
    memory_files_put(world->files, PATH, token);

    assert_false(read_it(world));

    assert_string_equal(world->text, line);
}

static void a_token_is_what_stands_in_the_line(void **state)
{
    struct world *world = *state;

    memory_files_put(world->files, PATH, TOKEN "-._~+/=\n");

    assert_true(read_it(world));

    assert_string_equal(world->text, "");
    assert_int_equal(world->token.len, strlen(TOKEN "-._~+/="));
    assert_memory_equal(world->token.file.bytes,
                        TOKEN "-._~+/=", world->token.len);
}

static void without_a_token_no_file_is_read(void **state)
{
    struct world *world = *state;

    world->settings.admin_token = NULL;

    assert_true(read_it(world));

    assert_null(world->token.file.bytes);
    assert_int_equal(memory_files_reads(world->files, PATH), 0);
}

static void a_token_that_everybody_may_read_is_refused(void **state)
{
    struct world *world = *state;

    memory_files_expose(world->files, PATH);

    assert_false(read_it(world));

    assert_string_equal(
        world->text,
        "f: $.admin.token: found a file that everybody may read, expected a "
        "file of one line, the secret, that only its user and group may "
        "read\n");
}

static void an_empty_token_is_refused(void **state)
{
    assert_refused(*state, "\n",
                   "f: $.admin.token: found an empty file, expected a file of "
                   "one line, the secret, that only its user and group may "
                   "read\n");
}

static void a_token_that_can_be_guessed_is_refused(void **state)
{
    assert_refused(*state, "0123456789abcde",
                   "f: $.admin.token: found fewer than 16 characters, expected "
                   "16 or more of A-Z, a-z, 0-9 and -._~+/=\n");
}

static void a_token_that_no_header_carries_is_refused(void **state)
{
    assert_refused(*state, TOKEN " \xc3\xa4",
                   "f: $.admin.token: found a character that no token may "
                   "have, expected 16 or more of A-Z, a-z, 0-9 and "
                   "-._~+/=\n");
}

static void a_token_that_is_not_there_is_told(void **state)
{
    struct world *world = *state;

    memory_files_break(world->files, PATH, ENOENT);

    assert_false(read_it(world));

    assert_string_equal(world->text,
                        "f: $.admin.token: found \"" PATH "\" (No such file "
                        "or directory), expected a file that can be read\n");
}

static void a_token_that_crosses_a_network_is_warned_of(void **state)
{
    struct world *world = *state;

    world->listen.address = everywhere;

    assert_true(read_it(world));

    assert_non_null(strstr(world->text, "told in clear over a network"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_token_is_what_stands_in_the_line),
        CLAIM(without_a_token_no_file_is_read),
        CLAIM(a_token_that_everybody_may_read_is_refused),
        CLAIM(an_empty_token_is_refused),
        CLAIM(a_token_that_can_be_guessed_is_refused),
        CLAIM(a_token_that_no_header_carries_is_refused),
        CLAIM(a_token_that_is_not_there_is_told),
        CLAIM(a_token_that_crosses_a_network_is_warned_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
