#include "net/tls.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int bio_read(BIO *bio, char *bytes, int len)
{
    struct tls_side *side = BIO_get_data(bio);
    size_t wanted = (size_t)len;

    BIO_clear_retry_flags(bio);
    assert(side->owner != NULL);
    if (side->in_len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (wanted > side->in_len)
        wanted = side->in_len;
    memcpy(bytes, side->in, wanted);
    side->in += wanted;
    side->in_len -= wanted;
    return (int)wanted;
}

static int bio_write(BIO *bio, const char *bytes, int len)
{
    struct tls_side *side = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    assert(side->owner != NULL);
    if ((size_t)len > side->out_max - side->out_len) {
        side->overflowed = true;
        return -1;
    }
    memcpy(side->out + side->out_len, bytes, (size_t)len);
    side->out_len += (size_t)len;
    return len;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

/* One method for the process: a BIO may outlive its side by the SSL objects
 * that still name it, so the method can belong to neither. */
static void make_method(void)
{
    method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "tls_side");
    if (method == NULL || !BIO_meth_set_read(method, bio_read) ||
        !BIO_meth_set_write(method, bio_write) ||
        !BIO_meth_set_ctrl(method, bio_control))
        mem_exhausted();
}

static BIO *new_bio(struct tls_side *side)
{
    BIO *bio;

    pthread_once(&method_once, make_method);
    bio = BIO_new(method);
    if (bio == NULL)
        mem_exhausted();
    BIO_set_data(bio, side);
    BIO_set_init(bio, 1);
    return bio;
}

void tls_side_init(struct tls_side *side, size_t out_max, void *context)
{
    memset(side, 0, sizeof(*side));
    side->out = mem_alloc(out_max);
    side->out_max = out_max;
    side->context = context;
    side->bio = new_bio(side);
}

void tls_side_deinit(struct tls_side *side)
{
    assert(side->owner == NULL);
    BIO_free(side->bio);
    free(side->out);
    memset(side, 0, sizeof(*side));
}

void tls_side_grow(struct tls_side *side, size_t out_max)
{
    assert(side->owner == NULL);
    if (out_max <= side->out_max)
        return;
    free(side->out); /* nothing outlives a bracket */
    side->out = mem_alloc(out_max);
    side->out_max = out_max;
}

void tls_attach(struct tls_side *side, SSL *ssl)
{
    /* SSL_set_bio takes one reference when both directions are the same. */
    if (!BIO_up_ref(side->bio))
        mem_exhausted();
    SSL_set_bio(ssl, side->bio, side->bio);
}

void tls_begin(struct tls_side *side, const SSL *ssl, const uint8_t *bytes,
               size_t len)
{
    assert(side->owner == NULL);
    side->owner = ssl;
    side->in = bytes;
    side->in_len = len;
    side->out_len = 0;
    side->overflowed = false;
}

const uint8_t *tls_end(struct tls_side *side, const SSL *ssl, size_t *len_out)
{
    assert(side->owner == ssl);
    side->owner = NULL;
    side->in = NULL;
    side->in_len = 0;
    *len_out = side->out_len;
    return side->out;
}

bool tls_is_open(const struct tls_side *side, const SSL *ssl)
{
    return side->owner == ssl;
}

void tls_put_clear(struct tls_side *side, const SSL *ssl, const uint8_t *bytes,
                   size_t len)
{
    assert(side->owner == ssl && len <= side->out_max - side->out_len);
    if (len > 0)
        memcpy(side->out + side->out_len, bytes, len);
    side->out_len += len;
}

static void name_failure(struct tls_side *side, int error)
{
    uint32_t code = ERR_peek_error();

    if (side->overflowed)
        snprintf(side->failure, sizeof(side->failure),
                 "output of one event is over %zu bytes", side->out_max);
    else if (code != 0)
        snprintf(side->failure, sizeof(side->failure), "%s",
                 ERR_reason_error_string(code));
    else
        snprintf(side->failure, sizeof(side->failure), "TLS error %d", error);
}

static enum tls_result outcome(struct tls_side *side, SSL *ssl, int returned)
{
    int error = SSL_get_error(ssl, returned);

    if (error == SSL_ERROR_WANT_READ)
        return TLS_WANT;
    if (error == SSL_ERROR_ZERO_RETURN)
        return TLS_CLOSED;
    if (side->failure[0] == '\0')
        name_failure(side, error);
    ERR_clear_error();
    return TLS_FAILED;
}

enum tls_result tls_handshake(struct tls_side *side, SSL *ssl)
{
    int returned;

    assert(side->owner == ssl);
    side->failure[0] = '\0';
    ERR_clear_error();
    returned = SSL_do_handshake(ssl);
    return returned == 1 ? TLS_OK : outcome(side, ssl, returned);
}

enum tls_result tls_read(struct tls_side *side, SSL *ssl, uint8_t *plain,
                         size_t max, size_t *len_out)
{
    int got;

    assert(side->owner == ssl);
    side->failure[0] = '\0';
    *len_out = 0;
    ERR_clear_error();
    while (*len_out < max) {
        got = SSL_read(ssl, plain + *len_out, (int)(max - *len_out));
        if (got <= 0)
            return outcome(side, ssl, got);
        *len_out += (size_t)got;
    }
    return TLS_OK;
}

enum tls_result tls_write(struct tls_side *side, SSL *ssl, const uint8_t *bytes,
                          size_t len)
{
    int written;

    assert(side->owner == ssl);
    assert(len <= INT32_MAX);
    if (len == 0)
        return TLS_OK;
    side->failure[0] = '\0';
    ERR_clear_error();
    written = SSL_write(ssl, bytes, (int)len);
    if (written == (int)len)
        return TLS_OK;
    return outcome(side, ssl, written) == TLS_CLOSED ? TLS_CLOSED : TLS_FAILED;
}

void tls_close_notify(struct tls_side *side, SSL *ssl)
{
    assert(side->owner == ssl);
    ERR_clear_error();
    SSL_shutdown(ssl);
    ERR_clear_error();
}

void tls_note_failure(SSL *ssl, const char *reason)
{
    struct tls_side *side = BIO_get_data(SSL_get_rbio(ssl));

    snprintf(side->failure, sizeof(side->failure), "%s", reason);
}

void *tls_context_of(SSL *ssl)
{
    const struct tls_side *side = BIO_get_data(SSL_get_rbio(ssl));

    return side->context;
}
