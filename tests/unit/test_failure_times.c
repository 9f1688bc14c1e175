/* How long a refusal takes that no backend gave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/failure_times.h"

static void two_seconds_before_any_was_seen(void **state)
{
    struct failure_times times = {.count = 0};

    (void)state;
    assert_int_equal(failure_times_sample(&times), 2000);
}

static void sample_is_one_that_was_seen(void **state)
{
    struct failure_times times = {.count = 0};
    unsigned seen[3] = {0};

    (void)state;
    failure_times_add(&times, 10);
    failure_times_add(&times, 11);
    failure_times_add(&times, 12);
    for (unsigned i = 0; i < 300; i++) {
        uint64_t ms = failure_times_sample(&times);

        assert_in_range(ms, 10, 12);
        seen[ms - 10]++;
    }
    for (unsigned i = 0; i < 3; i++)
        assert_in_range(seen[i], 30, 300);
}

static void old_times_are_forgotten(void **state)
{
    struct failure_times times = {.count = 0};

    (void)state;
    failure_times_add(&times, 5000);
    for (unsigned i = 0; i < FAILURE_TIMES; i++)
        failure_times_add(&times, 100);

    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(failure_times_sample(&times), 100);
}

static void very_long_times_do_not_wrap(void **state)
{
    struct failure_times times = {.count = 0};

    (void)state;
    failure_times_add(&times, UINT64_MAX);

    assert_int_equal(failure_times_sample(&times), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_seconds_before_any_was_seen),
        cmocka_unit_test(sample_is_one_that_was_seen),
        cmocka_unit_test(old_times_are_forgotten),
        cmocka_unit_test(very_long_times_do_not_wrap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
