/* Looks at many sessions between which a loop goes on turning. The sessions are
 * nothing but their nodes, since nothing looks into them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session/session.h"
#include "session/sweep.h"

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    CROWD = 4000
};

struct counting_sweep {
    struct sweep sweep; /* first: a sweep's pointer is ours */
    size_t met;
    size_t enough;    /* so many */
    uint64_t look_ns; /* how long each look takes */
    size_t ended_as;  /* the how-manieth to end */
    bool is_whole;
    struct registry_node *leaves; /* in mid-sweep */
};

static uv_loop_t loop;
static struct registry registry;
static struct sweeps sweeps;
static struct registry_node nodes[CROWD];
static size_t ends;
static bool is_open;

static bool on_session(struct sweep *sweep, struct session *session)
{
    struct counting_sweep *mine = (struct counting_sweep *)(void *)sweep;
    uint64_t until_ns = uv_hrtime() + mine->look_ns;

    assert_non_null(session);
    while (uv_hrtime() < until_ns)
        continue;
    if (mine->leaves != NULL && mine->met == 1) {
        registry_remove(&registry, mine->leaves);
        mine->leaves = NULL;
    }
    return ++mine->met < mine->enough;
}

static void on_end(struct sweep *sweep, bool is_whole)
{
    struct counting_sweep *mine = (struct counting_sweep *)(void *)sweep;

    mine->ended_as = ++ends;
    mine->is_whole = is_whole;
}

static void ask(struct counting_sweep *sweep, size_t enough)
{
    *sweep = (struct counting_sweep){
        .sweep = {.visit = on_session, .end = on_end}, .enough = enough};
    sweeps_add(&sweeps, &sweep->sweep);
}

static int set_up(void **state)
{
    (void)state;
    uv_loop_init(&loop);
    registry_init(&registry);
    for (size_t i = 0; i < CROWD; i++) {
        registry_add(&registry, &nodes[i]);
        if (i % 2 == 0)
            registry_settle(&registry, &nodes[i]);
    }
    assert_int_equal(sweeps_open(&sweeps, &loop, &registry), 0);
    is_open = true;
    ends = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (is_open)
        sweeps_close(&sweeps);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    return 0;
}

static void sweep_meets_everybody_once(void **state)
{
    struct counting_sweep sweep;

    (void)state;
    ask(&sweep, SIZE_MAX);
    uv_run(&loop, UV_RUN_DEFAULT);

    assert_int_equal(sweep.met, CROWD);
    assert_true(sweep.is_whole);
}

static void loop_turns_while_a_sweep_looks(void **state)
{
    struct counting_sweep sweep;
    size_t turns = 0;

    (void)state;
    ask(&sweep, SIZE_MAX);
    sweep.look_ns = 10000;
    while (uv_run(&loop, UV_RUN_NOWAIT) != 0)
        turns++;

    assert_int_equal(sweep.met, CROWD);
    /* Each turn looks for SWEEP_SLICE_US and at most one look more. */
    assert_true(turns + 1 >= CROWD * 10 / (SWEEP_SLICE_US + 100));
}

static void slice_ends_with_the_look_that_fills_it(void **state)
{
    enum {
        LOOKS = 20
    };
    struct counting_sweep sweep;
    size_t turns = 0;

    (void)state;
    ask(&sweep, LOOKS);
    sweep.look_ns = SWEEP_SLICE_US * UINT64_C(1000);
    while (uv_run(&loop, UV_RUN_NOWAIT) != 0)
        turns++;

    assert_true(turns + 1 >= LOOKS);
}

static void sweeps_come_one_after_the_other(void **state)
{
    struct counting_sweep first, second;

    (void)state;
    ask(&first, SIZE_MAX);
    ask(&second, SIZE_MAX);
    uv_run(&loop, UV_RUN_DEFAULT);

    assert_int_equal(first.met, CROWD);
    assert_int_equal(second.met, CROWD);
    assert_int_equal(first.ended_as, 1);
    assert_int_equal(second.ended_as, 2);
}

static void sweep_ends_when_it_has_seen_enough(void **state)
{
    struct counting_sweep sweep;

    (void)state;
    ask(&sweep, 3);
    uv_run(&loop, UV_RUN_DEFAULT);

    assert_int_equal(sweep.met, 3);
    assert_true(sweep.is_whole);
}

static void who_left_in_mid_sweep_is_not_met(void **state)
{
    struct counting_sweep sweep;

    (void)state;
    ask(&sweep, SIZE_MAX);
    sweep.leaves = &nodes[5]; /* the third before login, which is next */
    uv_run(&loop, UV_RUN_DEFAULT);

    assert_int_equal(sweep.met, CROWD - 1);
}

static void closing_tells_those_that_are_cut_short(void **state)
{
    struct counting_sweep first, second;

    (void)state;
    ask(&first, SIZE_MAX);
    ask(&second, SIZE_MAX);
    first.look_ns = 10000;
    uv_run(&loop, UV_RUN_NOWAIT);
    sweeps_close(&sweeps);
    is_open = false;

    assert_true(first.met > 0 && first.met < CROWD);
    assert_int_equal(ends, 2);
    assert_false(first.is_whole);
    assert_false(second.is_whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(sweep_meets_everybody_once),
        CLAIM(loop_turns_while_a_sweep_looks),
        CLAIM(slice_ends_with_the_look_that_fills_it),
        CLAIM(sweeps_come_one_after_the_other),
        CLAIM(sweep_ends_when_it_has_seen_enough),
        CLAIM(who_left_in_mid_sweep_is_not_met),
        CLAIM(closing_tells_those_that_are_cut_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
