/* Any bytes as a client's first flight of TLS, before a server of three
 * certificates: its name picks one, or none; what comes back is never longer
 * than a flight may be. */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "certificates.h"
#include "net/tls_server_context.h"

#include <openssl/bio.h>
#include <openssl/err.h>

enum {
    CERTIFICATES = 3
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const struct test_recipe recipes[CERTIFICATES] = {
    {.common_name = "one", .dns = {"imap.example.org"}},
    {.common_name = "two",
     .dns = {"*.example.net", "mail.example.org"},
     .key = TEST_KEY_P384},
    {.common_name = "three",
     .dns = {"imap.example.org"},
     .key = TEST_KEY_RSA_2048},
};

static void on_refused_alpn(SSL *ssl, const uint8_t *offered, size_t len)
{
    (void)ssl;
    assert(offered != NULL || len == 0);
}

/* Made once, as its keys take long. */
static struct tls_server_context *the_context(void)
{
    static struct tls_server_context *context;
    static struct test_certificate *made[CERTIFICATES];
    struct tls_server_certificate certificates[CERTIFICATES];
    struct ticket_keys *keys;
    const struct tls_server_config config = {
        .certificates = certificates,
        .certificate_count = CERTIFICATES,
        .policy = TLS_POLICY_COMPATIBLE,
        .alpn_refused = on_refused_alpn,
        .now = (int64_t)time(NULL),
    };
    struct reasons *reasons;

    if (context != NULL)
        return context;
    for (size_t i = 0; i < CERTIFICATES; i++) {
        made[i] = test_certificate_new(&recipes[i]);
        certificates[i] = (struct tls_server_certificate){
            test_chain_file(made[i], "chain"), test_key_file(made[i], "key")};
    }
    reasons = reasons_new();
    keys = ticket_keys_new(clock_now_ms());
    context = tls_server_context_new(&config, keys, reasons);
    ticket_keys_unref(&keys);
    reasons_free(&reasons);
    if (context == NULL)
        abort();
    return context;
}

static SSL *open_with(const uint8_t *bytes, size_t len)
{
    SSL *ssl = tls_server_context_open(the_context(), false);
    BIO *in = BIO_new_mem_buf(bytes, (int)len);
    BIO *out = BIO_new(BIO_s_mem());

    if (ssl == NULL || in == NULL || out == NULL)
        abort();
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl, in, out);
    return ssl;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    SSL *ssl = open_with(bytes, len);
    const uint8_t *said;
    size_t said_len;

    (void)SSL_do_handshake(ssl);
    ERR_clear_error();
    if (BIO_mem_contents(SSL_get_wbio(ssl), &said, &said_len))
        assert(said_len <= tls_server_context_flight_max(the_context()));
    SSL_free(ssl);
    return 0;
}
