/* A client's and a server's SSL, joined by memory: what one writes is carried
 * to the other when a test says so. */
#ifndef SUPPORT_TLS_PAIR_H
#define SUPPORT_TLS_PAIR_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_pair {
    SSL *client; /* both owned */
    SSL *server;
    size_t flight_max; /* the most that the server wrote in one go */
    uint8_t alert[2];  /* the last that the server sent in clear */
    uint8_t client_alert[2];
    bool is_fragmented; /* the client's records are cut to one byte each */
    bool holds_tickets; /* they stay on the way until either side talks */
};

/* Takes both. */
void tls_pair_init(struct tls_pair *pair, SSL *client, SSL *server);
void tls_pair_deinit(struct tls_pair *pair);

/* Carries flights to and fro until both are done or one has failed, then lets
 * the client read the server's tickets. Says whether both are done. */
bool tls_pair_handshake(struct tls_pair *pair);

/* Sends a line each way and says whether both arrived. */
bool tls_pair_talks(struct tls_pair *pair);

/* The memory BIOs belong to the test, not to what an SSL costs. */
void tls_pair_drop_bios(struct tls_pair *pair);

/* A plain client of versions from min to max that verifies nothing. */
SSL_CTX *tls_plain_client(uint16_t min, uint16_t max);

#endif
