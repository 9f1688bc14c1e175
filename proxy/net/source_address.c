#include "net/source_address.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static void take_family(struct source_addresses *sources,
                        const struct network *addresses, size_t count,
                        enum network_family family)
{
    for (size_t i = 0; i < count; i++) {
        if (addresses[i].family == family)
            address_from_network(&addresses[i],
                                 &sources->items[sources->count++]);
    }
}

void source_addresses_init(struct source_addresses *sources,
                           const struct network *addresses, size_t count)
{
    *sources = (struct source_addresses){.items = NULL};
    if (count == 0)
        return;
    sources->items = mem_realloc_array(NULL, count, sizeof(*sources->items));
    take_family(sources, addresses, count, NETWORK_IPV4);
    sources->ipv4_count = sources->count;
    take_family(sources, addresses, count, NETWORK_IPV6);
}

void source_addresses_deinit(struct source_addresses *sources)
{
    free(sources->items);
    *sources = (struct source_addresses){.items = NULL};
}

size_t source_addresses_count(const struct source_addresses *sources,
                              bool is_ipv6)
{
    return is_ipv6 ? sources->count - sources->ipv4_count : sources->ipv4_count;
}

const struct address *
source_addresses_pick(const struct source_addresses *sources, bool is_ipv6,
                      unsigned turn)
{
    size_t count = source_addresses_count(sources, is_ipv6);
    size_t first = is_ipv6 ? sources->ipv4_count : 0;

    return count == 0 ? NULL : &sources->items[first + turn % count];
}

/* Without the option bind(2) would take a port for this socket alone, as long
 * as it lives, whoever the peer is. */
int source_address_bind(int fd, const struct address *from)
{
    struct sockaddr_storage name;
    socklen_t len = address_to_sockaddr(from, &name);
    int on = 1;

    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) !=
            0 ||
        bind(fd, (const struct sockaddr *)&name, len) != 0)
        return uv_translate_sys_error(errno);
    return 0;
}

int source_address_try(const struct address *from)
{
    int fd = socket(from->is_ipv6 ? AF_INET6 : AF_INET,
                    SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result;

    if (fd < 0)
        return uv_translate_sys_error(errno);
    result = source_address_bind(fd, from);
    close(fd);
    return result;
}
