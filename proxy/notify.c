#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static const char *take_address(struct notify *notify, const char *name);
static uint64_t take_watchdog(void);

const char *notify_open(struct notify *notify)
{
    const char *name = getenv("NOTIFY_SOCKET");
    const char *fault;

    *notify = (struct notify){.fd = -1};
    fault = name == NULL ? NULL : take_address(notify, name);
    if (name != NULL && fault == NULL) {
        notify->fd =
            socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (notify->fd < 0)
            fault = "no socket of our own can be had";
    }
    notify->watchdog_us = notify->fd < 0 ? 0 : take_watchdog();
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return fault;
}

int notify_send(const struct notify *notify, const char *text)
{
    if (notify->fd < 0 ||
        sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL,
               (const struct sockaddr *)&notify->to, notify->to_len) >= 0)
        return 0;
    return uv_translate_sys_error(errno);
}

bool notify_name(const struct notify *notify, char out[NOTIFY_NAME_MAX])
{
    int len = (int)(notify->to_len - offsetof(struct sockaddr_un, sun_path));

    if (notify->fd < 0)
        return false;
    snprintf(out, NOTIFY_NAME_MAX, "NOTIFY_SOCKET=%c%.*s",
             notify->to.sun_path[0] == '\0' ? '@' : notify->to.sun_path[0],
             len - 1, notify->to.sun_path + 1);
    return true;
}

void notify_close(struct notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    *notify = (struct notify){.fd = -1};
}

/* A path, or a name in the abstract namespace, whose first byte is 0 and for
 * which "@" stands; neither is padded. */
static const char *take_address(struct notify *notify, const char *name)
{
    size_t len = strlen(name);

    if (name[0] != '/' && name[0] != '@')
        return "neither a path nor an abstract name";
    if (len >= sizeof(notify->to.sun_path))
        return "too long for a socket's name";
    notify->to.sun_family = AF_UNIX;
    memcpy(notify->to.sun_path, name, len);
    if (name[0] == '@')
        notify->to.sun_path[0] = '\0';
    notify->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return NULL;
}

/* Of an environment that we do not trust to be systemd's. */
static bool read_number(const char *name, uint64_t *number_out)
{
    const char *text = getenv(name);
    char *end;
    unsigned long long number;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    number = strtoull(text, &end, 10);
    *number_out = number;
    return errno == 0 && *end == '\0';
}

/* A watchdog of another process is none of ours. */
static uint64_t take_watchdog(void)
{
    uint64_t period_us, pid;

    if (!read_number("WATCHDOG_USEC", &period_us))
        return 0;
    if (getenv("WATCHDOG_PID") != NULL &&
        (!read_number("WATCHDOG_PID", &pid) || pid != (uint64_t)getpid()))
        return 0;
    return period_us;
}
