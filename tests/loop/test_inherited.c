/* Listening sockets that others opened. */
#include "inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    FIRST = 3 /* of a service manager's */
};

static int listen_on(int family, bool is_ipv6_only, struct address *place_out)
{
    int fd = socket(family, SOCK_STREAM, 0);
    int only = is_ipv6_only;
    struct sockaddr_storage name = {.ss_family = (sa_family_t)family};
    socklen_t len = sizeof(name);

    assert_true(fd >= 0);
    if (family == AF_INET6)
        assert_int_equal(
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    assert_true(address_from_sockaddr((struct sockaddr *)&name, place_out));
    return fd;
}

static struct inherited inherit(int fd)
{
    struct inherited inherited = {.count = 0};

    inherited_add(&inherited, fd);
    return inherited;
}

/* The environment as a service manager sets it. */
static void name_descriptors(const char *count, const char *pid,
                             const char *names)
{
    char own[32];

    snprintf(own, sizeof(own), "%ld", (long)getpid());
    setenv("LISTEN_FDS", count, 1);
    setenv("LISTEN_PID", pid == NULL ? own : pid, 1);
    if (names == NULL)
        unsetenv("LISTEN_FDNAMES");
    else
        setenv("LISTEN_FDNAMES", names, 1);
}

/* The n-th descriptor of a service manager's. */
static void put_at(int n, int fd)
{
    assert_int_equal(dup2(fd, FIRST + n), FIRST + n);
    if (fd != FIRST + n)
        close(fd);
}

static void none_are_named(void **state)
{
    struct inherited inherited;
    char why[INHERITED_WHY_MAX];

    (void)state;
    unsetenv("LISTEN_FDS");

    assert_true(inherited_from_environment(&inherited, why));

    assert_int_equal(inherited.count, 0);
}

static void named_descriptors_are_taken(void **state)
{
    struct inherited inherited;
    struct address first, second;
    char why[INHERITED_WHY_MAX];
    int one = fcntl(listen_on(AF_INET, false, &first), F_DUPFD, 10);
    int other = fcntl(listen_on(AF_INET6, true, &second), F_DUPFD, 10);

    (void)state;
    put_at(0, one);
    put_at(1, other);
    name_descriptors("2", NULL, "imaps:imap");

    assert_true(inherited_from_environment(&inherited, why));

    assert_int_equal(inherited.count, 2);
    assert_int_equal(fcntl(FIRST, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(FIRST + 1, F_GETFD), FD_CLOEXEC);
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDNAMES"));
    assert_int_equal(inherited_take(&inherited, &second), FIRST + 1);
    assert_int_equal(inherited_take(&inherited, &second), -1);
    assert_int_equal(inherited_take(&inherited, &first), FIRST);
    close(FIRST);
    close(FIRST + 1);
    inherited_deinit(&inherited);
}

static void those_of_another_process_are_left_alone(void **state)
{
    static const char *const pids[] = {"1", "", "x", "99999999999999999999"};
    struct address place;
    int fd = fcntl(listen_on(AF_INET, false, &place), F_DUPFD, 10);

    (void)state;
    put_at(0, fd);
    for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++) {
        struct inherited inherited;
        char why[INHERITED_WHY_MAX];

        name_descriptors("1", pids[i], NULL);

        assert_true(inherited_from_environment(&inherited, why));

        assert_int_equal(inherited.count, 0);
        assert_int_equal(fcntl(FIRST, F_GETFD), 0);
        assert_null(getenv("LISTEN_FDS"));
    }
    close(FIRST);
}

static void a_count_that_is_none_is_told(void **state)
{
    static const char *const counts[] = {"",   "x",    "-1",
                                         "1x", "4097", "99999999999999999999"};

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct inherited inherited;
        char why[INHERITED_WHY_MAX], expected[INHERITED_WHY_MAX];

        name_descriptors(counts[i], NULL, NULL);
        snprintf(expected, sizeof(expected),
                 "LISTEN_FDS is \"%s\", not a number of at most 4096",
                 counts[i]);

        assert_false(inherited_from_environment(&inherited, why));

        assert_string_equal(why, expected);
        assert_null(getenv("LISTEN_FDS"));
        inherited_deinit(&inherited);
    }
}

static int unlistening(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}

static int unix_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int datagram_socket(void)
{
    return socket(AF_INET, SOCK_DGRAM, 0);
}

static int no_socket(void)
{
    return open("/dev/null", O_RDONLY);
}

static int not_open(void)
{
    return -1;
}

static void descriptors_that_are_none_of_ours_are_told(void **state)
{
    static const struct {
        int (*open)(void);
        const char *names;
        const char *why;
    } cases[] = {
        {unlistening, "imaps",
         "descriptor 3 (imaps) of LISTEN_FDS=1 does not listen (Accept=no is "
         "needed); listening sockets of TCP are expected"},
        {unix_socket, NULL,
         "descriptor 3 of LISTEN_FDS=1 is a socket of neither IPv4 nor IPv6; "
         "listening sockets of TCP are expected"},
        {datagram_socket, "a:b",
         "descriptor 3 (a) of LISTEN_FDS=1 is no socket of TCP; listening "
         "sockets of TCP are expected"},
        {no_socket, ":b",
         "descriptor 3 of LISTEN_FDS=1 is no socket; listening sockets of TCP "
         "are expected"},
        {not_open, "",
         "descriptor 3 of LISTEN_FDS=1 is not open; listening sockets of TCP "
         "are expected"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct inherited inherited;
        char why[INHERITED_WHY_MAX] = "";
        int fd;

        close(FIRST);
        fd = cases[i].open();
        if (fd >= 0 && fd != FIRST)
            put_at(0, fd);
        name_descriptors("1", NULL, cases[i].names);

        assert_false(inherited_from_environment(&inherited, why));

        assert_string_equal(why, cases[i].why);
        inherited_deinit(&inherited);
        assert_int_equal(fcntl(FIRST, F_GETFD), -1);
    }
}

static void what_nobody_took_is_named(void **state)
{
    struct inherited inherited;
    struct address places[2];
    char why[INHERITED_WHY_MAX], expected[INHERITED_WHY_MAX];
    char where[ADDRESS_TEXT_MAX];

    (void)state;
    inherited = inherit(listen_on(AF_INET, false, &places[0]));
    inherited_add(&inherited, listen_on(AF_INET6, true, &places[1]));
    inherited.names = mem_strdup("imaps:gatepost.socket");
    close(inherited_take(&inherited, &places[0]));
    address_format(&places[1], where, sizeof(where));
    snprintf(expected, sizeof(expected),
             "descriptor 4 (gatepost.socket) listens on %s, which is no "
             "address of listeners",
             where);

    assert_false(inherited_is_empty(&inherited, why));

    assert_string_equal(why, expected);
    close(inherited_take(&inherited, &places[1]));
    assert_true(inherited_is_empty(&inherited, why));
    inherited_deinit(&inherited);
}

static void a_long_name_is_cut(void **state)
{
    struct address place;
    struct inherited inherited = inherit(listen_on(AF_INET, false, &place));
    char why[INHERITED_WHY_MAX];

    (void)state;
    inherited.names = mem_zalloc(1001);
    memset(inherited.names, 'n', 1000);

    assert_false(inherited_is_empty(&inherited, why));

    assert_non_null(strstr(why, "nnn) listens on 0.0.0.0:"));
    inherited_deinit(&inherited);
}

static void only_the_same_address_is_taken(void **state)
{
    struct address place;
    struct inherited inherited = inherit(listen_on(AF_INET, false, &place));
    struct address other_port = place, other_host = place, other_family = place;

    (void)state;
    other_port.port++;
    other_host.ip[0] = 127;
    other_family.is_ipv6 = true;

    assert_int_equal(inherited_take(&inherited, &other_port), -1);
    assert_int_equal(inherited_take(&inherited, &other_host), -1);
    assert_int_equal(inherited_take(&inherited, &other_family), -1);
    inherited_deinit(&inherited);
}

static void one_address_and_all_of_a_family_overlap(void **state)
{
    struct address place;
    struct inherited inherited = inherit(listen_on(AF_INET, false, &place));
    struct address loopback = place, other_port, other_family = place;

    (void)state;
    loopback.ip[0] = 127;
    other_port = loopback;
    other_port.port++;
    other_family.is_ipv6 = true;
    other_family.ip[15] = 1;

    assert_true(inherited_overlaps(&inherited, &loopback));
    assert_false(inherited_overlaps(&inherited, &place));
    assert_false(inherited_overlaps(&inherited, &other_port));
    assert_false(inherited_overlaps(&inherited, &other_family));
    inherited_deinit(&inherited);
}

static void a_socket_of_both_families_is_known_as_such(void **state)
{
    struct address place;
    int both = listen_on(AF_INET6, false, &place);
    int ipv6 = listen_on(AF_INET6, true, &place);
    int ipv4 = listen_on(AF_INET, false, &place);

    (void)state;
    assert_true(inherited_takes_ipv4(both));
    assert_false(inherited_takes_ipv4(ipv6));
    assert_false(inherited_takes_ipv4(ipv4));

    close(both);
    close(ipv6);
    close(ipv4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_are_named),
        cmocka_unit_test(named_descriptors_are_taken),
        cmocka_unit_test(those_of_another_process_are_left_alone),
        cmocka_unit_test(a_count_that_is_none_is_told),
        cmocka_unit_test(descriptors_that_are_none_of_ours_are_told),
        cmocka_unit_test(what_nobody_took_is_named),
        cmocka_unit_test(a_long_name_is_cut),
        cmocka_unit_test(only_the_same_address_is_taken),
        cmocka_unit_test(one_address_and_all_of_a_family_overlap),
        cmocka_unit_test(a_socket_of_both_families_is_known_as_such),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
