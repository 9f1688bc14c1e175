/* Users' homes over an upgrade in place: one user, one backend, whichever of
 * the processes a login is at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "handover_case.h"
#include "state/handover_wire.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    USERS = 5000,
    CROWD = 512,
    THREADS = 3,
    ROUNDS = 1500
};

static struct process former;
static struct process next;
static struct process third;
static atomic_bool has_given_up; /* who gives */
static int link_to_mute; /* the end of who gives, and never ours to close */

static int set_up(void **state)
{
    (void)state;
    process_init(&former);
    process_init(&next);
    process_init(&third);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    process_deinit(&former);
    process_deinit(&next);
    process_deinit(&third);
    return 0;
}

static void leave(struct process *process, struct home_claim *claim)
{
    homes_leave(process->parts.homes, claim);
}

static enum homes_answer move(struct process *process, struct home_claim *claim,
                              size_t backend)
{
    return homes_move(process->parts.homes, claim, process->backends[backend]);
}

static void who_has_a_session_is_at_home_there(void **state)
{
    struct home_claim session = process_log_in(&former, "alice", 1);
    struct home_claim newcomer;

    (void)state;
    process_upgrade(&former, &next);
    newcomer = process_enter(&next, "alice", 2);

    assert_int_equal(process_index(&next, newcomer.at), 1);
    assert_int_equal(move(&next, &newcomer, 2), HOMES_WAIT);
    leave(&next, &newcomer);
    leave(&former, &session);
    assert_int_equal(process_await_homes(&next, 0), 0);
}

static void the_end_of_a_session_lets_the_home_move(void **state)
{
    struct home_claim session = process_log_in(&former, "alice", 1);
    struct home_claim newcomer;

    (void)state;
    homes_settle(&session);
    process_upgrade(&former, &next);
    newcomer = process_enter(&next, "alice", 2);
    homes_leave_session(former.parts.homes, (const uint8_t *)"alice", 5);
    while (move(&next, &newcomer, 2) == HOMES_WAIT)
        usleep(1000);

    assert_int_equal(process_index(&next, newcomer.at), 2);
    assert_int_equal(heritage_held(next.heritage), 0);
    leave(&next, &newcomer);
}

static void
a_login_of_the_predecessor_goes_where_the_successor_says(void **state)
{
    struct home_claim there;
    struct home_claim here;

    (void)state;
    process_upgrade(&former, &next);
    there = process_log_in(&next, "alice", 2);
    here = process_enter(&former, "alice", 0);

    assert_int_equal(process_index(&former, here.at), 2);
    assert_int_equal(move(&former, &here, 0), HOMES_WAIT);
    leave(&next, &there);
    assert_int_equal(move(&former, &here, 0), HOMES_MOVED);
    assert_int_equal(process_index(&former, here.at), 0);
    assert_true(homes_arrive(former.parts.homes, &here));
    leave(&former, &here);
    assert_int_equal(process_await_homes(&next, 0), 0);
}

static void who_was_on_the_way_follows_the_successor(void **state)
{
    struct home_claim here = process_enter(&former, "alice", 0);
    struct home_claim there;

    (void)state;
    process_upgrade(&former, &next);
    there = process_enter(&next, "alice", 1);
    assert_int_equal(process_index(&next, there.at), 0);
    assert_int_equal(move(&next, &there, 1), HOMES_MOVED);

    assert_false(homes_arrive(former.parts.homes, &here));
    assert_int_equal(process_index(&former, here.at), 1);
    assert_int_equal(move(&former, &here, 1), HOMES_MOVED);
    assert_true(homes_arrive(former.parts.homes, &here));
    assert_int_equal(move(&next, &there, 2), HOMES_WAIT);
    leave(&next, &there);
    leave(&former, &here);
    assert_int_equal(process_await_homes(&next, 0), 0);
}

static void who_moves_after_another_is_told_where_to(void **state)
{
    struct home_claim here = process_enter(&former, "alice", 0);
    struct home_claim there;

    (void)state;
    process_upgrade(&former, &next);
    there = process_enter(&next, "alice", 1);
    assert_int_equal(move(&next, &there, 1), HOMES_MOVED);

    assert_int_equal(move(&former, &here, 2), HOMES_ELSEWHERE);
    assert_int_equal(process_index(&former, here.at), 1);
    leave(&next, &there);
    leave(&former, &here);
    assert_int_equal(process_await_homes(&next, 0), 0);
}

static void a_backend_that_only_the_successor_knows_is_a_place(void **state)
{
    struct backend *fresh =
        backend_registry_get(next.parts.registry, "fresh", "host", 143);
    struct home_claim there = {.at = NULL};
    struct home_claim here;

    (void)state;
    process_upgrade(&former, &next);
    assert_true(homes_enter(next.parts.homes, (const uint8_t *)"alice", 5,
                            fresh, &there));
    here = process_enter(&former, "alice", 0);

    assert_string_equal(backend_name(here.at), "fresh");
    leave(&former, &here);
    leave(&next, &there);
    backend_unref(&fresh);
    assert_int_equal(process_await_homes(&next, 0), 0);
}

static void nowhere_stays_no_home(void **state)
{
    struct home_claim nobody = {.at = NULL};

    (void)state;
    process_upgrade(&former, &next);

    assert_false(homes_enter(former.parts.homes, (const uint8_t *)"alice", 5,
                             NULL, &nobody));
    assert_int_equal(homes_count(next.parts.homes), 0);
}

static void an_end_of_the_predecessor_gives_all_back(void **state)
{
    struct home_claim session = process_log_in(&former, "alice", 1);
    struct home_claim seeker = process_enter(&former, "bob", 1);
    struct home_claim own;

    (void)state;
    process_upgrade(&former, &next);
    own = process_log_in(&next, "alice", 1);
    assert_int_equal(homes_count(next.parts.homes), 2);
    handover_end(&former.parts);

    assert_int_equal(process_await_homes(&next, 1), 1);
    while (!heritage_is_over(next.heritage))
        usleep(1000);
    assert_int_equal(heritage_held(next.heritage), 0);
    leave(&next, &own);
    leave(&former, &session);
    leave(&former, &seeker);
}

static void an_end_of_the_successor_leaves_the_own_book(void **state)
{
    struct home_claim session = process_log_in(&former, "alice", 1);
    struct home_claim later;
    struct home_claim other;

    (void)state;
    process_upgrade(&former, &next);
    later = process_log_in(&former, "bob", 2);
    heritage_stop(&next.heritage);
    other = process_enter(&former, "bob", 0);

    assert_int_equal(process_index(&former, other.at), 2);
    assert_int_equal(move(&former, &other, 0), HOMES_WAIT);
    leave(&former, &later);
    assert_int_equal(move(&former, &other, 0), HOMES_MOVED);
    leave(&former, &other);
    leave(&former, &session);
    assert_int_equal(homes_count(former.parts.homes), 0);
    assert_int_equal(homes_count(next.parts.homes), 0);
}

static void the_own_book_follows_the_successor(void **state)
{
    struct home_claim seeker = process_enter(&former, "alice", 0);
    struct home_claim there;
    struct home_claim here;

    (void)state;
    process_upgrade(&former, &next);
    there = process_enter(&next, "alice", 1);
    assert_int_equal(move(&next, &there, 1), HOMES_MOVED);
    here = process_log_in(&former, "alice", 2);
    heritage_stop(&next.heritage);

    assert_false(homes_arrive(former.parts.homes, &seeker));
    assert_int_equal(process_index(&former, seeker.at), 1);
    leave(&former, &seeker);
    leave(&former, &here);
    leave(&next, &there);
}

static void one_may_be_given_again_after_a_failure(void **state)
{
    struct home_claim session = process_log_in(&former, "alice", 1);
    struct home_claim newcomer;

    (void)state;
    process_upgrade(&former, &next);
    heritage_stop(&next.heritage);
    handover_end(&former.parts);
    process_upgrade(&former, &third);
    newcomer = process_enter(&third, "alice", 0);

    assert_int_equal(process_index(&third, newcomer.at), 1);
    leave(&third, &newcomer);
    leave(&former, &session);
    assert_int_equal(process_await_homes(&third, 0), 0);
}

static void two_upgrades_in_a_row_make_a_chain(void **state)
{
    struct home_claim session = process_log_in(&former, "alice", 1);
    struct home_claim newcomer;
    struct home_claim here;

    (void)state;
    process_upgrade(&former, &next);
    process_upgrade(&next, &third);
    newcomer = process_enter(&third, "alice", 2);
    assert_int_equal(process_index(&third, newcomer.at), 1);
    leave(&former, &session);
    while (move(&third, &newcomer, 2) == HOMES_WAIT)
        usleep(1000);
    here = process_enter(&former, "alice", 0);

    assert_int_equal(process_index(&former, here.at), 2);
    assert_true(homes_arrive(former.parts.homes, &here));
    assert_int_equal(move(&third, &newcomer, 0), HOMES_WAIT);
    handover_end(&former.parts);
    while (move(&third, &newcomer, 0) == HOMES_WAIT)
        usleep(1000);
    leave(&third, &newcomer);
    leave(&former, &here);
    assert_int_equal(process_await_homes(&next, 0), 0);
    assert_int_equal(process_await_homes(&third, 0), 0);
}

static void many_users_are_given_each_with_a_place(void **state)
{
    static struct home_claim claims[USERS];
    char user[32];

    (void)state;
    for (unsigned i = 0; i < USERS; i++) {
        snprintf(user, sizeof(user), "user%u", i);
        claims[i] = process_log_in(&former, user, i % PROCESS_BACKENDS);
    }
    process_upgrade(&former, &next);

    assert_int_equal(homes_count(next.parts.homes), USERS);
    for (unsigned i = 0; i < USERS; i++) {
        struct home_claim again;

        snprintf(user, sizeof(user), "user%u", i);
        again = process_enter(&next, user, (i + 1) % PROCESS_BACKENDS);
        assert_int_equal(process_index(&next, again.at), i % PROCESS_BACKENDS);
        leave(&next, &again);
        leave(&former, &claims[i]);
    }
    assert_int_equal(process_await_homes(&next, 0), 0);
}

/* --- a successor that does not answer in time --- */

struct gift {
    struct process *from;
    int fd;
};

static void *give(void *argument)
{
    const struct gift *gift = argument;
    char why[HANDOVER_WHY_MAX];

    assert_true(handover_give(gift->fd, &gift->from->parts, why));
    return NULL;
}

static size_t receive(int fd, uint8_t *bytes)
{
    ssize_t len = recv(fd, bytes, WIRE_PACKET_MAX, 0);

    assert_true(len > 0);
    return (size_t)len;
}

static void receive_kind(int fd, enum wire_kind kind, uint8_t *bytes)
{
    do {
        (void)receive(fd, bytes);
    } while (bytes[0] != kind);
}

/* Gives to one that answers nothing by itself; returns its end. */
static int upgrade_to_a_mute(struct process *from)
{
    static uint8_t bytes[WIRE_PACKET_MAX];
    struct gift gift = {.from = from};
    pthread_t thread;
    int ends[2];

    process_link(ends);
    link_to_mute = gift.fd = ends[0];
    pthread_create(&thread, NULL, give, &gift);
    receive_kind(ends[1], WIRE_END, bytes);
    pthread_join(thread, NULL);
    return ends[1];
}

static void answer(int fd, uint32_t sequence, enum heir_answer answer,
                   const struct backend *at)
{
    static struct wire_writer packet;

    wire_start(&packet, WIRE_ANSWER);
    wire_put_u32(&packet, sequence);
    wire_put_u8(&packet, (uint8_t)answer);
    wire_put_place(&packet, at);
    assert_int_equal(send(fd, packet.bytes, packet.len, 0), packet.len);
}

/* The first piece of news of the next packet of them. */
static uint8_t receive_news(int fd)
{
    static uint8_t bytes[WIRE_PACKET_MAX];

    receive_kind(fd, WIRE_NEWS, bytes);
    return bytes[1];
}

static bool enter_alice(struct home_claim *claim)
{
    *claim = (struct home_claim){.at = NULL};
    return homes_enter(former.parts.homes, (const uint8_t *)"alice", 5,
                       former.backends[0], claim);
}

static uint64_t real_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void silence_refuses_a_login_and_its_answer_is_undone(void **state)
{
    struct home_claim claim;
    uint64_t begun_ms;
    int fd;

    (void)state;
    fd = upgrade_to_a_mute(&former);
    assert_false(enter_alice(&claim));
    begun_ms = real_ms();
    assert_false(enter_alice(&claim));
    assert_true(real_ms() - begun_ms < 250);

    answer(fd, 1, HEIR_YES, former.backends[0]);
    assert_int_equal(receive_news(fd), HEIR_LEFT_EARLY);
    assert_int_equal(homes_count(former.parts.homes), 0);
    close(fd);
}

static void silence_gives_up_who_arrives(void **state)
{
    struct home_claim claim;
    int fd;

    (void)state;
    assert_true(enter_alice(&claim));
    fd = upgrade_to_a_mute(&former);
    assert_false(homes_arrive(former.parts.homes, &claim));
    assert_null(claim.at);
    assert_int_equal(homes_count(former.parts.homes), 0);

    answer(fd, 1, HEIR_YES, former.backends[0]);
    assert_int_equal(receive_news(fd), HEIR_LEFT);
    close(fd);
}

static void who_arrives_in_a_silence_leaves_at_once(void **state)
{
    struct home_claim first;
    struct home_claim second;
    int fd;

    (void)state;
    assert_true(enter_alice(&first));
    assert_true(enter_alice(&second));
    fd = upgrade_to_a_mute(&former);
    assert_false(homes_arrive(former.parts.homes, &first));
    assert_false(homes_arrive(former.parts.homes, &second));

    assert_int_equal(receive_news(fd), HEIR_LEFT_EARLY);
    answer(fd, 1, HEIR_YES, former.backends[0]);
    assert_int_equal(receive_news(fd), HEIR_LEFT);
    close(fd);
}

static void a_silence_at_the_end_of_a_chain_breaks_no_link(void **state)
{
    struct home_claim claim;
    int fd;

    (void)state;
    assert_true(enter_alice(&claim));
    process_upgrade(&former, &next);
    fd = upgrade_to_a_mute(&next);
    assert_false(homes_arrive(former.parts.homes, &claim));
    assert_null(claim.at);
    assert_int_equal(process_await_homes(&next, 0), 0);
    usleep(300 * 1000); /* the answer to the former has been looked at */

    assert_false(enter_alice(&claim));
    answer(fd, 1, HEIR_YES, next.backends[0]);
    assert_int_equal(receive_news(fd), HEIR_LEFT);
    close(fd);
}

static void silence_lets_a_move_wait(void **state)
{
    struct home_claim claim;
    int fd;

    (void)state;
    assert_true(enter_alice(&claim));
    fd = upgrade_to_a_mute(&former);

    assert_int_equal(move(&former, &claim, 1), HOMES_WAIT);
    assert_int_equal(process_index(&former, claim.at), 0);
    leave(&former, &claim);
    assert_int_equal(receive_news(fd), HEIR_LEFT_EARLY);
    close(fd);
}

static void a_login_waits_a_quarter_of_a_second_for_an_answer(void **state)
{
    struct home_claim claim;
    uint64_t begun_ms;
    int fd;

    (void)state;
    fd = upgrade_to_a_mute(&former);
    begun_ms = real_ms();

    assert_false(enter_alice(&claim));

    assert_in_range(real_ms() - begun_ms, 250, 900);
    close(fd);
}

static void await_silence(void)
{
    uint64_t begun_ms = real_ms();

    while (!heir_is_silent(former.parts.heir)) {
        assert_true(real_ms() - begun_ms < 5000);
        usleep(1000);
    }
}

static void a_silence_is_one_of_a_second_until_the_end_of_the_link(void **state)
{
    struct home_claim claim;
    uint64_t begun_ms;
    int fd;

    (void)state;
    fd = upgrade_to_a_mute(&former);
    begun_ms = real_ms();
    assert_false(enter_alice(&claim));

    await_silence();

    assert_true(real_ms() - begun_ms >= 1000);
    handover_end(&former.parts);
    assert_false(heir_is_silent(former.parts.heir));
    close(fd);
}

static void a_silence_ends_with_an_answer_that_is_late(void **state)
{
    struct home_claim claim;
    int fd;

    (void)state;
    fd = upgrade_to_a_mute(&former);
    assert_false(enter_alice(&claim));

    answer(fd, 1, HEIR_YES, former.backends[0]);
    usleep(1000 * 1000);

    assert_false(heir_is_silent(former.parts.heir));
    close(fd);
}

/* --- a successor that does not read in time --- */

static void fill_link(void)
{
    static const uint8_t bytes[1000];

    while (send(link_to_mute, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

static void empty_link(int fd)
{
    static uint8_t bytes[WIRE_PACKET_MAX];

    while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

static void a_question_that_could_not_be_sent_is_no_silence(void **state)
{
    struct home_claim claim;
    int fd;

    (void)state;
    fd = upgrade_to_a_mute(&former);
    fill_link();
    assert_false(enter_alice(&claim));

    empty_link(fd);
    usleep(1000 * 1000);

    assert_false(heir_is_silent(former.parts.heir));
    close(fd);
}

/* The link may be full whenever a login asks, and the successor reads all the
 * same. */
static void what_is_sent_ends_the_silence_of_what_was_not(void **state)
{
    struct home_claim claim;
    int fd;

    (void)state;
    fd = upgrade_to_a_mute(&former);
    fill_link();
    assert_false(enter_alice(&claim));

    empty_link(fd);
    heir_tell(former.parts.heir, HEIR_COUNTED, 1, 0, 0);
    assert_int_equal(receive_news(fd), HEIR_COUNTED);
    fill_link();
    usleep(1000 * 1000);

    assert_false(heir_is_silent(former.parts.heir));
    close(fd);
}

static void a_link_that_stays_full_is_a_silence(void **state)
{
    struct home_claim claim;
    int fd;

    (void)state;
    fd = upgrade_to_a_mute(&former);
    fill_link();
    assert_false(enter_alice(&claim));

    await_silence();

    close(fd);
}

/* Many small packets of homes, few of which wait in the link at a time. */
static void fill_homes(struct home_claim claims[CROWD])
{
    char user[32];

    for (unsigned i = 0; i < CROWD; i++) {
        snprintf(user, sizeof(user), "user%u", i);
        claims[i] = process_log_in(&former, user, i % PROCESS_BACKENDS);
    }
}

static void empty_homes(struct home_claim claims[CROWD])
{
    for (unsigned i = 0; i < CROWD; i++)
        leave(&former, &claims[i]);
}

static void small_link(int ends[2])
{
    const int size = 12 * 1024;

    process_link(ends);
    assert_int_equal(
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

static void *give_in_vain(void *argument)
{
    const struct gift *gift = argument;
    char why[HANDOVER_WHY_MAX];

    assert_false(handover_give(gift->fd, &gift->from->parts, why));
    atomic_store(&has_given_up, true);
    return NULL;
}

/* The longest that a login took until it was given up. */
static uint64_t longest_login_ms(void)
{
    uint64_t longest_ms = 0;
    char user[32];

    for (unsigned i = 0;
         !atomic_load(&has_given_up) && !heir_is_silent(former.parts.heir);
         i++) {
        struct home_claim claim = {.at = NULL};
        uint64_t begun_ms = real_ms();

        snprintf(user, sizeof(user), "user%u", i % CROWD);
        if (homes_enter(former.parts.homes, (const uint8_t *)user, strlen(user),
                        former.backends[0], &claim))
            leave(&former, &claim);
        if (real_ms() - begun_ms > longest_ms)
            longest_ms = real_ms() - begun_ms;
    }
    return longest_ms;
}

static void who_does_not_read_holds_no_login_up_for_long(void **state)
{
    static struct home_claim claims[CROWD];
    struct gift gift = {.from = &former};
    uint64_t longest_ms;
    pthread_t giver;
    int ends[2];

    (void)state;
    fill_homes(claims);
    small_link(ends);
    gift.fd = ends[0];
    atomic_store(&has_given_up, false);
    pthread_create(&giver, NULL, give_in_vain, &gift);
    longest_ms = longest_login_ms();
    close(ends[1]);
    pthread_join(giver, NULL);

    handover_end(&former.parts);
    empty_homes(claims);
    assert_true(longest_ms < 2500);
}

static void *read_slowly(void *argument)
{
    static uint8_t bytes[WIRE_PACKET_MAX];
    const int *fd = argument;

    while (!atomic_load(&has_given_up) &&
           recv(*fd, bytes, sizeof(bytes), 0) > 0)
        usleep(200 * 1000);
    return NULL;
}

static void who_reads_slowly_holds_no_login_up_for_long(void **state)
{
    static struct home_claim claims[CROWD];
    struct gift gift = {.from = &former};
    uint64_t longest_ms;
    pthread_t giver, reader;
    int ends[2];

    (void)state;
    fill_homes(claims);
    small_link(ends);
    gift.fd = ends[0];
    atomic_store(&has_given_up, false);
    pthread_create(&giver, NULL, give_in_vain, &gift);
    pthread_create(&reader, NULL, read_slowly, &ends[1]);
    longest_ms = longest_login_ms();
    (void)shutdown(ends[1], SHUT_RDWR);
    pthread_join(giver, NULL);
    pthread_join(reader, NULL);

    close(ends[1]);
    handover_end(&former.parts);
    empty_homes(claims);
    assert_true(longest_ms < 2500);
}

static void an_answer_to_nothing_breaks_the_link(void **state)
{
    struct home_claim claim;
    int fd;

    (void)state;
    fd = upgrade_to_a_mute(&former);
    answer(fd, 77, HEIR_YES, former.backends[1]);

    assert_true(enter_alice(&claim));
    assert_int_equal(process_index(&former, claim.at), 0);
    leave(&former, &claim);
    close(fd);
}

/* --- threads: logins in both processes while homes are given --- */

static atomic_uint sessions_at[PROCESS_BACKENDS];
static atomic_uint clashes;
static atomic_bool is_given;

static void visit(size_t at)
{
    atomic_fetch_add(&sessions_at[at], 1);
    for (size_t i = 0; i < PROCESS_BACKENDS; i++) {
        if (i != at && atomic_load(&sessions_at[i]) > 0)
            atomic_fetch_add(&clashes, 1);
    }
    atomic_fetch_sub(&sessions_at[at], 1);
}

static void log_in_and_out_once(struct process *process, unsigned *random)
{
    size_t wanted = (size_t)rand_r(random) % PROCESS_BACKENDS;
    struct home_claim claim = process_enter(process, "alice", wanted);

    if (process_index(process, claim.at) != wanted && rand_r(random) % 2 == 0)
        (void)(move(process, &claim, wanted) == HOMES_MOVED);
    if (homes_arrive(process->parts.homes, &claim))
        visit(process_index(process, claim.at));
    leave(process, &claim);
}

static void *log_in_at_former(void *seed)
{
    unsigned random = (unsigned)(uintptr_t)seed;

    for (unsigned i = 0; i < ROUNDS || !atomic_load(&is_given); i++)
        log_in_and_out_once(&former, &random);
    return NULL;
}

static void *log_in_at_next(void *seed)
{
    unsigned random = (unsigned)(uintptr_t)seed;

    while (!atomic_load(&is_given))
        usleep(100);
    for (unsigned i = 0; i < ROUNDS; i++)
        log_in_and_out_once(&next, &random);
    return NULL;
}

static void no_login_of_either_process_is_at_a_second_place(void **state)
{
    pthread_t threads[2 * THREADS];

    (void)state;
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, log_in_at_former, (void *)(i + 1));
        pthread_create(&threads[THREADS + i], NULL, log_in_at_next,
                       (void *)(i + 100));
    }
    usleep(5000);
    process_upgrade(&former, &next);
    atomic_store(&is_given, true);
    for (size_t i = 0; i < sizeof(threads) / sizeof(*threads); i++)
        pthread_join(threads[i], NULL);

    assert_int_equal(atomic_load(&clashes), 0);
    assert_int_equal(process_await_homes(&next, 0), 0);
    assert_int_equal(homes_count(former.parts.homes), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(who_has_a_session_is_at_home_there),
        CLAIM(the_end_of_a_session_lets_the_home_move),
        CLAIM(a_login_of_the_predecessor_goes_where_the_successor_says),
        CLAIM(who_was_on_the_way_follows_the_successor),
        CLAIM(who_moves_after_another_is_told_where_to),
        CLAIM(a_backend_that_only_the_successor_knows_is_a_place),
        CLAIM(nowhere_stays_no_home),
        CLAIM(an_end_of_the_predecessor_gives_all_back),
        CLAIM(an_end_of_the_successor_leaves_the_own_book),
        CLAIM(the_own_book_follows_the_successor),
        CLAIM(one_may_be_given_again_after_a_failure),
        CLAIM(two_upgrades_in_a_row_make_a_chain),
        CLAIM(many_users_are_given_each_with_a_place),
        CLAIM(silence_refuses_a_login_and_its_answer_is_undone),
        CLAIM(silence_gives_up_who_arrives),
        CLAIM(who_arrives_in_a_silence_leaves_at_once),
        CLAIM(a_silence_at_the_end_of_a_chain_breaks_no_link),
        CLAIM(silence_lets_a_move_wait),
        CLAIM(a_login_waits_a_quarter_of_a_second_for_an_answer),
        CLAIM(a_silence_is_one_of_a_second_until_the_end_of_the_link),
        CLAIM(a_silence_ends_with_an_answer_that_is_late),
        CLAIM(a_question_that_could_not_be_sent_is_no_silence),
        CLAIM(what_is_sent_ends_the_silence_of_what_was_not),
        CLAIM(a_link_that_stays_full_is_a_silence),
        CLAIM(who_does_not_read_holds_no_login_up_for_long),
        CLAIM(who_reads_slowly_holds_no_login_up_for_long),
        CLAIM(an_answer_to_nothing_breaks_the_link),
        CLAIM(no_login_of_either_process_is_at_a_second_place),
    };

    log_set(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
