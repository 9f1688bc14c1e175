/* Whose certificates clients may show: the authorities of the config, told to
 * clients who are asked and asked in turn whether one is good. Immutable,
 * shared by all threads. */
#ifndef NET_CLIENT_TRUST_H
#define NET_CLIENT_TRUST_H

#include "config/mem.h"
#include "net/certificate_check.h"
#include "net/pem.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client_trust;

/* NULL and errors that name the file where it holds no authority. */
MUST_USE struct client_trust *client_trust_new(const struct pem_file *file,
                                               struct reasons *reasons);
/* Accepts NULL inside. */
void client_trust_free(struct client_trust **trust);

/* Has connections of ctx that ask for a certificate name the authorities, so
 * that clients with several choose the right one. */
void client_trust_announce(const struct client_trust *trust, SSL_CTX *ctx);

/* Bytes by which the names make a flight longer. */
size_t client_trust_announced_len(const struct client_trust *trust);

/* Whether the chain that the peer of ssl has just sent is good. If not,
 * alert_out and why say what is wrong with it. */
MUST_USE bool client_trust_believes(const struct client_trust *trust,
                                    const SSL *ssl, uint8_t *alert_out,
                                    char why[CERTIFICATE_WHY_MAX]);

#endif
