/* What a successor is given beside users' homes, and what it does not take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "address_case.h"
#include "backend/backend_memory.h"
#include "base/clock.h"
#include "base/log.h"
#include "handover_case.h"
#include "state/handover_wire.h"
#include "state/heir_private.h"
#include "state/heritage_private.h"
#include "state/tally.h"

#include <openssl/cipher.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static struct process former;
static struct process next;
static struct process third;
static struct limits_settings rules;

static int set_up(void **state)
{
    (void)state;
    process_init(&former);
    process_init(&next);
    process_init(&third);
    rules = (struct limits_settings){.line = 0};
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

/* --- limits --- */

static enum limits_answer accept_at(struct process *process, const char *text,
                                    struct limits_hold *hold)
{
    struct address peer = address_case(text);

    return limits_accept(process->parts.limits, &rules, &peer, clock_now_ms(),
                         hold);
}

static enum limits_answer log_in_at(struct process *process, const char *user,
                                    struct limits_hold *hold)
{
    struct address peer = address_case("192.0.2.1");

    return limits_login(process->parts.limits, &rules, &peer,
                        (const uint8_t *)user, strlen(user), hold);
}

static void release(struct process *process, struct limits_hold *hold)
{
    limits_release(process->parts.limits, hold);
}

static void await_entries(struct process *process, size_t count)
{
    for (unsigned i = 0;
         i < 5000 && limits_entries(process->parts.limits) != count; i++)
        usleep(1000);
    assert_int_equal(limits_entries(process->parts.limits), count);
}

static void sessions_of_the_predecessor_count(void **state)
{
    struct limits_hold first = {.before_login = false};
    struct limits_hold second = first;
    struct limits_hold third_one = first;

    (void)state;
    rules.per_user = 2;
    assert_int_equal(log_in_at(&former, "alice", &first), LIMITS_OK);
    assert_int_equal(log_in_at(&former, "alice", &second), LIMITS_OK);
    process_upgrade(&former, &next);

    assert_int_equal(log_in_at(&next, "alice", &third_one), LIMITS_PER_USER);
    release(&former, &first);
    while (log_in_at(&next, "alice", &third_one) != LIMITS_OK)
        usleep(1000);
    assert_int_equal(log_in_at(&next, "alice", &first), LIMITS_PER_USER);
    release(&former, &second);
    release(&next, &third_one);
    await_entries(&next, 0);
}

static void addresses_of_the_predecessor_count(void **state)
{
    struct limits_hold first;
    struct limits_hold second;
    struct limits_hold later;

    (void)state;
    rules.per_address = 2;
    assert_int_equal(accept_at(&former, "192.0.2.1", &first), LIMITS_OK);
    process_upgrade(&former, &next);
    assert_int_equal(accept_at(&former, "192.0.2.1", &second), LIMITS_OK);
    while (accept_at(&next, "192.0.2.1", &later) == LIMITS_OK)
        release(&next, &later);

    release(&former, &first);
    release(&former, &second);
    await_entries(&next, 0);
}

static void a_login_of_the_predecessor_counts_at_both(void **state)
{
    struct limits_hold here = {.before_login = false};
    struct limits_hold there = here;
    struct limits_hold more = here;

    (void)state;
    rules.per_user = 2;
    process_upgrade(&former, &next);
    assert_int_equal(log_in_at(&next, "alice", &there), LIMITS_OK);
    assert_int_equal(log_in_at(&former, "alice", &here), LIMITS_OK);

    assert_int_equal(log_in_at(&former, "alice", &more), LIMITS_PER_USER);
    assert_int_equal(log_in_at(&next, "alice", &more), LIMITS_PER_USER);
    assert_int_equal(limits_entries(former.parts.limits), 1);
    release(&next, &there);
    release(&former, &here);
    await_entries(&next, 0);
}

static void counts_of_a_dead_predecessor_are_given_back(void **state)
{
    struct limits_hold hold = {.before_login = false};

    (void)state;
    rules.per_user = 1;
    assert_int_equal(log_in_at(&former, "alice", &hold), LIMITS_OK);
    process_upgrade(&former, &next);
    assert_int_equal(limits_entries(next.parts.limits), 1);
    handover_end(&former.parts);

    await_entries(&next, 0);
    release(&former, &hold);
}

static void counts_pass_through_a_chain(void **state)
{
    struct limits_hold first = {.before_login = false};
    struct limits_hold second = first;

    (void)state;
    rules.per_user = 1;
    assert_int_equal(log_in_at(&former, "alice", &first), LIMITS_OK);
    process_upgrade(&former, &next);
    process_upgrade(&next, &third);
    assert_int_equal(log_in_at(&third, "alice", &second), LIMITS_PER_USER);
    release(&former, &first);
    await_entries(&third, 0);

    assert_int_equal(log_in_at(&third, "alice", &second), LIMITS_OK);
    assert_int_equal(log_in_at(&former, "alice", &first), LIMITS_PER_USER);
    release(&third, &second);
    assert_int_equal(log_in_at(&former, "alice", &first), LIMITS_OK);
    handover_end(&former.parts);
    await_entries(&third, 0);
    release(&former, &first);
}

static void the_rate_goes_on_where_it_was(void **state)
{
    struct limits_hold hold;

    (void)state;
    rules.accept_rate = 1;
    assert_int_equal(accept_at(&former, "192.0.2.1", &hold), LIMITS_OK);
    process_upgrade(&former, &next);

    assert_int_equal(accept_at(&next, "192.0.2.2", &hold), LIMITS_ACCEPT_RATE);
}

static void who_was_left_decides_alone_until_all_is_given_anew(void **state)
{
    struct home_claim claim;
    struct limits_hold hold = {.before_login = false};
    char byte;
    int ends[2];

    (void)state;
    rules.per_user = 1;
    process_upgrade(&former, &next);
    handover_end(&former.parts);
    process_link(ends);
    heir_open(former.parts.heir, ends[0]);
    claim = process_log_in(&former, "alice", 1);
    assert_int_equal(log_in_at(&former, "alice", &hold), LIMITS_OK);
    homes_leave(former.parts.homes, &claim);
    release(&former, &hold);
    assert_true(heir_send_news(former.parts.heir));

    assert_int_equal(recv(ends[1], &byte, 1, MSG_DONTWAIT), -1);
    handover_end(&former.parts);
    close(ends[1]);
}

/* --- penalties --- */

static struct settings *settings_with_delay(void)
{
    static struct settings settings;

    settings.auth.delay_max_ms = PENALTY_DELAY_MAX_MS;
    return &settings;
}

static enum penalties_answer ask_as(struct process *process, const char *peer,
                                    const char *user, const char *secret,
                                    struct penalty_claim *claim)
{
    struct address address = address_case(peer);
    struct penalties_attempt attempt = {.peer = &address,
                                        .user = (const uint8_t *)user,
                                        .user_len = strlen(user),
                                        .secret = (const uint8_t *)secret,
                                        .secret_len = strlen(secret)};
    uint64_t wait_ms;

    *claim = (struct penalty_claim){.stage = PENALTY_NEW};
    return penalties_ask(process->parts.penalties, settings_with_delay(),
                         &attempt, clock_now_ms(), claim, &wait_ms);
}

static void tell(struct process *process, struct penalty_claim *claim,
                 enum penalties_outcome outcome)
{
    penalties_answered(process->parts.penalties, claim, outcome,
                       clock_now_ms());
}

static void fail_as(struct process *process, const char *peer, const char *user)
{
    struct penalty_claim claim;

    assert_int_equal(ask_as(process, peer, user, "wrong", &claim),
                     PENALTIES_GO);
    tell(process, &claim, PENALTIES_FAILED);
}

static void who_has_failed_still_waits(void **state)
{
    struct penalty_claim claim;

    (void)state;
    fail_as(&former, "192.0.2.1", "alice");
    process_upgrade(&former, &next);

    assert_int_equal(ask_as(&next, "192.0.2.1", "bob", "x", &claim),
                     PENALTIES_WAIT);
    tell(&next, &claim, PENALTIES_OTHER);
    assert_int_equal(ask_as(&next, "192.0.2.9", "alice", "x", &claim),
                     PENALTIES_WAIT);
    tell(&next, &claim, PENALTIES_OTHER);
    assert_int_equal(ask_as(&next, "192.0.2.9", "carol", "x", &claim),
                     PENALTIES_GO);
    tell(&next, &claim, PENALTIES_OTHER);
}

static unsigned failures_of_users(struct process *process)
{
    unsigned failures = 0;
    size_t count;

    for (size_t i = 0; i < PENALTIES_SHARDS; i++) {
        struct failing_record *records = penalties_copy_failing(
            process->parts.penalties, PENALTIES_USERS, i, &count);

        for (size_t k = 0; k < count; k++)
            failures += records[k].penalty.failures;
        free(records);
    }
    return failures;
}

static void the_same_wrong_secret_counts_once(void **state)
{
    struct penalty_claim claim;

    (void)state;
    assert_int_equal(ask_as(&former, "192.0.2.1", "alice", "wrong", &claim),
                     PENALTIES_GO);
    process_upgrade(&former, &next);
    fail_as(&next, "192.0.2.1", "alice");
    assert_int_equal(failures_of_users(&next), 1);
    tell(&former, &claim, PENALTIES_FAILED);
    usleep(200 * 1000);

    assert_int_equal(failures_of_users(&next), 1);
}

static void who_was_at_home_is_still(void **state)
{
    struct penalty_claim claim;

    (void)state;
    assert_int_equal(ask_as(&former, "192.0.2.1", "alice", "x", &claim),
                     PENALTIES_GO);
    tell(&former, &claim, PENALTIES_OK);
    fail_as(&former, "192.0.2.66", "alice");
    process_upgrade(&former, &next);

    assert_int_equal(ask_as(&next, "192.0.2.1", "alice", "x", &claim),
                     PENALTIES_GO);
    assert_true(
        penalties_is_at_home(next.parts.penalties, &claim, clock_now_ms()));
    tell(&next, &claim, PENALTIES_OTHER);
}

static struct known_record only_known(struct process *process)
{
    struct known_record found = {.hash = 0};
    size_t count;

    for (size_t i = 0; i < PENALTIES_SHARDS; i++) {
        struct known_record *records =
            penalties_copy_known(process->parts.penalties, i, &count);

        if (count > 0)
            found = records[0];
        free(records);
    }
    return found;
}

static void who_was_at_home_is_so_since_then(void **state)
{
    struct known_record before = {
        .hash = 5, .seen_s = (uint32_t)(clock_now_ms() / 1000), .turn_ms = 7};
    struct known_record after;

    (void)state;
    before.seen_s -= before.seen_s > 100 ? 100 : 0;
    assert_true(
        penalties_add_known(former.parts.penalties, &before, clock_now_ms()));
    process_upgrade(&former, &next);
    after = only_known(&next);

    assert_int_equal(after.hash, 5);
    assert_int_equal(after.seen_s, before.seen_s);
    assert_int_equal(after.turn_ms, 7);
}

static void what_fails_at_the_predecessor_later_is_told(void **state)
{
    struct penalty_claim claim;
    enum penalties_answer answer = PENALTIES_GO;

    (void)state;
    process_upgrade(&former, &next);
    process_upgrade(&next, &third);
    fail_as(&former, "192.0.2.1", "alice");
    for (unsigned i = 0; i < 5000 && answer == PENALTIES_GO; i++) {
        usleep(1000);
        answer = ask_as(&third, "192.0.2.1", "bob", "x", &claim);
        tell(&third, &claim, PENALTIES_OTHER);
    }

    assert_int_equal(answer, PENALTIES_WAIT);
}

/* --- tickets --- */

static void seal(struct process *process, uint8_t *name)
{
    uint8_t iv[16];
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    HMAC_CTX *hmac = HMAC_CTX_new();

    assert_int_equal(
        ticket_keys_apply(process->parts.tickets, name, iv, cipher, hmac, 1),
        1);
    EVP_CIPHER_CTX_free(cipher);
    HMAC_CTX_free(hmac);
}

static int open_named(struct process *process, uint8_t *name)
{
    uint8_t iv[16] = {0};
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    HMAC_CTX *hmac = HMAC_CTX_new();
    int answer =
        ticket_keys_apply(process->parts.tickets, name, iv, cipher, hmac, 0);

    EVP_CIPHER_CTX_free(cipher);
    HMAC_CTX_free(hmac);
    return answer;
}

static void tickets_of_the_predecessor_are_good(void **state)
{
    uint8_t name[SSL_TICKET_KEY_NAME_LEN];

    (void)state;
    seal(&former, name);
    assert_int_equal(open_named(&next, name), 0);
    process_upgrade(&former, &next);

    assert_int_equal(open_named(&next, name), 1);
}

static void ticket_keys_rotate_when_they_would_have(void **state)
{
    uint64_t now_ms = clock_now_ms();
    uint8_t name[SSL_TICKET_KEY_NAME_LEN];
    struct ticket_keys_copy copy;

    (void)state;
    ticket_keys_read(former.parts.tickets, &copy);
    copy.rotated_ms = now_ms - 1000;
    ticket_keys_replace(former.parts.tickets, &copy);
    seal(&former, name);
    process_upgrade(&former, &next);

    assert_true(ticket_keys_rotate_if_due(
        next.parts.tickets, now_ms - 1000 + TICKET_KEYS_PERIOD_MS));
    assert_int_equal(open_named(&next, name), 2);
}

/* --- backends --- */

static void give_address(struct backend *backend)
{
    struct address address = address_case("127.0.0.1");

    backend_set_addresses(backend, &address, 1);
}

static void a_backend_that_is_down_stays_down_since_then(void **state)
{
    struct backend_facts before;
    struct backend_facts after;

    (void)state;
    give_address(former.backends[1]);
    usleep(5000);
    for (unsigned i = 0; i < BACKEND_FAILURES_MAX; i++)
        (void)backend_dial_failed(former.backends[1], clock_now_ms(),
                                  "refused by a wall");
    backend_read_facts(former.backends[1], &before);
    usleep(5000);
    process_upgrade(&former, &next);
    backend_read_facts(next.backends[1], &after);

    assert_int_equal(after.state, BACKEND_DOWN);
    assert_int_equal(after.state_since_ms, before.state_since_ms);
    assert_string_equal(after.state_why, "refused by a wall");
    assert_int_equal(after.failures_in_a_row, BACKEND_FAILURES_MAX);
    assert_int_equal(after.last_failure_ms, before.last_failure_ms);
    assert_int_equal(after.address_count, 1);
    assert_false(backend_may_dial(next.backends[1], clock_now_ms()));
    assert_true(backend_dial_succeeded(next.backends[1]));
}

static void an_order_stays_in_force_since_then(void **state)
{
    struct backend_facts before;
    struct backend_facts after;

    (void)state;
    assert_true(backend_set_mode(former.backends[2], BACKEND_DRAINING, "disk"));
    assert_true(backend_note(former.backends[2], BACKEND_NOTE_OFFERS_PLUS));
    backend_read_facts(former.backends[2], &before);
    usleep(5000);
    process_upgrade(&former, &next);
    backend_read_facts(next.backends[2], &after);

    assert_int_equal(after.mode, BACKEND_DRAINING);
    assert_string_equal(after.why, "disk");
    assert_int_equal(after.since_ms, before.since_ms);
    assert_int_equal(after.notes, 1u << BACKEND_NOTE_OFFERS_PLUS);
    assert_false(backend_set_mode(next.backends[2], BACKEND_DRAINING, "again"));
}

static void a_table_that_says_the_same_undoes_no_order(void **state)
{
    struct backend *former_one = former.backends[0];
    struct backend *next_one = next.backends[0];

    (void)state;
    assert_true(backend_configure_mode(former_one, BACKEND_MAINTENANCE));
    assert_true(backend_set_mode(former_one, BACKEND_READY, "command"));
    process_upgrade(&former, &next);

    assert_false(backend_configure_mode(next_one, BACKEND_MAINTENANCE));
    assert_int_equal(backend_mode(next_one), BACKEND_READY);
    assert_true(backend_configure_mode(next_one, BACKEND_DRAINING));
}

static void await_sessions(const struct backend *backend, uint32_t count)
{
    for (unsigned i = 0; i < 5000 && backend_sessions(backend) != count; i++)
        usleep(1000);
    assert_int_equal(backend_sessions(backend), count);
}

static void sessions_at_a_backend_count_until_they_end(void **state)
{
    struct backend *first = backend_session_opened(former.backends[1]);
    struct backend *second = backend_session_opened(former.backends[1]);
    struct backend *own;

    (void)state;
    process_upgrade(&former, &next);
    assert_int_equal(backend_sessions(next.backends[1]), 2);
    own = backend_session_opened(next.backends[1]);
    assert_null(backend_session_try(next.backends[1], 3));
    backend_session_closed(&first);
    await_sessions(next.backends[1], 2);
    backend_session_closed(&second);
    await_sessions(next.backends[1], 1);
    backend_session_closed(&own);
}

static void sessions_of_a_dead_predecessor_do_not_count(void **state)
{
    struct backend *session = backend_session_opened(former.backends[1]);

    (void)state;
    process_upgrade(&former, &next);
    handover_end(&former.parts);

    await_sessions(next.backends[1], 0);
    backend_session_closed(&session);
}

/* --- what is not taken --- */

static char why[HANDOVER_WHY_MAX];

static void send_packet(int fd, const struct wire_writer *packet)
{
    assert_int_equal(send(fd, packet->bytes, packet->len, 0), packet->len);
}

static void put_hello(struct wire_writer *packet, uint32_t version)
{
    wire_start(packet, WIRE_HELLO);
    wire_put_u32(packet, version);
}

static void another_version_is_refused_by_a_sentence(void **state)
{
    static struct wire_writer packet;
    int ends[2];

    (void)state;
    process_link(ends);
    put_hello(&packet, 7);
    send_packet(ends[0], &packet);

    assert_null(handover_take(ends[1], &next.parts, why));
    assert_string_equal(why, "the running process hands over by version 7, "
                             "expected 1");
    close(ends[0]);
}

static void a_link_that_ends_early_is_refused_by_a_sentence(void **state)
{
    static struct wire_writer packet;
    int ends[2];

    (void)state;
    process_link(ends);
    put_hello(&packet, WIRE_VERSION);
    send_packet(ends[0], &packet);
    close(ends[0]);

    assert_null(handover_take(ends[1], &next.parts, why));
    assert_string_equal(why, "the running process broke the link off");
}

static void a_successor_that_is_gone_is_told_by_a_sentence(void **state)
{
    int ends[2];

    (void)state;
    process_link(ends);
    close(ends[1]);

    assert_false(handover_give(ends[0], &former.parts, why));
    assert_string_equal(why, "the new process broke off the link for the "
                             "state, or does not read from it");
}

static struct wire_writer packet;
static struct wire_writer reply;

static enum heritage_result feed(struct heritage_book *book)
{
    return heritage_book_feed(book, packet.bytes, packet.len, &reply, why);
}

/* One that has taken version and keys. */
static struct heritage_book *new_book(void)
{
    static const uint8_t keys[3 * 16 + 8];
    struct heritage_book *book = heritage_book_new(&next.parts);

    put_hello(&packet, WIRE_VERSION);
    assert_int_equal(feed(book), HERITAGE_GOES_ON);
    wire_start(&packet, WIRE_KEYS);
    wire_put(&packet, keys, sizeof(keys));
    assert_int_equal(feed(book), HERITAGE_GOES_ON);
    return book;
}

static void put_news(enum heir_news news, uint64_t key)
{
    wire_start(&packet, WIRE_NEWS);
    wire_put_u8(&packet, (uint8_t)news);
    wire_put_u64(&packet, key);
    wire_put_u64(&packet, 0);
    wire_put_u32(&packet, 0);
}

static void put_question(enum heir_verb verb, uint64_t key)
{
    wire_start(&packet, WIRE_QUESTION);
    wire_put_u32(&packet, 1);
    wire_put_u8(&packet, (uint8_t)verb);
    wire_put_u64(&packet, key);
    wire_put_u32(&packet, 5);
    wire_put_place(&packet, next.backends[0]);
    wire_put_place(&packet, next.backends[1]);
}

static void what_is_not_held_cannot_be_given_up(void **state)
{
    struct heritage_book *book = new_book();

    (void)state;
    for (int news = HEIR_LEFT; news <= HEIR_UNCOUNTED; news++) {
        put_news((enum heir_news)news, 5);
        if (news != HEIR_COUNTED)
            assert_int_equal(feed(book), HERITAGE_BAD);
    }
    put_question(HEIR_MOVE, 5);
    assert_int_equal(feed(book), HERITAGE_BAD);
    put_question(HEIR_ARRIVE, 5);
    assert_int_equal(feed(book), HERITAGE_BAD);
    heritage_book_free(&book);
}

static void who_has_arrived_neither_moves_nor_arrives_again(void **state)
{
    struct heritage_book *book = new_book();

    (void)state;
    put_question(HEIR_ENTER, 5);
    assert_int_equal(feed(book), HERITAGE_ANSWERS);
    put_question(HEIR_ARRIVE, 5);
    assert_int_equal(feed(book), HERITAGE_ANSWERS); /* elsewhere: at b1 */
    put_question(HEIR_MOVE, 5);
    assert_int_equal(feed(book), HERITAGE_ANSWERS); /* likewise */
    put_news(HEIR_LEFT, 5);
    assert_int_equal(feed(book), HERITAGE_BAD);
    put_news(HEIR_LEFT_EARLY, 5);
    assert_int_equal(feed(book), HERITAGE_GOES_ON);
    put_news(HEIR_LEFT_EARLY, 5);
    assert_int_equal(feed(book), HERITAGE_BAD);
    heritage_book_free(&book);
}

static void a_user_at_a_backend_without_a_name_is_refused(void **state)
{
    struct heritage_book *book = new_book();

    (void)state;
    wire_start(&packet, WIRE_HOMES);
    wire_put_u64(&packet, 5);
    wire_put_u32(&packet, 1);
    wire_put_u32(&packet, 1);
    wire_put_u32(&packet, 0);

    assert_int_equal(feed(book), HERITAGE_BAD);
    heritage_book_free(&book);
}

static void put_whole_backend(uint32_t number, size_t backend)
{
    wire_start(&packet, WIRE_BACKEND);
    wire_put_u32(&packet, number);
    wire_put_place(&packet, next.backends[backend]);
    wire_put_u8(&packet, 0);
    for (int i = 0; i < 3; i++)
        wire_put_u32(&packet, 1);
    for (int i = 0; i < 3; i++)
        wire_put_u64(&packet, 1);
    wire_put_text(&packet, "why");
    wire_put_u8(&packet, BACKEND_DRAINING);
    wire_put_u8(&packet, BACKEND_READY);
    wire_put_u64(&packet, 1);
    wire_put_text(&packet, "why not");
    wire_put_u32(&packet, 1);
    wire_put_u8(&packet, 0);
}

static void put_home(uint64_t key, uint32_t place)
{
    wire_put_u64(&packet, key);
    wire_put_u32(&packet, place);
    wire_put_u32(&packet, 2);
    wire_put_u32(&packet, 1);
}

static void a_user_at_two_backends_is_refused(void **state)
{
    struct heritage_book *book = new_book();

    (void)state;
    put_whole_backend(3, 0);
    assert_int_equal(feed(book), HERITAGE_GOES_ON);
    put_whole_backend(2, 1);
    assert_int_equal(feed(book), HERITAGE_GOES_ON);
    wire_start(&packet, WIRE_HOMES);
    put_home(5, 3);
    put_home(6, 2);
    assert_int_equal(feed(book), HERITAGE_GOES_ON);
    wire_start(&packet, WIRE_HOMES);
    put_home(5, 2);

    assert_int_equal(feed(book), HERITAGE_BAD);
    assert_int_equal(heritage_book_held(book), 2);
    heritage_book_free(&book);
    assert_int_equal(homes_count(next.parts.homes), 0);
}

static void nothing_is_given_after_the_end(void **state)
{
    struct heritage_book *book = new_book();

    (void)state;
    wire_start(&packet, WIRE_END);
    assert_int_equal(feed(book), HERITAGE_COMPLETE);
    assert_int_equal(feed(book), HERITAGE_BAD);
    wire_start(&packet, WIRE_COUNTS);
    wire_put_u64(&packet, 5);
    wire_put_u32(&packet, 1);
    assert_int_equal(feed(book), HERITAGE_BAD);
    put_news(HEIR_COUNTED, 5);
    assert_int_equal(feed(book), HERITAGE_GOES_ON);
    heritage_book_free(&book);
}

static void nothing_is_taken_before_the_keys(void **state)
{
    struct heritage_book *book = heritage_book_new(&next.parts);

    (void)state;
    wire_start(&packet, WIRE_END);
    assert_int_equal(feed(book), HERITAGE_BAD);
    put_hello(&packet, WIRE_VERSION);
    assert_int_equal(feed(book), HERITAGE_GOES_ON);
    put_news(HEIR_COUNTED, 5);
    assert_int_equal(feed(book), HERITAGE_BAD);
    heritage_book_free(&book);
}

static void a_moment_in_the_future_is_refused(void **state)
{
    struct heritage_book *book = new_book();
    uint8_t secrets[4 * PENALTY_SECRETS] = {0};

    (void)state;
    wire_start(&packet, WIRE_FAILING_USERS);
    wire_put_u64(&packet, 5);
    wire_put_u64(&packet, clock_now_ms() + UINT64_C(3600) * 1000);
    wire_put_u64(&packet, 0);
    wire_put(&packet, secrets, sizeof(secrets));
    wire_put_u8(&packet, 1);
    wire_put_u8(&packet, 0);
    assert_int_equal(feed(book), HERITAGE_BAD);

    wire_start(&packet, WIRE_TICKETS);
    for (size_t i = 0; i < TICKET_KEYS_SIZE; i++)
        wire_put_u8(&packet, 0);
    wire_put_u64(&packet, clock_now_ms() + UINT64_C(3600) * 1000);
    assert_int_equal(feed(book), HERITAGE_BAD);
    heritage_book_free(&book);
}

static void a_record_cut_anywhere_is_refused(void **state)
{
    struct heritage_book *book = new_book();
    size_t whole;

    (void)state;
    put_whole_backend(3, 0);
    for (whole = packet.len; packet.len > 0; packet.len--) {
        if (packet.len < whole)
            assert_int_equal(feed(book), HERITAGE_BAD);
    }
    put_whole_backend(3, 0);
    wire_put_u8(&packet, 0);
    assert_int_equal(feed(book), HERITAGE_BAD);
    assert_int_equal(backend_mode(next.backends[0]), BACKEND_READY);
    put_whole_backend(3, 0);
    assert_int_equal(feed(book), HERITAGE_GOES_ON);
    assert_int_equal(backend_mode(next.backends[0]), BACKEND_DRAINING);
    heritage_book_free(&book);
}

/* --- the tally --- */

static void tally_counts_each_key_apart(void **state)
{
    struct tally tally = {.slots = NULL};
    struct tally_entry entry;
    size_t cursor = 0;
    size_t seen = 0;

    (void)state;
    for (uint64_t key = 0; key < 3000; key++)
        assert_true(tally_add(&tally, key * 64, 1, (uint32_t)key % 3));
    for (uint64_t key = 0; key < 3000; key += 2)
        assert_true(tally_take(&tally, key * 64, 1, (uint32_t)key % 3));
    while (tally_next(&tally, &cursor, &entry)) {
        assert_int_equal(entry.key / 64 % 2, 1);
        assert_int_equal(entry.others, entry.key / 64 % 3);
        seen++;
    }

    assert_int_equal(seen, 1500);
    assert_int_equal(tally.used, 1500);
    assert_false(tally_take(&tally, 0, 1, 0));
    assert_false(tally_take(&tally, 64, 2, 0));
    assert_false(tally_add(&tally, 64, TALLY_MAX, 0));
    tally_deinit(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(sessions_of_the_predecessor_count),
        CLAIM(addresses_of_the_predecessor_count),
        CLAIM(a_login_of_the_predecessor_counts_at_both),
        CLAIM(counts_of_a_dead_predecessor_are_given_back),
        CLAIM(counts_pass_through_a_chain),
        CLAIM(the_rate_goes_on_where_it_was),
        CLAIM(who_was_left_decides_alone_until_all_is_given_anew),
        CLAIM(who_has_failed_still_waits),
        CLAIM(the_same_wrong_secret_counts_once),
        CLAIM(who_was_at_home_is_still),
        CLAIM(who_was_at_home_is_so_since_then),
        CLAIM(what_fails_at_the_predecessor_later_is_told),
        CLAIM(tickets_of_the_predecessor_are_good),
        CLAIM(ticket_keys_rotate_when_they_would_have),
        CLAIM(a_backend_that_is_down_stays_down_since_then),
        CLAIM(an_order_stays_in_force_since_then),
        CLAIM(a_table_that_says_the_same_undoes_no_order),
        CLAIM(sessions_at_a_backend_count_until_they_end),
        CLAIM(sessions_of_a_dead_predecessor_do_not_count),
        CLAIM(another_version_is_refused_by_a_sentence),
        CLAIM(a_link_that_ends_early_is_refused_by_a_sentence),
        CLAIM(a_successor_that_is_gone_is_told_by_a_sentence),
        CLAIM(what_is_not_held_cannot_be_given_up),
        CLAIM(who_has_arrived_neither_moves_nor_arrives_again),
        CLAIM(a_user_at_a_backend_without_a_name_is_refused),
        CLAIM(a_user_at_two_backends_is_refused),
        CLAIM(nothing_is_given_after_the_end),
        CLAIM(nothing_is_taken_before_the_keys),
        CLAIM(a_moment_in_the_future_is_refused),
        CLAIM(a_record_cut_anywhere_is_refused),
        cmocka_unit_test(tally_counts_each_key_apart),
    };

    log_set(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
