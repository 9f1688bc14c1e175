#include "ops/admin.h"

#include "ops/admin_private.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 16,
    CONNECTION_MEMORY = 8 * 1024,
    CONNECTION_SECONDS = 10,
    /* One ends a connection that is over its time, the next gives its place
     * back, the third listens again where all places were taken; no event
     * would bring the later ones about. */
    TURNS = 3
};

static void on_timer(uv_timer_t *timer);

/* Lets the library do all that can be done now, and come back in time. */
static void run_door(struct door *door)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;

    for (int i = 0; i < TURNS; i++)
        (void)MHD_run(door->http);
    if (MHD_get_timeout(door->http, &wait_ms) == MHD_YES)
        uv_timer_start(&door->timer, on_timer, wait_ms, 0);
    else
        uv_timer_stop(&door->timer);
}

void admin_run_soon(struct door *door)
{
    uv_timer_start(&door->timer, on_timer, 0, 0);
}

static void on_epoll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run_door(poll->data);
}

static void on_timer(uv_timer_t *timer)
{
    run_door(timer->data);
}

/* Without a descriptor it has no listening socket. */
static struct MHD_Daemon *start_http(struct door *door, int fd)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
                     (fd < 0 ? (unsigned)MHD_USE_NO_LISTEN_SOCKET : 0);
    struct MHD_OptionItem socket[] = {{MHD_OPTION_LISTEN_SOCKET, fd, NULL},
                                      {MHD_OPTION_END, 0, NULL}};

    return MHD_start_daemon(
        flags, 0, NULL, NULL, admin_on_request, door, MHD_OPTION_ARRAY,
        fd < 0 ? &socket[1] : socket, MHD_OPTION_NOTIFY_COMPLETED,
        admin_on_completed, NULL, MHD_OPTION_URI_LOG_CALLBACK, admin_on_line,
        door, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_SECONDS,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_END);
}

/* NULL: the library cannot; the descriptor is closed then. */
static struct door *open_door(struct admin *admin, int fd, bool is_local)
{
    struct door *door = &admin->doors[admin->door_count];
    const union MHD_DaemonInfo *info;

    assert(admin->door_count < ADMIN_DOORS_MAX);
    *door = (struct door){.admin = admin, .fd = fd, .is_local = is_local};
    door->http = start_http(door, fd);
    if (door->http == NULL) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    info = MHD_get_daemon_info(door->http, MHD_DAEMON_INFO_EPOLL_FD);
    door->poll.data = door;
    door->timer.data = door;
    uv_timer_init(admin->loop, &door->timer);
    if (info == NULL ||
        uv_poll_init(admin->loop, &door->poll, info->epoll_fd) != 0) {
        uv_close((uv_handle_t *)&door->timer, NULL);
        MHD_stop_daemon(door->http);
        return NULL;
    }
    admin->door_count++;
    uv_poll_start(&door->poll, UV_READABLE, on_epoll);
    return door;
}

bool admin_serve(struct admin *admin, int fd, bool is_local)
{
    return open_door(admin, fd, is_local) != NULL;
}

/* Made when somebody is handed in for the first time. */
static struct door *inner_door(struct admin *admin)
{
    if (admin->inner == NULL)
        admin->inner = open_door(admin, -1, true);
    return admin->inner;
}

bool admin_take(struct admin *admin, int fd)
{
    struct door *door = admin->is_stopping ? NULL : inner_door(admin);
    const struct sockaddr nobody = {.sa_family = AF_UNIX};

    if (door == NULL) {
        close(fd);
        return false;
    }
    /* Closes it where it fails. */
    if (MHD_add_connection(door->http, fd, &nobody, sizeof(sa_family_t)) !=
        MHD_YES)
        return false;
    run_door(door);
    return true;
}

size_t admin_sockets(const struct admin *admin, int fds_out[ADMIN_SOCKETS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < admin->door_count; i++) {
        if (admin->doors[i].fd >= 0)
            fds_out[count++] = admin->doors[i].fd;
    }
    return count;
}

void admin_retire(struct admin *admin)
{
    for (size_t i = 0; i < admin->door_count; i++) {
        struct door *door = &admin->doors[i];

        if (door->fd < 0)
            continue;
        close(MHD_quiesce_daemon(door->http));
        door->fd = -1;
    }
}

struct admin *admin_new(uv_loop_t *loop, const struct admin_route *routes,
                        size_t count, void *owner)
{
    struct admin *admin = mem_zalloc(sizeof(*admin));

    admin->loop = loop;
    admin->routes = routes;
    admin->route_count = count;
    admin->owner = owner;
    return admin;
}

void admin_set_access(struct admin *admin, const struct admin_access *access)
{
    admin->access = *access;
}

void admin_stop(struct admin *admin)
{
    admin->is_stopping = true;
    while (admin->first != NULL)
        admin_refuse(admin->first, MHD_HTTP_SERVICE_UNAVAILABLE,
                     "the server ends");
    for (size_t i = 0; i < admin->door_count; i++) {
        struct door *door = &admin->doors[i];

        /* What was just answered is still to be sent. */
        (void)MHD_run(door->http);
        uv_poll_stop(&door->poll);
        uv_close((uv_handle_t *)&door->poll, NULL);
        uv_close((uv_handle_t *)&door->timer, NULL);
        MHD_stop_daemon(door->http);
    }
    admin->door_count = 0;
    admin->inner = NULL;
}

void admin_free(struct admin **admin)
{
    free(*admin);
    *admin = NULL;
}

const char *admin_http_version(void)
{
    return MHD_get_version();
}
