/* What a service manager leaves in the environment, or somebody who is none:
 * the input is the values of the variables below, each up to its NUL. Whatever
 * they say, they are taken out, and nothing is kept that cannot be used. */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inherited.h"
#include "notify.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const names[] = {
    "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
};

enum {
    NAMES = sizeof(names) / sizeof(names[0]),
    FIRST_FD = 3,
    SOCKETS = 2
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* "@" is this process. */
static void put(const char *name, const char *value)
{
    char own[32];

    snprintf(own, sizeof(own), "%ld", (long)getpid());
    setenv(name, strcmp(value, "@") == 0 ? own : value, 1);
}

static void put_all(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < NAMES; i++) {
        size_t part = strnlen((const char *)bytes, len);
        char *value;

        unsetenv(names[i]);
        if (part == len)
            continue;
        value = strndup((const char *)bytes, part);
        put(names[i], value);
        free(value);
        bytes += part + 1;
        len -= part + 1;
    }
}

/* A listening socket at each of the first places, which the last input closed
 * or left. */
static void open_sockets(void)
{
    for (int fd = FIRST_FD; fd < FIRST_FD + SOCKETS; fd++) {
        int mine = socket(AF_INET, SOCK_STREAM, 0);

        if (mine < 0 || listen(mine, 1) != 0 ||
            (mine != fd && dup2(mine, fd) != fd))
            abort();
        if (mine != fd)
            close(mine);
    }
}

static void check_inherited(void)
{
    const struct address nowhere = {.port = 0};
    struct inherited inherited;
    char why[INHERITED_WHY_MAX] = "";
    bool is_taken = inherited_from_environment(&inherited, why);

    assert(is_taken == (*why == '\0'));
    assert(strnlen(why, sizeof(why)) < sizeof(why));
    for (size_t i = 0; is_taken && i < inherited.count; i++)
        assert((fcntl(inherited.fds[i], F_GETFD) & FD_CLOEXEC) != 0);
    assert(inherited_take(&inherited, &nowhere) < 0);
    assert(inherited_is_empty(&inherited, why) || *why != '\0');
    inherited_deinit(&inherited);
}

static void check_notify(void)
{
    struct notify notify;
    char name[NOTIFY_NAME_MAX];
    const char *fault = notify_open(&notify);

    assert(fault == NULL || notify.fd < 0);
    assert(notify.fd >= 0 || notify.watchdog_us == 0);
    if (notify_name(&notify, name))
        assert(strncmp(name, "NOTIFY_SOCKET=", 14) == 0);
    notify_close(&notify);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    open_sockets();
    put_all(bytes, len);
    check_inherited();
    check_notify();
    for (size_t i = 0; i < NAMES; i++)
        assert(getenv(names[i]) == NULL);
    return 0;
}
