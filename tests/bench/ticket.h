/* TLS tickets of the load generator: a slot keeps the newest that it was
 * given, and offers it on its next connection. */
#ifndef BENCH_TICKET_H
#define BENCH_TICKET_H

#include <openssl/ssl.h>

/* All zero: none came yet. It must outlive the connections that feed it. */
struct ticket {
    SSL_SESSION *newest;
};

/* Connections of `context` keep tickets from now on, those that ask for it. */
void ticket_keep(SSL_CTX *context);

/* Before the handshake: offers what `ticket` holds, and lets what comes on
 * this connection take its place. One that nothing newer has replaced is
 * offered again (RFC 8446, appendix C.4, asks for new ones: servers that send
 * none leave no choice). */
void ticket_use(struct ticket *ticket, SSL *ssl);

void ticket_clear(struct ticket *ticket);

#endif
