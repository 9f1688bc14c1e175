/* A page of a worker's sessions, of which a sweep may meet one twice. The
 * sessions have numbers and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session/listing.h"
#include "session/session_private.h"

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    CROWD = 5
};

static uv_loop_t loop;
static struct env env;
static struct registry registry;
static struct sweeps sweeps;
static struct listing listing;
static struct session sessions[CROWD];
static bool is_done;

static void on_done(struct listing *done, bool is_whole, void *owner)
{
    assert_ptr_equal(done, &listing);
    assert_ptr_equal(owner, &sessions);
    assert_true(is_whole);
    is_done = true;
}

/* Numbers 1 to 5, of which 2 and 4 have logged in: they are met last. */
static int set_up(void **state)
{
    (void)state;
    uv_loop_init(&loop);
    registry_init(&registry);
    env = (struct env){.registry = &registry, .sweeps = &sweeps};
    listing = (struct listing){.limit = CROWD};
    is_done = false;
    for (size_t i = 0; i < CROWD; i++) {
        sessions[i] = (struct session){.env = &env, .state = SESSION_COMMAND};
        sessions[i].facts.number = i + 1;
        registry_add(&registry, &sessions[i].node);
    }
    registry_settle(&registry, &sessions[1].node);
    registry_settle(&registry, &sessions[3].node);
    return sweeps_open(&sweeps, &loop, &registry);
}

static int tear_down(void **state)
{
    (void)state;
    listing_deinit(&listing);
    sweeps_close(&sweeps);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

static void fill(void)
{
    listing_fill(&listing, &env, on_done, &sessions);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(is_done);
}

/* The rows' numbers as digits. */
static unsigned rows(void)
{
    unsigned digits = 0;

    for (size_t i = 0; i < listing.count; i++)
        digits = digits * 10 + (unsigned)listing.rows[i].number;
    return digits;
}

static void rows_stand_in_the_order_of_their_numbers(void **state)
{
    (void)state;
    fill();

    assert_int_equal(rows(), 12345);
    assert_int_equal(listing.matches, CROWD);
}

static void page_keeps_the_lowest_numbers_and_counts_all(void **state)
{
    (void)state;
    listing.limit = 3;
    fill();

    assert_int_equal(rows(), 123);
    assert_int_equal(listing.matches, CROWD);
}

static void page_begins_behind_the_one_before(void **state)
{
    (void)state;
    listing.limit = 2;
    listing.after = 2;
    fill();

    assert_int_equal(rows(), 34);
    assert_int_equal(listing.matches, 3);
}

static void who_is_met_twice_is_listed_once(void **state)
{
    (void)state;
    fill();
    (void)listing.sweep.visit(&listing.sweep, &sessions[2]);

    assert_int_equal(rows(), 12345);
    assert_int_equal(listing.matches, CROWD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(rows_stand_in_the_order_of_their_numbers),
        CLAIM(page_keeps_the_lowest_numbers_and_counts_all),
        CLAIM(page_begins_behind_the_one_before),
        CLAIM(who_is_met_twice_is_listed_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
