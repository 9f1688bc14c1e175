#include "config/network.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* The first bytes of an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2). */
static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
#define MAPPED_BITS 96U

static bool parse_prefix(const char *text, unsigned max, unsigned *prefix_out);
static void unmap(struct network *network);
static bool has_bits_after_prefix(const struct network *network);
static bool same_bits(const uint8_t *left, const uint8_t *right, unsigned bits);

bool network_parse(const char *text, struct network *network_out)
{
    const char *slash = strchr(text, '/');

    if (slash == NULL)
        return network_parse_address(text, network_out);

    size_t len = (size_t)(slash - text);
    char address[NETWORK_TEXT_MAX];
    struct network network = {.family = NETWORK_IPV4};

    if (len >= sizeof(address))
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    if (inet_pton(AF_INET, address, network.bytes) == 1) {
        if (!parse_prefix(slash + 1, 32, &network.prefix))
            return false;
    } else {
        network.family = NETWORK_IPV6;
        if (inet_pton(AF_INET6, address, network.bytes) != 1 ||
            !parse_prefix(slash + 1, 128, &network.prefix))
            return false;
    }
    unmap(&network);
    if (has_bits_after_prefix(&network))
        return false;
    *network_out = network;
    return true;
}

bool network_parse_address(const char *text, struct network *address_out)
{
    struct network address = {.family = NETWORK_IPV4, .prefix = 32};

    if (inet_pton(AF_INET, text, address.bytes) != 1) {
        address.family = NETWORK_IPV6;
        address.prefix = 128;
        if (inet_pton(AF_INET6, text, address.bytes) != 1)
            return false;
        unmap(&address);
    }
    *address_out = address;
    return true;
}

bool network_contains(const struct network *network, enum network_family family,
                      const uint8_t *address)
{
    if (family == NETWORK_IPV6 && memcmp(address, mapped, 12) == 0) {
        family = NETWORK_IPV4;
        address += sizeof(mapped);
    }
    return family == network->family &&
           same_bits(network->bytes, address, network->prefix);
}

bool network_host_is_loopback(const char *host)
{
    static const uint8_t loopback[16] = {[15] = 1};
    struct network address;

    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (!network_parse_address(host, &address))
        return false;
    if (address.family == NETWORK_IPV4)
        return address.bytes[0] == 127;
    return memcmp(address.bytes, loopback, sizeof(loopback)) == 0;
}

void network_format_address(const struct network *address,
                            char out[NETWORK_TEXT_MAX])
{
    int family = address->family == NETWORK_IPV4 ? AF_INET : AF_INET6;

    if (inet_ntop(family, address->bytes, out, NETWORK_TEXT_MAX) == NULL)
        out[0] = '\0';
}

static bool parse_prefix(const char *text, unsigned max, unsigned *prefix_out)
{
    unsigned prefix = 0;

    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        prefix = prefix * 10 + (unsigned)(*text - '0');
        if (prefix > max)
            return false;
    }
    *prefix_out = prefix;
    return true;
}

/* Turns IPv4-mapped into IPv4. A prefix that ends within the mapping leaves
 * bits after it, which are refused. */
static void unmap(struct network *network)
{
    if (network->family == NETWORK_IPV4 || network->prefix < MAPPED_BITS ||
        memcmp(network->bytes, mapped, sizeof(mapped)) != 0)
        return;
    network->family = NETWORK_IPV4;
    network->prefix -= MAPPED_BITS;
    memmove(network->bytes, network->bytes + sizeof(mapped), 4);
    memset(network->bytes + 4, 0, sizeof(network->bytes) - 4);
}

/* 10.0.0.1/8 is a slip of the pen: was one address meant, or the network? */
static bool has_bits_after_prefix(const struct network *network)
{
    unsigned whole = network->prefix / 8;
    unsigned rest = network->prefix % 8;

    if (rest > 0 && (network->bytes[whole] & (0xffU >> rest)) != 0)
        return true;
    for (size_t i = whole + (rest > 0 ? 1 : 0); i < sizeof(network->bytes);
         i++) {
        if (network->bytes[i] != 0)
            return true;
    }
    return false;
}

static bool same_bits(const uint8_t *left, const uint8_t *right, unsigned bits)
{
    unsigned whole = bits / 8;
    unsigned rest = bits % 8;

    if (memcmp(left, right, whole) != 0)
        return false;
    return rest == 0 || ((left[whole] ^ right[whole]) >> (8 - rest)) == 0;
}
