/* What the service manager is told, at whichever kind of address, and that
 * nobody who inherits our environment speaks for us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notify.h"

#include <unistd.h>
#include <uv.h>

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    QUEUE_TRIES = 100000
};

/* A manager that listens, at a path or at an abstract name. */
struct manager {
    int fd;
    char folder[32];
    char path[64];
    char abstract[64];
    struct notify notify;
};

static int set_up(void **state)
{
    struct manager *manager = calloc(1, sizeof(*manager));

    if (manager == NULL)
        return -1;
    manager->notify.fd = -1;
    snprintf(manager->folder, sizeof(manager->folder), "/tmp/notify.XXXXXX");
    if (mkdtemp(manager->folder) == NULL)
        return -1;
    snprintf(manager->path, sizeof(manager->path), "%s/socket",
             manager->folder);
    snprintf(manager->abstract, sizeof(manager->abstract), "@gatepost-test-%d",
             (int)getpid());
    manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    *state = manager;
    return manager->fd < 0;
}

static int tear_down(void **state)
{
    struct manager *manager = *state;

    notify_close(&manager->notify);
    close(manager->fd);
    unlink(manager->path);
    rmdir(manager->folder);
    free(manager);
    return 0;
}

static void listen_at(struct manager *manager, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);

    memcpy(address.sun_path, name, len);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(
        bind(manager->fd, (const struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
        0);
    setenv("NOTIFY_SOCKET", name, 1);
}

static void assert_hears(const struct manager *manager, const char *expected)
{
    char heard[256];
    ssize_t len = recv(manager->fd, heard, sizeof(heard) - 1, 0);

    assert_true(len >= 0);
    heard[len] = '\0';
    assert_string_equal(heard, expected);
}

static void notify_reaches_a_path(void **state)
{
    struct manager *manager = *state;

    listen_at(manager, manager->path);

    assert_null(notify_open(&manager->notify));
    assert_int_equal(notify_send(&manager->notify, "READY=1"), 0);
    assert_hears(manager, "READY=1");
}

static void notify_reaches_an_abstract_name(void **state)
{
    struct manager *manager = *state;

    listen_at(manager, manager->abstract);

    assert_null(notify_open(&manager->notify));
    assert_int_equal(notify_send(&manager->notify, "READY=1\nSTATUS=x"), 0);
    assert_hears(manager, "READY=1\nSTATUS=x");
}

static void notify_without_a_socket_tells_nobody(void **state)
{
    struct manager *manager = *state;

    setenv("WATCHDOG_USEC", "1000000", 1);

    assert_null(notify_open(&manager->notify));
    assert_int_equal(notify_send(&manager->notify, "READY=1"), 0);
    assert_int_equal(manager->notify.watchdog_us, 0);
}

static void notify_refuses_a_name_that_is_too_long(void **state)
{
    struct manager *manager = *state;
    char name[sizeof(manager->notify.to.sun_path) + 1];

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    name[0] = '/';
    setenv("NOTIFY_SOCKET", name, 1);

    assert_string_equal(notify_open(&manager->notify),
                        "too long for a socket's name");
    assert_int_equal(notify_send(&manager->notify, "READY=1"), 0);
}

static void notify_refuses_other_kinds_of_address(void **state)
{
    struct manager *manager = *state;
    static const char *const names[] = {"", "run/notify", "vsock:2:1234"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        assert_string_equal(notify_open(&manager->notify),
                            "neither a path nor an abstract name");
    }
}

static void notify_hands_nothing_on_to_children(void **state)
{
    struct manager *manager = *state;

    listen_at(manager, manager->path);
    setenv("WATCHDOG_USEC", "1000000", 1);
    setenv("WATCHDOG_PID", "1", 1);

    assert_null(notify_open(&manager->notify));
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
}

static uint64_t watchdog_of(struct manager *manager, const char *period,
                            const char *pid)
{
    setenv("NOTIFY_SOCKET", manager->path, 1);
    setenv("WATCHDOG_USEC", period, 1);
    if (pid != NULL)
        setenv("WATCHDOG_PID", pid, 1);
    notify_close(&manager->notify);
    assert_null(notify_open(&manager->notify));
    return manager->notify.watchdog_us;
}

static void notify_knows_its_own_watchdog_only(void **state)
{
    struct manager *manager = *state;
    char mine[16];

    snprintf(mine, sizeof(mine), "%d", (int)getpid());

    assert_int_equal(watchdog_of(manager, "30000000", NULL), 30000000);
    assert_int_equal(watchdog_of(manager, "30000000", mine), 30000000);
    assert_int_equal(watchdog_of(manager, "30000000", "1"), 0);
}

static void notify_takes_no_watchdog_that_is_no_number(void **state)
{
    struct manager *manager = *state;
    static const char *const periods[] = {"", "-5", " 5", "5s",
                                          "99999999999999999999999"};

    for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++)
        assert_int_equal(watchdog_of(manager, periods[i], NULL), 0);
}

static void notify_says_who_does_not_listen(void **state)
{
    struct manager *manager = *state;

    setenv("NOTIFY_SOCKET", manager->path, 1);

    assert_null(notify_open(&manager->notify));
    assert_int_equal(notify_send(&manager->notify, "READY=1"), UV_ENOENT);
}

static void notify_never_waits_for_a_full_queue(void **state)
{
    struct manager *manager = *state;
    int result = 0;

    listen_at(manager, manager->path);
    assert_null(notify_open(&manager->notify));

    for (int i = 0; i < QUEUE_TRIES && result == 0; i++)
        result = notify_send(&manager->notify, "WATCHDOG=1");

    assert_int_equal(result, UV_EAGAIN);
}

static void notify_names_its_socket_to_a_successor(void **state)
{
    struct manager *manager = *state;
    char expected[NOTIFY_NAME_MAX], name[NOTIFY_NAME_MAX];

    listen_at(manager, manager->abstract);
    assert_null(notify_open(&manager->notify));
    snprintf(expected, sizeof(expected), "NOTIFY_SOCKET=%s", manager->abstract);

    assert_true(notify_name(&manager->notify, name));
    assert_string_equal(name, expected);
    notify_close(&manager->notify);
    assert_false(notify_name(&manager->notify, name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(notify_reaches_a_path),
        CLAIM(notify_reaches_an_abstract_name),
        CLAIM(notify_without_a_socket_tells_nobody),
        CLAIM(notify_refuses_a_name_that_is_too_long),
        CLAIM(notify_refuses_other_kinds_of_address),
        CLAIM(notify_hands_nothing_on_to_children),
        CLAIM(notify_knows_its_own_watchdog_only),
        CLAIM(notify_takes_no_watchdog_that_is_no_number),
        CLAIM(notify_says_who_does_not_listen),
        CLAIM(notify_never_waits_for_a_full_queue),
        CLAIM(notify_names_its_socket_to_a_successor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
