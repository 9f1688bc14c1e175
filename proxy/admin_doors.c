#include "admin_doors.h"

#include "net/address.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    FAMILIES = 2
};

static const char any_ipv4[] = "0.0.0.0";
static const char any_ipv6[] = "::";

/* Where it listens, if it is a Unix socket that has a name. */
static bool read_path(int fd, char path[sizeof(struct sockaddr_un)])
{
    struct sockaddr_un name = {.sun_family = AF_UNSPEC};
    socklen_t len = sizeof(name);

    if (fd < 0 || getsockname(fd, (struct sockaddr *)&name, &len) != 0 ||
        name.sun_family != AF_UNIX || name.sun_path[0] == '\0')
        return false;
    /* The kernel need not end the longest one. */
    memcpy(path, name.sun_path, sizeof(name.sun_path));
    path[sizeof(name.sun_path)] = '\0';
    return true;
}

static int take(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

static int open_local(struct admin_doors *doors, int *given, size_t count,
                      char why[PROVIDER_WHY_MAX])
{
    char path[sizeof(struct sockaddr_un)];
    int error;

    for (size_t i = 0; i < count; i++) {
        if (!read_path(given[i], path))
            continue;
        if (strcmp(path, doors->path) == 0) {
            doors->fds[doors->count++] = take(&given[i]);
            return 0;
        }
        close(take(&given[i]));
        free(doors->left_path);
        doors->left_path = mem_strdup(path);
    }
    error = provider_open_admin(doors->path, &doors->local, why);
    if (error == 0)
        doors->fds[doors->count++] = take(&doors->local.fd);
    return error;
}

static bool listens_at(int fd, const struct network *where, uint16_t port)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);
    struct address found, wanted;

    if (fd < 0 || getsockname(fd, (struct sockaddr *)&name, &len) != 0 ||
        !address_from_sockaddr((const struct sockaddr *)&name, &found))
        return false;
    address_from_network(where, &wanted);
    return found.port == port && address_same_host(&found, &wanted);
}

/* One address, without the other one that "*" stands for. */
static int open_address(struct admin_doors *doors,
                        const struct listener_config *config,
                        const struct io_keepalive *keepalive, int *given,
                        size_t count, char why[PROVIDER_WHY_MAX])
{
    struct provider_sockets sockets = {.family_count = 0};
    struct network where;
    int error;

    if (!network_parse_address(config->address, &where))
        return UV_EINVAL;
    for (size_t i = 0; i < count; i++) {
        if (listens_at(given[i], &where, config->port)) {
            doors->fds[doors->count++] = take(&given[i]);
            return 0;
        }
    }
    error = provider_probe_listener(config, why);
    if (error == 0)
        error = provider_bind_listener(config, keepalive, 1, &sockets, why);
    if (error == 0)
        error = provider_listen(&sockets, why);
    if (error == 0)
        doors->fds[doors->count++] = take(&sockets.fds[0]);
    provider_sockets_deinit(&sockets);
    return error;
}

static bool is_missing_family(int error)
{
    return error == UV_EAFNOSUPPORT || error == UV_EADDRNOTAVAIL;
}

/* "*" is both families, or the one that the system has. */
static int open_tcp(struct admin_doors *doors,
                    const struct listener_config *config,
                    const struct io_keepalive *keepalive, int *given,
                    size_t count, char why[PROVIDER_WHY_MAX])
{
    const char *const texts[FAMILIES] = {any_ipv4, any_ipv6};
    size_t before = doors->count;
    int error = 0;

    if (strcmp(config->address, "*") != 0)
        return open_address(doors, config, keepalive, given, count, why);
    for (size_t i = 0; i < FAMILIES; i++) {
        struct listener_config one = *config;
        char text[sizeof(any_ipv4)];

        memcpy(text, texts[i], strlen(texts[i]) + 1);
        one.address = text;
        error = open_address(doors, &one, keepalive, given, count, why);
        if (error != 0 && !is_missing_family(error))
            return error;
    }
    return doors->count > before ? 0 : error;
}

int admin_doors_open(struct admin_doors *doors, const struct settings *settings,
                     const struct io_keepalive *keepalive, int *given,
                     size_t given_count, char why[PROVIDER_WHY_MAX])
{
    int error;

    *doors = (struct admin_doors){.local.fd = -1};
    doors->path = mem_strdup(settings->admin_socket);
    error = open_local(doors, given, given_count, why);
    if (error == 0 && settings->admin_listen != NULL)
        error = open_tcp(doors, settings->admin_listen, keepalive, given,
                         given_count, why);
    if (error != 0)
        admin_doors_close(doors);
    return error;
}

void admin_doors_own(struct admin_doors *doors)
{
    struct stat found;

    if (doors->local.inode == 0) /* it was taken over */
        provider_know_admin(doors->path, &doors->local);
    if (doors->left_path != NULL && lstat(doors->left_path, &found) == 0 &&
        S_ISSOCK(found.st_mode))
        (void)unlink(doors->left_path);
    free(doors->left_path);
    doors->left_path = NULL;
}

void admin_doors_leave(struct admin_doors *doors)
{
    doors->local.inode = 0;
}

void admin_doors_close(struct admin_doors *doors)
{
    for (size_t i = 0; i < doors->count; i++) {
        if (doors->fds[i] >= 0)
            close(doors->fds[i]);
    }
    if (doors->path != NULL)
        provider_close_admin(doors->path, &doors->local);
    free(doors->path);
    free(doors->left_path);
    *doors = (struct admin_doors){.local.fd = -1};
}
