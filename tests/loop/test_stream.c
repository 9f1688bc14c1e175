/* The byte stream over real sockets on loopback: a proxy's loop in the middle,
 * peers on a loop of their own, both turned by hand in one thread. */
#include "base/counters.h"
#include "certificates.h"
#include "net/stream.h"
#include "net/tls_client_context.h"
#include "net/tls_server_context.h"
#include "patience.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What a test sees of one stream. */
struct watch {
    struct stream *stream;
    struct watch *relay_to; /* bytes go there; NULL: they are kept */
    uint8_t *bytes;
    size_t len;
    unsigned data_events;
    bool is_accepted, is_secure, saw_eof, was_truncated, has_failed, is_closed;
    bool pauses_at_first_data;
    bool ends_on_eof;
    unsigned drained;
    char failure[128];
};

struct place {
    uv_loop_t loop;
    struct counters_set *counters;
    struct io io;
    uv_poll_t listener;
    int fd;
    struct watch *next_accepted;
    struct address address;
};

struct bench {
    struct place proxy;
    struct place peers;
    struct ticket_keys *tickets;
    struct test_certificate *certificate;
    struct tls_server_context *server;
    struct tls_client_context *client;
};

static void on_watched(struct stream *stream, enum stream_event event,
                       void *owner)
{
    struct watch *watch = owner;
    size_t len;
    const uint8_t *bytes;

    switch (event) {
    case STREAM_SECURE:
        watch->is_secure = true;
        break;
    case STREAM_DATA:
        watch->data_events++;
        bytes = stream_lent(stream, &len);
        if (watch->pauses_at_first_data && watch->data_events == 1)
            stream_pause(stream);
        if (watch->relay_to != NULL) {
            if (!stream_write(watch->relay_to->stream, bytes, len))
                stream_pause(stream);
            break;
        }
        watch->bytes = realloc(watch->bytes, watch->len + len);
        memcpy(watch->bytes + watch->len, bytes, len);
        watch->len += len;
        break;
    case STREAM_DRAINED:
        watch->drained++;
        if (watch->relay_to != NULL)
            stream_resume(watch->relay_to->stream);
        break;
    case STREAM_EOF:
        watch->saw_eof = true;
        watch->was_truncated = stream_was_truncated(stream);
        if (watch->relay_to != NULL)
            stream_shut_down(watch->relay_to->stream);
        if (watch->ends_on_eof)
            stream_end(stream, 1000);
        break;
    case STREAM_FAILED:
        watch->has_failed = true;
        snprintf(watch->failure, sizeof(watch->failure), "%s",
                 stream_failure(stream));
        break;
    case STREAM_CLOSED:
        watch->is_closed = true;
        watch->stream = NULL;
        break;
    }
}

static void on_connection(uv_poll_t *listener, int status, int events)
{
    struct place *place = listener->data;
    struct watch *watch = place->next_accepted;
    int fd = accept4(place->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)events;
    assert_int_equal(status, 0);
    assert_true(fd >= 0);
    assert_int_equal(
        stream_open(&place->io, fd, on_watched, watch, &watch->stream), 0);
    watch->is_accepted = true;
}

static void open_place(struct place *place)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);

    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    uv_loop_init(&place->loop);
    place->counters = counters_set_new(1);
    assert_int_equal(io_init(&place->io, &place->loop,
                             counters_set_at(place->counters, 0), 4096),
                     0);
    place->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(place->fd, (struct sockaddr *)&any, sizeof(any)), 0);
    assert_int_equal(listen(place->fd, 16), 0);
    uv_poll_init(&place->loop, &place->listener, place->fd);
    place->listener.data = place;
    uv_poll_start(&place->listener, UV_READABLE, on_connection);
    getsockname(place->fd, (struct sockaddr *)&name, &len);
    address_from_sockaddr((struct sockaddr *)&name, &place->address);
}

static void close_place(struct place *place)
{
    uint64_t since_ns;

    uv_close((uv_handle_t *)&place->listener, NULL);
    close(place->fd);
    io_stop(&place->io);
    since_ns = uv_hrtime();
    while (uv_run(&place->loop, UV_RUN_NOWAIT) != 0 &&
           !patience_is_over(since_ns))
        continue;
    assert_int_equal(place->io.chunks.out_count, 0);
    io_deinit(&place->io);
    assert_int_equal(uv_loop_close(&place->loop), 0);
    counters_set_free(&place->counters);
}

static void make_tls(struct bench *bench)
{
    struct test_recipe recipe = {.common_name = "test",
                                 .dns = {"test.example"}};
    struct tls_server_certificate pair;
    struct tls_server_config server = {.certificates = &pair,
                                       .certificate_count = 1};
    struct tls_client_config client = {.name = "test.example", .verify = false};
    struct reasons *reasons = reasons_new();

    bench->certificate = test_certificate_new(&recipe);
    pair.chain = test_chain_file(bench->certificate, "chain.pem");
    pair.key = test_key_file(bench->certificate, "key.pem");
    bench->tickets = ticket_keys_new(0);
    bench->server = tls_server_context_new(&server, bench->tickets, reasons);
    bench->client = tls_client_context_new(&client, reasons);
    assert_non_null(bench->server);
    assert_non_null(bench->client);
    reasons_free(&reasons);
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    open_place(&bench->proxy);
    open_place(&bench->peers);
    make_tls(bench);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    close_place(&bench->proxy);
    close_place(&bench->peers);
    tls_server_context_unref(&bench->server);
    tls_client_context_unref(&bench->client);
    ticket_keys_unref(&bench->tickets);
    test_certificate_free(&bench->certificate);
    free(bench);
    return 0;
}

static void turn(struct bench *bench)
{
    uv_run(&bench->proxy.loop, UV_RUN_NOWAIT);
    uv_run(&bench->peers.loop, UV_RUN_NOWAIT);
}

/* A few more turns in which nothing of note should come. */
static void turn_on(struct bench *bench)
{
    unsigned i;

    for (i = 0; i < 200; i++)
        turn(bench);
}

static void dial(struct place *from, struct place *to, struct watch *dialling,
                 struct watch *accepted)
{
    to->next_accepted = accepted;
    assert_int_equal(stream_connect(&from->io, &to->address, NULL, on_watched,
                                    dialling, &dialling->stream),
                     0);
}

static void close_watched(struct bench *bench, struct watch *watch)
{
    if (watch->stream != NULL)
        stream_close(watch->stream);
    TURN_UNTIL(bench, watch->stream == NULL);
    free(watch->bytes);
}

static void fill(uint8_t *bytes, size_t len, unsigned seed)
{
    size_t i;

    for (i = 0; i < len; i++) {
        seed = seed * 1103515245u + 12345u;
        bytes[i] = (uint8_t)(seed >> 16);
    }
}

static void say(struct watch *watch, const char *text)
{
    (void)stream_write(watch->stream, (const uint8_t *)text, strlen(text));
}

static void join_plain(struct bench *bench, struct watch *peer,
                       struct watch *ours)
{
    dial(&bench->peers, &bench->proxy, peer, ours);
    TURN_UNTIL(bench, ours->is_accepted);
}

static void join_tls(struct bench *bench, struct watch *peer,
                     struct watch *ours)
{
    join_plain(bench, peer, ours);
    stream_start_tls(ours->stream, &bench->proxy.io.front,
                     tls_server_context_open(bench->server, false));
    stream_start_tls(peer->stream, &bench->peers.io.back,
                     tls_client_context_open(bench->client));
    TURN_UNTIL(bench, peer->is_secure && ours->is_secure);
}

static void stream_carries_bytes_both_ways(void **state)
{
    struct bench *bench = *state;
    struct watch peer = {0}, ours = {0};
    join_plain(bench, &peer, &ours);

    say(&peer, "question");
    say(&ours, "answer");
    TURN_UNTIL(bench, ours.len == 8 && peer.len == 6);

    assert_memory_equal(ours.bytes, "question", 8);
    assert_memory_equal(peer.bytes, "answer", 6);
    close_watched(bench, &peer);
    close_watched(bench, &ours);
}

/* Four streams: peer client - proxy front = proxy back - peer server. */
static void stream_splices_tls_to_tls_with_key_updates(void **state)
{
    struct bench *bench = *state;
    struct watch client = {0}, front = {0}, back = {0}, server = {0};
    enum {
        TOTAL = 6 * 1024 * 1024
    };
    uint8_t *up = malloc(TOTAL), *down = malloc(TOTAL);
    size_t up_sent = 0, down_sent = 0, step = 1;
    unsigned turns = 0;
    uint64_t began_ns = uv_hrtime();
    fill(up, TOTAL, 1);
    fill(down, TOTAL, 2);
    join_tls(bench, &client, &front);
    dial(&bench->proxy, &bench->peers, &back, &server);
    TURN_UNTIL(bench, server.is_accepted);
    stream_start_tls(server.stream, &bench->peers.io.front,
                     tls_server_context_open(bench->server, false));
    stream_start_tls(back.stream, &bench->proxy.io.back,
                     tls_client_context_open(bench->client));
    TURN_UNTIL(bench, back.is_secure && server.is_secure);
    front.relay_to = &back;
    back.relay_to = &front;

    while (client.len < TOTAL || server.len < TOTAL) {
        size_t part = step % 70000 + 1;

        assert_false(patience_is_over(began_ns));
        turns++;
        step = step * 7 + 13;
        if (up_sent < TOTAL && stream_queued(client.stream) < 200000) {
            size_t len = part < TOTAL - up_sent ? part : TOTAL - up_sent;
            (void)stream_write(client.stream, up + up_sent, len);
            up_sent += len;
        }
        if (down_sent < TOTAL && stream_queued(server.stream) < 200000) {
            size_t len = part < TOTAL - down_sent ? part : TOTAL - down_sent;
            (void)stream_write(server.stream, down + down_sent, len);
            down_sent += len;
        }
        if (turns % 20 == 0) {
            SSL_key_update((SSL *)(uintptr_t)stream_tls(client.stream),
                           SSL_KEY_UPDATE_REQUESTED);
            SSL_key_update((SSL *)(uintptr_t)stream_tls(server.stream),
                           SSL_KEY_UPDATE_REQUESTED);
        }
        turn(bench);
    }

    assert_memory_equal(server.bytes, up, TOTAL);
    assert_memory_equal(client.bytes, down, TOTAL);
    close_watched(bench, &client);
    close_watched(bench, &front);
    close_watched(bench, &back);
    close_watched(bench, &server);
    free(up);
    free(down);
}

/* One TLS connection that lives until a word has come; says whether its
 * handshake was resumed. */
static bool greet(struct bench *bench, uint16_t version)
{
    struct watch peer = {0}, ours = {0};
    SSL *ssl = tls_client_context_open(bench->client);
    bool is_resumed;
    join_plain(bench, &peer, &ours);
    assert_true(SSL_set_max_proto_version(ssl, version));
    stream_start_tls(ours.stream, &bench->proxy.io.front,
                     tls_server_context_open(bench->server, false));
    stream_start_tls(peer.stream, &bench->peers.io.back, ssl);

    TURN_UNTIL(bench, peer.is_secure && ours.is_secure);
    say(&ours, "hello");
    TURN_UNTIL(bench, peer.len == 5);

    is_resumed = SSL_session_reused(stream_tls(peer.stream)) != 0;
    close_watched(bench, &peer);
    close_watched(bench, &ours);
    return is_resumed;
}

/* The tickets of TLS 1.3 come behind the handshake, as records. */
static void stream_resumes_with_tickets_that_it_has_read(void **state)
{
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct bench *bench = *state;

    for (size_t i = 0; i < 2; i++) {
        tls_client_context_forget(bench->client);
        assert_false(greet(bench, versions[i]));
        for (size_t j = 0; j < 5; j++)
            assert_true(greet(bench, versions[i]));
    }
}

static void send_alert(struct place *place, struct stream *stream)
{
    SSL *ssl = (SSL *)(uintptr_t)stream_tls(stream);
    uv_buf_t buf;
    size_t len;

    tls_begin(&place->io.back, ssl, NULL, 0);
    SSL_send_fatal_alert(ssl, SSL_AD_INTERNAL_ERROR);
    buf.base = (char *)(uintptr_t)tls_end(&place->io.back, ssl, &len);
    buf.len = len;
    assert_int_equal(uv_try_write((uv_stream_t *)(void *)stream, &buf, 1), len);
}

/* An alert arrives while the same turn writes to the other side. */
static void stream_survives_an_alert_in_the_middle_of_a_splice(void **state)
{
    struct bench *bench = *state;
    struct watch client = {0}, front = {0}, back = {0}, server = {0};
    join_tls(bench, &client, &front);
    dial(&bench->proxy, &bench->peers, &back, &server);
    TURN_UNTIL(bench, server.is_accepted);
    front.relay_to = &back;

    say(&client, "last words");
    send_alert(&bench->peers, client.stream);
    stream_close(client.stream);
    TURN_UNTIL(bench, server.len == 10);
    turn_on(bench);

    assert_memory_equal(server.bytes, "last words", 10);
    assert_true(front.has_failed);
    close_watched(bench, &client);
    close_watched(bench, &front);
    close_watched(bench, &back);
    close_watched(bench, &server);
}

static void stream_pauses_in_the_middle_of_lent_plaintext(void **state)
{
    struct bench *bench = *state;
    struct watch peer = {0}, ours = {.pauses_at_first_data = true};
    enum {
        TOTAL = 3 * 1024 * 1024
    };
    uint8_t *bytes = malloc(TOTAL);
    size_t at_pause;
    fill(bytes, TOTAL, 3);
    join_tls(bench, &peer, &ours);

    (void)stream_write(peer.stream, bytes, 80000);
    TURN_UNTIL(bench, ours.data_events == 1);
    at_pause = ours.len;
    (void)stream_write(peer.stream, bytes + 80000, 80000);
    turn_on(bench);

    assert_int_equal(ours.data_events, 1);
    assert_int_equal(ours.len, at_pause);
    stream_resume(ours.stream);
    TURN_UNTIL(bench, ours.len == 160000);
    assert_memory_equal(ours.bytes, bytes, 160000);
    close_watched(bench, &peer);
    close_watched(bench, &ours);
    free(bytes);
}

static void stream_says_when_its_queue_is_high_and_low_again(void **state)
{
    struct bench *bench = *state;
    struct watch peer = {.pauses_at_first_data = true}, ours = {0};
    enum {
        PART = 70000
    };
    uint8_t *bytes = calloc(1, PART);
    size_t written = 0;
    join_plain(bench, &peer, &ours);

    while (stream_write(ours.stream, bytes, PART))
        written += PART;
    written += PART;
    assert_true(stream_queued(ours.stream) > STREAM_HIGH_MARK);
    assert_int_equal(ours.drained, 0);
    TURN_UNTIL(bench, peer.data_events == 1);
    stream_resume(peer.stream);
    TURN_UNTIL(bench, peer.len == written);

    assert_int_equal(ours.drained, 1);
    assert_int_equal(stream_queued(ours.stream), 0);
    close_watched(bench, &peer);
    close_watched(bench, &ours);
    free(bytes);
}

static void stream_tells_a_reset_after_the_verb_has_returned(void **state)
{
    struct bench *bench = *state;
    struct watch peer = {0}, ours = {0};
    uv_os_fd_t fd;
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    join_plain(bench, &peer, &ours);
    stream_pause(ours.stream);

    uv_fileno((uv_handle_t *)(void *)peer.stream, &fd);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    stream_close(peer.stream);
    TURN_UNTIL(bench, peer.is_closed);
    say(&ours, "into");
    say(&ours, "the void");

    assert_false(ours.has_failed);
    TURN_UNTIL(bench, ours.has_failed);
    close_watched(bench, &ours);
    close_watched(bench, &peer);
}

static void stream_end_delivers_its_last_words_over_unread_input(void **state)
{
    struct bench *bench = *state;
    struct watch peer = {.ends_on_eof = true}, ours = {0};
    uint8_t *bytes = calloc(1, 30000);
    join_plain(bench, &peer, &ours);
    stream_pause(ours.stream);
    (void)stream_write(peer.stream, bytes, 30000);
    turn_on(bench);

    say(&ours, "BYE");
    stream_end(ours.stream, 1000);
    TURN_UNTIL(bench, ours.is_closed && peer.is_closed);

    assert_int_equal(peer.len, 3);
    assert_true(peer.saw_eof);
    assert_false(peer.has_failed);
    free(bytes);
    close_watched(bench, &peer);
    close_watched(bench, &ours);
}

static void stream_end_does_not_wait_for_ever_for_a_silent_peer(void **state)
{
    struct bench *bench = *state;
    struct watch peer = {0}, ours = {0};
    join_tls(bench, &peer, &ours);

    stream_end(ours.stream, 1000);
    TURN_UNTIL(bench, peer.saw_eof);
    assert_false(ours.is_closed);
    while (!ours.is_closed)
        turn(bench);

    assert_false(peer.was_truncated);
    close_watched(bench, &peer);
    close_watched(bench, &ours);
}

static void stream_end_throws_away_only_so_much_input(void **state)
{
    struct bench *bench = *state;
    struct watch peer = {0}, ours = {0};
    uint8_t *bytes = calloc(1, 400000);
    join_plain(bench, &peer, &ours);

    stream_end(ours.stream, 1000);
    (void)stream_write(peer.stream, bytes, 400000);
    TURN_UNTIL(bench, ours.is_closed);

    free(bytes);
    close_watched(bench, &peer);
    close_watched(bench, &ours);
}

static void stream_tells_truncation_from_close_notify(void **state)
{
    struct bench *bench = *state;
    struct watch polite = {0}, ours = {0}, rude = {0}, other = {0};
    join_tls(bench, &polite, &ours);
    join_tls(bench, &rude, &other);

    stream_shut_down(polite.stream);
    say(&rude, "half a ");
    TURN_UNTIL(bench, other.len == 7);
    stream_close(rude.stream);
    TURN_UNTIL(bench, ours.saw_eof && other.saw_eof);

    assert_false(ours.was_truncated);
    assert_true(other.was_truncated);
    close_watched(bench, &polite);
    close_watched(bench, &ours);
    close_watched(bench, &rude);
    close_watched(bench, &other);
}

static void stream_goes_on_reading_after_its_own_direction_ended(void **state)
{
    struct bench *bench = *state;
    struct watch peer = {0}, ours = {0};
    join_tls(bench, &peer, &ours);

    stream_shut_down(ours.stream);
    TURN_UNTIL(bench, peer.saw_eof);
    say(&peer, "still here");
    TURN_UNTIL(bench, ours.len == 10);

    assert_false(peer.was_truncated);
    assert_memory_equal(ours.bytes, "still here", 10);
    close_watched(bench, &peer);
    close_watched(bench, &ours);
}

static void stream_fails_on_clear_bytes_in_place_of_a_handshake(void **state)
{
    struct bench *bench = *state;
    struct watch peer = {0}, ours = {0};
    join_plain(bench, &peer, &ours);
    stream_start_tls(ours.stream, &bench->proxy.io.front,
                     tls_server_context_open(bench->server, false));

    say(&peer, "a LOGIN user secret\r\n");
    TURN_UNTIL(bench, ours.has_failed);
    stream_end(ours.stream, 100);
    TURN_UNTIL(bench, ours.is_closed);

    assert_false(ours.is_secure);
    assert_int_equal(ours.data_events, 0);
    close_watched(bench, &peer);
    close_watched(bench, &ours);
}

/* The greeting is written inside the handshake's own event. */
static void stream_lets_its_handler_write_and_end_inside_an_event(void **state)
{
    struct bench *bench = *state;
    struct watch peer = {0}, ours = {.ends_on_eof = true};
    join_tls(bench, &peer, &ours);

    say(&peer, "x");
    stream_shut_down(peer.stream);
    TURN_UNTIL(bench, ours.is_closed && peer.saw_eof);

    assert_int_equal(ours.len, 1);
    assert_false(peer.was_truncated);
    close_watched(bench, &peer);
    close_watched(bench, &ours);
}

static void stream_connect_tells_a_refusal(void **state)
{
    struct bench *bench = *state;
    struct watch ours = {0};
    struct address nobody = bench->peers.address;
    nobody.port = 1;

    assert_int_equal(stream_connect(&bench->proxy.io, &nobody, NULL, on_watched,
                                    &ours, &ours.stream),
                     0);
    assert_false(ours.has_failed);
    TURN_UNTIL(bench, ours.has_failed);

    assert_string_equal(ours.failure, "connection refused");
    assert_true(stream_is_dialing(ours.stream));
    close_watched(bench, &ours);
}

static void stream_that_was_connected_is_not_dialing(void **state)
{
    struct bench *bench = *state;
    struct watch peer = {0}, ours = {0};
    struct linger abrupt = {.l_onoff = 1};
    int fd;
    join_plain(bench, &peer, &ours);
    assert_false(stream_is_dialing(peer.stream));

    uv_fileno((uv_handle_t *)(void *)ours.stream, &fd);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &abrupt, sizeof(abrupt));
    stream_close(ours.stream);
    TURN_UNTIL(bench, peer.has_failed);

    assert_string_equal(peer.failure, "connection reset by peer");
    assert_false(stream_is_dialing(peer.stream));
    close_watched(bench, &peer);
    close_watched(bench, &ours);
}

/* A backend that is slow to accept: its queue takes one more than it says, the
 * SYNs of all others are dropped. */
static void stream_keeps_what_is_written_before_the_connection(void **state)
{
    struct bench *bench = *state;
    struct watch fillers[2] = {{0}}, ours = {0}, accepted[3] = {{0}};
    unsigned i;
    uv_poll_stop(&bench->peers.listener);
    listen(bench->peers.fd, 1);
    for (i = 0; i < 2; i++)
        dial(&bench->proxy, &bench->peers, &fillers[i], NULL);
    turn_on(bench);

    dial(&bench->proxy, &bench->peers, &ours, NULL);
    stream_start_tls(ours.stream, &bench->proxy.io.back,
                     tls_client_context_open(bench->client));
    turn_on(bench);
    assert_true(stream_is_dialing(ours.stream));
    assert_true(stream_queued(ours.stream) > 0);
    for (i = 0; i < 3; i++) {
        bench->peers.next_accepted = &accepted[i];
        uv_poll_start(&bench->peers.listener, UV_READABLE, on_connection);
        TURN_UNTIL(bench, accepted[i].is_accepted);
        uv_poll_stop(&bench->peers.listener);
    }
    stream_start_tls(accepted[2].stream, &bench->peers.io.front,
                     tls_server_context_open(bench->server, false));
    TURN_UNTIL(bench, ours.is_secure);

    assert_false(stream_is_dialing(ours.stream));
    for (i = 0; i < 3; i++)
        close_watched(bench, &accepted[i]);
    close_watched(bench, &ours);
    for (i = 0; i < 2; i++)
        close_watched(bench, &fillers[i]);
}

static void stream_holds_no_chunk_and_no_tail_when_all_is_sent(void **state)
{
    struct bench *bench = *state;
    struct watch peer = {0}, ours = {0};
    uint8_t *bytes = calloc(1, 2000000);
    join_tls(bench, &peer, &ours);

    (void)stream_write(ours.stream, bytes, 60000);
    (void)stream_write(ours.stream, bytes, 2000);
    TURN_UNTIL(bench, peer.len == 62000);

    assert_int_equal(bench->proxy.io.chunks.out_count, 0);
    free(bytes);
    close_watched(bench, &peer);
    close_watched(bench, &ours);
}

/* Reads what ends in '|', and leaves the rest to somebody else. */
struct preface {
    struct bench *bench;
    struct watch *then;
    bool starts_tls, closes;
};

static void on_preface(struct stream *stream, enum stream_event event,
                       void *owner)
{
    struct preface *preface = owner;
    const uint8_t *bytes, *bar;
    size_t len;

    assert_int_equal(event, STREAM_DATA);
    bytes = stream_lent(stream, &len);
    bar = memchr(bytes, '|', len);
    if (bar == NULL)
        return;
    stream_set_owner(stream, on_watched, preface->then);
    stream_give_back(stream, len - (size_t)(bar + 1 - bytes));
    if (preface->starts_tls)
        stream_start_tls(
            stream, &preface->bench->proxy.io.front,
            tls_server_context_open(preface->bench->server, false));
    if (preface->closes)
        stream_close(stream);
}

static void join_preface(struct bench *bench, struct watch *peer,
                         struct watch *ours, struct preface *preface)
{
    join_plain(bench, peer, ours);
    preface->bench = bench;
    preface->then = ours;
    stream_set_owner(ours->stream, on_preface, preface);
}

static void stream_gives_back_what_is_for_the_next_reader(void **state)
{
    struct bench *bench = *state;
    struct watch peer = {0}, ours = {0};
    struct preface preface = {0};
    join_preface(bench, &peer, &ours, &preface);

    say(&peer, "pre|face");
    TURN_UNTIL(bench, ours.len > 0);
    say(&peer, " and more");
    TURN_UNTIL(bench, ours.len == 13);

    assert_memory_equal(ours.bytes, "face and more", 13);
    close_watched(bench, &peer);
    close_watched(bench, &ours);
}

/* The client's first flight stands behind clear bytes in one write. */
static void stream_gives_back_what_is_for_tls(void **state)
{
    struct bench *bench = *state;
    struct watch peer = {0}, ours = {0};
    struct preface preface = {.starts_tls = true};
    join_preface(bench, &peer, &ours, &preface);

    stream_start_tls_behind(peer.stream, &bench->peers.io.back,
                            tls_client_context_open(bench->client),
                            (const uint8_t *)"preface|", 8);
    assert_int_equal(stream_queued(peer.stream), 0);
    TURN_UNTIL(bench, peer.is_secure && ours.is_secure);
    say(&peer, "question");
    TURN_UNTIL(bench, ours.len == 8);

    assert_memory_equal(ours.bytes, "question", 8);
    close_watched(bench, &peer);
    close_watched(bench, &ours);
}

static void stream_that_is_closed_takes_nothing_back(void **state)
{
    struct bench *bench = *state;
    struct watch peer = {0}, ours = {0};
    struct preface preface = {.closes = true};
    join_preface(bench, &peer, &ours, &preface);

    say(&peer, "pre|face");
    TURN_UNTIL(bench, ours.is_closed);

    assert_int_equal(ours.data_events, 0);
    close_watched(bench, &peer);
    free(ours.bytes);
}

static int free_keys(void **state)
{
    (void)state;
    test_keys_free();
    return 0;
}

#define STREAM_TEST(name)                                                      \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    PARTING_CROWD = 100
};

static size_t closed_of(const struct watch crowd[PARTING_CROWD])
{
    size_t closed = 0;

    for (size_t i = 0; i < PARTING_CROWD; i++)
        closed += crowd[i].is_closed;
    return closed;
}

/* All of ours have been ended and their peers are gone, which the proxy's loop
 * has yet to hear. */
static void part(struct bench *bench, struct watch ours[PARTING_CROWD])
{
    struct watch peers[PARTING_CROWD] = {{.stream = NULL}};

    for (size_t i = 0; i < PARTING_CROWD; i++)
        join_plain(bench, &peers[i], &ours[i]);
    for (size_t i = 0; i < PARTING_CROWD; i++)
        stream_end(ours[i].stream, 1000);
    for (size_t i = 0; i < PARTING_CROWD; i++)
        stream_close(peers[i].stream);
    while (closed_of(peers) < PARTING_CROWD)
        uv_run(&bench->peers.loop, UV_RUN_NOWAIT);
}

static void streams_that_end_at_once_are_closed_by_turns(void **state)
{
    struct bench *bench = *state;
    struct watch ours[PARTING_CROWD] = {{.stream = NULL}};
    uint64_t since_ns = uv_hrtime();
    size_t closed = 0, most = 0;
    part(bench, ours);

    while (closed < PARTING_CROWD && !patience_is_over(since_ns)) {
        size_t former = closed;

        uv_run(&bench->proxy.loop, UV_RUN_NOWAIT);
        closed = closed_of(ours);
        most = closed - former > most ? closed - former : most;
    }

    assert_int_equal(closed, PARTING_CROWD);
    /* What waited goes first, then what the turn itself has seen. */
    assert_in_range(most, 1, 2 * IO_CLOSINGS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(stream_carries_bytes_both_ways),
        STREAM_TEST(stream_splices_tls_to_tls_with_key_updates),
        STREAM_TEST(stream_resumes_with_tickets_that_it_has_read),
        STREAM_TEST(stream_survives_an_alert_in_the_middle_of_a_splice),
        STREAM_TEST(stream_pauses_in_the_middle_of_lent_plaintext),
        STREAM_TEST(stream_says_when_its_queue_is_high_and_low_again),
        STREAM_TEST(stream_tells_a_reset_after_the_verb_has_returned),
        STREAM_TEST(stream_end_delivers_its_last_words_over_unread_input),
        STREAM_TEST(stream_end_does_not_wait_for_ever_for_a_silent_peer),
        STREAM_TEST(stream_end_throws_away_only_so_much_input),
        STREAM_TEST(stream_tells_truncation_from_close_notify),
        STREAM_TEST(stream_goes_on_reading_after_its_own_direction_ended),
        STREAM_TEST(stream_fails_on_clear_bytes_in_place_of_a_handshake),
        STREAM_TEST(stream_lets_its_handler_write_and_end_inside_an_event),
        STREAM_TEST(stream_connect_tells_a_refusal),
        STREAM_TEST(stream_that_was_connected_is_not_dialing),
        STREAM_TEST(stream_keeps_what_is_written_before_the_connection),
        STREAM_TEST(stream_holds_no_chunk_and_no_tail_when_all_is_sent),
        STREAM_TEST(stream_gives_back_what_is_for_the_next_reader),
        STREAM_TEST(stream_gives_back_what_is_for_tls),
        STREAM_TEST(stream_that_is_closed_takes_nothing_back),
        STREAM_TEST(streams_that_end_at_once_are_closed_by_turns),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, free_keys);
}
