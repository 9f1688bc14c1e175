#include "net/own_addresses.h"

#include "config/mem.h"

#include <assert.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>

static void add(struct own_addresses *own, const char *literal, uint16_t port)
{
    struct address *item = &own->items[own->count];
    struct network network;

    if (!network_parse_address(literal, &network))
        return; /* settings take nothing else */
    address_from_network(&network, item);
    item->port = port;
    own->count++;
}

void own_addresses_init(struct own_addresses *own,
                        const struct listener_config *listeners, size_t count)
{
    own->items = mem_zalloc(2 * count * sizeof(*own->items));
    own->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(listeners[i].address, "*") == 0) {
            add(own, "0.0.0.0", listeners[i].port);
            add(own, "::", listeners[i].port);
        } else {
            add(own, listeners[i].address, listeners[i].port);
        }
    }
}

void own_addresses_deinit(struct own_addresses *own)
{
    free(own->items);
    own->items = NULL;
    own->count = 0;
}

static bool is_unspecified(const struct address *address)
{
    static const uint8_t zero[16];

    return memcmp(address->ip, zero, sizeof(zero)) == 0;
}

/* Binding to it would not tell: where net.ipv4.ip_nonlocal_bind is on, any
 * address will do for that. Nor would the address that the kernel calls it
 * from: a secondary one is called from the primary one. */
static bool is_of_this_host(const struct address *to)
{
    struct ifaddrs *all = NULL;
    struct address mine;
    bool is_found = false;

    if (getifaddrs(&all) != 0)
        return false;
    for (struct ifaddrs *one = all; one != NULL && !is_found;
         one = one->ifa_next)
        is_found = one->ifa_addr != NULL &&
                   address_from_sockaddr(one->ifa_addr, &mine) &&
                   mine.is_ipv6 == to->is_ipv6 && address_same_host(&mine, to);
    freeifaddrs(all);
    return is_found;
}

static bool matches(const struct address *item, const struct address *to)
{
    if (item->port != to->port || item->is_ipv6 != to->is_ipv6)
        return false;
    if (!is_unspecified(item))
        return address_same_host(item, to);
    return address_is_loopback(to) || is_of_this_host(to);
}

bool own_addresses_include(const struct own_addresses *own,
                           const struct address *to)
{
    static const struct address loopback4 = {.ip = {127, 0, 0, 1}};
    static const struct address loopback6 = {.ip = {[15] = 1}, .is_ipv6 = true};
    struct address reached = *to;

    /* Linux takes a call to no address for one to itself. */
    if (is_unspecified(to)) {
        reached = to->is_ipv6 ? loopback6 : loopback4;
        reached.port = to->port;
    }
    for (size_t i = 0; own != NULL && i < own->count; i++) {
        if (matches(&own->items[i], &reached))
            return true;
    }
    return false;
}
