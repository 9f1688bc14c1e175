/* What the server tells the service manager, and when: that it serves, that it
 * reloads, that it ends, and, three times in the watchdog's time, that it
 * lives. All on the main loop. Without a service manager nothing happens. */
#ifndef PROXY_SERVER_NOTIFY_H
#define PROXY_SERVER_NOTIFY_H

#include "notify.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

enum {
    SERVER_NOTIFY_TEXT_MAX = 192
};

struct server_notify {
    struct notify line;
    const char *fault; /* of NOTIFY_SOCKET, or NULL */
    uv_timer_t watchdog;
    uv_timer_t retry;                   /* of what a full queue refused */
    char state[SERVER_NOTIFY_TEXT_MAX]; /* told last */
    bool is_over;                       /* a successor speaks now */
    bool (*is_alive)(void *owner);
    void *owner;
};

/* Before there are threads. */
void server_notify_open(struct server_notify *notify);

/* Logs why nobody can be told, where that is so: the log has its format now.
 * Prepares the timers. is_alive is asked on the loop whether all that serves
 * still answers; while it does not, the watchdog gets no sign of life. */
void server_notify_join(struct server_notify *notify, uv_loop_t *loop,
                        bool (*is_alive)(void *owner), void *owner);

/* Serves; the watchdog runs from now on. Copies the status. */
void server_notify_ready(struct server_notify *notify, const char *status);
void server_notify_reloading(struct server_notify *notify);

/* Ends within drain_ms and the moments that the last bytes take; asks for that
 * much time. */
void server_notify_stopping(struct server_notify *notify, uint64_t drain_ms);

/* The successor is the service's main process; we have nothing more to say. */
void server_notify_hand_over(struct server_notify *notify, pid_t successor);

/* Closes its timers; the loop is to run until they are gone. */
void server_notify_stop(struct server_notify *notify);

/* Closes the line. */
void server_notify_close(struct server_notify *notify);

#endif
