/* The wheel against a model that knows nothing but deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/timer_wheel.h"

#define CLAIM(name) cmocka_unit_test(name)

enum {
    TIMERS = 200,
    ROUNDS = 20000
};

/* The model: when each timer is to fire, in grains; 0 when not armed. */
struct subject {
    struct wheel_timer timer; /* first, so that one is the other */
    uint64_t fires_at;
};

static struct timer_wheel wheel;
static struct subject subjects[TIMERS];
static uint64_t now_ms;
static uint64_t last_fired; /* grain of the last one in this advance */
static unsigned fired_count;
static bool acts_in_callbacks;

static uint64_t random_below(uint64_t limit)
{
    return ((uint64_t)rand() << 31 ^ (uint64_t)rand()) % limit;
}

/* From now to weeks ahead, each order of magnitude as often as any other; at
 * times in the past. */
static uint64_t random_deadline(void)
{
    static const uint64_t reaches[] = {1,     20,      200,       2000,
                                       70000, 5000000, 300000000, 2000000000};
    uint64_t reach = reaches[random_below(8)];

    if (random_below(20) == 0)
        return now_ms > reach ? now_ms - reach : 0;
    return now_ms + random_below(reach);
}

static void arm(struct subject *subject, uint64_t deadline_ms)
{
    uint64_t now_grain = now_ms / TIMER_WHEEL_GRAIN_MS;

    timer_wheel_arm(&wheel, &subject->timer, deadline_ms);
    subject->fires_at =
        (deadline_ms + TIMER_WHEEL_GRAIN_MS - 1) / TIMER_WHEEL_GRAIN_MS;
    if (subject->fires_at <= now_grain)
        subject->fires_at = now_grain + 1;
}

static void cancel(struct subject *subject)
{
    timer_wheel_cancel(&wheel, &subject->timer);
    subject->fires_at = 0;
}

static void act_at_random(void)
{
    struct subject *subject = &subjects[random_below(TIMERS)];

    if (random_below(3) == 0)
        cancel(subject);
    else
        arm(subject, random_deadline());
}

static void on_fire(struct wheel_timer *timer)
{
    struct subject *subject = (struct subject *)(void *)timer;

    assert_int_not_equal(subject->fires_at, 0);
    assert_true(subject->fires_at <= now_ms / TIMER_WHEEL_GRAIN_MS);
    assert_true(subject->fires_at >= last_fired);
    assert_false(wheel_timer_is_armed(timer));
    last_fired = subject->fires_at;
    subject->fires_at = 0;
    fired_count++;
    for (uint64_t i = acts_in_callbacks ? random_below(4) : 0; i > 0; i--)
        act_at_random();
    if (acts_in_callbacks && random_below(4) == 0)
        arm(subject, random_deadline());
}

static void start(uint64_t from_ms, bool acts)
{
    now_ms = from_ms;
    acts_in_callbacks = acts;
    fired_count = 0;
    timer_wheel_init(&wheel, from_ms);
    for (size_t i = 0; i < TIMERS; i++) {
        wheel_timer_init(&subjects[i].timer, on_fire);
        subjects[i].fires_at = 0;
    }
}

static void advance(uint64_t to_ms)
{
    now_ms = to_ms;
    last_fired = 0;
    timer_wheel_advance(&wheel, to_ms);
}

static uint64_t nearest_in_model(void)
{
    uint64_t nearest = UINT64_MAX;

    for (size_t i = 0; i < TIMERS; i++) {
        if (subjects[i].fires_at != 0 && subjects[i].fires_at < nearest)
            nearest = subjects[i].fires_at;
    }
    return nearest;
}

static void assert_like_model(void)
{
    uint64_t nearest = nearest_in_model();
    uint64_t next_ms = timer_wheel_next(&wheel);

    for (size_t i = 0; i < TIMERS; i++)
        assert_int_equal(wheel_timer_is_armed(&subjects[i].timer),
                         subjects[i].fires_at != 0);
    if (nearest == UINT64_MAX) {
        assert_true(next_ms == TIMER_WHEEL_NEVER);
        return;
    }
    /* What was due has fired, and the next call comes early enough. */
    assert_true(nearest > now_ms / TIMER_WHEEL_GRAIN_MS);
    assert_true(next_ms > now_ms);
    assert_true(next_ms <= nearest * TIMER_WHEEL_GRAIN_MS);
}

static void run_at_random(uint64_t from_ms, bool acts)
{
    start(from_ms, acts);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t next_ms = timer_wheel_next(&wheel);

        for (uint64_t i = random_below(4); i > 0; i--)
            act_at_random();
        if (random_below(3) == 0 && next_ms != TIMER_WHEEL_NEVER)
            advance(next_ms > now_ms ? next_ms : now_ms);
        else if (random_below(200) == 0)
            advance(now_ms + random_below(500000000));
        else
            advance(now_ms + random_below(random_below(3) == 0 ? 100000 : 50));
        assert_like_model();
    }
    assert_true(fired_count > ROUNDS / 10);
}

static void wheel_fires_what_the_model_fires(void **state)
{
    (void)state;
    srand(1);
    run_at_random(0, false);
    run_at_random(123456789, false);
}

static void callbacks_may_arm_and_cancel_anything(void **state)
{
    (void)state;
    srand(2);
    run_at_random(0, true);
    /* Just before the highest digit of the wheel turns. */
    run_at_random((UINT64_C(1) << 30) * TIMER_WHEEL_GRAIN_MS - 1000, true);
}

static void timer_never_fires_early(void **state)
{
    (void)state;
    start(1000, false);
    arm(&subjects[0], 5001);
    advance(5000);
    assert_int_equal(fired_count, 0);
    advance(5001 + TIMER_WHEEL_GRAIN_MS);
    assert_int_equal(fired_count, 1);
}

static void wheel_without_timers_never_asks_for_a_call(void **state)
{
    (void)state;
    start(1000, false);
    assert_true(timer_wheel_next(&wheel) == TIMER_WHEEL_NEVER);
    arm(&subjects[0], 5000);
    cancel(&subjects[0]);
    assert_true(timer_wheel_next(&wheel) == TIMER_WHEEL_NEVER);
}

static void far_timer_lets_the_loop_sleep(void **state)
{
    unsigned calls = 0;

    (void)state;
    start(987654321, false);
    arm(&subjects[0], now_ms + 31 * 60 * 1000);
    while (fired_count == 0) {
        advance(timer_wheel_next(&wheel));
        calls++;
    }

    assert_in_range(calls, 1, TIMER_WHEEL_LEVELS);
    assert_true(now_ms - subjects[0].timer.deadline_ms < TIMER_WHEEL_GRAIN_MS);
}

static void arm_again(struct wheel_timer *timer)
{
    fired_count++;
    timer_wheel_arm(&wheel, timer, 0);
}

static void
timer_that_arms_itself_for_the_past_fires_once_an_advance(void **state)
{
    (void)state;
    start(1000, false);
    subjects[0].timer.callback = arm_again;
    arm(&subjects[0], 1001);
    timer_wheel_advance(&wheel, 3600 * 1000);

    assert_int_equal(fired_count, 1);
    timer_wheel_advance(&wheel, 3600 * 1000 + TIMER_WHEEL_GRAIN_MS);
    assert_int_equal(fired_count, 2);
}

static void free_all(struct wheel_timer *timer)
{
    struct wheel_timer **both = (struct wheel_timer **)(void *)(timer + 1);
    struct wheel_timer *other = both[0] == timer ? both[1] : both[0];

    fired_count++;
    timer_wheel_cancel(&wheel, other);
    free(other);
    free(timer);
}

static void callback_may_free_its_timer_and_one_due_with_it(void **state)
{
    struct wheel_timer *pair[2];

    (void)state;
    start(0, false);
    for (size_t i = 0; i < 2; i++) {
        pair[i] = malloc(sizeof(**pair) + sizeof(pair));
        wheel_timer_init(pair[i], free_all);
        timer_wheel_arm(&wheel, pair[i], 100);
    }
    for (size_t i = 0; i < 2; i++)
        memcpy(pair[i] + 1, pair, sizeof(pair));
    advance(200);

    assert_int_equal(fired_count, 1);
    assert_true(timer_wheel_next(&wheel) == TIMER_WHEEL_NEVER);
}

static void timer_for_the_end_of_time_never_fires(void **state)
{
    (void)state;
    start(1000, false);
    timer_wheel_arm(&wheel, &subjects[0].timer, UINT64_MAX);
    advance(UINT64_C(365) * 24 * 3600 * 1000);

    assert_int_equal(fired_count, 0);
    assert_true(wheel_timer_is_armed(&subjects[0].timer));
    cancel(&subjects[0]);
}

static void time_that_goes_back_changes_nothing(void **state)
{
    (void)state;
    start(100000, false);
    arm(&subjects[0], 100100);
    timer_wheel_advance(&wheel, 50);
    advance(100050);
    assert_int_equal(fired_count, 0);

    advance(100200);
    assert_int_equal(fired_count, 1);
}

static void timer_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct wheel_timer) <= 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(wheel_fires_what_the_model_fires),
        CLAIM(callbacks_may_arm_and_cancel_anything),
        CLAIM(timer_never_fires_early),
        CLAIM(wheel_without_timers_never_asks_for_a_call),
        CLAIM(far_timer_lets_the_loop_sleep),
        CLAIM(timer_that_arms_itself_for_the_past_fires_once_an_advance),
        CLAIM(callback_may_free_its_timer_and_one_due_with_it),
        CLAIM(timer_for_the_end_of_time_never_fires),
        CLAIM(time_that_goes_back_changes_nothing),
        CLAIM(timer_is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
