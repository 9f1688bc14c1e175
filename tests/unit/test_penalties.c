/* Who waits before a backend is asked, with the time passed in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "address_case.h"
#include "state/penalties.h"

#include <pthread.h>
#include <stdatomic.h>

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    MINUTE_MS = 60000,
    CROWD = 100
};
#define DAY_MS ((uint64_t)24 * 60 * MINUTE_MS)

/* Both more than a table holds. ThreadSanitizer takes long for each. */
enum {
#ifdef __SANITIZE_THREAD__
    MANY = 150000,
    MILLION = 300000
#else
    MANY = 300000,
    MILLION = 1000000
#endif
};

static struct penalties *penalties;
static struct settings settings;
static uint64_t now_ms;

static int set_up(void **state)
{
    (void)state;
    penalties = penalties_new();
    settings = (struct settings){.auth = {.delay_max_ms = 15000}};
    now_ms = 1000000;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    penalties_free(&penalties);
    assert_null(penalties);
    return 0;
}

static enum penalties_answer ask_as(const struct address *peer,
                                    const char *user, const char *secret,
                                    struct penalty_claim *claim,
                                    uint64_t *wait_ms)
{
    struct penalties_attempt attempt = {
        .peer = peer,
        .user = (const uint8_t *)user,
        .user_len = strlen(user),
        .secret = (const uint8_t *)secret,
        .secret_len = secret == NULL ? 0 : strlen(secret)};

    return penalties_ask(penalties, &settings, &attempt, now_ms, claim,
                         wait_ms);
}

static enum penalties_answer ask(const char *from, const char *user,
                                 const char *secret,
                                 struct penalty_claim *claim, uint64_t *wait_ms)
{
    struct address peer = address_case(from);

    return ask_as(&peer, user, secret, claim, wait_ms);
}

/* Makes an attempt to its end; returns how long it had to wait, or
 * UINT64_MAX for one that was refused. */
static uint64_t try_login(const char *from, const char *user,
                          const char *secret, enum penalties_outcome outcome)
{
    struct penalty_claim claim = {.stage = PENALTY_NEW};
    uint64_t began_ms = now_ms;
    uint64_t wait_ms;

    for (;;) {
        switch (ask(from, user, secret, &claim, &wait_ms)) {
        case PENALTIES_WAIT:
            assert_true(wait_ms > 0);
            now_ms += wait_ms;
            continue;
        case PENALTIES_REFUSE:
            return UINT64_MAX;
        case PENALTIES_GO:
            break;
        }
        penalties_answered(penalties, &claim, outcome, now_ms);
        return now_ms - began_ms;
    }
}

/* Never the same wrong password twice. */
static uint64_t guess(const char *from, const char *user)
{
    return try_login(from, user, NULL, PENALTIES_FAILED);
}

static uint64_t log_in(const char *from, const char *user)
{
    return try_login(from, user, "right", PENALTIES_OK);
}

static size_t addresses_kept(void)
{
    struct penalties_size size;

    penalties_read_size(penalties, &size);
    return size.addresses;
}

static void address_waits_longer_with_each_failure(void **state)
{
    static const char *const users[] = {"a", "b", "c", "d", "e", "f"};
    static const uint64_t waits_ms[] = {0, 2000, 4000, 8000, 15000, 15000};

    (void)state;
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(guess("192.0.2.1", users[i]), waits_ms[i]);
    assert_int_equal(guess("192.0.2.2", "a"), 2000);
    assert_int_equal(guess("192.0.2.2", "new"), 2000);
    assert_int_equal(guess("192.0.2.3", "other"), 0);
}

static void user_waits_longer_with_each_failure_from_anywhere(void **state)
{
    static const uint64_t waits_ms[] = {0, 2000, 4000, 8000, 15000, 15000};
    char from[] = "192.0.2.0";

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        from[8] = (char)('1' + i);
        assert_int_equal(guess(from, "alice"), waits_ms[i]);
    }

    assert_int_equal(guess("192.0.2.9", "alic"), 0);
}

static void wait_is_the_longer_of_both(void **state)
{
    (void)state;
    assert_int_equal(guess("192.0.2.1", "alice"), 0);
    assert_int_equal(guess("192.0.2.2", "alice"), 2000);
    assert_int_equal(guess("192.0.2.3", "bob"), 0);

    assert_int_equal(guess("192.0.2.3", "alice"), 4000);
    assert_int_equal(guess("192.0.2.3", "carol"), 4000);
}

static void failures_are_forgiven_minute_by_minute(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        (void)guess("192.0.2.1", "alice");
    now_ms += 2 * MINUTE_MS;

    assert_int_equal(try_login("192.0.2.1", "x", "y", PENALTIES_OTHER), 2000);
    now_ms += MINUTE_MS;
    assert_int_equal(try_login("192.0.2.1", "x", "y", PENALTIES_OTHER), 0);
}

static void same_wrong_password_counts_once(void **state)
{
    (void)state;
    assert_int_equal(try_login("192.0.2.1", "alice", "old", PENALTIES_FAILED),
                     0);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(
            try_login("192.0.2.1", "alice", "old", PENALTIES_FAILED), 2000);
    }
    now_ms += MINUTE_MS;

    /* An hour later, and forgiven long ago, it is still no guess. */
    now_ms += 60 * MINUTE_MS;
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(
            try_login("192.0.2.1", "alice", "old", PENALTIES_FAILED), 0);
    }
    assert_int_equal(log_in("192.0.2.2", "alice"), 0);
}

static void one_password_for_many_users_is_many_guesses(void **state)
{
    (void)state;
    assert_int_equal(try_login("192.0.2.1", "a", "same", PENALTIES_FAILED), 0);
    assert_int_equal(try_login("192.0.2.1", "b", "same", PENALTIES_FAILED),
                     2000);
    assert_int_equal(try_login("192.0.2.1", "c", "same", PENALTIES_FAILED),
                     4000);
}

static void other_answers_do_not_count(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(try_login("192.0.2.1", "alice", NULL, PENALTIES_OTHER),
                         0);
    }
    assert_int_equal(addresses_kept(), 0);
}

static void user_at_home_does_not_wait_for_strangers(void **state)
{
    (void)state;
    assert_int_equal(log_in("198.51.100.1", "alice"), 0);
    for (unsigned i = 0; i < 8; i++)
        (void)guess("192.0.2.1", "alice");

    assert_int_equal(log_in("198.51.100.1", "alice"), 0);
    assert_int_equal(log_in("198.51.100.2", "alice"), 15000);
    assert_int_equal(log_in("198.51.100.2", "alice"), 0);
}

static void home_is_forgotten_after_thirty_days(void **state)
{
    (void)state;
    assert_int_equal(log_in("198.51.100.1", "alice"), 0);
    assert_int_equal(log_in("198.51.100.2", "bob"), 0);
    now_ms += 29 * DAY_MS;
    (void)guess("192.0.2.1", "alice");
    assert_int_equal(try_login("198.51.100.1", "alice", "x", PENALTIES_OTHER),
                     0);
    now_ms += DAY_MS;
    (void)guess("192.0.2.1", "alice");
    (void)guess("192.0.2.3", "bob");

    assert_int_equal(try_login("198.51.100.1", "alice", "x", PENALTIES_OTHER),
                     2000);
    assert_int_equal(try_login("198.51.100.2", "bob", "x", PENALTIES_OTHER),
                     2000);
}

static void success_does_not_clear_the_address(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        (void)guess("192.0.2.1", "alice");
    assert_int_equal(log_in("192.0.2.1", "mallory"), 15000);

    assert_int_equal(guess("192.0.2.1", "bob"), 15000);
}

static void success_does_not_clear_the_user_elsewhere(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        (void)guess("192.0.2.1", "alice");
    assert_int_equal(log_in("198.51.100.1", "alice"), 15000);

    assert_int_equal(log_in("198.51.100.1", "alice"), 0);
    assert_int_equal(try_login("198.51.100.2", "alice", "x", PENALTIES_OTHER),
                     15000);
}

/* One that knows an account there must not guess others without waiting. */
static void user_at_home_takes_turns_where_the_address_fails(void **state)
{
    struct penalty_claim claims[3] = {{.stage = PENALTY_NEW}};
    uint64_t wait_ms;

    (void)state;
    assert_int_equal(log_in("192.0.2.1", "alice"), 0);
    (void)guess("192.0.2.1", "bob");
    (void)guess("192.0.2.1", "carol");

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ask("192.0.2.1", "alice", "x", &claims[i], &wait_ms),
                         PENALTIES_WAIT);
        assert_int_equal(wait_ms, 4000 * (i + 1));
    }
    for (size_t i = 0; i < 3; i++)
        penalties_answered(penalties, &claims[i], PENALTIES_OTHER, now_ms);
}

static void user_at_home_waits_once_for_each_login(void **state)
{
    (void)state;
    assert_int_equal(log_in("192.0.2.1", "alice"), 0);
    (void)guess("192.0.2.1", "bob");
    (void)guess("192.0.2.1", "carol");

    assert_int_equal(log_in("192.0.2.1", "alice"), 4000);
    assert_int_equal(log_in("192.0.2.1", "alice"), 4000);
}

static void user_at_home_does_not_wait_for_the_turns_of_others(void **state)
{
    struct penalty_claim strangers[CROWD] = {{.stage = PENALTY_NEW}};
    struct penalty_claim owner = {.stage = PENALTY_NEW};
    uint64_t wait_ms;

    (void)state;
    assert_int_equal(log_in("192.0.2.1", "alice"), 0);
    for (unsigned i = 0; i < 4; i++)
        (void)guess("192.0.2.1", "bob");
    for (size_t i = 0; i < CROWD; i++)
        (void)!ask("192.0.2.1", "bob", NULL, &strangers[i], &wait_ms);

    assert_int_equal(ask("192.0.2.1", "alice", "x", &owner, &wait_ms),
                     PENALTIES_WAIT);
    assert_int_equal(wait_ms, 15000);
    penalties_answered(penalties, &owner, PENALTIES_OTHER, now_ms);
    for (size_t i = 0; i < CROWD; i++)
        penalties_answered(penalties, &strangers[i], PENALTIES_OTHER, now_ms);
}

/* Lets a crowd of one address guess in parallel for a while, each attempt
 * failing in half a second, each replaced by another; returns how many
 * guesses came through. */
static unsigned guess_together(const char *from, uint64_t lasts_ms)
{
    struct penalty_claim claims[CROWD] = {{.stage = PENALTY_NEW}};
    uint64_t next_ms[CROWD] = {0};
    uint64_t end_ms = now_ms + lasts_ms;
    unsigned guesses = 0;

    for (; now_ms < end_ms; now_ms += 10) {
        for (size_t i = 0; i < CROWD; i++) {
            uint64_t wait_ms;

            if (now_ms < next_ms[i])
                continue;
            if (claims[i].stage == PENALTY_GONE)
                penalties_answered(penalties, &claims[i], PENALTIES_FAILED,
                                   now_ms);
            switch (ask(from, "alice", NULL, &claims[i], &wait_ms)) {
            case PENALTIES_GO:
                guesses++;
                next_ms[i] = now_ms + 500;
                break;
            case PENALTIES_WAIT:
                next_ms[i] = now_ms + wait_ms;
                break;
            case PENALTIES_REFUSE:
                next_ms[i] = now_ms + 100;
                break;
            }
        }
    }
    for (size_t i = 0; i < CROWD; i++)
        penalties_answered(penalties, &claims[i], PENALTIES_OTHER, now_ms);
    return guesses;
}

static void parallel_connections_do_not_get_round_the_delay(void **state)
{
    unsigned first_s, minutes;

    (void)state;
    first_s = guess_together("192.0.2.1", 1000);
    minutes = guess_together("192.0.2.1", 10 * MINUTE_MS);

    assert_in_range(first_s, 1, PENALTIES_UNANSWERED);
    assert_in_range(minutes, 10, 10 * 4 + 1);
    now_ms += DAY_MS;
    assert_in_range(addresses_kept(), 0, 1);
}

/* They all wait for the user's sake first, and then for each other. */
static void parallel_connections_at_a_user_under_attack_take_turns(void **state)
{
    char from[] = "198.51.100.0";

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        from[11] = (char)('1' + i);
        (void)guess(from, "alice");
    }

    assert_int_equal(guess_together("192.0.2.1", 14000), 0);
    assert_in_range(guess_together("192.0.2.1", 15000 + 60 * 1000), 1,
                    PENALTIES_UNANSWERED + 60 / 15);
}

static void so_many_of_an_address_are_unanswered_at_a_time(void **state)
{
    struct penalty_claim claims[PENALTIES_UNANSWERED + 1] = {
        {.stage = PENALTY_NEW}};
    struct penalty_claim *last = &claims[PENALTIES_UNANSWERED];
    struct penalty_claim other = {.stage = PENALTY_NEW};
    uint64_t wait_ms;

    (void)state;
    for (size_t i = 0; i < PENALTIES_UNANSWERED; i++)
        assert_int_equal(ask("192.0.2.1", "a", "x", &claims[i], &wait_ms),
                         PENALTIES_GO);
    assert_int_equal(ask("192.0.2.1", "a", "x", last, &wait_ms),
                     PENALTIES_WAIT);
    assert_in_range(wait_ms, 1, 100);
    assert_int_equal(ask("192.0.2.2", "a", "x", &other, &wait_ms),
                     PENALTIES_GO);
    now_ms += 100;
    penalties_answered(penalties, &claims[0], PENALTIES_OK, now_ms);

    assert_int_equal(ask("192.0.2.1", "a", "x", last, &wait_ms), PENALTIES_GO);
    for (size_t i = 0; i <= PENALTIES_UNANSWERED; i++)
        penalties_answered(penalties, &claims[i], PENALTIES_OTHER, now_ms);
    penalties_answered(penalties, &other, PENALTIES_OTHER, now_ms);
    assert_int_equal(addresses_kept(), 0);
}

static void strangers_leave_room_for_a_user_at_home(void **state)
{
    struct penalty_claim claims[PENALTIES_UNANSWERED] = {
        {.stage = PENALTY_NEW}};
    struct penalty_claim owner = {.stage = PENALTY_NEW};
    struct penalty_claim other = {.stage = PENALTY_NEW};
    uint64_t wait_ms;

    (void)state;
    log_in("192.0.2.1", "owner");
    for (size_t i = 0; i < PENALTIES_UNANSWERED; i++)
        assert_int_equal(ask("192.0.2.1", "a", "x", &claims[i], &wait_ms),
                         PENALTIES_GO);

    assert_int_equal(ask("192.0.2.1", "owner", "right", &owner, &wait_ms),
                     PENALTIES_GO);
    assert_int_equal(ask("192.0.2.1", "b", "x", &other, &wait_ms),
                     PENALTIES_WAIT);

    for (size_t i = 0; i < PENALTIES_UNANSWERED; i++)
        penalties_answered(penalties, &claims[i], PENALTIES_OTHER, now_ms);
    penalties_answered(penalties, &owner, PENALTIES_OTHER, now_ms);
    penalties_answered(penalties, &other, PENALTIES_OTHER, now_ms);
    assert_int_equal(addresses_kept(), 0);
}

static void a_token_without_a_name_waits_for_a_place_as_others_do(void **state)
{
    struct penalty_claim claims[PENALTIES_UNANSWERED] = {
        {.stage = PENALTY_NEW}};
    struct penalty_claim nameless = {.stage = PENALTY_NEW};
    uint64_t wait_ms;

    (void)state;
    for (size_t i = 0; i < PENALTIES_UNANSWERED; i++)
        assert_int_equal(ask("192.0.2.1", "a", "x", &claims[i], &wait_ms),
                         PENALTIES_GO);

    assert_int_equal(ask("192.0.2.1", "", "token", &nameless, &wait_ms),
                     PENALTIES_WAIT);

    for (size_t i = 0; i < PENALTIES_UNANSWERED; i++)
        penalties_answered(penalties, &claims[i], PENALTIES_OTHER, now_ms);
    penalties_answered(penalties, &nameless, PENALTIES_OTHER, now_ms);
}

static void nobody_waits_for_a_place_for_ever(void **state)
{
    struct penalty_claim claims[PENALTIES_UNANSWERED] = {
        {.stage = PENALTY_NEW}};
    struct penalty_claim last = {.stage = PENALTY_NEW};
    enum penalties_answer answer = PENALTIES_WAIT;
    uint64_t began_ms = now_ms;
    uint64_t wait_ms;
    unsigned asks = 0;

    (void)state;
    for (size_t i = 0; i < PENALTIES_UNANSWERED; i++)
        assert_int_equal(ask("192.0.2.1", "a", "x", &claims[i], &wait_ms),
                         PENALTIES_GO);
    for (; answer == PENALTIES_WAIT; asks++) {
        answer = ask("192.0.2.1", "a", "x", &last, &wait_ms);
        now_ms += wait_ms;
    }

    assert_int_equal(answer, PENALTIES_REFUSE);
    assert_in_range(now_ms - began_ms, 15000, 16000);
    assert_in_range(asks, 10, 40);
    for (size_t i = 0; i < PENALTIES_UNANSWERED; i++)
        penalties_answered(penalties, &claims[i], PENALTIES_OTHER, now_ms);
}

/* Those who wait for a place have taken no turn, but see the failures. */
static void who_waited_for_a_place_takes_a_turn_after_failures(void **state)
{
    struct penalty_claim claims[PENALTIES_UNANSWERED] = {
        {.stage = PENALTY_NEW}};
    struct penalty_claim last = {.stage = PENALTY_NEW};
    uint64_t wait_ms;

    (void)state;
    for (size_t i = 0; i < PENALTIES_UNANSWERED; i++)
        assert_int_equal(ask("192.0.2.1", "a", "x", &claims[i], &wait_ms),
                         PENALTIES_GO);
    assert_int_equal(ask("192.0.2.1", "b", "x", &last, &wait_ms),
                     PENALTIES_WAIT);
    for (size_t i = 0; i < PENALTIES_UNANSWERED; i++)
        penalties_answered(penalties, &claims[i], PENALTIES_FAILED, now_ms);
    now_ms += wait_ms;

    assert_int_equal(ask("192.0.2.1", "b", "x", &last, &wait_ms),
                     PENALTIES_WAIT);
    assert_int_equal(wait_ms, 2000); /* all with the same wrong password */
    penalties_answered(penalties, &last, PENALTIES_OTHER, now_ms);
}

static void who_gives_up_leaves_no_claim(void **state)
{
    struct penalty_claim claims[CROWD] = {{.stage = PENALTY_NEW}};
    uint64_t wait_ms;

    (void)state;
    (void)guess("192.0.2.1", "alice");
    for (size_t i = 0; i < CROWD; i++) {
        (void)!ask("192.0.2.1", "bob", NULL, &claims[i], &wait_ms);
        penalties_answered(penalties, &claims[i], PENALTIES_OTHER, now_ms);
        assert_int_equal(claims[i].stage, PENALTY_NEW);
    }
    now_ms += MINUTE_MS;

    assert_int_equal(try_login("192.0.2.1", "x", NULL, PENALTIES_OTHER), 0);
    assert_int_equal(addresses_kept(), 0);
}

/* Else whoever fails with one would make all others wait. */
static void tokens_without_a_name_are_not_one_user(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        (void)guess("192.0.2.1", "");

    assert_int_equal(guess("192.0.2.1", ""), 15000);
    assert_int_equal(guess("192.0.2.2", ""), 0);
    assert_int_equal(log_in("192.0.2.3", ""), 0);
}

static void ipv6_counts_by_its_64(void **state)
{
    (void)state;
    assert_int_equal(guess("2001:db8:0:1::1", "a"), 0);
    assert_int_equal(guess("2001:db8:0:1:ffff::2", "b"), 2000);
    assert_int_equal(guess("2001:db8:0:2::1", "c"), 0);
    /* The bytes of an IPv4 address, at the head of an IPv6 one. */
    assert_int_equal(guess("32.1.13.184", "d"), 0);
}

static void mapped_address_is_ipv4(void **state)
{
    (void)state;
    assert_int_equal(guess("::ffff:192.0.2.1", "a"), 0);
    assert_int_equal(guess("192.0.2.1", "b"), 2000);
}

static void exempt_network_never_waits_nor_counts(void **state)
{
    struct network exempt;
    struct penalties_size size;

    (void)state;
    assert_true(network_parse("10.0.0.0/8", &exempt));
    settings.limits.exempt = &exempt;
    settings.limits.exempt_count = 1;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(guess("10.1.2.3", "alice"), 0);

    assert_int_equal(guess("192.0.2.1", "alice"), 0);
    penalties_read_size(penalties, &size);
    assert_int_equal(size.addresses, 1);
    assert_int_equal(size.users, 1);
    assert_int_equal(size.known, 0);
}

static void no_delay_counts_nothing(void **state)
{
    struct penalties_size size;

    (void)state;
    settings.auth.delay_max_ms = 0;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(guess("192.0.2.1", "alice"), 0);
    assert_int_equal(log_in("192.0.2.1", "alice"), 0);

    penalties_read_size(penalties, &size);
    assert_int_equal(size.addresses + size.users + size.known, 0);
    assert_in_range(size.bytes, 1, 16384);
}

static void reload_changes_the_delay_and_forgets_nothing(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        (void)guess("192.0.2.1", "alice");

    settings.auth.delay_max_ms = 3000;
    assert_int_equal(try_login("192.0.2.1", "x", NULL, PENALTIES_OTHER), 3000);
    settings.auth.delay_max_ms = 0;
    assert_int_equal(try_login("192.0.2.1", "x", NULL, PENALTIES_OTHER), 0);
    settings.auth.delay_max_ms = 15000;
    assert_int_equal(try_login("192.0.2.1", "x", NULL, PENALTIES_OTHER), 15000);
}

/* One attempt of a user and from an address that nobody else has. */
static void try_as_number(uint32_t number, enum penalties_outcome outcome)
{
    struct address peer = {.ip = {10}, .port = 1};
    struct penalty_claim claim = {.stage = PENALTY_NEW};
    char user[16] = "u";
    uint64_t wait_ms;

    memcpy(peer.ip + 1, &number, 3);
    for (size_t digit = 0; digit < 6; digit++)
        user[1 + digit] = (char)('a' + (number >> (4 * digit) & 15));
    assert_int_equal(ask_as(&peer, user, "x", &claim, &wait_ms), PENALTIES_GO);
    penalties_answered(penalties, &claim, outcome, now_ms);
}

static size_t bytes_taken(void)
{
    struct penalties_size size;

    penalties_read_size(penalties, &size);
    return size.bytes;
}

/* What a stranger does from a million addresses takes no more memory than
 * what one does from some. */
static void memory_is_bounded_for_a_million_addresses(void **state)
{
    struct penalties_size size;
    size_t bytes;
    uint32_t i = 0;

    (void)state;
    while (i < MILLION / 2)
        try_as_number(i++, PENALTIES_FAILED);
    bytes = bytes_taken();
    while (i < MILLION)
        try_as_number(i++, PENALTIES_FAILED);
    penalties_read_size(penalties, &size);

    assert_int_equal(size.bytes, bytes);
    assert_in_range(bytes, 1, 16 << 20);
    assert_in_range(size.addresses, 1, PENALTIES_ENTRIES_MAX);
    assert_in_range(size.users, 1, PENALTIES_ENTRIES_MAX);
}

/* An attack from many addresses does not push the worst one out. */
static void worst_is_remembered_among_many(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; i++)
        (void)guess("192.0.2.1", "alice");
    for (uint32_t i = 0; i < MANY; i++)
        try_as_number(i, PENALTIES_FAILED);

    assert_int_equal(try_login("192.0.2.1", "x", NULL, PENALTIES_OTHER), 15000);
    assert_int_equal(try_login("192.0.2.9", "alice", NULL, PENALTIES_OTHER),
                     15000);
}

static void who_is_under_way_is_remembered_among_many(void **state)
{
    struct penalty_claim claims[PENALTIES_UNANSWERED + 1] = {
        {.stage = PENALTY_NEW}};
    uint64_t wait_ms;

    (void)state;
    for (size_t i = 0; i < PENALTIES_UNANSWERED; i++)
        assert_int_equal(ask("192.0.2.1", "a", "x", &claims[i], &wait_ms),
                         PENALTIES_GO);
    for (uint32_t i = 0; i < MANY; i++)
        try_as_number(i, PENALTIES_FAILED);

    assert_int_equal(
        ask("192.0.2.1", "a", "x", &claims[PENALTIES_UNANSWERED], &wait_ms),
        PENALTIES_WAIT);
    for (size_t i = 0; i <= PENALTIES_UNANSWERED; i++)
        penalties_answered(penalties, &claims[i], PENALTIES_OTHER, now_ms);
}

static void memory_of_known_users_is_small(void **state)
{
    struct penalties_size size;

    (void)state;
    for (uint32_t i = 0; i < 100000; i++)
        try_as_number(i, PENALTIES_OK);
    penalties_read_size(penalties, &size);

    assert_int_equal(size.known, 100000);
    assert_int_equal(size.addresses, 0);
    assert_in_range(size.bytes, 1600000, 5 << 20);
}

static void known_users_of_long_ago_give_way(void **state)
{
    size_t bytes;

    (void)state;
    for (uint32_t i = 0; i < 10000; i++)
        try_as_number(i, PENALTIES_OK);
    bytes = bytes_taken();
    for (uint32_t month = 1; month < 8; month++) {
        now_ms += 31 * DAY_MS;
        for (uint32_t i = 0; i < 10000; i++)
            try_as_number(month * 100000 + i, PENALTIES_OK);
    }

    assert_in_range(bytes_taken(), bytes, 2 * bytes);
}

enum {
    THREADS = 4,
    ROUNDS = 3000
};

static atomic_int under_way;
static atomic_int most_under_way;

static void note_under_way(void)
{
    int count = atomic_fetch_add(&under_way, 1) + 1;
    int most = atomic_load(&most_under_way);

    while (count > most &&
           !atomic_compare_exchange_weak(&most_under_way, &most, count))
        continue;
}

/* Some of one address, some of many; some fail, some give up. */
static void *log_in_often(void *which)
{
    size_t seed = (size_t)which;
    struct penalty_claim held[8] = {{.stage = PENALTY_NEW}};

    for (size_t i = 0; i < ROUNDS; i++) {
        struct penalty_claim *claim = &held[i % 8];
        struct address peer = {.ip = {192, 0, 2, 1}, .port = 1};
        char user[3] = {'u', (char)('a' + (i * 7 + seed) % 26)};
        struct penalties_attempt attempt = {
            .peer = &peer, .user = (const uint8_t *)user, .user_len = 2};
        enum penalties_outcome outcome =
            i % 5 == 0 ? PENALTIES_FAILED
                       : (i % 3 == 0 ? PENALTIES_OTHER : PENALTIES_OK);
        uint64_t wait_ms;

        if (i % 2 == 0)
            memcpy(peer.ip, &i, 4);
        if (claim->stage == PENALTY_GONE)
            atomic_fetch_sub(&under_way, 1);
        penalties_answered(penalties, claim, outcome, 1000 + i * 1000);
        if (penalties_ask(penalties, &settings, &attempt, 1000 + i * 1000,
                          claim, &wait_ms) == PENALTIES_GO)
            note_under_way();
    }
    for (size_t i = 0; i < 8; i++) {
        if (held[i].stage == PENALTY_GONE)
            atomic_fetch_sub(&under_way, 1);
        penalties_answered(penalties, &held[i], PENALTIES_OTHER, 0);
    }
    return NULL;
}

static void counts_hold_between_threads(void **state)
{
    struct penalty_claim claims[PENALTIES_UNANSWERED] = {
        {.stage = PENALTY_NEW}};
    pthread_t threads[THREADS];
    uint64_t wait_ms;

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, log_in_often, (void *)i);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    assert_in_range(atomic_load(&most_under_way), 2, THREADS * 8);
    /* All places are free again. */
    now_ms = 100 * DAY_MS;
    for (size_t i = 0; i < PENALTIES_UNANSWERED; i++)
        assert_int_equal(ask("192.0.2.1", "z", "x", &claims[i], &wait_ms),
                         PENALTIES_GO);
    for (size_t i = 0; i < PENALTIES_UNANSWERED; i++)
        penalties_answered(penalties, &claims[i], PENALTIES_OTHER, now_ms);
    assert_int_equal(atomic_load(&under_way), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(address_waits_longer_with_each_failure),
        CLAIM(user_waits_longer_with_each_failure_from_anywhere),
        CLAIM(wait_is_the_longer_of_both),
        CLAIM(failures_are_forgiven_minute_by_minute),
        CLAIM(same_wrong_password_counts_once),
        CLAIM(one_password_for_many_users_is_many_guesses),
        CLAIM(other_answers_do_not_count),
        CLAIM(user_at_home_does_not_wait_for_strangers),
        CLAIM(home_is_forgotten_after_thirty_days),
        CLAIM(success_does_not_clear_the_address),
        CLAIM(success_does_not_clear_the_user_elsewhere),
        CLAIM(user_at_home_takes_turns_where_the_address_fails),
        CLAIM(user_at_home_waits_once_for_each_login),
        CLAIM(user_at_home_does_not_wait_for_the_turns_of_others),
        CLAIM(parallel_connections_do_not_get_round_the_delay),
        CLAIM(parallel_connections_at_a_user_under_attack_take_turns),
        CLAIM(so_many_of_an_address_are_unanswered_at_a_time),
        CLAIM(strangers_leave_room_for_a_user_at_home),
        CLAIM(a_token_without_a_name_waits_for_a_place_as_others_do),
        CLAIM(nobody_waits_for_a_place_for_ever),
        CLAIM(who_waited_for_a_place_takes_a_turn_after_failures),
        CLAIM(who_gives_up_leaves_no_claim),
        CLAIM(tokens_without_a_name_are_not_one_user),
        CLAIM(ipv6_counts_by_its_64),
        CLAIM(mapped_address_is_ipv4),
        CLAIM(exempt_network_never_waits_nor_counts),
        CLAIM(no_delay_counts_nothing),
        CLAIM(reload_changes_the_delay_and_forgets_nothing),
        CLAIM(memory_is_bounded_for_a_million_addresses),
        CLAIM(worst_is_remembered_among_many),
        CLAIM(who_is_under_way_is_remembered_among_many),
        CLAIM(memory_of_known_users_is_small),
        CLAIM(known_users_of_long_ago_give_way),
        CLAIM(counts_hold_between_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
