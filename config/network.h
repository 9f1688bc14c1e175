/* IP addresses and networks as text in a config. No name is ever resolved. */
#ifndef CONFIG_NETWORK_H
#define CONFIG_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/mem.h"

enum network_family {
    NETWORK_IPV4,
    NETWORK_IPV6
};

/* All bits after the prefix are 0. An IPv4 network uses bytes[0..3]. */
struct network {
    enum network_family family;
    uint8_t bytes[16]; /* network byte order */
    unsigned prefix;   /* 0..32 or 0..128 */
};

/* Room for any address in text, with its NUL. */
#define NETWORK_TEXT_MAX 46

/* Reads "10.0.0.0/8", "2001:db8::/32" or one address, which is a network of
 * its own. IPv4-mapped IPv6 becomes IPv4. Returns false when the text is
 * anything else or when bits after the prefix are set. */
MUST_USE bool network_parse(const char *text, struct network *network_out);

/* Reads one address without a prefix. */
MUST_USE bool network_parse_address(const char *text,
                                    struct network *address_out);

/* The address (4 or 16 bytes in network byte order, by its family; an
 * IPv4-mapped one counts as IPv4) lies within the network. */
bool network_contains(const struct network *network, enum network_family family,
                      const uint8_t *address);

/* True for literals in 127.0.0.0/8, for ::1 and for "localhost". */
bool network_host_is_loopback(const char *host);

/* Writes the address, without the prefix, in its shortest usual form. */
void network_format_address(const struct network *address,
                            char out[NETWORK_TEXT_MAX]);

#endif
