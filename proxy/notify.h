/* The service manager's end of a line: datagrams to the socket that systemd
 * names in NOTIFY_SOCKET (sd_notify(3)). Done here rather than by libsystemd,
 * which waits where that socket's queue is full. */
#ifndef PROXY_NOTIFY_H
#define PROXY_NOTIFY_H

#include "config/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
    int fd; /* -1: there is nobody to tell */
    struct sockaddr_un to;
    socklen_t to_len;
    uint64_t watchdog_us; /* how often a sign of life is due; 0: never */
};

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment,
 * so that no child speaks for us: call it before there are threads. NULL, also
 * where no socket is named, or what is wrong with the name; then nobody is
 * told anything. */
MUST_USE const char *notify_open(struct notify *notify);

/* Sends assignments, parted by line feeds; neither waits nor allocates. 0, also
 * when there is nobody to tell, or UV_E*: UV_EAGAIN where it may be tried
 * again; who tells the same again soon may pass over it. */
int notify_send(const struct notify *notify, const char *text);

enum {
    NOTIFY_NAME_MAX = 160
};

/* "NOTIFY_SOCKET=...", for the environment of another process; false: nobody is
 * to be told. */
MUST_USE bool notify_name(const struct notify *notify,
                          char out[NOTIFY_NAME_MAX]);

/* Leaves the line closed, as if none had been named. */
void notify_close(struct notify *notify);

#endif
