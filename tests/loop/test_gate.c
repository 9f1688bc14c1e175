/* Who may log in at a backend at a time, in a loop turned by hand. Time runs
 * ten times as fast, where the build lets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/gate.h"
#include "base/clock.h"
#include "base/counters.h"
#include "patience.h"

#include <sched.h>
#include <stdatomic.h>

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    PASSES = 8,
    QUEUE = 100
};

/* A worker: its loop, its gate. */
struct bench {
    uv_loop_t loop;
    struct io io;
    struct gate *gate;
};

struct visitor {
    struct gate_pass pass;
    struct bench *bench;
    unsigned calls;
    bool is_in;
    uint64_t called_ms;
    unsigned turn;          /* in which order they were called */
    struct visitor *leaves; /* this one too, when called */
};

static struct counters_set *counters;
static struct backend_registry *registry;
static struct backend *backend;
static struct bench bench;
static struct visitor visitors[PASSES];
static unsigned turns;

static void open_bench(struct bench *bench_out, size_t index)
{
    uv_loop_init(&bench_out->loop);
    assert_int_equal(io_init(&bench_out->io, &bench_out->loop,
                             counters_set_at(counters, index), 4096),
                     0);
    bench_out->gate = gate_new(&bench_out->io);
}

static void close_bench(struct bench *old)
{
    gate_free(&old->gate);
    assert_null(old->gate);
    io_stop(&old->io);
    uv_run(&old->loop, UV_RUN_DEFAULT);
    io_deinit(&old->io);
    assert_int_equal(uv_loop_close(&old->loop), 0);
}

static int set_up(void **state)
{
    (void)state;
    setenv("GATEPOST_FAULT_CLOCK_SCALE", "10", 1);
    counters = counters_set_new(4);
    registry = backend_registry_new();
    backend = backend_registry_get(registry, "b1", "192.0.2.1", 143);
    memset(visitors, 0, sizeof(visitors));
    turns = 0;
    open_bench(&bench, 0);
    return 0;
}

static int tear_down(void **state)
{
    struct backend_facts facts;

    (void)state;
    for (size_t i = 0; i < PASSES; i++)
        gate_leave(&visitors[i].pass);
    backend_read_facts(backend, &facts);
    assert_int_equal(facts.logins, 0);
    assert_int_equal(facts.logins_waiting, 0);
    close_bench(&bench);
    backend_unref(&backend);
    backend_registry_free(&registry);
    counters_set_free(&counters);
    return 0;
}

static void on_gate(struct gate_pass *pass, bool is_in, void *owner)
{
    struct visitor *visitor = owner;

    assert_ptr_equal(pass, &visitor->pass);
    assert_int_equal(pass->place, is_in ? GATE_IN : GATE_OUT);
    visitor->calls++;
    visitor->is_in = is_in;
    visitor->called_ms = clock_now_ms();
    visitor->turn = ++turns;
    if (visitor->leaves != NULL)
        gate_leave(&visitor->leaves->pass);
}

static enum gate_answer enter(size_t index, unsigned logins_max,
                              unsigned queue_max)
{
    return gate_enter(bench.gate, &visitors[index].pass, backend, logins_max,
                      queue_max, on_gate, &visitors[index]);
}

/* When the turn of the loop began in which it was called: a machine at work may
 * let us stand still in any turn. */
static uint64_t turn_until_called(const struct visitor *visitor)
{
    uint64_t began_ns = uv_hrtime();
    uint64_t turn_ms = clock_now_ms();

    while (visitor->calls == 0) {
        turn_ms = clock_now_ms();
        uv_run(&bench.loop, UV_RUN_ONCE);
        assert_false(patience_is_over(began_ns));
    }
    return turn_ms;
}

/* So many milliseconds of the clock pass. */
static void turn_for(uint64_t lasts_ms)
{
    uint64_t end_ms = clock_now_ms() + lasts_ms;

    while (clock_now_ms() < end_ms)
        uv_run(&bench.loop, UV_RUN_NOWAIT);
}

static void without_a_limit_nothing_is_counted(void **state)
{
    struct backend_facts facts;

    (void)state;
    for (size_t i = 0; i < PASSES; i++)
        assert_int_equal(enter(i, 0, 0), GATE_ENTERED);

    backend_read_facts(backend, &facts);
    assert_int_equal(facts.logins, 0);
}

static void so_many_are_in_at_a_time(void **state)
{
    (void)state;
    assert_int_equal(enter(0, 2, 0), GATE_ENTERED);
    assert_int_equal(enter(1, 2, 0), GATE_ENTERED);
    assert_int_equal(enter(2, 2, 0), GATE_FULL);

    gate_leave(&visitors[0].pass);
    assert_int_equal(enter(2, 2, 0), GATE_ENTERED);
}

static void other_backend_has_places_of_its_own(void **state)
{
    struct backend *other =
        backend_registry_get(registry, "b2", "192.0.2.2", 143);

    (void)state;
    assert_int_equal(enter(0, 1, 0), GATE_ENTERED);
    assert_int_equal(gate_enter(bench.gate, &visitors[1].pass, other, 1, 0,
                                on_gate, &visitors[1]),
                     GATE_ENTERED);
    gate_leave(&visitors[1].pass);
    backend_unref(&other);
}

static void next_is_let_in_when_one_leaves(void **state)
{
    uint64_t left_ms;
    uint64_t turn_ms;

    (void)state;
    assert_int_equal(enter(0, 1, QUEUE), GATE_ENTERED);
    assert_int_equal(enter(1, 1, QUEUE), GATE_WAITS);
    turn_for(200);
    assert_int_equal(visitors[1].calls, 0);

    left_ms = clock_now_ms();
    gate_leave(&visitors[0].pass);
    assert_int_equal(visitors[1].calls, 0);
    turn_ms = turn_until_called(&visitors[1]);

    assert_true(visitors[1].is_in);
    assert_in_range(turn_ms - left_ms, 0, 400);
    assert_int_equal(enter(2, 1, 0), GATE_FULL);
}

static void queue_is_first_come_first_served(void **state)
{
    (void)state;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(enter(i, 1, QUEUE),
                         i == 0 ? GATE_ENTERED : GATE_WAITS);
    for (size_t i = 0; i < 4; i++) {
        visitors[i].calls = 0;
        gate_leave(&visitors[i].pass);
        turn_until_called(&visitors[i + 1]);
        assert_int_equal(visitors[i + 1].turn, i + 1);
    }

    assert_int_equal(turns, 4);
}

static void who_comes_does_not_overtake_who_waits(void **state)
{
    (void)state;
    assert_int_equal(enter(0, 1, QUEUE), GATE_ENTERED);
    assert_int_equal(enter(1, 1, QUEUE), GATE_WAITS);
    gate_leave(&visitors[0].pass);

    assert_int_equal(enter(2, 1, QUEUE), GATE_WAITS);
    turn_until_called(&visitors[1]);
    assert_int_equal(visitors[2].calls, 0);
}

static void queue_is_short(void **state)
{
    (void)state;
    assert_int_equal(enter(0, 1, 2), GATE_ENTERED);
    assert_int_equal(enter(1, 1, 2), GATE_WAITS);
    assert_int_equal(enter(2, 1, 2), GATE_WAITS);
    assert_int_equal(enter(3, 1, 2), GATE_FULL);

    gate_leave(&visitors[1].pass);
    assert_int_equal(enter(3, 1, 2), GATE_WAITS);
}

static void nobody_waits_longer_than_five_seconds(void **state)
{
    uint64_t began_ms = clock_now_ms();
    uint64_t turn_ms;

    (void)state;
    assert_int_equal(enter(0, 1, QUEUE), GATE_ENTERED);
    assert_int_equal(enter(1, 1, QUEUE), GATE_WAITS);
    turn_ms = turn_until_called(&visitors[1]);

    assert_false(visitors[1].is_in);
    assert_true(visitors[1].called_ms - began_ms >= GATE_WAIT_MS);
    assert_true(turn_ms - began_ms < GATE_WAIT_MS + 1000);
    turn_for(100);
    assert_int_equal(visitors[1].calls, 1);
}

static void who_leaves_the_queue_is_not_called(void **state)
{
    (void)state;
    assert_int_equal(enter(0, 1, QUEUE), GATE_ENTERED);
    for (size_t i = 1; i < 5; i++)
        assert_int_equal(enter(i, 1, QUEUE), GATE_WAITS);
    gate_leave(&visitors[1].pass); /* the first, one between, the last */
    gate_leave(&visitors[3].pass);
    gate_leave(&visitors[4].pass);
    assert_int_equal(enter(5, 1, QUEUE), GATE_WAITS);

    gate_leave(&visitors[0].pass);
    turn_until_called(&visitors[2]);
    gate_leave(&visitors[2].pass);
    turn_until_called(&visitors[5]);

    assert_int_equal(turns, 2);
}

static void handler_may_end_others(void **state)
{
    (void)state;
    assert_int_equal(enter(0, 1, QUEUE), GATE_ENTERED);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(enter(i, 1, QUEUE), GATE_WAITS);
    visitors[1].leaves = &visitors[2];
    visitors[3].leaves = &visitors[3];

    gate_leave(&visitors[0].pass);
    turn_until_called(&visitors[1]);
    gate_leave(&visitors[1].pass);
    turn_until_called(&visitors[3]);

    assert_int_equal(visitors[2].calls, 0);
    assert_int_equal(visitors[3].pass.place, GATE_OUT);
    assert_int_equal(enter(4, 1, 0), GATE_ENTERED);
}

static void higher_limit_of_a_reload_lets_more_in(void **state)
{
    (void)state;
    assert_int_equal(enter(0, 1, QUEUE), GATE_ENTERED);
    assert_int_equal(enter(1, 1, QUEUE), GATE_WAITS);
    assert_int_equal(enter(2, 4, QUEUE), GATE_WAITS);
    turn_until_called(&visitors[2]);

    assert_true(visitors[1].is_in);
    assert_true(visitors[2].is_in);
}

static void pass_of_another_worker_makes_room(void **state)
{
    struct bench other;
    struct gate_pass pass = {.place = GATE_OUT};

    (void)state;
    open_bench(&other, 1);
    assert_int_equal(
        gate_enter(other.gate, &pass, backend, 1, QUEUE, on_gate, NULL),
        GATE_ENTERED);
    assert_int_equal(enter(0, 1, QUEUE), GATE_WAITS);
    turn_for(100);
    assert_int_equal(visitors[0].calls, 0);

    gate_leave(&pass);
    turn_until_called(&visitors[0]);
    assert_true(visitors[0].is_in);
    close_bench(&other);
}

static void empty_gate_asks_for_no_turn_of_the_loop(void **state)
{
    (void)state;
    assert_int_equal(enter(0, 1, QUEUE), GATE_ENTERED);
    assert_int_equal(enter(1, 1, QUEUE), GATE_WAITS);
    assert_true(timer_wheel_next(&bench.io.wheel) != TIMER_WHEEL_NEVER);
    gate_leave(&visitors[1].pass);

    assert_true(timer_wheel_next(&bench.io.wheel) == TIMER_WHEEL_NEVER);
}

enum {
    THREADS = 3,
    VISITS = 300,
    PLACES = 2
};

static atomic_int inside;
static atomic_int most_inside;
static atomic_int let_in;

static void be_inside(struct gate_pass *pass)
{
    int count = atomic_fetch_add(&inside, 1) + 1;
    int most = atomic_load(&most_inside);

    while (count > most &&
           !atomic_compare_exchange_weak(&most_inside, &most, count))
        continue;
    atomic_fetch_add(&let_in, 1);
    sched_yield();
    atomic_fetch_sub(&inside, 1);
    gate_leave(pass);
}

static void on_threads_gate(struct gate_pass *pass, bool is_in, void *owner)
{
    unsigned *calls = owner;

    if (is_in)
        be_inside(pass);
    ++*calls;
}

/* One who has waited for as long as anybody may, since others were quicker,
 * comes in vain. */
static void visit(struct bench *mine)
{
    struct gate_pass pass = {.place = GATE_OUT};
    unsigned calls = 0;

    switch (gate_enter(mine->gate, &pass, backend, PLACES, QUEUE,
                       on_threads_gate, &calls)) {
    case GATE_ENTERED:
        be_inside(&pass);
        break;
    case GATE_WAITS:
        while (calls == 0)
            uv_run(&mine->loop, UV_RUN_ONCE);
        break;
    case GATE_FULL:
        break;
    }
}

static void visit_often(void *which)
{
    struct bench *mine = which;

    for (int i = 0; i < VISITS; i++)
        visit(mine);
}

static void places_hold_between_threads(void **state)
{
    uv_thread_t threads[THREADS];
    struct bench benches[THREADS];
    struct backend_facts facts;

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        open_bench(&benches[i], i + 1);
    for (size_t i = 0; i < THREADS; i++)
        uv_thread_create(&threads[i], visit_often, &benches[i]);
    for (size_t i = 0; i < THREADS; i++)
        uv_thread_join(&threads[i]);
    for (size_t i = 0; i < THREADS; i++)
        close_bench(&benches[i]);

    assert_in_range(atomic_load(&most_inside), 1, PLACES);
    assert_in_range(atomic_load(&let_in), THREADS * VISITS / 2,
                    THREADS * VISITS);
    backend_read_facts(backend, &facts);
    assert_int_equal(facts.logins + facts.logins_waiting, 0);
}

static void begin_and_end_often(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < 2000000; i++) {
        if (!backend_login_begin(backend, 1))
            continue;
        if (atomic_fetch_add(&inside, 1) > 0)
            atomic_store(&most_inside, 2);
        atomic_fetch_sub(&inside, 1);
        backend_login_end(backend);
    }
}

static void last_place_is_given_once(void **state)
{
    uv_thread_t threads[THREADS];

    (void)state;
    atomic_store(&most_inside, 1);
    for (size_t i = 0; i < THREADS; i++)
        uv_thread_create(&threads[i], begin_and_end_often, NULL);
    for (size_t i = 0; i < THREADS; i++)
        uv_thread_join(&threads[i]);

    assert_int_equal(atomic_load(&most_inside), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(without_a_limit_nothing_is_counted),
        CLAIM(so_many_are_in_at_a_time),
        CLAIM(other_backend_has_places_of_its_own),
        CLAIM(next_is_let_in_when_one_leaves),
        CLAIM(queue_is_first_come_first_served),
        CLAIM(who_comes_does_not_overtake_who_waits),
        CLAIM(queue_is_short),
        CLAIM(nobody_waits_longer_than_five_seconds),
        CLAIM(who_leaves_the_queue_is_not_called),
        CLAIM(handler_may_end_others),
        CLAIM(higher_limit_of_a_reload_lets_more_in),
        CLAIM(pass_of_another_worker_makes_room),
        CLAIM(empty_gate_asks_for_no_turn_of_the_loop),
        CLAIM(places_hold_between_threads),
        CLAIM(last_place_is_given_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
