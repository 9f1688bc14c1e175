/* How long one waits who keeps failing, with the time passed in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/penalty.h"

enum {
    MAX_MS = PENALTY_DELAY_MAX_MS,
    NOW_MS = 1000000
};

static uint64_t turn_after(unsigned failures, unsigned ahead)
{
    struct penalty penalty = {.since_ms = NOW_MS,
                              .failures = (uint8_t)failures};

    return penalty_take_turn(&penalty, ahead, MAX_MS, NOW_MS) - NOW_MS;
}

static void fail_times(struct penalty *penalty, unsigned times, uint64_t now_ms)
{
    for (unsigned i = 0; i < times; i++)
        assert_true(penalty_fail(penalty, 0, now_ms));
}

static void who_never_failed_does_not_wait(void **state)
{
    (void)state;
    assert_int_equal(turn_after(0, 0), 0);
    assert_int_equal(turn_after(0, 100), 0);
}

static void delay_doubles_up_to_fifteen_seconds(void **state)
{
    static const uint64_t delays_ms[] = {2000, 4000, 8000, 15000, 15000};

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(turn_after(i + 1, 0), delays_ms[i]);
    assert_int_equal(turn_after(PENALTY_FAILURES_MAX, 0), 15000);
}

static void lower_maximum_cuts_the_delay(void **state)
{
    (void)state;
    assert_int_equal(penalty_delay_ms(1, 3000), 2000);
    assert_int_equal(penalty_delay_ms(2, 3000), 3000);
    assert_int_equal(penalty_delay_ms(9, 3000), 3000);
    assert_int_equal(penalty_delay_ms(9, 0), 0);
}

static void those_who_come_together_wait_behind_each_other(void **state)
{
    struct penalty penalty = {.since_ms = NOW_MS, .failures = 1};

    (void)state;
    assert_int_equal(penalty_take_turn(&penalty, 0, MAX_MS, NOW_MS),
                     NOW_MS + 2000);
    assert_int_equal(penalty_take_turn(&penalty, 1, MAX_MS, NOW_MS),
                     NOW_MS + 6000);
    assert_int_equal(penalty_take_turn(&penalty, 2, MAX_MS, NOW_MS),
                     NOW_MS + 14000);
    assert_true(penalty_take_turn(&penalty, 3, MAX_MS, NOW_MS) ==
                PENALTY_NEVER);
}

static void turn_that_was_refused_is_not_taken(void **state)
{
    struct penalty penalty = {.since_ms = NOW_MS, .failures = 4};

    (void)state;
    assert_int_equal(penalty_take_turn(&penalty, 0, MAX_MS, NOW_MS),
                     NOW_MS + 15000);
    for (unsigned i = 0; i < 1000; i++)
        assert_true(penalty_take_turn(&penalty, 1, MAX_MS, NOW_MS + 14999) ==
                    PENALTY_NEVER);

    assert_int_equal(penalty_take_turn(&penalty, 0, MAX_MS, NOW_MS + 15000),
                     NOW_MS + 30000);
}

static void one_failure_is_forgiven_per_minute(void **state)
{
    struct penalty penalty = {.since_ms = 0};

    (void)state;
    fail_times(&penalty, 3, NOW_MS);

    assert_int_equal(penalty_failures(&penalty, NOW_MS + 59999), 3);
    assert_int_equal(penalty_failures(&penalty, NOW_MS + 60000), 2);
    assert_int_equal(penalty_failures(&penalty, NOW_MS + 119999), 2);
    assert_int_equal(penalty_failures(&penalty, NOW_MS + 120000), 1);
    assert_int_equal(penalty_failures(&penalty, NOW_MS + 180000), 0);
    assert_int_equal(penalty_failures(&penalty, UINT64_MAX), 0);
}

static void new_failure_does_not_begin_the_minute_anew(void **state)
{
    struct penalty penalty = {.since_ms = 0};

    (void)state;
    fail_times(&penalty, 2, NOW_MS);
    fail_times(&penalty, 1, NOW_MS + 59000);
    fail_times(&penalty, 1, NOW_MS + 61000);

    assert_int_equal(penalty_failures(&penalty, NOW_MS + 61000), 3);
    assert_int_equal(penalty_failures(&penalty, NOW_MS + 120000), 2);
}

static void first_failure_after_long_silence_is_one(void **state)
{
    struct penalty penalty = {.since_ms = 0};

    (void)state;
    fail_times(&penalty, 5, NOW_MS);
    fail_times(&penalty, 1, NOW_MS * 10);

    assert_int_equal(penalty_failures(&penalty, NOW_MS * 10), 1);
    assert_int_equal(penalty_failures(&penalty, NOW_MS * 10 + 59999), 1);
}

static void failures_are_remembered_up_to_a_bound(void **state)
{
    struct penalty penalty = {.since_ms = 0};

    (void)state;
    fail_times(&penalty, 1000, NOW_MS);

    assert_int_equal(penalty_failures(&penalty, NOW_MS), PENALTY_FAILURES_MAX);
}

static void same_wrong_secret_counts_once(void **state)
{
    struct penalty penalty = {.since_ms = 0};

    (void)state;
    assert_true(penalty_fail(&penalty, 7, NOW_MS));
    assert_false(penalty_fail(&penalty, 7, NOW_MS));
    assert_false(penalty_fail(&penalty, 7, NOW_MS + 1000000000));

    assert_int_equal(penalty_failures(&penalty, NOW_MS), 1);
}

static void four_wrong_secrets_are_remembered(void **state)
{
    struct penalty penalty = {.since_ms = 0};

    (void)state;
    for (uint32_t secret = 1; secret <= 4; secret++)
        assert_true(penalty_fail(&penalty, secret, NOW_MS));
    for (uint32_t secret = 1; secret <= 4; secret++)
        assert_false(penalty_fail(&penalty, secret, NOW_MS));

    assert_true(penalty_fail(&penalty, 5, NOW_MS));
    assert_true(penalty_fail(&penalty, 1, NOW_MS));
    assert_false(penalty_fail(&penalty, 3, NOW_MS));
}

static void secret_that_cannot_be_compared_always_counts(void **state)
{
    struct penalty penalty = {.since_ms = 0};

    (void)state;
    fail_times(&penalty, 4, NOW_MS);

    assert_int_equal(penalty_failures(&penalty, NOW_MS), 4);
}

static void nothing_is_left_of_who_is_forgiven(void **state)
{
    struct penalty forgiven = {.since_ms = 0};
    struct penalty with_secret = {.since_ms = 0};

    (void)state;
    assert_true(penalty_is_blank(&forgiven, NOW_MS));
    fail_times(&forgiven, 1, NOW_MS);
    assert_true(penalty_fail(&with_secret, 9, NOW_MS));

    assert_false(penalty_is_blank(&forgiven, NOW_MS));
    assert_true(penalty_is_blank(&forgiven, NOW_MS + 60000));
    assert_false(penalty_is_blank(&with_secret, NOW_MS + 60000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_never_failed_does_not_wait),
        cmocka_unit_test(delay_doubles_up_to_fifteen_seconds),
        cmocka_unit_test(lower_maximum_cuts_the_delay),
        cmocka_unit_test(those_who_come_together_wait_behind_each_other),
        cmocka_unit_test(turn_that_was_refused_is_not_taken),
        cmocka_unit_test(one_failure_is_forgiven_per_minute),
        cmocka_unit_test(new_failure_does_not_begin_the_minute_anew),
        cmocka_unit_test(first_failure_after_long_silence_is_one),
        cmocka_unit_test(failures_are_remembered_up_to_a_bound),
        cmocka_unit_test(same_wrong_secret_counts_once),
        cmocka_unit_test(four_wrong_secrets_are_remembered),
        cmocka_unit_test(secret_that_cannot_be_compared_always_counts),
        cmocka_unit_test(nothing_is_left_of_who_is_forgiven),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
