/* Where this process itself listens: a backend that is found there would be
 * ourselves, and a login would be passed on to us for ever. Behind address
 * translation it cannot be seen by address (proxy/README.md, decision 24). */
#ifndef NET_OWN_ADDRESSES_H
#define NET_OWN_ADDRESSES_H

#include "config/settings.h"
#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>

/* All zero is none. */
struct own_addresses {
    struct address *items; /* 0.0.0.0 and :: are all that this host has */
    size_t count;
};

void own_addresses_init(struct own_addresses *own,
                        const struct listener_config *listeners, size_t count);
void own_addresses_deinit(struct own_addresses *own);

/* Whether a connection to this address would reach one of our listeners. Asks
 * the kernel only where the port is that of a listener on all addresses of the
 * host, since those may change. NULL has none. */
bool own_addresses_include(const struct own_addresses *own,
                           const struct address *to);

#endif
