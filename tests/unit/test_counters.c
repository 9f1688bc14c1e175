/* Counters that one thread writes and another reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/counters.h"

#include <pthread.h>
#include <stdio.h>

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    WRITERS = 4,
    ROUNDS = 20000
};

static int set_up(void **state)
{
    *state = counters_set_new(WRITERS);
    return 0;
}

static int tear_down(void **state)
{
    struct counters_set *set = *state;

    counters_set_free(&set);
    assert_null(set);
    return 0;
}

static void sum_adds_up_all_writers(void **state)
{
    struct counters_set *set = *state;

    counters_add(counters_set_at(set, 0), COUNTER_ACCEPTED, 1);
    counters_add(counters_set_at(set, 3), COUNTER_ACCEPTED, 41);

    assert_int_equal(counters_set_sum(set, COUNTER_ACCEPTED), 42);
    assert_int_equal(counters_set_sum(set, COUNTER_DIALS), 0);
}

static void gauge_may_fall_in_another_writer_than_it_rose(void **state)
{
    struct counters_set *set = *state;

    counters_add(counters_set_at(set, 0), COUNTER_SESSIONS_OPEN, 3);
    counters_subtract(counters_set_at(set, 1), COUNTER_SESSIONS_OPEN, 2);

    assert_int_equal(counters_set_sum(set, COUNTER_SESSIONS_OPEN), 1);
}

static void writers_share_no_cache_line(void **state)
{
    struct counters_set *set = *state;

    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal((uintptr_t)counters_set_at(set, i) % 64, 0);
}

static void every_counter_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (enum counter i = 0; i < COUNTER_COUNT; i++) {
        assert_non_null(counter_help(i));
        for (enum counter j = 0; j < i; j++)
            assert_string_not_equal(counter_name(i), counter_name(j));
    }
    assert_string_equal(counter_name(COUNTER_LOGINS_OK), "logins_ok");
    assert_int_equal(counter_kind(COUNTER_LOGINS_OK), COUNTER_TOTAL);
    assert_int_equal(counter_kind(COUNTER_SESSIONS_OPEN), COUNTER_GAUGE);
}

static void *count_up(void *counters)
{
    for (int i = 0; i < ROUNDS; i++)
        counters_add(counters, COUNTER_BYTES_TO_CLIENT, 1);
    return NULL;
}

static void reader_may_sum_while_writers_write(void **state)
{
    struct counters_set *set = *state;
    pthread_t threads[WRITERS];
    uint64_t last = 0;

    for (size_t i = 0; i < WRITERS; i++)
        pthread_create(&threads[i], NULL, count_up, counters_set_at(set, i));
    for (int i = 0; i < 1000; i++) {
        uint64_t sum = counters_set_sum(set, COUNTER_BYTES_TO_CLIENT);

        assert_true(sum >= last);
        last = sum;
    }
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);

    assert_int_equal(counters_set_sum(set, COUNTER_BYTES_TO_CLIENT),
                     WRITERS * ROUNDS);
}

static void refuse(struct counters_set *set, const char *list, size_t len)
{
    counters_alpn_refused(counters_set_at(set, 0), (const uint8_t *)list, len);
}

static void alpn_table_counts_each_name_offered(void **state)
{
    struct counters_set *set = *state;
    struct counters_alpn table[COUNTERS_ALPN_NAMES];
    uint64_t other;

    refuse(set, "\x02h2\x08http/1.1", 12);
    refuse(set, "\x02h2", 3);

    assert_int_equal(counters_set_sum(set, COUNTER_ALPN_REFUSED), 2);
    assert_int_equal(counters_set_alpn(set, table, &other), 2);
    assert_int_equal(other, 0);
    assert_int_equal(table[0].len, 2);
    assert_memory_equal(table[0].name, "h2", 2);
    assert_int_equal(table[0].count, 2);
    assert_memory_equal(table[1].name, "http/1.1", 8);
    assert_int_equal(table[1].count, 1);
}

static void alpn_table_is_bounded(void **state)
{
    struct counters_set *set = *state;
    struct counters_alpn table[COUNTERS_ALPN_NAMES];
    uint64_t other;
    char list[16];

    for (int i = 0; i < 100; i++) {
        snprintf(list, sizeof(list), "\x03x%02d", i);
        refuse(set, list, 4);
    }
    refuse(set, "\x03x00", 4);

    assert_int_equal(counters_set_alpn(set, table, &other),
                     COUNTERS_ALPN_NAMES);
    assert_int_equal(other, 100 - COUNTERS_ALPN_NAMES);
    assert_int_equal(table[0].count, 2);
}

static void alpn_name_that_is_too_long_counts_as_other(void **state)
{
    struct counters_set *set = *state;
    struct counters_alpn table[COUNTERS_ALPN_NAMES];
    char list[256];
    uint64_t other;

    memset(list, 'x', sizeof(list));
    list[0] = COUNTERS_ALPN_NAME_MAX + 1;
    refuse(set, list, COUNTERS_ALPN_NAME_MAX + 2);

    assert_int_equal(counters_set_alpn(set, table, &other), 0);
    assert_int_equal(other, 1);
}

static void alpn_list_is_not_read_past_its_end(void **state)
{
    struct counters_set *set = *state;
    struct counters_alpn table[COUNTERS_ALPN_NAMES];
    uint64_t other;
    char *list = malloc(4);

    memcpy(list, "\x01x\x09z", 4);
    refuse(set, list, 4);
    refuse(set, list, 0);
    free(list);

    assert_int_equal(counters_set_alpn(set, table, &other), 1);
    assert_int_equal(other, 0);
}

static void one_list_gives_a_few_names_only(void **state)
{
    struct counters_set *set = *state;
    struct counters_alpn table[COUNTERS_ALPN_NAMES];
    char list[2 * 1000];
    uint64_t other;

    for (size_t i = 0; i < sizeof(list); i += 2) {
        list[i] = 1;
        list[i + 1] = (char)i;
    }
    refuse(set, list, sizeof(list));

    assert_int_equal(counters_set_alpn(set, table, &other), 8);
    assert_int_equal(other, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(sum_adds_up_all_writers),
        CLAIM(gauge_may_fall_in_another_writer_than_it_rose),
        CLAIM(writers_share_no_cache_line),
        CLAIM(every_counter_has_a_name_of_its_own),
        CLAIM(reader_may_sum_while_writers_write),
        CLAIM(alpn_table_counts_each_name_offered),
        CLAIM(alpn_table_is_bounded),
        CLAIM(alpn_name_that_is_too_long_counts_as_other),
        CLAIM(alpn_list_is_not_read_past_its_end),
        CLAIM(one_list_gives_a_few_names_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
