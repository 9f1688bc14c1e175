/* Addresses and networks as an operator writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/network.h"

static bool contains(const char *network_text, const char *address_text)
{
    struct network network;
    struct network address;

    assert_true(network_parse(network_text, &network));
    assert_true(network_parse_address(address_text, &address));
    return network_contains(&network, address.family, address.bytes);
}

static void network_holds_what_shares_its_prefix(void **state)
{
    (void)state;
    assert_true(contains("10.0.0.0/8", "10.255.1.2"));
    assert_false(contains("10.0.0.0/8", "11.0.0.0"));
    assert_true(contains("192.168.4.0/22", "192.168.7.255"));
    assert_false(contains("192.168.4.0/22", "192.168.8.0"));
    assert_true(contains("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(contains("2001:db8::/33", "2001:db8:8000::1"));
}

static void a_single_address_is_a_network_of_its_own(void **state)
{
    (void)state;
    assert_true(contains("10.0.0.1", "10.0.0.1"));
    assert_false(contains("10.0.0.1", "10.0.0.2"));
    assert_true(contains("2001:db8::1", "2001:db8::1"));
    assert_false(contains("2001:db8::1", "2001:db8::2"));
}

static void a_prefix_of_0_holds_its_whole_family(void **state)
{
    (void)state;
    assert_true(contains("0.0.0.0/0", "255.1.2.3"));
    assert_true(contains("::/0", "2001:db8::1"));
    assert_false(contains("::/0", "255.1.2.3"));
    assert_false(contains("0.0.0.0/0", "2001:db8::1"));
}

static void a_mapped_network_is_an_ipv4_network(void **state)
{
    struct network network;

    (void)state;
    assert_true(network_parse("::ffff:10.0.0.0/104", &network));
    assert_int_equal(network.family, NETWORK_IPV4);
    assert_int_equal(network.prefix, 8);
    assert_true(contains("::ffff:10.0.0.0/104", "10.1.2.3"));
    assert_true(contains("::ffff:0.0.0.0/96", "10.1.2.3"));
}

static void a_mapped_address_counts_as_ipv4(void **state)
{
    static const uint8_t mapped[16] = {0, 0, 0,    0,    0,  0, 0, 0,
                                       0, 0, 0xff, 0xff, 10, 1, 2, 3};
    struct network network;

    (void)state;
    assert_true(network_parse("10.0.0.0/8", &network));
    assert_true(network_contains(&network, NETWORK_IPV6, mapped));
}

static void network_refuses_what_is_none(void **state)
{
    static const char *const texts[] = {
        "",
        "/",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/08",
        "10.0.0.0/8 ",
        "10.0.0/8",
        "10.0.0.1/8",
        "::1/64",
        "::/129",
        "10.0.0.0/99999999999999999999",
        "10.0.0.0/8/8",
        "localhost",
        "*",
        "2001:db8::1%lo",
        "10.0.0.256",
        "::ffff:0:0/95",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/8",
    };
    struct network network;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(network_parse(texts[i], &network));
}

static void loopback_is_told_from_the_rest(void **state)
{
    static const char *const loopback[] = {"127.0.0.1", "127.255.0.9",
                                           "::1",       "localhost",
                                           "LocalHost", "::ffff:127.0.0.1"};
    static const char *const other[] = {"128.0.0.1",
                                        "::2",
                                        "0.0.0.0",
                                        "::",
                                        "localhost.example.org",
                                        "",
                                        "127.0.0.1.example.org"};

    (void)state;
    for (size_t i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++)
        assert_true(network_host_is_loopback(loopback[i]));
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        assert_false(network_host_is_loopback(other[i]));
}

static void an_address_has_one_text(void **state)
{
    char text[NETWORK_TEXT_MAX];
    struct network address;

    (void)state;
    assert_true(network_parse_address("2001:0db8:0:0::0001", &address));
    network_format_address(&address, text);
    assert_string_equal(text, "2001:db8::1");

    assert_true(network_parse_address("::ffff:192.0.2.1", &address));
    network_format_address(&address, text);
    assert_string_equal(text, "192.0.2.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(network_holds_what_shares_its_prefix),
        cmocka_unit_test(a_single_address_is_a_network_of_its_own),
        cmocka_unit_test(a_prefix_of_0_holds_its_whole_family),
        cmocka_unit_test(a_mapped_network_is_an_ipv4_network),
        cmocka_unit_test(a_mapped_address_counts_as_ipv4),
        cmocka_unit_test(network_refuses_what_is_none),
        cmocka_unit_test(loopback_is_told_from_the_rest),
        cmocka_unit_test(an_address_has_one_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
