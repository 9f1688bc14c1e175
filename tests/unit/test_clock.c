/* Time runs on, and in builds with faults as much faster as asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#include <unistd.h>

#define CLAIM(name) cmocka_unit_test(name)

#ifdef GATEPOST_FAULTS
enum {
    SCALE = 1000
};
#else
enum {
    SCALE = 1
};
#endif

static void clock_never_goes_back(void **state)
{
    uint64_t last = clock_now_ms();

    (void)state;
    for (int i = 0; i < 10000; i++) {
        uint64_t now = clock_now_ms();

        assert_true(now >= last);
        last = now;
    }
}

static void clock_runs_at_its_scale(void **state)
{
    uint64_t began = clock_now_ms();
    uint64_t passed;

    (void)state;
    usleep(50 * 1000);
    passed = clock_now_ms() - began;

    assert_true(passed >= 49 * SCALE);
    assert_true(passed < 20000 * SCALE);
}

static void real_delay_is_rounded_up(void **state)
{
    (void)state;

    assert_int_equal(clock_real_delay_ms(0), 0);
    assert_int_equal(clock_real_delay_ms(1), 1);
    assert_int_equal(clock_real_delay_ms(SCALE), 1);
    assert_int_equal(clock_real_delay_ms(10 * SCALE), 10);
    assert_int_equal(clock_real_delay_ms(UINT64_MAX),
                     UINT64_MAX / SCALE + (SCALE > 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(clock_never_goes_back),
        CLAIM(clock_runs_at_its_scale),
        CLAIM(real_delay_is_rounded_up),
    };

    setenv("GATEPOST_FAULT_CLOCK_SCALE", "1000", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
