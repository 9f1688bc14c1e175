#include "address_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>

struct address address_case(const char *text)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    const struct sockaddr *name = (const struct sockaddr *)&v4;
    struct address address;

    if (inet_pton(AF_INET, text, &v4.sin_addr) != 1) {
        assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
        name = (const struct sockaddr *)&v6;
    }
    assert_true(address_from_sockaddr(name, &address));
    return address;
}
