/* When a watch tells, and what it says where it cannot be had. */
#include "file_watch.h"

#include "log_capture.h"
#include "own_folder.h"
#include "provider.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    PATIENCE_MS = 20000
};

struct fixture {
    struct own_folder own;
    uv_loop_t loop;
    uv_timer_t timer;
    struct file_watch *watch;
    struct log_capture log;
    unsigned told;
};

/* How many more can be watched, and what happens then: EACCES is of folders
 * alone. */
static int room = INT_MAX;
static int fault;
static int instance_fault;

/* Whether a folder that is called by a number is watched by that number, be it
 * there or not. */
static bool is_by_number;

static bool is_folder(const char *name)
{
    struct stat found;

    return lstat(name, &found) == 0 && S_ISDIR(found.st_mode);
}

/* In the C library's place: to be short of watches here needs no other user
 * to be short of them. */
int inotify_add_watch(int fd, const char *name, uint32_t mask)
{
    if (room-- <= 0 && (fault != EACCES || is_folder(name))) {
        errno = fault;
        return -1;
    }
    if (is_by_number)
        return (int)strtol(strrchr(name, '/') + 1, NULL, 10);
    return (int)syscall(SYS_inotify_add_watch, fd, name, mask);
}

/* Likewise. */
int inotify_init1(int flags)
{
    if (instance_fault != 0) {
        errno = instance_fault;
        return -1;
    }
    return (int)syscall(SYS_inotify_init1, flags);
}

static void on_told(void *owner)
{
    struct fixture *fixture = owner;

    fixture->told++;
    uv_stop(&fixture->loop);
}

static void on_timer(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static int set_up(void **state)
{
    struct fixture *fixture = mem_zalloc(sizeof(*fixture));

    *state = fixture;
    if (!own_folder_enter(&fixture->own))
        return -1;
    room = INT_MAX;
    fault = 0;
    instance_fault = 0;
    is_by_number = false;
    uv_loop_init(&fixture->loop);
    uv_timer_init(&fixture->loop, &fixture->timer);
    own_folder_write("file");
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    int status;

    file_watch_stop(fixture->watch);
    uv_close((uv_handle_t *)&fixture->timer, NULL);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    file_watch_free(&fixture->watch);
    status = uv_loop_close(&fixture->loop);
    own_folder_leave(&fixture->own);
    free(fixture);
    return status;
}

/* The trail of a load of this file. */
static struct file_trail *trail_of(const char *path)
{
    struct file_trail *trail = file_trail_new(provider_files());
    struct file_bytes file = {.bytes = NULL};

    (void)trail->source.read_file(trail, path, &file);
    file_bytes_deinit(&file);
    file_trail_finish(trail);
    return trail;
}

/* The same, but by its whole name. */
static struct file_trail *long_trail_of(const struct fixture *fixture,
                                        const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "%s/%s", fixture->own.path, name);
    return trail_of(path);
}

/* The lines that are logged about it. */
static const char *follow(struct fixture *fixture, struct file_trail *trail)
{
    log_capture_start(&fixture->log);
    if (fixture->watch == NULL)
        fixture->watch = file_watch_new(&fixture->loop, on_told, fixture);
    file_watch_follow(fixture->watch, true, trail);
    return log_capture_take(&fixture->log);
}

/* How often it was told, from now on until it is or so many ms are over. */
static unsigned wait_told(struct fixture *fixture, uint64_t ms)
{
    unsigned before = fixture->told;

    uv_update_time(&fixture->loop);
    uv_timer_start(&fixture->timer, on_timer, ms, 0);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    return fixture->told - before;
}

static void a_rename_is_told_of(void **state)
{
    struct fixture *fixture = *state;
    (void)follow(fixture, trail_of("file"));

    own_folder_replace("file");

    assert_int_equal(wait_told(fixture, PATIENCE_MS), 1);
}

static void other_names_and_content_are_not_told_of(void **state)
{
    struct fixture *fixture = *state;
    own_folder_write("missing.new");
    (void)follow(fixture, trail_of("file"));
    file_watch_follow(fixture->watch, true, trail_of("missing"));

    own_folder_replace("other");
    own_folder_write("file");
    own_folder_write("missing");

    assert_int_equal(wait_told(fixture, 3 * FILE_WATCH_CALM_MS / 2), 0);
}

static void a_link_or_a_folder_that_appears_is_told_of(void **state)
{
    struct fixture *fixture = *state;
    (void)follow(fixture, trail_of("missing/file"));

    assert_int_equal(mkdir("missing", 0700), 0);
    assert_int_equal(wait_told(fixture, PATIENCE_MS), 1);
    (void)follow(fixture, trail_of("missing/file"));
    assert_int_equal(symlink("../file", "missing/file"), 0);
    assert_int_equal(wait_told(fixture, PATIENCE_MS), 1);
}

static void a_folder_that_is_taken_away_is_told_of(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(mkdir("certs", 0700), 0);
    (void)follow(fixture, trail_of("certs/a.pem"));

    assert_int_equal(rename("certs", "certs.old"), 0);
    assert_int_equal(wait_told(fixture, PATIENCE_MS), 1);
    (void)follow(fixture, trail_of("certs.old/a.pem"));
    assert_int_equal(rmdir("certs.old"), 0);
    assert_int_equal(wait_told(fixture, PATIENCE_MS), 1);
}

static void what_was_replaced_before_it_was_watched_is_told_of(void **state)
{
    struct fixture *fixture = *state;
    struct file_trail *trail = trail_of("file");

    own_folder_replace("file");
    (void)follow(fixture, trail);

    assert_int_equal(wait_told(fixture, PATIENCE_MS), 1);
}

/* Where a file never stays what it is, as in some network's file systems. */
static void one_that_was_watched_is_told_of_by_its_folder_only(void **state)
{
    struct fixture *fixture = *state;
    struct file_trail *trail;
    (void)follow(fixture, trail_of("file"));
    trail = trail_of("file");
    for (size_t i = 0; i < trail->count; i++)
        trail->steps[i].inode++;

    (void)follow(fixture, trail);

    assert_int_equal(wait_told(fixture, 3 * FILE_WATCH_CALM_MS / 2), 0);
}

static void changes_side_by_side_are_told_of_once(void **state)
{
    struct fixture *fixture = *state;
    (void)follow(fixture, trail_of("file"));

    for (int i = 0; i < 1000; i++)
        own_folder_replace("file");

    assert_int_equal(wait_told(fixture, PATIENCE_MS), 1);
    assert_int_equal(wait_told(fixture, 3 * FILE_WATCH_CALM_MS / 2), 0);
}

static unsigned count_watches(void)
{
    char path[64], line[256];
    unsigned count = 0;

    for (int fd = 0; fd < 64; fd++) {
        snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
        FILE *info = fopen(path, "r");

        if (info == NULL)
            continue;
        while (fgets(line, sizeof(line), info) != NULL)
            count += strncmp(line, "inotify wd:", strlen("inotify wd:")) == 0;
        fclose(info);
    }
    return count;
}

static void folders_off_the_trail_are_left(void **state)
{
    struct fixture *fixture = *state;
    unsigned before;
    assert_int_equal(mkdir("certs", 0700), 0);
    (void)follow(fixture, trail_of("file"));
    before = count_watches();

    (void)follow(fixture, trail_of("certs/file"));
    assert_int_equal(count_watches(), before + 1);
    (void)follow(fixture, trail_of("file"));
    assert_int_equal(count_watches(), before);
    file_watch_follow(fixture->watch, false, trail_of("file"));
    assert_int_equal(count_watches(), 0);
}

/* As of a load that listed so many folders. */
static struct file_trail *wide_trail(size_t count)
{
    struct file_trail *trail = file_trail_new(provider_files());
    char folder[32];

    trail->steps = mem_realloc_array(NULL, count, sizeof(*trail->steps));
    for (; trail->count < count; trail->count++) {
        snprintf(folder, sizeof(folder), "/none/%zu", trail->count + 1);
        trail->steps[trail->count] =
            (struct file_step){.folder = mem_strdup(folder),
                               .name = mem_strdup("key"),
                               .file = "key"};
    }
    file_trail_finish(trail);
    return trail;
}

/* Of this process, in seconds. */
static double time_follow(struct fixture *fixture, struct file_trail *trail)
{
    clock_t since = clock();

    (void)follow(fixture, trail);
    return (double)(clock() - since) / CLOCKS_PER_SEC;
}

static void many_folders_that_stay_take_no_longer_than_new_ones(void **state)
{
    enum {
        FOLDERS = 40000
    };
    struct fixture *fixture = *state;
    double first, second;
    is_by_number = true;

    first = time_follow(fixture, wide_trail(FOLDERS));
    second = time_follow(fixture, wide_trail(FOLDERS));

    if (second > 4 * first)
        fail_msg("%.3f s, and then %.3f s", first, second);
}

static long most_events(void)
{
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    char line[32] = "";

    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    return strtol(line, NULL, 10);
}

static void events_that_were_lost_may_have_been_of_the_file(void **state)
{
    struct fixture *fixture = *state;
    (void)follow(fixture, trail_of("file"));

    own_folder_write("a");
    for (long i = most_events() / 2 + 1; i > 0; i--) {
        assert_int_equal(rename("a", "b"), 0);
        assert_int_equal(rename("b", "a"), 0);
    }

    assert_int_equal(wait_told(fixture, PATIENCE_MS), 1);
}

static void on_later(uv_timer_t *timer)
{
    (void)timer;
    own_folder_replace("file");
}

/* How long it took to tell of a change now and another one half a calm later:
 * not so little as from the first one on. */
static uint64_t time_two_changes(struct fixture *fixture)
{
    uint64_t since;
    uv_timer_t later;

    uv_update_time(&fixture->loop);
    since = uv_now(&fixture->loop);
    uv_timer_init(&fixture->loop, &later);
    uv_timer_start(&later, on_later, FILE_WATCH_CALM_MS / 2, 0);
    own_folder_replace("file");
    assert_int_equal(wait_told(fixture, PATIENCE_MS), 1);
    since = uv_now(&fixture->loop) - since;
    uv_close((uv_handle_t *)&later, NULL);
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
    return since;
}

static void it_is_told_when_all_is_calm(void **state)
{
    struct fixture *fixture = *state;
    uint64_t took_ms = 0;
    (void)follow(fixture, trail_of("file"));

    /* A machine that is busy just then lets both be late. */
    for (int i = 0; i < 10 && took_ms < 3 * FILE_WATCH_CALM_MS / 2; i++)
        took_ms = time_two_changes(fixture);

    assert_true(took_ms >= 3 * FILE_WATCH_CALM_MS / 2);
}

static void on_busy(uv_timer_t *timer)
{
    (void)timer;
    own_folder_replace("file");
}

static void changes_without_an_end_are_told_of(void **state)
{
    struct fixture *fixture = *state;
    uv_timer_t busy;
    (void)follow(fixture, trail_of("file"));
    uv_timer_init(&fixture->loop, &busy);
    uv_timer_start(&busy, on_busy, 0, 10);

    assert_int_equal(wait_told(fixture, PATIENCE_MS), 1);

    uv_close((uv_handle_t *)&busy, NULL);
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
}

static void a_shortage_names_the_files(void **state)
{
    struct fixture *fixture = *state;
    const char *said;
    room = 0;
    fault = ENOSPC;

    said = follow(fixture, long_trail_of(fixture, "file"));

    assert_non_null(strstr(said, "watch-failed file=/tmp/gp-own."));
    assert_non_null(strstr(said, "/file folder=/ "));
    assert_non_null(strstr(said, "/file folder=/tmp "));
    assert_non_null(strstr(said, "max_user_watches"));
}

static void many_failures_are_counted(void **state)
{
    struct fixture *fixture = *state;
    struct file_trail *trail = file_trail_new(provider_files());
    const char *said;
    for (char path[] = "a/f"; path[0] <= 'k'; path[0]++) {
        path[1] = '\0';
        assert_int_equal(mkdir(path, 0700), 0);
        path[1] = '/';
        (void)trail->source.read_file(trail, path, NULL);
    }
    file_trail_finish(trail);
    room = 0;
    fault = ENOSPC;

    said = follow(fixture, trail);

    assert_non_null(strstr(said, "watch-failed more=2"));
}

static void what_lies_in_an_unreadable_folder_is_watched_alone(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(symlink("file", "link"), 0);
    room = 0;
    fault = EACCES;

    assert_string_equal(follow(fixture, long_trail_of(fixture, "link")), "");
    own_folder_replace("file");
    assert_int_equal(wait_told(fixture, PATIENCE_MS), 1);

    assert_string_equal(follow(fixture, long_trail_of(fixture, "link")), "");
    own_folder_replace("link");
    assert_int_equal(wait_told(fixture, PATIENCE_MS), 1);
}

static void it_is_missed_although_it_stays_under_another_name(void **state)
{
    struct fixture *fixture = *state;
    room = 0;
    fault = EACCES;

    for (int i = 0; i < 2; i++) {
        int held = open("file", O_RDONLY | O_CLOEXEC);

        assert_true(held >= 0);
        assert_string_equal(follow(fixture, long_trail_of(fixture, "file")),
                            "");
        if (i == 0)
            assert_int_equal(link("file", "backup"), 0);
        assert_int_equal(chmod("file", 0640), 0);
        assert_int_equal(wait_told(fixture, 3 * FILE_WATCH_CALM_MS / 2), 0);
        own_folder_replace("file");
        assert_int_equal(wait_told(fixture, PATIENCE_MS), 1);
        close(held);
    }
}

static void what_is_not_yet_in_an_unreadable_folder_is_a_failure(void **state)
{
    struct fixture *fixture = *state;
    const char *said;
    room = 0;
    fault = EACCES;

    said = follow(fixture, long_trail_of(fixture, "missing"));

    assert_null(strstr(said, "folder=/ "));
    assert_null(strstr(said, "folder=/tmp "));
    assert_non_null(strstr(said, "folder=/tmp/gp-own."));
}

static void hidden_names_of_a_listed_folder_are_not_told_of(void **state)
{
    struct fixture *fixture = *state;
    struct file_trail *trail = file_trail_new(provider_files());
    char **names = NULL;
    assert_int_equal(mkdir("certs", 0700), 0);
    assert_int_equal(trail->source.list_folder(trail, "certs", &names), 0);
    file_names_free(&names);
    file_trail_finish(trail);
    (void)follow(fixture, trail);

    own_folder_replace("certs/.hidden");
    assert_int_equal(wait_told(fixture, 3 * FILE_WATCH_CALM_MS / 2), 0);
    own_folder_replace("certs/seen");
    assert_int_equal(wait_told(fixture, PATIENCE_MS), 1);
}

static void where_nothing_can_be_watched_it_is_said(void **state)
{
    struct fixture *fixture = *state;
    instance_fault = EMFILE;

    assert_non_null(strstr(follow(fixture, long_trail_of(fixture, "file")),
                           "max_user_instances"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_rename_is_told_of),
        CLAIM(other_names_and_content_are_not_told_of),
        CLAIM(a_link_or_a_folder_that_appears_is_told_of),
        CLAIM(a_folder_that_is_taken_away_is_told_of),
        CLAIM(what_was_replaced_before_it_was_watched_is_told_of),
        CLAIM(one_that_was_watched_is_told_of_by_its_folder_only),
        CLAIM(changes_side_by_side_are_told_of_once),
        CLAIM(folders_off_the_trail_are_left),
        CLAIM(many_folders_that_stay_take_no_longer_than_new_ones),
        CLAIM(events_that_were_lost_may_have_been_of_the_file),
        CLAIM(it_is_told_when_all_is_calm),
        CLAIM(changes_without_an_end_are_told_of),
        CLAIM(a_shortage_names_the_files),
        CLAIM(many_failures_are_counted),
        CLAIM(what_lies_in_an_unreadable_folder_is_watched_alone),
        CLAIM(it_is_missed_although_it_stays_under_another_name),
        CLAIM(what_is_not_yet_in_an_unreadable_folder_is_a_failure),
        CLAIM(hidden_names_of_a_listed_folder_are_not_told_of),
        CLAIM(where_nothing_can_be_watched_it_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
