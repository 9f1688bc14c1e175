#include "net/dial.h"

#include "net/source_address.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

static int set_up(int fd, const struct address *to, const struct address *from)
{
    struct sockaddr_storage name;
    socklen_t len = address_to_sockaddr(to, &name);
    int on = 1;
    int result = from == NULL ? 0 : source_address_bind(fd, from);

    if (result != 0)
        return result;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
        return uv_translate_sys_error(errno);
    if (connect(fd, (const struct sockaddr *)&name, len) == 0 ||
        errno == EINPROGRESS)
        return 0;
    return uv_translate_sys_error(errno);
}

int dial_begin(const struct address *to, const struct address *from,
               int *fd_out)
{
    int fd = socket(to->is_ipv6 ? AF_INET6 : AF_INET,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int result;

    if (fd < 0)
        return uv_translate_sys_error(errno);
    result = set_up(fd, to, from);
    if (result != 0)
        close(fd);
    else
        *fd_out = fd;
    return result;
}
