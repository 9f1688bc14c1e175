/* What one connection of TLS keeps in memory when nothing is said on it. */
#ifndef SUPPORT_TLS_WEIGHT_H
#define SUPPORT_TLS_WEIGHT_H

#include <openssl/ssl.h>
#include <stddef.h>

/* One more whose handshake is done, without what belongs to the test; NULL:
 * it failed. The caller owns it. */
typedef SSL *tls_maker(void *owner);

/* Bytes of the heap for each; asserts that all could be made. */
size_t tls_weight(tls_maker *make, void *owner);

#endif
