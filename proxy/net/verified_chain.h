/* The chain that a backend showed last and that was found good: the same one,
 * to the byte, need not be verified again before its time is over. Good only
 * beside the anchors and the name that it was verified against. Any thread. */
#ifndef NET_VERIFIED_CHAIN_H
#define NET_VERIFIED_CHAIN_H

#include "config/mem.h"
#include "net/certificate_check.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct verified_chain {
    pthread_mutex_t lock; /* for all below */
    STACK_OF(CRYPTO_BUFFER) * certificates;
    struct certificate_span span;
};

void verified_chain_init(struct verified_chain *verified);
void verified_chain_deinit(struct verified_chain *verified);

/* Keeps a chain that certificate_check has just accepted, in place of the one
 * before. References the certificates. */
void verified_chain_keep(struct verified_chain *verified,
                         const STACK_OF(CRYPTO_BUFFER) * chain,
                         const struct certificate_span *span);

/* Whether the chain is the one that was kept, certificate by certificate, and
 * now, in seconds since the epoch, lies in its span. */
MUST_USE bool verified_chain_has(struct verified_chain *verified,
                                 const STACK_OF(CRYPTO_BUFFER) * chain,
                                 int64_t now);

#endif
