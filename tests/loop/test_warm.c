/* Connections kept for logins, in a loop turned by hand; the backend is a few
 * plain sockets. Time runs ten times as fast, where the build lets it. */
#include "backend/warm.h"
#include "base/clock.h"
#include "base/counters.h"
#include "patience.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    PEERS_MAX = 256
};

static const char greeting[] = "* OK [CAPABILITY IMAP4rev1 SASL-IR] hello\r\n";

/* One connection as the backend sees it. */
struct peer {
    int fd;
    bool has_ended; /* the pool's side */
    char got[64];
    size_t len;
};

struct server {
    int listener; /* -1: connections are refused */
    uint16_t port;
    bool is_mute;  /* no greeting */
    bool is_brief; /* hangs up as it has greeted */
    struct peer peers[PEERS_MAX];
    size_t count; /* that ever called */
};

struct bench {
    uv_loop_t loop;
    struct counters_set *counters;
    struct io io;
    struct timeouts_settings timeouts;
    struct source_addresses sources;
    struct link_rules rules;
    struct backend_registry *registry;
    struct backend *facts;
    struct backend_config config;
    struct link_target target;
    struct warm *warm;
    struct server server;
};

static char name[] = "b1";
static char host[] = "127.0.0.1";

static void listen_on(struct server *server, uint16_t port)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof(any);
    int on = 1;

    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    assert_int_equal(
        bind(server->listener, (struct sockaddr *)&any, sizeof(any)), 0);
    assert_int_equal(listen(server->listener, 128), 0);
    getsockname(server->listener, (struct sockaddr *)&any, &len);
    server->port = ntohs(any.sin_port);
}

static void refuse_callers(struct server *server)
{
    close(server->listener);
    server->listener = -1;
}

static void say(const struct peer *peer, const char *text)
{
    assert_int_equal(send(peer->fd, text, strlen(text), MSG_NOSIGNAL),
                     strlen(text));
}

static void hang_up(struct peer *peer)
{
    close(peer->fd);
    peer->fd = -1;
}

static void accept_callers(struct server *server)
{
    int fd = server->listener < 0
                 ? -1
                 : accept4(server->listener, NULL, NULL, SOCK_NONBLOCK);

    while (fd >= 0) {
        struct peer *peer = &server->peers[server->count++];

        assert_true(server->count < PEERS_MAX);
        *peer = (struct peer){.fd = fd};
        if (!server->is_mute)
            say(peer, greeting);
        if (server->is_brief)
            hang_up(peer);
        fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK);
    }
}

static void hear(struct peer *peer)
{
    ssize_t got;

    if (peer->fd < 0 || peer->has_ended)
        return;
    got =
        recv(peer->fd, peer->got + peer->len, sizeof(peer->got) - peer->len, 0);
    if (got > 0)
        peer->len += (size_t)got;
    peer->has_ended = got == 0;
}

static void turn_server(struct server *server)
{
    accept_callers(server);
    for (size_t i = 0; i < server->count; i++)
        hear(&server->peers[i]);
}

static void turn(struct bench *bench)
{
    uv_run(&bench->loop, UV_RUN_NOWAIT);
    turn_server(&bench->server);
    uv_sleep(1);
}

/* In the time of base/clock. */
static void turn_for(struct bench *bench, uint64_t delay_ms)
{
    uint64_t until_ms = clock_now_ms() + delay_ms;

    while (clock_now_ms() < until_ms)
        turn(bench);
}

static uint64_t counted(const struct bench *bench, enum counter counter)
{
    return counters_set_sum(bench->counters, counter);
}

static void set_address(struct bench *bench)
{
    static const struct address loopback = {.ip = {127, 0, 0, 1}};

    bench->facts =
        backend_registry_get(bench->registry, name, host, bench->server.port);
    backend_set_addresses(bench->facts, &loopback, 1);
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    uv_loop_init(&bench->loop);
    bench->counters = counters_set_new(1);
    assert_int_equal(io_init(&bench->io, &bench->loop,
                             counters_set_at(bench->counters, 0), 4096),
                     0);
    listen_on(&bench->server, 0);
    bench->registry = backend_registry_new();
    set_address(bench);
    bench->timeouts.connect_ms = 1000 * 1000;
    bench->timeouts.greeting_ms = 1000 * 1000;
    bench->rules = (struct link_rules){.timeouts = &bench->timeouts,
                                       .sources = &bench->sources};
    bench->config = (struct backend_config){
        .name = name, .host = host, .tls = BACKEND_TLS_NONE, .weight = 1};
    bench->target = (struct link_target){&bench->config, bench->facts, NULL};
    bench->warm = warm_new(&bench->io);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    uint64_t since_ns = uv_hrtime();

    warm_free(&bench->warm);
    assert_int_equal(counted(bench, COUNTER_WARM_READY), 0);
    io_stop(&bench->io);
    while (uv_run(&bench->loop, UV_RUN_NOWAIT) != 0 &&
           !patience_is_over(since_ns))
        continue;
    io_deinit(&bench->io);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    for (size_t i = 0; i < bench->server.count; i++)
        close(bench->server.peers[i].fd);
    close(bench->server.listener);
    backend_unref(&bench->facts);
    backend_registry_free(&bench->registry);
    counters_set_free(&bench->counters);
    free(bench);
    return 0;
}

static void keep(struct bench *bench, unsigned count)
{
    bench->config.warm = count;
    warm_follow(bench->warm, &bench->target, 1, &bench->rules);
}

static void keep_ready(struct bench *bench, unsigned count)
{
    keep(bench, count);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_READY) == count);
}

static struct stream *take(struct bench *bench)
{
    struct imap_capabilities capabilities;

    return warm_take(bench->warm, &bench->target, &capabilities);
}

static void ignore(struct stream *stream, enum stream_event event, void *owner)
{
    (void)stream;
    (void)event;
    (void)owner;
}

static void drop(struct stream *stream)
{
    stream_set_owner(stream, ignore, NULL);
    stream_close(stream);
}

static void as_many_are_kept_as_asked_for(void **state)
{
    struct bench *bench = *state;

    keep_ready(bench, 5);
    turn_for(bench, 500);

    assert_int_equal(bench->server.count, 5);
    assert_int_equal(counted(bench, COUNTER_WARM_READY), 5);
    assert_int_equal(backend_sessions(bench->facts), 0);
}

static void none_is_kept_where_none_is_asked_for(void **state)
{
    struct bench *bench = *state;

    keep(bench, 0);
    bench->config.weight = 0;
    keep(bench, 3);
    turn_for(bench, 500);

    assert_int_equal(bench->server.count, 0);
    assert_null(take(bench));
    assert_int_equal(counted(bench, COUNTER_WARM_MISSED), 0);
}

static void the_youngest_is_lent_with_what_it_announced(void **state)
{
    struct bench *bench = *state;
    struct imap_capabilities capabilities;
    struct stream *stream;
    struct peer *last;

    keep_ready(bench, 1);
    bench->config.warm = 2;
    warm_follow(bench->warm, &bench->target, 1, &bench->rules);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_READY) == 2);
    stream = warm_take(bench->warm, &bench->target, &capabilities);
    assert_non_null(stream);
    stream_set_owner(stream, ignore, NULL);
    stream_write(stream, (const uint8_t *)"a LOGIN", 7);
    last = &bench->server.peers[1];
    TURN_UNTIL(bench, last->len == 7);

    assert_true(imap_capabilities_has(&capabilities, IMAP_CAPABILITY_SASL_IR));
    assert_false(imap_capabilities_has(&capabilities, IMAP_CAPABILITY_ID));
    assert_memory_equal(last->got, "a LOGIN", 7);
    assert_int_equal(counted(bench, COUNTER_WARM_TAKEN), 1);
    drop(stream);
}

static void what_is_taken_is_replaced(void **state)
{
    struct bench *bench = *state;

    keep_ready(bench, 2);
    for (int i = 0; i < 2; i++) {
        struct stream *stream = take(bench);

        assert_non_null(stream);
        drop(stream);
    }
    assert_int_equal(counted(bench, COUNTER_WARM_READY), 0);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_READY) == 2);

    assert_int_equal(bench->server.count, 4);
    assert_int_equal(counted(bench, COUNTER_WARM_LOST), 0);
}

static void what_is_taken_is_replaced_on_the_next_turn(void **state)
{
    struct bench *bench = *state;
    uint64_t before;

    keep_ready(bench, 2);
    before = counted(bench, COUNTER_DIALS);
    drop(take(bench));
    uv_run(&bench->loop, UV_RUN_NOWAIT);

    assert_int_equal(counted(bench, COUNTER_DIALS) - before, 1);
}

static void no_turn_dials_more_than_a_few(void **state)
{
    struct bench *bench = *state;
    struct backend_config config = bench->config;
    struct link_target targets[3];
    uint64_t dials = 0;

    config.warm = 21;
    for (int i = 0; i < 3; i++)
        targets[i] = (struct link_target){&config, bench->facts, NULL};
    warm_follow(bench->warm, targets, 3, &bench->rules);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(counted(bench, COUNTER_DIALS), dials);
        dials += i < 7 ? WARM_TURN_MAX : 63 - dials;
        turn(bench);
    }
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_READY) == 63);

    assert_int_equal(bench->server.count, 63);
    warm_stop(bench->warm);
}

static void backends_are_dialled_by_turns(void **state)
{
    struct bench *bench = *state;
    struct backend_config config = bench->config;
    struct link_target targets[WARM_TURN_MAX];
    struct imap_capabilities capabilities;

    config.warm = 64;
    for (int i = 0; i < WARM_TURN_MAX; i++)
        targets[i] = (struct link_target){&config, bench->facts, NULL};
    warm_follow(bench->warm, targets, WARM_TURN_MAX, &bench->rules);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_READY) >= 2 * WARM_TURN_MAX);

    for (int i = 0; i < WARM_TURN_MAX; i++) {
        struct stream *stream =
            warm_take(bench->warm, &targets[i], &capabilities);

        assert_non_null(stream);
        drop(stream);
    }
    warm_stop(bench->warm);
}

static void a_login_that_finds_none_is_counted(void **state)
{
    struct bench *bench = *state;

    keep(bench, 1);

    assert_null(take(bench));
    assert_int_equal(counted(bench, COUNTER_WARM_MISSED), 1);
    assert_int_equal(counted(bench, COUNTER_WARM_TAKEN), 0);
}

static void another_tables_target_is_given_none(void **state)
{
    struct bench *bench = *state;
    struct link_target elsewhere = bench->target;
    struct imap_capabilities capabilities;

    keep_ready(bench, 1);

    assert_null(warm_take(bench->warm, &elsewhere, &capabilities));
    assert_int_equal(counted(bench, COUNTER_WARM_MISSED), 0);
    assert_int_equal(counted(bench, COUNTER_WARM_READY), 1);
}

static void one_that_the_backend_closed_is_replaced(void **state)
{
    struct bench *bench = *state;

    keep_ready(bench, 2);
    hang_up(&bench->server.peers[0]);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_LOST) == 1);
    assert_int_equal(counted(bench, COUNTER_WARM_READY), 1);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_READY) == 2);

    assert_int_equal(bench->server.count, 3);
}

static void one_that_the_backend_speaks_on_is_replaced(void **state)
{
    struct bench *bench = *state;

    keep_ready(bench, 1);
    say(&bench->server.peers[0], "a OK logged in\r\n");
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_LOST) == 1);
    assert_null(take(bench));
    TURN_UNTIL(bench, bench->server.peers[0].has_ended);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_READY) == 1);
}

/* Both came in the turn of the loop that brings the login. */
static void one_with_unread_input_is_not_lent(void **state)
{
    struct bench *bench = *state;
    struct stream *stream;

    keep_ready(bench, 3);
    hang_up(&bench->server.peers[2]);
    say(&bench->server.peers[1], "a OK logged in\r\n");
    stream = take(bench);
    assert_non_null(stream);
    stream_set_owner(stream, ignore, NULL);
    stream_write(stream, (const uint8_t *)"a", 1);
    TURN_UNTIL(bench, bench->server.peers[0].len == 1);

    assert_int_equal(counted(bench, COUNTER_WARM_LOST), 2);
    assert_int_equal(counted(bench, COUNTER_WARM_TAKEN), 1);
    drop(stream);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_READY) == 3);
}

static void none_gets_old(void **state)
{
    struct bench *bench = *state;
    uint64_t since_ms = clock_now_ms();

    keep_ready(bench, 3);
    for (int i = 0; i < 3; i++)
        TURN_UNTIL(bench, bench->server.peers[i].has_ended);

    assert_true(clock_now_ms() - since_ms >= WARM_AGE_MS / 4 * 3);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_READY) == 3);
    assert_true(counted(bench, COUNTER_WARM_EXPIRED) >= 3);
    assert_int_equal(counted(bench, COUNTER_WARM_LOST), 0);
}

/* It is kept from being down, which would make for other pauses. */
static void trouble_is_met_with_longer_and_longer_pauses(void **state)
{
    struct bench *bench = *state;
    uint64_t since_ms = clock_now_ms();

    bench->server.is_mute = true;
    keep(bench, 1);
    for (size_t i = 0; i < 5; i++) {
        TURN_UNTIL(bench, bench->server.count == i + 1);
        hang_up(&bench->server.peers[i]);
        TURN_UNTIL(bench, counted(bench, COUNTER_DIAL_FAILURES) == i + 1);
        backend_dial_succeeded(bench->facts);
    }

    assert_true(clock_now_ms() - since_ms >= (1 + 2 + 4 + 8) * WARM_PAUSE_MS);
}

static void many_lost_at_once_are_one_trouble(void **state)
{
    struct bench *bench = *state;
    uint64_t since_ms;

    keep_ready(bench, 10);
    for (int i = 0; i < 10; i++)
        hang_up(&bench->server.peers[i]);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_LOST) == 10);
    since_ms = clock_now_ms();
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_READY) == 10);

    assert_true(clock_now_ms() - since_ms < 16 * WARM_PAUSE_MS);
    assert_int_equal(bench->server.count, 20);
}

static void a_backend_that_is_down_is_not_hammered(void **state)
{
    struct bench *bench = *state;
    uint64_t before;

    refuse_callers(&bench->server);
    keep(bench, 10);
    TURN_UNTIL(bench, backend_state(bench->facts) == BACKEND_DOWN);
    before = counted(bench, COUNTER_DIALS);
    turn_for(bench, 10 * 1000);

    assert_true(counted(bench, COUNTER_DIALS) - before <= 3);
}

/* Others found it down just now: the leave to dial is theirs. */
static void a_backend_that_is_down_is_dialled_by_leave_only(void **state)
{
    struct bench *bench = *state;
    uint64_t since_ms = clock_now_ms();

    for (int i = 0; i < BACKEND_FAILURES_MAX; i++)
        backend_dial_failed(bench->facts, since_ms, "by a login");
    keep(bench, 1);
    TURN_UNTIL(bench, bench->server.count == 1);

    assert_true(clock_now_ms() - since_ms >= BACKEND_RETRY_MS);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_READY) == 1);
}

static void after_an_outage_all_are_there_again(void **state)
{
    struct bench *bench = *state;

    refuse_callers(&bench->server);
    keep(bench, 10);
    TURN_UNTIL(bench, counted(bench, COUNTER_DIAL_FAILURES) >= 3);
    listen_on(&bench->server, bench->server.port);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_READY) == 10);

    assert_int_equal(backend_state(bench->facts), BACKEND_UP);
    assert_int_equal(bench->server.count, 10);
}

static void in_trouble_one_is_dialled_at_a_time(void **state)
{
    struct bench *bench = *state;

    keep_ready(bench, 5);
    bench->server.is_mute = true;
    for (int i = 0; i < 5; i++)
        hang_up(&bench->server.peers[i]);
    TURN_UNTIL(bench, bench->server.count == 6);
    turn_for(bench, 3 * WARM_PAUSE_MS);

    assert_int_equal(bench->server.count, 6);
}

static void after_trouble_one_is_to_last_before_more_are_dialled(void **state)
{
    struct bench *bench = *state;
    uint64_t since_ms;

    keep_ready(bench, 3);
    bench->server.is_mute = true;
    for (int i = 0; i < 3; i++)
        hang_up(&bench->server.peers[i]);
    TURN_UNTIL(bench, bench->server.count == 4);
    since_ms = clock_now_ms();
    say(&bench->server.peers[3], greeting);
    TURN_UNTIL(bench, bench->server.count == 6);

    assert_true(clock_now_ms() - since_ms >= WARM_TRIAL_MS);
    assert_int_equal(counted(bench, COUNTER_WARM_READY), 1);
}

static void what_is_on_trial_is_not_lent(void **state)
{
    struct bench *bench = *state;
    struct stream *stream = NULL;
    uint64_t since_ms;

    keep_ready(bench, 1);
    bench->server.is_mute = true;
    hang_up(&bench->server.peers[0]);
    TURN_UNTIL(bench, bench->server.count == 2);
    since_ms = clock_now_ms();
    say(&bench->server.peers[1], greeting);
    TURN_UNTIL(bench, stream != NULL || (stream = take(bench)) != NULL);

    assert_true(clock_now_ms() - since_ms >= WARM_TRIAL_MS);
    drop(stream);
}

static void what_comes_during_a_pause_is_tried_after_it(void **state)
{
    struct bench *bench = *state;
    uint64_t since_ms;

    bench->server.is_mute = true;
    keep(bench, 2);
    TURN_UNTIL(bench, bench->server.count == 2);
    since_ms = clock_now_ms();
    hang_up(&bench->server.peers[0]);
    TURN_UNTIL(bench, counted(bench, COUNTER_DIAL_FAILURES) == 1);
    say(&bench->server.peers[1], greeting);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_READY) == 1);

    assert_true(clock_now_ms() - since_ms >= WARM_PAUSE_MS + WARM_TRIAL_MS);
}

static void one_lost_on_trial_is_more_trouble(void **state)
{
    struct bench *bench = *state;
    uint64_t since_ms;

    keep_ready(bench, 4);
    bench->server.is_brief = true;
    for (int i = 0; i < 4; i++)
        hang_up(&bench->server.peers[i]);
    since_ms = clock_now_ms();
    TURN_UNTIL(bench, bench->server.count == 8);

    assert_true(clock_now_ms() - since_ms >= (1 + 2 + 4 + 8) * WARM_PAUSE_MS);
}

static void a_login_does_not_end_the_trouble(void **state)
{
    struct bench *bench = *state;

    keep_ready(bench, 4);
    bench->server.is_mute = true;
    hang_up(&bench->server.peers[0]);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_LOST) == 1);
    drop(take(bench));
    TURN_UNTIL(bench, bench->server.count == 5);
    drop(take(bench));
    turn_for(bench, 3 * WARM_PAUSE_MS);

    assert_int_equal(bench->server.count, 5);
}

/* A backend that hangs keeps what it had, which gets old. */
static void an_old_one_does_not_end_the_trouble(void **state)
{
    struct bench *bench = *state;

    keep_ready(bench, 4);
    bench->server.is_mute = true;
    hang_up(&bench->server.peers[0]);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_EXPIRED) == 3);
    turn_for(bench, WARM_PAUSE_MS);

    assert_int_equal(bench->server.count, 5);
}

static void a_login_does_not_cut_a_pause_short(void **state)
{
    struct bench *bench = *state;
    uint64_t since_ms;

    keep_ready(bench, 2);
    since_ms = clock_now_ms();
    hang_up(&bench->server.peers[0]);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_LOST) == 1);
    drop(take(bench));
    TURN_UNTIL(bench, bench->server.count > 2);

    assert_true(clock_now_ms() - since_ms >= WARM_PAUSE_MS);
}

static void a_table_with_the_same_backend_keeps_them(void **state)
{
    struct bench *bench = *state;
    struct backend_config config = bench->config;
    struct link_target targets[2];

    keep_ready(bench, 3);
    config.warm = 3;
    config.weight = 7;
    targets[1] = (struct link_target){&config, bench->facts, NULL};
    targets[0] = (struct link_target){&config, bench->facts, NULL};
    targets[0].config = &(struct backend_config){.name = name};
    warm_follow(bench->warm, targets, 2, &bench->rules);
    turn_for(bench, 500);

    assert_int_equal(bench->server.count, 3);
    bench->target = targets[1];
    assert_null(take(bench));
    keep(bench, 0);
}

static void a_lower_number_ends_those_beyond_it(void **state)
{
    struct bench *bench = *state;
    size_t ended = 0;

    keep_ready(bench, 4);
    keep(bench, 1);
    turn_for(bench, 500);
    for (int i = 0; i < 4; i++)
        ended += bench->server.peers[i].has_ended;

    assert_int_equal(ended, 3);
    assert_int_equal(counted(bench, COUNTER_WARM_READY), 1);
    assert_int_equal(bench->server.count, 4);
}

static void a_backend_that_changed_gets_new_ones(void **state)
{
    struct bench *bench = *state;
    struct backend_config config = bench->config;
    struct link_target target = {&config, bench->facts, NULL};

    keep_ready(bench, 2);
    config.warm = 2;
    config.allow_cleartext = true;
    warm_follow(bench->warm, &target, 1, &bench->rules);
    assert_int_equal(counted(bench, COUNTER_WARM_READY), 0);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_READY) == 2);
    TURN_UNTIL(bench, bench->server.peers[0].has_ended);
    TURN_UNTIL(bench, bench->server.peers[1].has_ended);

    assert_int_equal(bench->server.count, 4);
    warm_stop(bench->warm);
}

static void what_is_being_dialled_follows_the_new_table(void **state)
{
    struct bench *bench = *state;
    struct link_target *former = malloc(sizeof(*former));

    bench->config.warm = 1;
    bench->server.is_mute = true;
    *former = bench->target;
    warm_follow(bench->warm, former, 1, &bench->rules);
    TURN_UNTIL(bench, bench->server.count == 1);
    bench->server.is_mute = false;
    keep(bench, 1);
    free(former);
    TURN_UNTIL(bench, counted(bench, COUNTER_WARM_READY) == 1);
    TURN_UNTIL(bench, bench->server.peers[0].has_ended);

    assert_int_equal(bench->server.count, 2);
}

static void stopping_ends_all_and_dials_no_more(void **state)
{
    struct bench *bench = *state;

    keep_ready(bench, 3);
    drop(take(bench));
    warm_stop(bench->warm);
    turn_for(bench, 3000);

    assert_int_equal(bench->server.count, 3);
    for (int i = 0; i < 3; i++)
        assert_true(bench->server.peers[i].has_ended);
    assert_null(take(bench));
    assert_int_equal(bench->io.streams, 0);
}

/* The loader refuses this beside "warm", so that no login is told as ours; but
 * whatever calls for nobody, a probe too, goes the same way. */
static void a_call_of_our_own_says_so_where_headers_are_due(void **state)
{
    static const struct {
        enum backend_proxy version;
        char header[17];
        size_t len;
    } cases[] = {
        {BACKEND_PROXY_V1, "PROXY UNKNOWN\r\n", 15},
        {BACKEND_PROXY_V2, "\r\n\r\n\0\r\nQUIT\n\x20\0\0", 16},
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < 2; i++) {
        const struct peer *peer = &bench->server.peers[i];

        keep(bench, 0);
        bench->config.proxy_protocol = cases[i].version;
        keep_ready(bench, 1);
        TURN_UNTIL(bench, peer->len >= cases[i].len);

        assert_int_equal(peer->len, cases[i].len);
        assert_memory_equal(peer->got, cases[i].header, cases[i].len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(as_many_are_kept_as_asked_for),
        CLAIM(none_is_kept_where_none_is_asked_for),
        CLAIM(the_youngest_is_lent_with_what_it_announced),
        CLAIM(what_is_taken_is_replaced),
        CLAIM(what_is_taken_is_replaced_on_the_next_turn),
        CLAIM(no_turn_dials_more_than_a_few),
        CLAIM(backends_are_dialled_by_turns),
        CLAIM(a_login_that_finds_none_is_counted),
        CLAIM(another_tables_target_is_given_none),
        CLAIM(one_that_the_backend_closed_is_replaced),
        CLAIM(one_that_the_backend_speaks_on_is_replaced),
        CLAIM(one_with_unread_input_is_not_lent),
        CLAIM(none_gets_old),
        CLAIM(trouble_is_met_with_longer_and_longer_pauses),
        CLAIM(many_lost_at_once_are_one_trouble),
        CLAIM(a_backend_that_is_down_is_not_hammered),
        CLAIM(a_backend_that_is_down_is_dialled_by_leave_only),
        CLAIM(after_an_outage_all_are_there_again),
        CLAIM(in_trouble_one_is_dialled_at_a_time),
        CLAIM(after_trouble_one_is_to_last_before_more_are_dialled),
        CLAIM(what_is_on_trial_is_not_lent),
        CLAIM(what_comes_during_a_pause_is_tried_after_it),
        CLAIM(one_lost_on_trial_is_more_trouble),
        CLAIM(a_login_does_not_end_the_trouble),
        CLAIM(an_old_one_does_not_end_the_trouble),
        CLAIM(a_login_does_not_cut_a_pause_short),
        CLAIM(a_table_with_the_same_backend_keeps_them),
        CLAIM(a_lower_number_ends_those_beyond_it),
        CLAIM(a_backend_that_changed_gets_new_ones),
        CLAIM(what_is_being_dialled_follows_the_new_table),
        CLAIM(stopping_ends_all_and_dials_no_more),
        CLAIM(a_call_of_our_own_says_so_where_headers_are_due),
    };

    signal(SIGPIPE, SIG_IGN);
    setenv("GATEPOST_FAULT_CLOCK_SCALE", "10", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
