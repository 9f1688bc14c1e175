/* The thread that loads, beside those that serve. */
#include "config/pace.h"
#include "reload.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

enum {
    STRETCHES = 10
};

static uint64_t worked_us(void)
{
    struct timespec moment;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &moment);
    return (uint64_t)moment.tv_sec * 1000000 + (uint64_t)moment.tv_nsec / 1000;
}

/* How often the calling thread naps when it has much to do. */
static long naps_in_work(void)
{
    uint64_t until_us = worked_us() + STRETCHES * PACE_STRETCH_US;
    struct rusage before, after;

    getrusage(RUSAGE_THREAD, &before);
    while (worked_us() < until_us)
        pace();
    getrusage(RUSAGE_THREAD, &after);
    return after.ru_nvcsw - before.ru_nvcsw;
}

/* Has no file, but looks at who asks for it. */
static int read_file(void *owner, const char *path, struct file_bytes *out)
{
    (void)path;
    (void)out;
    *(long *)owner = naps_in_work();
    return ENOENT;
}

struct loading {
    struct reload *reload;
    struct file_trail *trail; /* what it left */
};

static struct snapshot *on_reloaded(struct snapshot *snapshot,
                                    struct openings *openings,
                                    struct reasons *reasons, void *owner)
{
    struct loading *loading = owner;

    (void)openings;
    (void)reasons;
    assert_null(snapshot);
    loading->trail = reload_take_trail(loading->reload);
    reload_stop(loading->reload);
    return NULL;
}

/* Its trail, to be freed, and how often its thread napped when it read. */
static struct file_trail *load(const char *config_file, long *naps_out)
{
    struct file_source files = {.owner = naps_out, .read_file = read_file};
    struct snapshot_parts parts = {.files = &files};
    struct loading loading = {.trail = NULL};
    struct snapshot in_force;
    uv_loop_t loop;

    memset(&in_force, 0, sizeof(in_force));
    atomic_init(&in_force.refs, 1);
    uv_loop_init(&loop);
    loading.reload =
        reload_new(&loop, config_file, &parts, NULL, 1, on_reloaded, &loading);
    reload_request(loading.reload, &in_force, false);
    uv_run(&loop, UV_RUN_DEFAULT);
    reload_free(&loading.reload);
    assert_int_equal(uv_loop_close(&loop), 0);
    return loading.trail;
}

static void thread_that_loads_naps(void **state)
{
    long naps = -1;
    struct file_trail *trail = load("gatepost.json", &naps);

    (void)state;
    assert_true(naps >= STRETCHES / 2);
    assert_int_equal(naps_in_work(), 0); /* nor does who asked for it */
    file_trail_free(&trail);
}

/* Of many files that is long work, which the loop is to be spared. */
static void thread_that_loads_finishes_its_trail(void **state)
{
    long naps = -1;
    struct file_trail *trail = load("/tmp/../tmp/none.json", &naps);

    (void)state;
    assert_int_equal(trail->count, 2);
    assert_string_equal(trail->steps[0].name, "tmp");
    assert_string_equal(trail->steps[1].name, "none.json");
    file_trail_free(&trail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thread_that_loads_naps),
        cmocka_unit_test(thread_that_loads_finishes_its_trail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
