/* Which of our own addresses a connection to a backend comes from. One address
 * has only so many ports towards one backend; several have as many each. */
#ifndef NET_SOURCE_ADDRESS_H
#define NET_SOURCE_ADDRESS_H

#include "config/mem.h"
#include "config/network.h"
#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>

/* All zero is none: the kernel chooses then. */
struct source_addresses {
    struct address *items; /* IPv4 before IPv6, their ports are 0 */
    size_t count;
    size_t ipv4_count;
};

/* Copies the addresses; their prefixes are not looked at. */
void source_addresses_init(struct source_addresses *sources,
                           const struct network *addresses, size_t count);
void source_addresses_deinit(struct source_addresses *sources);

/* How many there are of one family. */
size_t source_addresses_count(const struct source_addresses *sources,
                              bool is_ipv6);

/* The one whose turn it is among those of the family, which turns of 0, 1, ...
 * take in order; NULL where there is none. */
const struct address *
source_addresses_pick(const struct source_addresses *sources, bool is_ipv6,
                      unsigned turn);

/* Binds a TCP socket to this address. Its port is chosen by connect(2), so
 * that connections to different peers may have the same one. 0 or UV_E*:
 * UV_EADDRNOTAVAIL when it is not ours. */
MUST_USE int source_address_bind(int fd, const struct address *from);

/* Whether this host would let a connection come from it now; 0 or UV_E*. */
MUST_USE int source_address_try(const struct address *from);

#endif
