/* Headers of the PROXY protocol, versions 1 and 2 (proxy-protocol.txt of
 * HAProxy): who a client is, as a balancer in front tells us, or as we tell a
 * backend. Pure: nothing is sent or read here. */
#ifndef NET_PROXY_HEADER_H
#define NET_PROXY_HEADER_H

#include "config/mem.h"
#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest header that is taken, and the longest that we write. */
enum {
    PROXY_HEADER_READ_MAX = 4096,
    PROXY_HEADER_MAX = 512
};

enum proxy_header_result {
    PROXY_HEADER_MORE, /* good as far as it goes */
    PROXY_HEADER_DONE,
    PROXY_HEADER_BAD
};

struct proxy_header {
    bool is_local; /* the balancer speaks for itself: LOCAL */
    /* False also where it does not know whom it speaks for (UNKNOWN, UNSPEC, a
     * socket of UNIX): that may be anybody. */
    bool has_addresses;
    struct address from; /* the client */
    struct address to;   /* what it connected to */
    const char *fault;   /* of a bad one; lasting words without its bytes */
};

/* Reads the header with which these bytes begin. With MORE call again with
 * the same bytes and those that came behind them; *used_out is the header's
 * length with DONE. What contradicts itself is BAD as soon as it is seen:
 * lengths, families, TLVs that reach beyond the header, a checksum. TLVs are
 * walked, and none of them is believed. */
MUST_USE enum proxy_header_result
proxy_header_parse(const uint8_t *bytes, size_t len,
                   struct proxy_header *header_out, size_t *used_out);

/* What a backend is told of a client. */
struct proxy_client {
    struct address from;  /* its own address */
    struct address to;    /* the one it connected to */
    uint16_t tls_version; /* 0: none */
    uint16_t tls_cipher;
    const char *sni; /* server name asked for; NULL or empty: none */
};

/* Each returns the header's length. NULL: we connect for ourselves, as health
 * checks do, which is LOCAL in version 2; version 1 has no word for it but
 * UNKNOWN. Version 1 tells addresses only. */
size_t proxy_header_write_v1(const struct proxy_client *client,
                             uint8_t out[PROXY_HEADER_MAX]);
size_t proxy_header_write_v2(const struct proxy_client *client,
                             uint8_t out[PROXY_HEADER_MAX]);

#endif
