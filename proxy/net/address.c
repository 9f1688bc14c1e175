#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static void take_ipv6(const struct sockaddr_in6 *from, struct address *out)
{
    const uint8_t *ip = from->sin6_addr.s6_addr;

    out->port = ntohs(from->sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&from->sin6_addr)) {
        memcpy(out->ip, ip + 12, 4);
        return;
    }
    memcpy(out->ip, ip, 16);
    out->is_ipv6 = true;
}

bool address_from_sockaddr(const struct sockaddr *from, struct address *out)
{
    memset(out, 0, sizeof(*out));
    if (from->sa_family == AF_INET6) {
        take_ipv6((const struct sockaddr_in6 *)(const void *)from, out);
        return true;
    }
    if (from->sa_family == AF_INET) {
        const struct sockaddr_in *v4 =
            (const struct sockaddr_in *)(const void *)from;

        memcpy(out->ip, &v4->sin_addr, 4);
        out->port = ntohs(v4->sin_port);
        return true;
    }
    return false;
}

socklen_t address_to_sockaddr(const struct address *from,
                              struct sockaddr_storage *out)
{
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;

    memset(out, 0, sizeof(*out));
    if (from->is_ipv6) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(from->port);
        memcpy(&v6->sin6_addr, from->ip, 16);
        return sizeof(*v6);
    }
    v4->sin_family = AF_INET;
    v4->sin_port = htons(from->port);
    memcpy(&v4->sin_addr, from->ip, 4);
    return sizeof(*v4);
}

void address_from_network(const struct network *from, struct address *out)
{
    *out = (struct address){.is_ipv6 = from->family == NETWORK_IPV6};
    memcpy(out->ip, from->bytes, out->is_ipv6 ? 16 : 4);
}

void address_format_ip(const struct address *address, char *out, size_t size)
{
    if (inet_ntop(address->is_ipv6 ? AF_INET6 : AF_INET, address->ip, out,
                  (socklen_t)size) == NULL &&
        size > 0)
        out[0] = '\0';
}

void address_format(const struct address *address, char *out, size_t size)
{
    char ip[INET6_ADDRSTRLEN];

    address_format_ip(address, ip, sizeof(ip));
    snprintf(out, size, address->is_ipv6 ? "[%s]:%u" : "%s:%u", ip,
             (unsigned)address->port);
}

bool address_is_loopback(const struct address *address)
{
    static const uint8_t loopback6[16] = {[15] = 1};

    if (address->is_ipv6)
        return memcmp(address->ip, loopback6, 16) == 0;
    return address->ip[0] == 127;
}

bool address_same_host(const struct address *one, const struct address *other)
{
    return one->is_ipv6 == other->is_ipv6 &&
           memcmp(one->ip, other->ip, sizeof(one->ip)) == 0;
}
