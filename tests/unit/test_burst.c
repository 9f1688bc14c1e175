#include "state/burst.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* Spans of so many connections each; how many of them were called the end of
 * a burst, and which was the last. */
static unsigned count_ends(const unsigned *spans, size_t count, size_t *last)
{
    struct burst burst = {0};
    uint64_t accepted = 0;
    unsigned ends = 0;

    for (size_t i = 0; i < count; i++) {
        accepted += spans[i];
        if (burst_is_over(&burst, accepted)) {
            ends++;
            *last = i;
        }
    }
    return ends;
}

#define COUNT_ENDS(spans, last)                                                \
    count_ends(spans, sizeof(spans) / sizeof((spans)[0]), last)

static void a_burst_is_over_once_in_the_first_calm_span(void **state)
{
    static const unsigned spans[] = {10, 2000, 900, 250, 40, 0, 0, 30};
    size_t last;

    (void)state;
    assert_int_equal(COUNT_ENDS(spans, &last), 1);
    assert_int_equal(last, 3);
}

static void a_steady_load_is_no_burst(void **state)
{
    static const unsigned spans[] = {5000, 5200, 4100, 900, 5000, 5100, 700};
    size_t last;

    (void)state;
    assert_int_equal(COUNT_ENDS(spans, &last), 0);
}

static void each_burst_has_its_end(void **state)
{
    static const unsigned spans[] = {3000, 0, 0, 400, 20, 0};
    size_t last;

    (void)state;
    assert_int_equal(COUNT_ENDS(spans, &last), 2);
    assert_int_equal(last, 4);
}

static void few_connections_are_no_burst(void **state)
{
    static const unsigned spans[] = {0, 0, 255, 0, 100, 0};
    size_t last;

    (void)state;
    assert_int_equal(COUNT_ENDS(spans, &last), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_over_once_in_the_first_calm_span),
        cmocka_unit_test(a_steady_load_is_no_burst),
        cmocka_unit_test(each_burst_has_its_end),
        cmocka_unit_test(few_connections_are_no_burst),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
