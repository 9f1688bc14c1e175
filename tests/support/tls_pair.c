#include "tls_pair.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum {
    ROUNDS_MAX = 16,
    RECORD_HEADER = 5,
    RECORD_ALERT = 21,
    RECORD_HANDSHAKE = 22
};

static void give_bios(SSL *ssl)
{
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());

    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl, in, out);
}

void tls_pair_init(struct tls_pair *pair, SSL *client, SSL *server)
{
    memset(pair, 0, sizeof(*pair));
    pair->client = client;
    pair->server = server;
    give_bios(client);
    give_bios(server);
}

void tls_pair_deinit(struct tls_pair *pair)
{
    SSL_free(pair->client);
    SSL_free(pair->server);
    memset(pair, 0, sizeof(*pair));
}

static void note_alert(uint8_t *alert_out, const uint8_t *bytes, size_t len)
{
    if (len == RECORD_HEADER + 2 && bytes[0] == RECORD_ALERT)
        memcpy(alert_out, bytes + RECORD_HEADER, 2);
}

/* Only while everything is in clear, which the ClientHello is. */
static void write_fragmented(BIO *to, const uint8_t *bytes, size_t len)
{
    size_t at = RECORD_HEADER;

    assert_true(len > RECORD_HEADER);
    assert_int_equal(bytes[0], RECORD_HANDSHAKE);
    for (; at < len; at++) {
        uint8_t record[RECORD_HEADER + 1] = {RECORD_HANDSHAKE, 3, 1, 0, 1,
                                             bytes[at]};

        assert_true(BIO_write_all(to, record, sizeof(record)));
    }
}

static size_t carry(struct tls_pair *pair, SSL *from, SSL *to)
{
    const uint8_t *bytes;
    size_t len;

    assert_true(BIO_mem_contents(SSL_get_wbio(from), &bytes, &len));
    if (len == 0)
        return 0;
    note_alert(from == pair->server ? pair->alert : pair->client_alert, bytes,
               len);
    if (from == pair->server && len > pair->flight_max)
        pair->flight_max = len;
    if (from == pair->client && pair->is_fragmented) {
        write_fragmented(SSL_get_rbio(to), bytes, len);
        pair->is_fragmented = false;
    } else {
        assert_true(BIO_write_all(SSL_get_rbio(to), bytes, len));
    }
    assert_true(BIO_reset(SSL_get_wbio(from)));
    return len;
}

static bool step(SSL *ssl)
{
    int returned = SSL_do_handshake(ssl);

    return returned == 1 || SSL_get_error(ssl, returned) == SSL_ERROR_WANT_READ;
}

static void read_tickets(struct tls_pair *pair)
{
    uint8_t byte;

    carry(pair, pair->server, pair->client);
    SSL_read(pair->client, &byte, 1);
}

bool tls_pair_handshake(struct tls_pair *pair)
{
    bool is_good = true;

    for (int i = 0; i < ROUNDS_MAX && is_good; i++) {
        is_good = step(pair->client);
        carry(pair, pair->client, pair->server);
        is_good = step(pair->server) && is_good;
        if (SSL_is_init_finished(pair->client) &&
            SSL_is_init_finished(pair->server))
            break;
        carry(pair, pair->server, pair->client);
    }
    if (is_good && !pair->holds_tickets)
        read_tickets(pair);
    ERR_clear_error();
    return is_good && SSL_is_init_finished(pair->client) &&
           SSL_is_init_finished(pair->server);
}

static bool send_line(struct tls_pair *pair, SSL *from, SSL *to)
{
    static const char line[] = "* OK ready\r\n";
    char got[sizeof(line)] = "";

    if (SSL_write(from, line, sizeof(line)) != sizeof(line))
        return false;
    carry(pair, from, to);
    return SSL_read(to, got, sizeof(got)) == sizeof(got) &&
           memcmp(got, line, sizeof(line)) == 0;
}

bool tls_pair_talks(struct tls_pair *pair)
{
    return send_line(pair, pair->server, pair->client) &&
           send_line(pair, pair->client, pair->server);
}

void tls_pair_drop_bios(struct tls_pair *pair)
{
    SSL_set_bio(pair->client, NULL, NULL);
    SSL_set_bio(pair->server, NULL, NULL);
}

SSL_CTX *tls_plain_client(uint16_t min, uint16_t max)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());

    assert_non_null(ctx);
    assert_true(SSL_CTX_set_min_proto_version(ctx, min));
    assert_true(SSL_CTX_set_max_proto_version(ctx, max));
    return ctx;
}
