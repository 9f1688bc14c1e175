/* A peer's address in 20 bytes. An IPv4-mapped IPv6 address is IPv4: it is
 * logged, limited and compared as such. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include "config/mem.h"
#include "config/network.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
    uint8_t ip[16]; /* IPv4 stands in the first four, the rest is zero */
    uint16_t port;  /* host order */
    bool is_ipv6;
};

/* The longest text: brackets, 45 characters, a colon, five digits, NUL. */
enum {
    ADDRESS_TEXT_MAX = 56
};

/* False where the family is neither; *out is then all zero. */
bool address_from_sockaddr(const struct sockaddr *from, struct address *out);

/* The other way; returns the length used of *out. */
socklen_t address_to_sockaddr(const struct address *from,
                              struct sockaddr_storage *out);

/* The address of a network of one, with port 0. */
void address_from_network(const struct network *from, struct address *out);

/* "192.0.2.1:993" or "[2001:db8::1]:993". */
void address_format(const struct address *address, char *out, size_t size);

/* The same without a port and without brackets. */
void address_format_ip(const struct address *address, char *out, size_t size);

bool address_is_loopback(const struct address *address);

/* Compares the ip, not the port. */
bool address_same_host(const struct address *one, const struct address *other);

#endif
