/* Every name by which the files of a load are found. */
#include "file_trail.h"

#include "own_folder.h"
#include "provider.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#define ARCHIVE "../../archive/x/"

struct fixture {
    struct own_folder own;
    struct file_trail *trail;
};

static void make_folder(const char *path)
{
    assert_int_equal(mkdir(path, 0700), 0);
}

static void make_link(const char *target, const char *path)
{
    assert_int_equal(symlink(target, path), 0);
}

static int set_up(void **state)
{
    struct fixture *fixture = mem_zalloc(sizeof(*fixture));

    *state = fixture;
    fixture->trail = file_trail_new(provider_files());
    return own_folder_enter(&fixture->own) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    file_trail_free(&fixture->trail);
    own_folder_leave(&fixture->own);
    free(fixture);
    return 0;
}

static int ask(struct fixture *fixture, const char *path)
{
    const struct file_source *source = &fixture->trail->source;
    struct file_bytes file = {.bytes = NULL};
    int error = source->read_file(source->owner, path, &file);

    file_bytes_deinit(&file);
    return error;
}

static void list(struct fixture *fixture, const char *path)
{
    const struct file_source *source = &fixture->trail->source;
    char **names = NULL;

    (void)source->list_folder(source->owner, path, &names);
    file_names_free(&names);
}

static const struct file_step *find(const struct fixture *fixture,
                                    const char *folder, const char *name)
{
    char path[PATH_MAX], copy[NAME_MAX];
    struct file_step wanted = {.folder = path, .name = copy};

    snprintf(path, sizeof(path), "%s%s%s", fixture->own.path,
             folder[0] == '\0' ? "" : "/", folder);
    snprintf(copy, sizeof(copy), "%s", name);
    return file_trail_find(fixture->trail, &wanted);
}

static void assert_step(const struct fixture *fixture, const char *folder,
                        const char *name, enum file_step_kind kind)
{
    const struct file_step *step = find(fixture, folder, name);

    if (step == NULL)
        fail_msg("no step %s in %s", name, folder);
    else
        assert_int_equal(step->kind, kind);
}

static void a_link_leads_to_the_folder_that_it_names(void **state)
{
    struct fixture *fixture = *state;
    make_folder("live");
    make_folder("live/x");
    make_folder("archive");
    make_folder("archive/x");
    own_folder_write("archive/x/key1.pem");
    make_link(ARCHIVE "key1.pem", "live/x/key.pem");

    assert_int_equal(ask(fixture, "live/x/key.pem"), 0);
    file_trail_finish(fixture->trail);

    assert_step(fixture, "", "live", FILE_STEP_PASSAGE);
    assert_step(fixture, "live", "x", FILE_STEP_PASSAGE);
    assert_step(fixture, "live/x", "key.pem", FILE_STEP_LINK);
    assert_step(fixture, "", "archive", FILE_STEP_PASSAGE);
    assert_step(fixture, "archive", "x", FILE_STEP_PASSAGE);
    assert_step(fixture, "archive/x", "key1.pem", FILE_STEP_END);
}

static void links_are_followed_on_the_way_and_one_after_the_other(void **state)
{
    struct fixture *fixture = *state;
    char path[64];
    make_folder("..v1");
    own_folder_write("..v1/key");
    make_link("..v1", "..data");
    make_link("..data/key", "key");
    snprintf(path, sizeof(path), "%s/key", fixture->own.path);
    make_link(path, "far");

    assert_int_equal(ask(fixture, "./far"), 0);
    file_trail_finish(fixture->trail);

    assert_step(fixture, "", "far", FILE_STEP_LINK);
    assert_step(fixture, "", "key", FILE_STEP_LINK);
    assert_step(fixture, "", "..data", FILE_STEP_LINK);
    assert_step(fixture, "", "..v1", FILE_STEP_PASSAGE);
    assert_step(fixture, "..v1", "key", FILE_STEP_END);
    assert_string_equal(find(fixture, "..v1", "key")->file, "./far");
}

static void a_trail_ends_where_something_is_missing(void **state)
{
    struct fixture *fixture = *state;
    own_folder_write("file");
    make_link("nowhere/at/all", "link");

    assert_int_not_equal(ask(fixture, "gone/key"), 0);
    assert_int_not_equal(ask(fixture, "file/key"), 0);
    assert_int_not_equal(ask(fixture, "link"), 0);
    file_trail_finish(fixture->trail);

    assert_step(fixture, "", "gone", FILE_STEP_MISSING);
    assert_null(find(fixture, "gone", "key"));
    assert_step(fixture, "", "file", FILE_STEP_END);
    assert_null(find(fixture, "file", "key"));
    assert_step(fixture, "", "link", FILE_STEP_LINK);
    assert_step(fixture, "", "nowhere", FILE_STEP_MISSING);
}

static void links_in_a_circle_end(void **state)
{
    struct fixture *fixture = *state;
    make_link("b", "a");
    make_link("a", "b");

    assert_int_not_equal(ask(fixture, "a"), 0);
    file_trail_finish(fixture->trail);

    assert_step(fixture, "", "a", FILE_STEP_LINK);
    assert_step(fixture, "", "b", FILE_STEP_LINK);
    assert_true(fixture->trail->count < 10);
}

static void what_is_too_long_is_left_to_the_kernel(void **state)
{
    struct fixture *fixture = *state;
    char name[2 * PATH_MAX];
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';

    assert_int_not_equal(ask(fixture, name), 0);
    name[NAME_MAX + 1] = '\0';
    assert_int_not_equal(ask(fixture, name), 0);
    assert_int_not_equal(ask(fixture, ""), 0);
    file_trail_finish(fixture->trail);

    assert_int_equal(fixture->trail->count, 0);
}

static void a_folder_that_is_listed_is_there_with_all_its_names(void **state)
{
    struct fixture *fixture = *state;
    make_folder("v1");
    make_link("v1", "certs");
    own_folder_write("file");

    list(fixture, "certs/");
    list(fixture, "file");
    list(fixture, "none");
    file_trail_finish(fixture->trail);

    assert_step(fixture, "", "certs", FILE_STEP_LINK);
    assert_step(fixture, "v1", "", FILE_STEP_NAMES);
    assert_null(find(fixture, "", ""));
    assert_null(find(fixture, "file", ""));
}

static void equal_steps_are_one(void **state)
{
    struct fixture *fixture = *state;
    size_t count;
    own_folder_write("key");
    assert_int_equal(ask(fixture, "key"), 0);
    count = fixture->trail->count;

    assert_int_equal(ask(fixture, "key"), 0);
    assert_int_equal(ask(fixture, ".//key"), 0);
    assert_int_equal(fixture->trail->count, 3 * count);
    file_trail_finish(fixture->trail);

    assert_int_equal(fixture->trail->count, count);
    assert_false(file_step_has_turned(find(fixture, "", "key")));
}

/* More than the file system's clock may lag. */
static void grow_older(void)
{
    usleep(20000);
}

static void one_that_was_replaced_has_turned(void **state)
{
    struct fixture *fixture = *state;
    own_folder_write("key");
    own_folder_write("other");
    own_folder_write("written");
    make_folder("certs");
    assert_int_equal(ask(fixture, "key"), 0);
    assert_int_equal(ask(fixture, "written"), 0);
    assert_int_not_equal(ask(fixture, "later"), 0);
    list(fixture, "certs");
    file_trail_finish(fixture->trail);
    assert_false(file_step_has_turned(find(fixture, "", "later")));
    assert_false(file_step_has_turned(find(fixture, "certs", "")));

    assert_int_equal(rename("other", "key"), 0);
    own_folder_write("written");
    own_folder_write("later");
    grow_older();
    own_folder_write("certs/a.pem");

    assert_true(file_step_has_turned(find(fixture, "", "key")));
    assert_false(file_step_has_turned(find(fixture, "", "written")));
    assert_true(file_step_has_turned(find(fixture, "", "later")));
    assert_true(file_step_has_turned(find(fixture, "certs", "")));
}

static ino_t inode_of(const char *path)
{
    struct stat found;

    assert_int_equal(lstat(path, &found), 0);
    return found.st_ino;
}

/* In the place of what was there, and with its inode where the file system
 * gives it to the next one, as most do. */
static void make_anew(const char *path, bool is_link)
{
    ino_t former = inode_of(path);

    for (int i = 0; i < 100; i++) {
        assert_int_equal(unlink(path), 0);
        if (is_link)
            make_link("file", path);
        else
            own_folder_write(path);
        if (inode_of(path) == former)
            return;
    }
}

static void one_that_was_made_anew_has_turned(void **state)
{
    struct fixture *fixture = *state;
    own_folder_write("file");
    own_folder_write("key");
    make_link("file", "link");
    assert_int_equal(ask(fixture, "key"), 0);
    assert_int_equal(ask(fixture, "link"), 0);
    file_trail_finish(fixture->trail);

    grow_older();
    make_anew("key", false);
    make_anew("link", true);

    assert_true(file_step_has_turned(find(fixture, "", "key")));
    assert_true(file_step_has_turned(find(fixture, "", "link")));
    assert_false(file_step_has_turned(find(fixture, "", "file")));
}

static void what_became_of_a_file_itself_is_no_turn(void **state)
{
    struct fixture *fixture = *state;
    own_folder_write("file");
    make_link("file", "link");
    assert_int_equal(ask(fixture, "link"), 0);
    file_trail_finish(fixture->trail);

    grow_older();
    own_folder_write("file");
    assert_int_equal(chmod("file", 0640), 0);
    assert_int_equal(link("file", "another"), 0);
    assert_int_equal(link("link", "another-link"), 0);

    assert_false(file_step_has_turned(find(fixture, "", "file")));
    assert_false(file_step_has_turned(find(fixture, "", "link")));
}

static void one_that_turned_during_the_load_has_turned(void **state)
{
    struct fixture *fixture = *state;
    own_folder_write("key");
    own_folder_write("other");
    assert_int_equal(ask(fixture, "key"), 0);

    assert_int_equal(rename("key", "aside"), 0);
    assert_int_equal(rename("other", "key"), 0);
    assert_int_equal(ask(fixture, "key"), 0);
    assert_int_equal(rename("aside", "key"), 0);
    file_trail_finish(fixture->trail);

    assert_true(file_step_has_turned(find(fixture, "", "key")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_link_leads_to_the_folder_that_it_names),
        CLAIM(links_are_followed_on_the_way_and_one_after_the_other),
        CLAIM(a_trail_ends_where_something_is_missing),
        CLAIM(links_in_a_circle_end),
        CLAIM(what_is_too_long_is_left_to_the_kernel),
        CLAIM(a_folder_that_is_listed_is_there_with_all_its_names),
        CLAIM(equal_steps_are_one),
        CLAIM(one_that_was_replaced_has_turned),
        CLAIM(one_that_was_made_anew_has_turned),
        CLAIM(what_became_of_a_file_itself_is_no_turn),
        CLAIM(one_that_turned_during_the_load_has_turned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
