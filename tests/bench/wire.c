#include "wire.h"

#include "tls_setup.h"

#include <assert.h>
#include <netinet/in.h>
#include <openssl/bio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCRATCH_SIZE = 128 * 1024,
    TLS_ROOM = 4096, /* more than the records of a big write add */
    ERROR_SIZE = 128
};

struct wire_net {
    uv_loop_t *loop;
    BIO_METHOD *bio_method;
    const struct wire *reader; /* whose cipher text is lent to its BIO */
    const uint8_t *lent;
    size_t lent_len;
    uint8_t *out; /* cipher text of one call, flushed before the next */
    size_t out_len;
    size_t out_room;
    uint64_t received; /* plain text */
    uint64_t sent;
    uint8_t in[SCRATCH_SIZE];
    uint8_t plain[SCRATCH_SIZE];
};

struct wire {
    uv_tcp_t tcp;
    uv_connect_t connecting;
    struct wire_net *net;
    SSL *ssl;
    wire_handler *handler;
    void *owner;
    size_t queued;
    bool is_up;
    bool is_closing;
    char error[ERROR_SIZE];
};

struct pending_write {
    uv_write_t request;
    size_t len;
    uint8_t *owned; /* the bytes, where they go when they have left */
    size_t owned_room;
};

static int read_lent(BIO *bio, char *out, int room);
static int append_out(BIO *bio, const char *bytes, int len);
static long control_bio(BIO *bio, int command, long number, void *pointer);
static void reserve_out(struct wire_net *net, size_t room);
static struct wire *new_wire(struct wire_net *net, SSL_CTX *tls,
                             wire_handler *handler, void *owner);
static void fail(struct wire *wire, const char *error);
static int open_from_source(struct wire *wire,
                            const struct wire_target *target);
static void on_connected(uv_connect_t *connecting, int status);
static void start(struct wire *wire);
static void lend_scratch(uv_handle_t *handle, size_t suggested,
                         uv_buf_t *buf_out);
static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf);
static void take_cipher_text(struct wire *wire, const uint8_t *bytes,
                             size_t len);
static bool shake_hands(struct wire *wire);
static bool read_plain_text(struct wire *wire);
static void emit(struct wire *wire, enum wire_event event, const uint8_t *bytes,
                 size_t len);
static void flush_out(struct wire *wire);
static bool encrypt(struct wire *wire, const uint8_t *bytes, size_t len);
static void send_bytes(struct wire *wire, const uint8_t *bytes, size_t len);
static void queue_copy(struct wire *wire, const uint8_t *bytes, size_t len);
static void queue_out(struct wire *wire);
static void queue_bytes(struct wire *wire, const uint8_t *bytes, size_t len,
                        uint8_t *owned, size_t owned_room);
static void give_back(struct wire_net *net, struct pending_write *pending);
static void on_written(uv_write_t *request, int status);
static void give_back(struct wire_net *net, struct pending_write *pending)
{
    if (net->out == NULL && pending->owned != NULL) {
        net->out = pending->owned;
        net->out_room = pending->owned_room;
    } else {
        free(pending->owned);
    }
    free(pending);
}

static void on_closed(uv_handle_t *handle);

struct wire_net *wire_net_new(uv_loop_t *loop)
{
    struct wire_net *net = calloc(1, sizeof(*net));

    if (net == NULL)
        abort();
    net->loop = loop;
    net->bio_method = BIO_meth_new(0, "wire");
    if (net->bio_method == NULL ||
        !BIO_meth_set_read(net->bio_method, read_lent) ||
        !BIO_meth_set_write(net->bio_method, append_out) ||
        !BIO_meth_set_ctrl(net->bio_method, control_bio))
        abort();
    return net;
}

void wire_net_free(struct wire_net **net)
{
    struct wire_net *mine = *net;

    *net = NULL;
    if (mine == NULL)
        return;
    BIO_meth_free(mine->bio_method);
    free(mine->out);
    free(mine);
}

void wire_net_count(const struct wire_net *net, uint64_t *received_out,
                    uint64_t *sent_out)
{
    *received_out = net->received;
    *sent_out = net->sent;
}

struct wire *wire_connect(struct wire_net *net,
                          const struct wire_target *target,
                          wire_handler *handler, void *owner)
{
    struct wire *wire = new_wire(net, target->tls, handler, owner);
    const struct sockaddr *remote = (const struct sockaddr *)&target->remote;
    int error;

    if (wire->ssl != NULL)
        SSL_set_connect_state(wire->ssl);
    if (wire->ssl != NULL && target->ticket != NULL)
        ticket_use(target->ticket, wire->ssl);
    error = open_from_source(wire, target);
    if (error == 0)
        error =
            uv_tcp_connect(&wire->connecting, &wire->tcp, remote, on_connected);
    if (error != 0)
        fail(wire, uv_strerror(error));
    return wire;
}

struct wire *wire_accept(struct wire_net *net, uv_stream_t *listener,
                         SSL_CTX *tls, wire_handler *handler, void *owner)
{
    struct wire *wire = new_wire(net, tls, handler, owner);

    if (wire->ssl != NULL)
        SSL_set_accept_state(wire->ssl);
    if (uv_tcp_init(net->loop, &wire->tcp) != 0)
        abort();
    if (uv_accept(listener, (uv_stream_t *)&wire->tcp) != 0) {
        wire->handler = NULL;
        wire_close(wire);
        return NULL;
    }
    start(wire);
    return wire;
}

void wire_write(struct wire *wire, const uint8_t *bytes, size_t len)
{
    if (wire->is_closing || len == 0)
        return;
    wire->net->sent += len;
    if (wire->ssl == NULL)
        send_bytes(wire, bytes, len);
    else if (encrypt(wire, bytes, len))
        flush_out(wire);
}

void wire_stream(struct wire *wire, const uint8_t *bytes, size_t len)
{
    struct wire_net *net = wire->net;

    if (wire->is_closing || len == 0)
        return;
    net->sent += len;
    if (wire->ssl == NULL) {
        queue_bytes(wire, bytes, len, NULL, 0);
        return;
    }
    reserve_out(net, len + TLS_ROOM);
    if (encrypt(wire, bytes, len))
        queue_out(wire);
}

size_t wire_queued(const struct wire *wire)
{
    return wire->queued;
}

void wire_pause(struct wire *wire)
{
    uv_read_stop((uv_stream_t *)&wire->tcp);
}

void wire_resume(struct wire *wire)
{
    if (!wire->is_closing)
        uv_read_start((uv_stream_t *)&wire->tcp, lend_scratch, on_read);
}

void wire_close(struct wire *wire)
{
    if (wire->is_closing)
        return;
    if (wire->ssl != NULL && wire->is_up) {
        SSL_shutdown(wire->ssl);
        flush_out(wire);
    }
    /* The flush may have failed and closed the wire by itself. */
    if (wire->is_closing)
        return;
    wire->is_closing = true;
    uv_close((uv_handle_t *)&wire->tcp, on_closed);
}

const char *wire_error(const struct wire *wire)
{
    return wire->error;
}

SSL *wire_ssl(const struct wire *wire)
{
    return wire->ssl;
}

static int read_lent(BIO *bio, char *out, int room)
{
    struct wire *wire = BIO_get_data(bio);
    struct wire_net *net = wire->net;
    size_t len = room > 0 ? (size_t)room : 0;

    BIO_clear_retry_flags(bio);
    if (net->reader != wire || net->lent_len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (len > net->lent_len)
        len = net->lent_len;
    memcpy(out, net->lent, len);
    net->lent += len;
    net->lent_len -= len;
    return (int)len;
}

static int append_out(BIO *bio, const char *bytes, int len)
{
    struct wire *wire = BIO_get_data(bio);
    struct wire_net *net = wire->net;
    size_t needed = net->out_len + (len > 0 ? (size_t)len : 0);

    BIO_clear_retry_flags(bio);
    if (needed > net->out_room)
        reserve_out(net, needed * 2);
    memcpy(net->out + net->out_len, bytes, needed - net->out_len);
    net->out_len = needed;
    return len;
}

static void reserve_out(struct wire_net *net, size_t room)
{
    if (room <= net->out_room)
        return;
    net->out = realloc(net->out, room);
    if (net->out == NULL)
        abort();
    net->out_room = room;
}

static long control_bio(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static struct wire *new_wire(struct wire_net *net, SSL_CTX *tls,
                             wire_handler *handler, void *owner)
{
    struct wire *wire = calloc(1, sizeof(*wire));
    BIO *bio;

    if (wire == NULL)
        abort();
    wire->net = net;
    wire->handler = handler;
    wire->owner = owner;
    if (tls == NULL)
        return wire;
    wire->ssl = SSL_new(tls);
    bio = BIO_new(net->bio_method);
    if (wire->ssl == NULL || bio == NULL)
        abort();
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    SSL_set_bio(wire->ssl, bio, bio);
    return wire;
}

static void fail(struct wire *wire, const char *error)
{
    if (wire->is_closing)
        return;
    snprintf(wire->error, sizeof(wire->error), "%s", error);
    wire->is_closing = true;
    uv_close((uv_handle_t *)&wire->tcp, on_closed);
}

/* The port is left to connect(), which may share one between destinations:
 * bind() would take each port for this source alone. */
static int open_from_source(struct wire *wire, const struct wire_target *target)
{
    const struct sockaddr *source = (const struct sockaddr *)&target->source;
    int one = 1;
    uv_os_fd_t fd;

    if (uv_tcp_init_ex(wire->net->loop, &wire->tcp, target->remote.ss_family) !=
        0)
        abort();
    if (source->sa_family == AF_UNSPEC)
        return 0;
    if (uv_fileno((uv_handle_t *)&wire->tcp, &fd) != 0)
        abort();
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    return uv_tcp_bind(&wire->tcp, source, 0);
}

static void on_connected(uv_connect_t *connecting, int status)
{
    struct wire *wire = (struct wire *)connecting->handle;

    if (wire->is_closing)
        return;
    if (status != 0)
        fail(wire, uv_strerror(status));
    else
        start(wire);
}

static void start(struct wire *wire)
{
    int error;

    uv_tcp_nodelay(&wire->tcp, 1);
    error = uv_read_start((uv_stream_t *)&wire->tcp, lend_scratch, on_read);
    if (error != 0) {
        fail(wire, uv_strerror(error));
        return;
    }
    if (wire->ssl != NULL) {
        shake_hands(wire);
        return;
    }
    wire->is_up = true;
    emit(wire, WIRE_UP, NULL, 0);
}

static void lend_scratch(uv_handle_t *handle, size_t suggested,
                         uv_buf_t *buf_out)
{
    const struct wire *wire = (const struct wire *)handle;

    (void)suggested;
    *buf_out = uv_buf_init((char *)wire->net->in, SCRATCH_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct wire *wire = (struct wire *)stream;

    if (len == 0)
        return;
    if (len < 0)
        fail(wire, uv_strerror((int)len));
    else if (wire->ssl == NULL)
        emit(wire, WIRE_DATA, (const uint8_t *)buf->base, (size_t)len);
    else
        take_cipher_text(wire, (const uint8_t *)buf->base, (size_t)len);
}

static void take_cipher_text(struct wire *wire, const uint8_t *bytes,
                             size_t len)
{
    struct wire_net *net = wire->net;

    net->reader = wire;
    net->lent = bytes;
    net->lent_len = len;
    if (wire->is_up || shake_hands(wire)) {
        while (!wire->is_closing && read_plain_text(wire))
            continue;
    }
    net->reader = NULL;
    net->lent_len = 0;
}

/* True once the handshake is done. */
static bool shake_hands(struct wire *wire)
{
    int result = SSL_do_handshake(wire->ssl);
    int error = SSL_get_error(wire->ssl, result);

    flush_out(wire);
    if (result == 1) {
        wire->is_up = true;
        emit(wire, WIRE_UP, NULL, 0);
        return true;
    }
    if (error != SSL_ERROR_WANT_READ)
        fail(wire, tls_error_text());
    return false;
}

/* False when the lent cipher text holds no further record. */
static bool read_plain_text(struct wire *wire)
{
    struct wire_net *net = wire->net;
    int len = SSL_read(wire->ssl, net->plain, SCRATCH_SIZE);
    int error = SSL_get_error(wire->ssl, len);

    flush_out(wire);
    if (len > 0) {
        emit(wire, WIRE_DATA, net->plain, (size_t)len);
        return true;
    }
    if (error == SSL_ERROR_ZERO_RETURN)
        fail(wire, "close_notify");
    else if (error != SSL_ERROR_WANT_READ)
        fail(wire, tls_error_text());
    return false;
}

static void emit(struct wire *wire, enum wire_event event, const uint8_t *bytes,
                 size_t len)
{
    wire->net->received += len;
    if (wire->handler != NULL && (!wire->is_closing || event == WIRE_CLOSED))
        wire->handler(wire, event, bytes, len, wire->owner);
}

static void flush_out(struct wire *wire)
{
    struct wire_net *net = wire->net;
    size_t len = net->out_len;

    net->out_len = 0;
    if (len > 0 && !wire->is_closing)
        send_bytes(wire, net->out, len);
}

static bool encrypt(struct wire *wire, const uint8_t *bytes, size_t len)
{
    assert(len <= INT32_MAX && wire->is_up);
    if (SSL_write(wire->ssl, bytes, (int)len) == (int)len)
        return true;
    fail(wire, tls_error_text());
    return false;
}

static void send_bytes(struct wire *wire, const uint8_t *bytes, size_t len)
{
    size_t sent = 0;

    if (wire->queued == 0) {
        uv_buf_t buf = {.base = (char *)(uintptr_t)bytes, .len = len};
        int result = uv_try_write((uv_stream_t *)&wire->tcp, &buf, 1);

        if (result < 0 && result != UV_EAGAIN) {
            fail(wire, uv_strerror(result));
            return;
        }
        sent = result > 0 ? (size_t)result : 0;
    }
    if (sent < len)
        queue_copy(wire, bytes + sent, len - sent);
}

static void queue_copy(struct wire *wire, const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len);

    if (copy == NULL)
        abort();
    memcpy(copy, bytes, len);
    queue_bytes(wire, copy, len, copy, len);
}

/* The cipher text's memory goes along, and comes back when it has left. */
static void queue_out(struct wire *wire)
{
    struct wire_net *net = wire->net;
    uint8_t *out = net->out;
    size_t len = net->out_len;
    size_t room = net->out_room;

    net->out = NULL;
    net->out_len = net->out_room = 0;
    queue_bytes(wire, out, len, out, room);
}

/* `owned` is NULL, or `bytes` when they are the wire's to free. */
static void queue_bytes(struct wire *wire, const uint8_t *bytes, size_t len,
                        uint8_t *owned, size_t owned_room)
{
    struct pending_write *pending = malloc(sizeof(*pending));
    uv_buf_t buf = {.base = (char *)(uintptr_t)bytes, .len = len};

    if (pending == NULL)
        abort();
    pending->len = len;
    pending->owned = owned;
    pending->owned_room = owned_room;
    if (uv_write(&pending->request, (uv_stream_t *)&wire->tcp, &buf, 1,
                 on_written) != 0) {
        give_back(wire->net, pending);
        fail(wire, "write");
        return;
    }
    wire->queued += len;
}

static void on_written(uv_write_t *request, int status)
{
    struct pending_write *pending = (struct pending_write *)request;
    struct wire *wire = (struct wire *)request->handle;

    wire->queued -= pending->len;
    give_back(wire->net, pending);
    if (status != 0)
        fail(wire, uv_strerror(status));
    else if (wire->queued == 0)
        emit(wire, WIRE_DRAINED, NULL, 0);
}

static void on_closed(uv_handle_t *handle)
{
    struct wire *wire = (struct wire *)handle;

    emit(wire, WIRE_CLOSED, NULL, 0);
    SSL_free(wire->ssl);
    free(wire);
}
