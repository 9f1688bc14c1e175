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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_registry_has_no_first),
        cmocka_unit_test_setup(first_before_login_is_the_oldest, set_up),
        cmocka_unit_test_setup(walk_meets_all_of_them, set_up),
        cmocka_unit_test_setup(nobody_is_left_when_all_have_settled, set_up),
        cmocka_unit_test_setup(last_who_settled_may_go, set_up),
        cmocka_unit_test_setup(who_never_logs_in_may_go, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
