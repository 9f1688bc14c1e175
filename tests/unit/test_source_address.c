/* Which of our own addresses has its turn, and which can be had at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <uv.h>

#include "net/source_address.h"

static struct network network_of(const char *text)
{
    struct network network;

    assert_true(network_parse_address(text, &network));
    return network;
}

static struct address address_of(const char *text)
{
    struct network network = network_of(text);
    struct address address;

    address_from_network(&network, &address);
    return address;
}

static void init_mixed(struct source_addresses *sources)
{
    const struct network networks[] = {
        network_of("2001:db8::1"), network_of("192.0.2.1"),
        network_of("2001:db8::2"), network_of("192.0.2.2"),
        network_of("192.0.2.3"),
    };

    source_addresses_init(sources, networks, 5);
}

static void assert_turn(const struct source_addresses *sources, bool is_ipv6,
                        unsigned turn, const char *expected)
{
    const struct address *found = source_addresses_pick(sources, is_ipv6, turn);
    char text[ADDRESS_TEXT_MAX];

    assert_non_null(found);
    address_format_ip(found, text, sizeof(text));
    assert_string_equal(text, expected);
    assert_int_equal(found->port, 0);
}

static void turns_go_round_within_a_family(void **state)
{
    struct source_addresses sources;

    (void)state;
    init_mixed(&sources);

    assert_turn(&sources, false, 0, "192.0.2.1");
    assert_turn(&sources, false, 1, "192.0.2.2");
    assert_turn(&sources, false, 2, "192.0.2.3");
    assert_turn(&sources, false, 3, "192.0.2.1");
    assert_turn(&sources, true, 0, "2001:db8::1");
    assert_turn(&sources, true, 1, "2001:db8::2");
    assert_turn(&sources, true, 2, "2001:db8::1");
    source_addresses_deinit(&sources);
}

static void each_family_has_its_own_count(void **state)
{
    struct source_addresses sources;

    (void)state;
    init_mixed(&sources);

    assert_int_equal(source_addresses_count(&sources, false), 3);
    assert_int_equal(source_addresses_count(&sources, true), 2);
    source_addresses_deinit(&sources);
}

static void a_family_without_addresses_is_left_to_the_kernel(void **state)
{
    const struct network only = network_of("192.0.2.1");
    struct source_addresses sources;

    (void)state;
    source_addresses_init(&sources, &only, 1);

    assert_null(source_addresses_pick(&sources, true, 0));
    assert_int_equal(source_addresses_count(&sources, true), 0);
    source_addresses_deinit(&sources);
}

static void an_empty_list_is_left_to_the_kernel(void **state)
{
    struct source_addresses sources;

    (void)state;
    source_addresses_init(&sources, NULL, 0);

    assert_null(source_addresses_pick(&sources, false, 7));
    assert_null(source_addresses_pick(&sources, true, 7));
    source_addresses_deinit(&sources);
}

static void an_address_of_this_host_can_be_had(void **state)
{
    struct address address = address_of("127.0.0.77");

    (void)state;
    assert_int_equal(source_address_try(&address), 0);
}

static void an_address_of_another_host_cannot(void **state)
{
    struct address address = address_of("192.0.2.1");

    (void)state;
    assert_int_equal(source_address_try(&address), UV_EADDRNOTAVAIL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_go_round_within_a_family),
        cmocka_unit_test(each_family_has_its_own_count),
        cmocka_unit_test(a_family_without_addresses_is_left_to_the_kernel),
        cmocka_unit_test(an_empty_list_is_left_to_the_kernel),
        cmocka_unit_test(an_address_of_this_host_can_be_had),
        cmocka_unit_test(an_address_of_another_host_cannot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
