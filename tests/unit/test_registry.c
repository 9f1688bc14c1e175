/* Who has not logged in stands at the end, the oldest first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session/registry.h"

enum {
    NODES = 5
};

static struct registry registry;
static struct registry_node nodes[NODES];

static int set_up(void **state)
{
    (void)state;
    registry_init(&registry);
    for (size_t i = 0; i < NODES; i++)
        registry_add(&registry, &nodes[i]);
    return 0;
}

/* The order, as digits: 123 is nodes 1, 2, 3. */
static unsigned order(void)
{
    struct registry_node *node = NULL;
    unsigned digits = 0;

    while ((node = registry_next(&registry, node)) != NULL)
        digits = digits * 10 + (unsigned)(node - nodes);
    return digits;
}

static void empty_registry_has_no_first(void **state)
{
    struct registry empty;

    (void)state;
    registry_init(&empty);

    assert_null(registry_next(&empty, NULL));
    assert_null(registry_first_before_login(&empty));
}

static void first_before_login_is_the_oldest(void **state)
{
    (void)state;
    assert_ptr_equal(registry_first_before_login(&registry), &nodes[0]);

    registry_settle(&registry, &nodes[0]);
    registry_settle(&registry, &nodes[2]);

    assert_ptr_equal(registry_first_before_login(&registry), &nodes[1]);
}

static void walk_meets_all_of_them(void **state)
{
    (void)state;
    registry_settle(&registry, &nodes[3]);
    registry_settle(&registry, &nodes[1]);

    assert_int_equal(order(), 31024);
    assert_int_equal(registry.count, NODES);
}

static void nobody_is_left_when_all_have_settled(void **state)
{
    (void)state;
    for (size_t i = 0; i < NODES; i++)
        registry_settle(&registry, &nodes[i]);

    assert_null(registry_first_before_login(&registry));
    assert_int_equal(order(), 1234);
}

static void last_who_settled_may_go(void **state)
{
    (void)state;
    registry_settle(&registry, &nodes[0]);
    registry_settle(&registry, &nodes[1]);
    registry_remove(&registry, &nodes[1]);
    registry_settle(&registry, &nodes[4]);
    registry_remove(&registry, &nodes[0]);
    registry_remove(&registry, &nodes[4]);

    assert_ptr_equal(registry_first_before_login(&registry), &nodes[2]);
    assert_int_equal(order(), 23);
    assert_int_equal(registry.count, 2);
}

static void who_never_logs_in_may_go(void **state)
{
    (void)state;
    registry_remove(&registry, &nodes[0]);

    assert_ptr_equal(registry_first_before_login(&registry), &nodes[1]);
}

/* What a walk that has begun meets from here on, as digits behind a 1. */
static unsigned rest_of_walk(void)
{
    struct registry_node *node;
    unsigned digits = 1;

    while ((node = registry_walk(&registry)) != NULL)
        digits = digits * 10 + (unsigned)(node - nodes);
    return digits;
}

/* Those that have logged in are 0 and 3. */
static void begin_walk(void)
{
    registry_settle(&registry, &nodes[0]);
    registry_settle(&registry, &nodes[3]);
    registry_begin_walk(&registry);
}

static void slow_walk_meets_those_before_login_first(void **state)
{
    (void)state;
    begin_walk();

    assert_int_equal(rest_of_walk(), 112403);
    assert_null(registry_walk(&registry));
}

static void slow_walk_meets_whoever_settles_before_it_comes(void **state)
{
    (void)state;
    begin_walk();
    assert_ptr_equal(registry_walk(&registry), &nodes[1]);

    registry_settle(&registry, &nodes[2]);
    registry_settle(&registry, &nodes[4]);

    assert_int_equal(rest_of_walk(), 10324);
}

static void slow_walk_survives_who_leaves_before_login(void **state)
{
    (void)state;
    begin_walk();

    registry_remove(&registry, &nodes[1]);
    registry_remove(&registry, &nodes[2]);

    assert_int_equal(rest_of_walk(), 1403);
}

static void slow_walk_survives_who_leaves_after_login(void **state)
{
    (void)state;
    begin_walk();
    for (size_t i = 0; i < 4; i++)
        assert_non_null(registry_walk(&registry)); /* 3 is next */

    registry_remove(&registry, &nodes[3]);

    assert_int_equal(rest_of_walk(), 1);
}

static void slow_walk_ends_where_nobody_has_logged_in(void **state)
{
    (void)state;
    registry_begin_walk(&registry);

    assert_int_equal(rest_of_walk(), 101234);
}

static void slow_walk_of_nobody_ends_at_once(void **state)
{
    struct registry empty;

    (void)state;
    registry_init(&empty);
    assert_null(registry_walk(&empty));
    registry_begin_walk(&empty);

    assert_null(registry_walk(&empty));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_registry_has_no_first),
        cmocka_unit_test_setup(first_before_login_is_the_oldest, set_up),
        cmocka_unit_test_setup(walk_meets_all_of_them, set_up),
        cmocka_unit_test_setup(nobody_is_left_when_all_have_settled, set_up),
        cmocka_unit_test_setup(last_who_settled_may_go, set_up),
        cmocka_unit_test_setup(who_never_logs_in_may_go, set_up),
        cmocka_unit_test_setup(slow_walk_meets_those_before_login_first,
                               set_up),
        cmocka_unit_test_setup(slow_walk_meets_whoever_settles_before_it_comes,
                               set_up),
        cmocka_unit_test_setup(slow_walk_survives_who_leaves_before_login,
                               set_up),
        cmocka_unit_test_setup(slow_walk_survives_who_leaves_after_login,
                               set_up),
        cmocka_unit_test_setup(slow_walk_ends_where_nobody_has_logged_in,
                               set_up),
        cmocka_unit_test(slow_walk_of_nobody_ends_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
