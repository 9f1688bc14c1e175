/* Listening sockets of a start: opened, or found open. */
#include "openings.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    WORKERS = 4,
    MANY = 16
};

static char any[] = "*", any4[] = "0.0.0.0",
            any6[] = "::", loopback[] = "127.0.0.1";

static const struct io_keepalive keepalive = {
    .idle_s = 31, .interval_s = 32, .count = 3, .user_timeout_ms = 34000};

/* One listener's settings and what was made for it. */
struct start {
    struct listener_config config;
    struct settings settings;
    struct inherited inherited;
    struct openings openings;
    size_t failed;
    char why[PROVIDER_WHY_MAX];
};

static int begin(void **state)
{
    struct start *start = mem_zalloc(sizeof(*start));

    start->settings.listeners = &start->config;
    start->settings.listener_count = 1;
    *state = start;
    return 0;
}

static int end(void **state)
{
    struct start *start = *state;

    openings_deinit(&start->openings);
    inherited_deinit(&start->inherited);
    free(start);
    return 0;
}

static int listen_on(int family, uint32_t host, uint16_t port, int is_ipv6_only)
{
    int on = 1, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in v4 = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(host)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                              .sin6_port = htons(port)};

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_ipv6_only,
                   sizeof(is_ipv6_only));
        assert_int_equal(bind(fd, (struct sockaddr *)&v6, sizeof(v6)), 0);
    } else {
        assert_int_equal(bind(fd, (struct sockaddr *)&v4, sizeof(v4)), 0);
    }
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in name;
    socklen_t len = sizeof(name);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    return ntohs(name.sin_port);
}

/* So many sockets of 127.0.0.1 on one port, which the listener has. */
static void inherit_loopback(struct start *start, size_t count)
{
    start->config.address = loopback;
    for (size_t i = 0; i < count; i++) {
        int fd = listen_on(AF_INET, INADDR_LOOPBACK, start->config.port, 0);

        start->config.port = port_of(fd);
        inherited_add(&start->inherited, fd);
    }
}

static bool make(struct start *start)
{
    return openings_make(&start->openings, NULL, &start->settings,
                         &start->inherited, &keepalive, WORKERS, 0,
                         &start->failed, start->why);
}

/* How many sockets each worker gets; closes them. */
static size_t take_all(struct start *start, size_t counts_out[WORKERS],
                       size_t *dealt_out)
{
    size_t count = 0;

    *dealt_out = 0;
    for (size_t worker = 0; worker < WORKERS; worker++) {
        unsigned listener = 99;
        struct listener_sharing sharing;
        int fd;

        counts_out[worker] = 0;
        while ((fd = openings_take(&start->openings, worker, &listener,
                                   &sharing)) >= 0) {
            assert_int_equal(listener, 0);
            counts_out[worker]++;
            *dealt_out += sharing.is_dealt;
            close(fd);
        }
        count += counts_out[worker];
    }
    return count;
}

static void as_many_as_workers_go_to_one_each(void **state)
{
    struct start *start = *state;
    size_t counts[WORKERS], dealt;
    char why[INHERITED_WHY_MAX];

    inherit_loopback(start, WORKERS);

    assert_true(make(start));

    assert_true(inherited_is_empty(&start->inherited, why));
    assert_int_equal(take_all(start, counts, &dealt), WORKERS);
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(counts[i], 1);
    assert_int_equal(dealt, 0);
}

static void a_multiple_is_parted_evenly(void **state)
{
    struct start *start = *state;
    size_t counts[WORKERS], dealt;

    inherit_loopback(start, (size_t)2 * WORKERS);

    assert_true(make(start));

    assert_int_equal(take_all(start, counts, &dealt), 2 * WORKERS);
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(counts[i], 2);
    assert_int_equal(dealt, 0);
}

static void any_other_number_is_dealt(void **state)
{
    static const size_t numbers[] = {1, WORKERS - 1, WORKERS + 1,
                                     2 * WORKERS + 1};

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        void *mine;
        size_t counts[WORKERS], dealt;

        begin(&mine);
        inherit_loopback(mine, numbers[i]);

        assert_true(make(mine));

        assert_int_equal(take_all(mine, counts, &dealt), numbers[i]);
        assert_int_equal(dealt, numbers[i]);
        end(&mine);
    }
}

static void single_sockets_begin_with_different_workers(void **state)
{
    struct start *start = *state;
    struct listener_config configs[2] = {{.address = loopback},
                                         {.address = loopback}};
    unsigned listener;
    struct listener_sharing sharing;

    for (size_t i = 0; i < 2; i++) {
        int fd = listen_on(AF_INET, INADDR_LOOPBACK, 0, 0);

        configs[i].port = port_of(fd);
        inherited_add(&start->inherited, fd);
    }
    start->settings.listeners = configs;
    start->settings.listener_count = 2;

    assert_true(make(start));

    for (unsigned i = 0; i < 2; i++) {
        int fd = openings_take(&start->openings, i, &listener, &sharing);

        assert_true(fd >= 0);
        assert_int_equal(listener, i);
        assert_int_equal(port_of(fd), configs[i].port);
        close(fd);
    }
}

static void inherited_families_are_parted_each_by_itself(void **state)
{
    struct start *start = *state;

    start->config.address = any;
    for (size_t i = 0; i < WORKERS; i++) {
        int v4 = listen_on(AF_INET, INADDR_ANY, start->config.port, 0);

        start->config.port = port_of(v4);
        inherited_add(&start->inherited, v4);
        inherited_add(&start->inherited,
                      listen_on(AF_INET6, 0, start->config.port, 1));
    }

    assert_true(make(start));

    for (size_t worker = 0; worker < WORKERS; worker++) {
        int families[2];
        unsigned listener;
        struct listener_sharing sharing;

        for (size_t i = 0; i < 2; i++) {
            int fd =
                openings_take(&start->openings, worker, &listener, &sharing);
            socklen_t len = sizeof(int);

            assert_true(fd >= 0);
            assert_false(sharing.is_dealt);
            getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &families[i], &len);
            close(fd);
        }
        assert_int_not_equal(families[0], families[1]);
    }
}

static void what_is_missing_is_opened(void **state)
{
    struct start *start = *state;
    size_t counts[WORKERS], dealt;
    int v4 = listen_on(AF_INET, INADDR_ANY, 0, 0);

    start->config =
        (struct listener_config){.address = any, .port = port_of(v4)};
    inherited_add(&start->inherited, v4);

    assert_true(make(start));

    assert_int_equal(take_all(start, counts, &dealt), 1 + WORKERS);
    assert_int_equal(dealt, 1);
}

static void a_socket_of_both_families_is_enough_for_a_star(void **state)
{
    struct start *start = *state;
    size_t counts[WORKERS], dealt;
    int both = listen_on(AF_INET6, 0, 0, 0);

    start->config =
        (struct listener_config){.address = any, .port = port_of(both)};
    inherited_add(&start->inherited, both);

    assert_true(make(start));

    assert_int_equal(take_all(start, counts, &dealt), 1);
}

static void two_colons_are_not_given_ipv4(void **state)
{
    struct start *start = *state;
    int both = listen_on(AF_INET6, 0, 0, 0);

    start->config =
        (struct listener_config){.address = any6, .port = port_of(both)};
    inherited_add(&start->inherited, both);

    assert_false(make(start));

    assert_non_null(strstr(start->why, "takes IPv4, too"));
    assert_non_null(strstr(start->why, "BindIPv6Only=ipv6-only"));
}

static void only_a_service_managers_are_kept(void **state)
{
    struct start *start = *state;
    struct listener_sharing sharing;
    unsigned listener;
    int v4 = listen_on(AF_INET, INADDR_ANY, 0, 0);

    start->config =
        (struct listener_config){.address = any, .port = port_of(v4)};
    start->inherited.are_kept = true;
    inherited_add(&start->inherited, v4);

    assert_true(make(start));

    /* IPv6 is ours. */
    close(openings_take(&start->openings, 0, &listener, &sharing));
    assert_false(sharing.is_kept);
    close(openings_take(&start->openings, 0, &listener, &sharing));
    assert_true(sharing.is_kept);
}

static void others_are_left(void **state)
{
    struct start *start = *state;
    size_t counts[WORKERS], dealt;
    char why[INHERITED_WHY_MAX];

    inherit_loopback(start, 1);
    inherited_add(&start->inherited, listen_on(AF_INET, INADDR_LOOPBACK, 0, 0));

    assert_true(make(start));

    assert_int_equal(take_all(start, counts, &dealt), 1);
    assert_false(inherited_is_empty(&start->inherited, why));
}

/* The settings' "*" takes the place of what a predecessor had. */
static void an_overlapping_one_is_no_other_program(void **state)
{
    struct start *start = *state;
    size_t counts[WORKERS], dealt;

    inherit_loopback(start, 1);
    start->config.address = any4;

    assert_true(make(start));

    assert_int_equal(take_all(start, counts, &dealt), WORKERS);
}

static void another_program_is_still_seen(void **state)
{
    struct start *start = *state;
    int other;

    inherit_loopback(start, 1);
    other = listen_on(AF_INET, INADDR_LOOPBACK, 0, 0);
    start->config.port = port_of(other);

    assert_false(make(start));

    assert_non_null(strstr(start->why, "another program listens there"));
    close(other);
}

static void a_failure_leaves_nothing_open(void **state)
{
    struct start *start = *state;
    struct listener_config configs[2];
    int fd, other = listen_on(AF_INET, INADDR_LOOPBACK, 0, 0);

    inherit_loopback(start, 1);
    fd = start->inherited.fds[0];
    configs[0] = start->config;
    configs[1] = start->config;
    configs[1].port = port_of(other);
    start->settings.listeners = configs;
    start->settings.listener_count = 2;

    assert_false(make(start));

    assert_int_equal(start->failed, 1);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    close(other);
}

#define OF_A_START(claim) cmocka_unit_test_setup_teardown(claim, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OF_A_START(as_many_as_workers_go_to_one_each),
        OF_A_START(a_multiple_is_parted_evenly),
        cmocka_unit_test(any_other_number_is_dealt),
        OF_A_START(single_sockets_begin_with_different_workers),
        OF_A_START(inherited_families_are_parted_each_by_itself),
        OF_A_START(what_is_missing_is_opened),
        OF_A_START(a_socket_of_both_families_is_enough_for_a_star),
        OF_A_START(two_colons_are_not_given_ipv4),
        OF_A_START(only_a_service_managers_are_kept),
        OF_A_START(others_are_left),
        OF_A_START(an_overlapping_one_is_no_other_program),
        OF_A_START(another_program_is_still_seen),
        OF_A_START(a_failure_leaves_nothing_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
