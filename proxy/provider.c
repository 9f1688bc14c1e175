#include "provider.h"

#include "config/network.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum {
    BACKLOG = 4096,
    PRIVILEGED_PORTS = 1024
};

/* Who shares a socket's address. */
enum sharing {
    SHARED,
    ALONE
};

static int bind_sockets(const struct listener_config *config,
                        const struct io_keepalive *keepalive,
                        const struct provider_addresses *addresses,
                        struct provider_sockets *sockets,
                        struct address *where_out);
static int bind_socket(const struct address *address, enum sharing sharing,
                       int *fd_out);
static void close_all(int *fds, size_t count);
static int tell(int error, const struct address *address,
                char why[PROVIDER_WHY_MAX]);

int provider_bind_listener(const struct listener_config *config,
                           const struct io_keepalive *keepalive,
                           size_t per_family,
                           struct provider_sockets *sockets_out,
                           char why[PROVIDER_WHY_MAX])
{
    struct provider_addresses addresses;

    provider_list_addresses(config, &addresses);
    return provider_bind_addresses(&addresses, config, keepalive, per_family,
                                   sockets_out, why);
}

int provider_bind_addresses(const struct provider_addresses *addresses,
                            const struct listener_config *config,
                            const struct io_keepalive *keepalive,
                            size_t per_family,
                            struct provider_sockets *sockets_out,
                            char why[PROVIDER_WHY_MAX])
{
    struct provider_sockets sockets = {.per_family = per_family};
    struct address where;
    int error;

    assert(per_family > 0 && addresses->count > 0);
    sockets.fds = mem_realloc_array(NULL, PROVIDER_FAMILIES_MAX * per_family,
                                    sizeof(*sockets.fds));
    for (size_t i = 0; i < PROVIDER_FAMILIES_MAX * per_family; i++)
        sockets.fds[i] = -1;
    error = bind_sockets(config, keepalive, addresses, &sockets, &where);
    if (error == 0) {
        *sockets_out = sockets;
        return 0;
    }
    provider_sockets_deinit(&sockets);
    return tell(error, &where, why);
}

int provider_listen(const struct provider_sockets *sockets,
                    char why[PROVIDER_WHY_MAX])
{
    for (size_t i = 0; i < sockets->family_count * sockets->per_family; i++) {
        if (listen(sockets->fds[i], BACKLOG) != 0)
            return tell(uv_translate_sys_error(errno),
                        &sockets->addresses[i / sockets->per_family], why);
    }
    return 0;
}

bool provider_lacks_family(int error)
{
    return error == UV_EAFNOSUPPORT || error == UV_EADDRNOTAVAIL;
}

int provider_probe_listener(const struct listener_config *config,
                            char why[PROVIDER_WHY_MAX])
{
    struct provider_addresses addresses;

    provider_list_addresses(config, &addresses);
    return provider_probe_addresses(&addresses, why);
}

int provider_probe_addresses(const struct provider_addresses *addresses,
                             char why[PROVIDER_WHY_MAX])
{
    for (size_t i = 0; i < addresses->count; i++) {
        int fd;
        int error = bind_socket(&addresses->list[i], ALONE, &fd);

        if (error == 0)
            close(fd);
        else if (!provider_lacks_family(error))
            return tell(error, &addresses->list[i], why);
    }
    return 0;
}

void provider_sockets_deinit(struct provider_sockets *sockets)
{
    close_all(sockets->fds, sockets->family_count * sockets->per_family);
    free(sockets->fds);
    *sockets = (struct provider_sockets){.fds = NULL};
}

void provider_list_addresses(const struct listener_config *config,
                             struct provider_addresses *out)
{
    struct network literal;
    bool is_literal = network_parse_address(config->address, &literal);

    *out = (struct provider_addresses){.count = 0};
    if (!is_literal) {
        assert(strcmp(config->address, "*") == 0); /* as settings.h says */
        out->list[1].is_ipv6 = true;
        out->count = PROVIDER_FAMILIES_MAX;
    } else {
        memcpy(out->list[0].ip, literal.bytes, sizeof(literal.bytes));
        out->list[0].is_ipv6 = literal.family == NETWORK_IPV6;
        out->count = 1;
    }
    for (size_t i = 0; i < out->count; i++)
        out->list[i].port = config->port;
}

static int set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0
               ? 0
               : uv_translate_sys_error(errno);
}

static int bind_to(int fd, const struct address *address, enum sharing sharing)
{
    struct sockaddr_storage name;
    socklen_t name_len = address_to_sockaddr(address, &name);
    int error = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);

    if (error == 0 && sharing == SHARED)
        error = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (error == 0 && address->is_ipv6)
        error = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (error != 0)
        return error;
    return bind(fd, (const struct sockaddr *)&name, name_len) == 0
               ? 0
               : uv_translate_sys_error(errno);
}

static int bind_socket(const struct address *address, enum sharing sharing,
                       int *fd_out)
{
    int fd = socket(address->is_ipv6 ? AF_INET6 : AF_INET,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    if (fd < 0)
        return uv_translate_sys_error(errno);
    error = bind_to(fd, address, sharing);
    if (error != 0)
        close(fd);
    else
        *fd_out = fd;
    return error;
}

static int set_up(int fd, const struct listener_config *config,
                  const struct io_keepalive *keepalive)
{
    int error = io_set_listener(fd, keepalive);

    if (error == 0 && config->tls == LISTENER_TLS_IMPLICIT)
        error = io_defer_accept(fd, true);
    return error;
}

static int bind_one(const struct listener_config *config,
                    const struct io_keepalive *keepalive,
                    const struct address *address, int *fd_out)
{
    int error = bind_socket(address, SHARED, fd_out);

    return error == 0 ? set_up(*fd_out, config, keepalive) : error;
}

static void close_all(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

/* Binds all of an address or none. */
static int bind_family(const struct listener_config *config,
                       const struct io_keepalive *keepalive,
                       const struct address *address,
                       struct provider_sockets *sockets)
{
    int *fds = sockets->fds + sockets->family_count * sockets->per_family;
    int error = 0;

    for (size_t i = 0; i < sockets->per_family && error == 0; i++)
        error = bind_one(config, keepalive, address, &fds[i]);
    if (error != 0)
        close_all(fds, sockets->per_family);
    else
        sockets->addresses[sockets->family_count++] = *address;
    return error;
}

static int bind_sockets(const struct listener_config *config,
                        const struct io_keepalive *keepalive,
                        const struct provider_addresses *addresses,
                        struct provider_sockets *sockets,
                        struct address *where_out)
{
    int error = 0;

    for (size_t i = 0; i < addresses->count; i++) {
        *where_out = addresses->list[i];
        error = bind_family(config, keepalive, where_out, sockets);
        if (error != 0 && !provider_lacks_family(error))
            return error;
    }
    return sockets->family_count == 0 ? error : 0;
}

static const char *advice(int error, uint16_t port)
{
    if (error == UV_EACCES && port < PRIVILEGED_PORTS)
        return "; binding below 1024 needs CAP_NET_BIND_SERVICE";
    if (error == UV_EADDRINUSE)
        return "; another program listens there";
    if (error == UV_EADDRNOTAVAIL)
        return "; it is no address of this machine";
    return "";
}

static int tell(int error, const struct address *address,
                char why[PROVIDER_WHY_MAX])
{
    char where[ADDRESS_TEXT_MAX];

    address_format(address, where, sizeof(where));
    snprintf(why, PROVIDER_WHY_MAX, "cannot listen on %s: %s%s", where,
             strerror(-error), advice(error, address->port));
    return error;
}
