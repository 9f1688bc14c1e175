/* Which addresses lead back to our own listeners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/own_addresses.h"

enum {
    PORT = 1993
};

static struct address make_address(const char *text, uint16_t port)
{
    struct network network;
    struct address address;

    assert_true(network_parse_address(text, &network));
    address_from_network(&network, &address);
    address.port = port;
    return address;
}

/* With one listener there, whether a call to that address comes to it. */
static bool reaches(char *listener, const char *called, uint16_t port)
{
    const struct listener_config config = {.address = listener, .port = PORT};
    struct address address = make_address(called, port);
    struct own_addresses own;
    bool found;

    own_addresses_init(&own, &config, 1);
    found = own_addresses_include(&own, &address);
    own_addresses_deinit(&own);
    return found;
}

static void a_listener_is_found_by_address_and_port(void **state)
{
    (void)state;
    assert_true(reaches("192.0.2.1", "192.0.2.1", PORT));
    assert_false(reaches("192.0.2.1", "192.0.2.1", PORT + 1));
    assert_false(reaches("192.0.2.1", "192.0.2.2", PORT));
    assert_true(reaches("2001:db8::1", "2001:db8::1", PORT));
    assert_false(reaches("2001:db8::1", "2001:db8::2", PORT));
}

static void families_do_not_meet(void **state)
{
    (void)state;
    assert_false(reaches("0.0.0.0", "::1", PORT));
    assert_false(reaches("::", "127.0.0.1", PORT));
    /* The first four bytes are those of 32.1.13.184. */
    assert_false(reaches("32.1.13.184", "2001:db8::", PORT));
}

static void a_listener_on_all_addresses_has_every_loopback(void **state)
{
    (void)state;
    assert_true(reaches("*", "127.0.0.1", PORT));
    assert_true(reaches("*", "127.9.9.9", PORT));
    assert_true(reaches("*", "::1", PORT));
    assert_true(reaches("0.0.0.0", "127.0.0.1", PORT));
    assert_true(reaches("::", "::1", PORT));
    assert_false(reaches("*", "127.0.0.1", PORT + 1));
}

/* Addresses for documentation are nobody's (RFC 5737, RFC 3849). */
static void a_listener_on_all_addresses_has_none_of_others(void **state)
{
    (void)state;
    assert_false(reaches("*", "192.0.2.1", PORT));
    assert_false(reaches("*", "2001:db8::1", PORT));
}

static void a_call_to_no_address_is_one_to_loopback(void **state)
{
    (void)state;
    assert_true(reaches("*", "0.0.0.0", PORT));
    assert_true(reaches("*", "::", PORT));
    assert_true(reaches("127.0.0.1", "0.0.0.0", PORT));
    assert_true(reaches("::1", "::", PORT));
    assert_false(reaches("127.0.0.2", "0.0.0.0", PORT));
    assert_false(reaches("127.0.0.1", "0.0.0.0", PORT + 1));
}

static void any_of_several_listeners_is_found(void **state)
{
    const struct listener_config configs[] = {
        {.address = "192.0.2.1", .port = PORT},
        {.address = "*", .port = PORT + 1},
        {.address = "2001:db8::1", .port = PORT + 2},
    };
    struct address last = make_address("2001:db8::1", PORT + 2);
    struct address middle = make_address("127.0.0.1", PORT + 1);
    struct own_addresses own;

    (void)state;
    own_addresses_init(&own, configs, 3);

    assert_int_equal(own.count, 4);
    assert_true(own_addresses_include(&own, &middle));
    assert_true(own_addresses_include(&own, &last));
    own_addresses_deinit(&own);
}

static void who_listens_nowhere_is_never_reached(void **state)
{
    struct address address = make_address("127.0.0.1", PORT);
    struct own_addresses none = {.items = NULL};

    (void)state;
    assert_false(own_addresses_include(NULL, &address));
    assert_false(own_addresses_include(&none, &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listener_is_found_by_address_and_port),
        cmocka_unit_test(families_do_not_meet),
        cmocka_unit_test(a_listener_on_all_addresses_has_every_loopback),
        cmocka_unit_test(a_listener_on_all_addresses_has_none_of_others),
        cmocka_unit_test(a_call_to_no_address_is_one_to_loopback),
        cmocka_unit_test(any_of_several_listeners_is_found),
        cmocka_unit_test(who_listens_nowhere_is_never_reached),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
