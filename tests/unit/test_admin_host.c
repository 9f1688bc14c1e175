/* Whose name a request may come under (ops/admin_host.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/admin_host.h"

static char name[] = "mail.example.org";
static char *const names[] = {name};
static const struct admin_access access_by_name = {.hosts = names,
                                                   .host_count = 1};

static bool is_ours(const char *host)
{
    return admin_host_is_ours(&access_by_name, host);
}

static void localhost_is_ours_in_any_case(void **state)
{
    (void)state;

    assert_true(is_ours("localhost"));
    assert_true(is_ours("LocalHost"));
    assert_true(is_ours("localhost:9143"));
}

static void an_address_is_ours(void **state)
{
    (void)state;

    assert_true(is_ours("192.0.2.7"));
    assert_true(is_ours("192.0.2.7:80"));
    assert_true(is_ours("[2001:db8::7]"));
    assert_true(is_ours("[2001:db8::7]:80"));
}

static void a_name_that_is_allowed_is_ours(void **state)
{
    (void)state;

    assert_true(is_ours("mail.example.org"));
    assert_true(is_ours("MAIL.example.org:80"));
}

static void another_name_is_not_ours(void **state)
{
    (void)state;

    assert_false(is_ours("example.org"));
    assert_false(is_ours("mail.example.org.example.net"));
    assert_false(is_ours("mail.example.or"));
    assert_false(is_ours("localhost.example.net"));
    assert_false(is_ours("192.0.2.7.example.net"));
}

static void no_name_is_not_ours(void **state)
{
    (void)state;

    assert_false(is_ours(NULL));
    assert_false(is_ours(""));
    assert_false(is_ours(":80"));
    assert_false(is_ours("[]"));
}

static void what_is_no_port_makes_it_another(void **state)
{
    (void)state;

    assert_false(is_ours("localhost:80x"));
    assert_false(is_ours("localhost:80:80"));
    assert_false(is_ours("[2001:db8::7]80"));
}

static void an_address_without_its_end_is_not_ours(void **state)
{
    (void)state;

    assert_false(is_ours("[2001:db8::7"));
    assert_false(is_ours("[2001:db8::7:80"));
    assert_false(is_ours("2001:db8::7"));
}

static void an_address_longer_than_any_is_not_ours(void **state)
{
    (void)state;

    assert_false(is_ours("[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:"
                         "bbbb:cccc:dddd:eeee:ffff:1111]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(localhost_is_ours_in_any_case),
        cmocka_unit_test(an_address_is_ours),
        cmocka_unit_test(a_name_that_is_allowed_is_ours),
        cmocka_unit_test(another_name_is_not_ours),
        cmocka_unit_test(no_name_is_not_ours),
        cmocka_unit_test(what_is_no_port_makes_it_another),
        cmocka_unit_test(an_address_without_its_end_is_not_ours),
        cmocka_unit_test(an_address_longer_than_any_is_not_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
