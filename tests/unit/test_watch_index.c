/* Which steps a watch hears of. */
#include "watch_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    STEPS = 9
};

/* By their watches: 7 is of two runs, of which the later number stands between;
 * those that are negative are of none. */
static struct file_step steps[STEPS] = {
    {.watch = 7}, {.watch = 7},   {.watch = 9}, {.watch = -13}, {.watch = 9},
    {.watch = 7}, {.watch = -13}, {.watch = 0}, {.watch = 1}};

static const struct file_trail trail = {.steps = steps, .count = STEPS};

static void assert_run(const struct watch_run *run, size_t first, size_t count)
{
    assert_int_equal(run->first, first);
    assert_int_equal(run->count, count);
}

static void every_run_of_a_number_is_found(void **state)
{
    struct watch_index index = {.runs = NULL};
    const struct watch_run *runs;
    size_t count;
    (void)state;
    watch_index_fill(&index, &trail);

    runs = watch_index_find(&index, 7, &count);

    assert_int_equal(count, 2);
    assert_run(&runs[runs[0].first == 0 ? 0 : 1], 0, 2);
    assert_run(&runs[runs[0].first == 0 ? 1 : 0], 5, 1);
    watch_index_clear(&index);
}

static void the_least_and_the_greatest_are_found(void **state)
{
    struct watch_index index = {.runs = NULL};
    size_t count;
    (void)state;
    watch_index_fill(&index, &trail);

    assert_run(watch_index_find(&index, 0, &count), 7, 1);
    assert_int_equal(count, 1);
    assert_run(watch_index_find(&index, 1, &count), 8, 1);
    assert_non_null(watch_index_find(&index, 9, &count));
    assert_int_equal(count, 2);
    watch_index_clear(&index);
}

static void others_are_not_found(void **state)
{
    static const int numbers[] = {-13, -1, 2, 8, 10};
    struct watch_index index = {.runs = NULL};
    size_t count;
    (void)state;
    watch_index_fill(&index, &trail);

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_null(watch_index_find(&index, numbers[i], &count));
        assert_int_equal(count, 0);
    }
    watch_index_clear(&index);
}

static void what_was_filled_before_is_forgotten(void **state)
{
    const struct file_trail none = {.count = 0};
    struct watch_index index = {.runs = NULL};
    size_t count;
    (void)state;
    watch_index_fill(&index, &trail);

    watch_index_fill(&index, &none);

    assert_null(watch_index_find(&index, 7, &count));
    watch_index_clear(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_run_of_a_number_is_found),
        cmocka_unit_test(the_least_and_the_greatest_are_found),
        cmocka_unit_test(others_are_not_found),
        cmocka_unit_test(what_was_filled_before_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
