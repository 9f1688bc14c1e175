/* Who is let in, and that every count comes back to nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "address_case.h"
#include "state/limits.h"

#include <pthread.h>
#include <stdatomic.h>

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    THREADS = 4,
    ROUNDS = 5000
};

static struct limits *limits;
static struct limits_settings rules;

static int set_up(void **state)
{
    (void)state;
    limits = limits_new();
    rules = (struct limits_settings){.line = 0};
    return 0;
}

/* Also asserts, inside, that nothing is counted any more. */
static int tear_down(void **state)
{
    (void)state;
    limits_free(&limits);
    assert_null(limits);
    return 0;
}

static enum limits_answer accept_from(const char *text,
                                      struct limits_hold *hold)
{
    struct address peer = address_case(text);

    return limits_accept(limits, &rules, &peer, 0, hold);
}

static enum limits_answer login_from(const char *text, const char *user,
                                     struct limits_hold *hold)
{
    struct address peer = address_case(text);

    return limits_login(limits, &rules, &peer, (const uint8_t *)user,
                        strlen(user), hold);
}

static void limits_that_are_off_count_nothing(void **state)
{
    struct limits_hold hold;

    (void)state;
    assert_int_equal(accept_from("192.0.2.1", &hold), LIMITS_OK);
    assert_int_equal(login_from("192.0.2.1", "alice", &hold), LIMITS_OK);

    assert_int_equal(limits_entries(limits), 0);
    assert_null(hold.address);
    assert_null(hold.user);
    assert_null(hold.user_and_address);
    limits_release(limits, &hold);
}

static void address_may_hold_so_many_connections(void **state)
{
    struct limits_hold holds[4];

    (void)state;
    rules.per_address = 2;
    assert_int_equal(accept_from("192.0.2.1", &holds[0]), LIMITS_OK);
    assert_int_equal(accept_from("192.0.2.1", &holds[1]), LIMITS_OK);

    assert_int_equal(accept_from("192.0.2.1", &holds[2]), LIMITS_PER_ADDRESS);
    assert_int_equal(accept_from("192.0.2.2", &holds[3]), LIMITS_OK);

    limits_release(limits, &holds[0]);
    assert_int_equal(accept_from("192.0.2.1", &holds[2]), LIMITS_OK);
    for (size_t i = 0; i < 4; i++)
        limits_release(limits, &holds[i]);
    assert_int_equal(limits_entries(limits), 0);
}

static void mapped_address_is_ipv4(void **state)
{
    struct limits_hold holds[2];

    (void)state;
    rules.per_address = 1;
    assert_int_equal(accept_from("192.0.2.1", &holds[0]), LIMITS_OK);

    assert_int_equal(accept_from("::ffff:192.0.2.1", &holds[1]),
                     LIMITS_PER_ADDRESS);
    limits_release(limits, &holds[0]);
}

static void ipv6_counts_by_its_64(void **state)
{
    struct limits_hold holds[3];

    (void)state;
    rules.per_address = 1;
    assert_int_equal(accept_from("2001:db8:0:1::1", &holds[0]), LIMITS_OK);

    assert_int_equal(accept_from("2001:db8:0:1:ffff::2", &holds[1]),
                     LIMITS_PER_ADDRESS);
    assert_int_equal(accept_from("2001:db8:0:2::1", &holds[1]), LIMITS_OK);
    /* The bytes of an IPv4 address, at the head of an IPv6 one. */
    assert_int_equal(accept_from("32.1.13.184", &holds[2]), LIMITS_OK);
    for (size_t i = 0; i < 3; i++)
        limits_release(limits, &holds[i]);
}

static void exempt_network_is_neither_limited_nor_counted(void **state)
{
    struct network exempt[2];
    struct limits_hold holds[6];

    (void)state;
    assert_true(network_parse("10.0.0.0/8", &exempt[0]));
    assert_true(network_parse("2001:db8::/32", &exempt[1]));
    rules.exempt = exempt;
    rules.exempt_count = 2;
    rules.per_address = 1;
    rules.per_user = 1;
    rules.per_user_and_address = 1;
    rules.accept_rate = 1;
    rules.before_login = 1;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(accept_from("10.9.8.7", &holds[i]), LIMITS_OK);
        assert_int_equal(login_from("10.9.8.7", "alice", &holds[i]), LIMITS_OK);
    }
    assert_int_equal(accept_from("::ffff:10.9.8.7", &holds[2]), LIMITS_OK);
    assert_int_equal(accept_from("2001:db8::1", &holds[3]), LIMITS_OK);
    assert_int_equal(limits_entries(limits), 0);
    assert_int_equal(limits_before_login(limits), 0);

    assert_int_equal(accept_from("11.0.0.1", &holds[4]), LIMITS_OK);
    assert_int_equal(accept_from("11.0.0.1", &holds[5]), LIMITS_PER_ADDRESS);
    limits_release(limits, &holds[4]);
}

static void user_may_hold_so_many_sessions_from_anywhere(void **state)
{
    struct limits_hold holds[4] = {{.user = NULL}};

    (void)state;
    rules.per_user = 2;
    assert_int_equal(login_from("192.0.2.1", "alice", &holds[0]), LIMITS_OK);
    assert_int_equal(login_from("192.0.2.2", "alice", &holds[1]), LIMITS_OK);

    assert_int_equal(login_from("192.0.2.3", "alice", &holds[2]),
                     LIMITS_PER_USER);
    assert_int_equal(login_from("192.0.2.3", "alic", &holds[3]), LIMITS_OK);

    limits_release(limits, &holds[0]);
    assert_int_equal(login_from("192.0.2.3", "alice", &holds[2]), LIMITS_OK);
    for (size_t i = 0; i < 4; i++)
        limits_release(limits, &holds[i]);
}

static void user_and_address_are_counted_together(void **state)
{
    struct limits_hold holds[4] = {{.user = NULL}};

    (void)state;
    rules.per_user_and_address = 1;
    assert_int_equal(login_from("192.0.2.1", "alice", &holds[0]), LIMITS_OK);

    assert_int_equal(login_from("192.0.2.1", "alice", &holds[1]),
                     LIMITS_PER_USER_AND_ADDRESS);
    assert_int_equal(login_from("192.0.2.2", "alice", &holds[1]), LIMITS_OK);
    assert_int_equal(login_from("192.0.2.1", "bob", &holds[2]), LIMITS_OK);
    for (size_t i = 0; i < 4; i++)
        limits_release(limits, &holds[i]);
}

static void refused_login_leaves_nothing_behind(void **state)
{
    struct limits_hold holds[2];

    (void)state;
    rules.per_address = 5;
    rules.per_user = 5;
    rules.per_user_and_address = 1;
    assert_int_equal(accept_from("192.0.2.1", &holds[0]), LIMITS_OK);
    assert_int_equal(accept_from("192.0.2.1", &holds[1]), LIMITS_OK);
    assert_int_equal(login_from("192.0.2.1", "alice", &holds[0]), LIMITS_OK);
    assert_int_equal(login_from("192.0.2.1", "alice", &holds[1]),
                     LIMITS_PER_USER_AND_ADDRESS);

    assert_null(holds[1].user);
    assert_null(holds[1].user_and_address);
    assert_non_null(holds[1].address);
    limits_release(limits, &holds[0]);
    assert_int_equal(limits_entries(limits), 1);
    limits_release(limits, &holds[1]);
}

static void reload_changes_a_limit_and_keeps_the_counts(void **state)
{
    struct limits_hold holds[5];

    (void)state;
    rules.per_address = 3;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(accept_from("192.0.2.1", &holds[i]), LIMITS_OK);

    rules.per_address = 4;
    assert_int_equal(accept_from("192.0.2.1", &holds[3]), LIMITS_OK);
    rules.per_address = 2;
    assert_int_equal(accept_from("192.0.2.1", &holds[4]), LIMITS_PER_ADDRESS);
    rules.per_address = 0;
    for (size_t i = 0; i < 4; i++)
        limits_release(limits, &holds[i]);
    assert_int_equal(limits_entries(limits), 0);
}

static unsigned accepted_of(unsigned tries, uint64_t now_ms)
{
    struct address peer = address_case("192.0.2.1");
    struct limits_hold hold;
    unsigned accepted = 0;

    while (tries-- > 0)
        accepted +=
            limits_accept(limits, &rules, &peer, now_ms, &hold) == LIMITS_OK;
    return accepted;
}

static void accept_rate_allows_a_second_of_burst(void **state)
{
    (void)state;
    rules.accept_rate = 50;

    assert_int_equal(accepted_of(200, 1000000), 50);
    assert_int_equal(accepted_of(200, 1000000), 0);
    assert_int_equal(accepted_of(200, 1000100), 5);
    assert_int_equal(accepted_of(200, 1002000), 50);
    assert_int_equal(accepted_of(1000, 2000000), 50);
}

static void accept_rate_holds_over_time(void **state)
{
    unsigned accepted = 0;

    (void)state;
    rules.accept_rate = 30;
    for (uint64_t now_ms = 5000; now_ms < 15000; now_ms += 7)
        accepted += accepted_of(3, now_ms);

    assert_in_range(accepted, 30 * 10, 30 * 11 + 1);
}

static uint64_t hold_back_from(const char *text, uint64_t now_ms)
{
    struct address peer = address_case(text);

    return limits_hold_back_ms(limits, &rules, &peer, now_ms);
}

static void disconnects_go_at_once_and_then_at_the_rate(void **state)
{
    (void)state;
    rules.disconnect_rate = 100;

    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(hold_back_from("192.0.2.1", 5000), 0);
    for (unsigned i = 1; i <= 3000; i++)
        assert_int_equal(hold_back_from("192.0.2.1", 5000), i * 10);
    assert_int_equal(hold_back_from("192.0.2.1", 40000), 0);
}

static void nobody_is_held_back_for_longer_than_the_most(void **state)
{
    uint64_t sum_ms = 0;

    (void)state;
    rules.disconnect_rate = 1;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t hold_ms = hold_back_from("192.0.2.1", 5000);

        assert_in_range(hold_ms, 0, LIMITS_HOLD_MAX_MS);
        sum_ms += hold_ms;
    }

    assert_in_range(sum_ms / 1000, LIMITS_HOLD_MAX_MS / 2 - 2000,
                    LIMITS_HOLD_MAX_MS / 2 + 2000);
}

static void nobody_is_held_back_where_the_rate_is_off(void **state)
{
    (void)state;

    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(hold_back_from("192.0.2.1", 5000), 0);
}

static void connection_refused_for_the_rate_is_not_counted(void **state)
{
    struct limits_hold first;
    struct limits_hold second;

    (void)state;
    rules.accept_rate = 1;
    rules.per_address = 100;
    assert_int_equal(accept_from("192.0.2.1", &first), LIMITS_OK);
    assert_int_equal(accept_from("192.0.2.2", &second), LIMITS_ACCEPT_RATE);

    assert_null(second.address);
    assert_int_equal(limits_entries(limits), 1);
    limits_release(limits, &first);
}

static void many_addresses_are_told_apart(void **state)
{
    static struct limits_hold holds[ROUNDS];

    (void)state;
    rules.per_address = 1;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct address peer = {.port = 1};

        memcpy(peer.ip, &i, sizeof(i));
        assert_int_equal(limits_accept(limits, &rules, &peer, 0, &holds[i]),
                         LIMITS_OK);
    }

    assert_int_equal(limits_entries(limits), ROUNDS);
    for (uint32_t i = 0; i < ROUNDS; i++)
        limits_release(limits, &holds[i]);
    assert_int_equal(limits_entries(limits), 0);
}

static void so_many_may_be_before_login(void **state)
{
    struct limits_hold holds[3];

    (void)state;
    rules.before_login = 2;
    assert_int_equal(accept_from("192.0.2.1", &holds[0]), LIMITS_OK);
    assert_int_equal(accept_from("192.0.2.2", &holds[1]), LIMITS_OK);

    assert_int_equal(accept_from("192.0.2.3", &holds[2]), LIMITS_BEFORE_LOGIN);
    assert_false(holds[2].before_login);
    limits_release(limits, &holds[1]);
    assert_int_equal(accept_from("192.0.2.3", &holds[2]), LIMITS_OK);
    limits_release(limits, &holds[0]);
    limits_release(limits, &holds[2]);
    assert_int_equal(limits_before_login(limits), 0);
}

static void who_has_logged_in_is_no_longer_before_login(void **state)
{
    struct limits_hold holds[2];

    (void)state;
    rules.before_login = 1;
    assert_int_equal(accept_from("192.0.2.1", &holds[0]), LIMITS_OK);
    limits_settle(limits, &holds[0]);
    assert_int_equal(accept_from("192.0.2.1", &holds[1]), LIMITS_OK);

    limits_settle(limits, &holds[0]);
    limits_release(limits, &holds[0]);
    assert_int_equal(limits_before_login(limits), 1);
    limits_release(limits, &holds[1]);
}

static void refused_before_login_holds_no_address(void **state)
{
    struct limits_hold holds[2];

    (void)state;
    rules.per_address = 5;
    rules.before_login = 1;
    assert_int_equal(accept_from("192.0.2.1", &holds[0]), LIMITS_OK);
    assert_int_equal(accept_from("192.0.2.2", &holds[1]), LIMITS_BEFORE_LOGIN);

    assert_int_equal(limits_entries(limits), 1);
    limits_release(limits, &holds[0]);
}

static atomic_int inside;
static atomic_int most_inside;

static void *come_and_go(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        struct limits_hold hold;
        int now;

        if (accept_from("192.0.2.1", &hold) != LIMITS_OK)
            continue;
        now = atomic_fetch_add(&inside, 1) + 1;
        if (now > atomic_load(&most_inside))
            atomic_store(&most_inside, now);
        (void)!login_from("192.0.2.1", i % 2 == 0 ? "alice" : "bob", &hold);
        atomic_fetch_sub(&inside, 1);
        limits_release(limits, &hold);
    }
    return NULL;
}

static void limits_hold_between_threads(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    rules.per_address = 3;
    rules.per_user = 2;
    rules.accept_rate = 1000000;
    rules.before_login = 3;
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, come_and_go, NULL);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    assert_in_range(atomic_load(&most_inside), 1, 3);
    assert_int_equal(limits_entries(limits), 0);
    assert_int_equal(limits_before_login(limits), 0);
}

static void every_answer_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(limits_answer_name(LIMITS_OK), "ok");
    assert_string_equal(limits_answer_name(LIMITS_ACCEPT_RATE), "accept_rate");
    assert_string_equal(limits_answer_name(LIMITS_BEFORE_LOGIN),
                        "before_login");
    assert_string_equal(limits_answer_name(LIMITS_PER_ADDRESS), "per_address");
    assert_string_equal(limits_answer_name(LIMITS_PER_USER), "per_user");
    assert_string_equal(limits_answer_name(LIMITS_PER_USER_AND_ADDRESS),
                        "per_user_and_address");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(limits_that_are_off_count_nothing),
        CLAIM(address_may_hold_so_many_connections),
        CLAIM(mapped_address_is_ipv4),
        CLAIM(ipv6_counts_by_its_64),
        CLAIM(exempt_network_is_neither_limited_nor_counted),
        CLAIM(user_may_hold_so_many_sessions_from_anywhere),
        CLAIM(user_and_address_are_counted_together),
        CLAIM(refused_login_leaves_nothing_behind),
        CLAIM(reload_changes_a_limit_and_keeps_the_counts),
        CLAIM(accept_rate_allows_a_second_of_burst),
        CLAIM(accept_rate_holds_over_time),
        CLAIM(disconnects_go_at_once_and_then_at_the_rate),
        CLAIM(nobody_is_held_back_for_longer_than_the_most),
        CLAIM(nobody_is_held_back_where_the_rate_is_off),
        CLAIM(connection_refused_for_the_rate_is_not_counted),
        CLAIM(many_addresses_are_told_apart),
        CLAIM(so_many_may_be_before_login),
        CLAIM(who_has_logged_in_is_no_longer_before_login),
        CLAIM(refused_before_login_holds_no_address),
        CLAIM(limits_hold_between_threads),
        CLAIM(every_answer_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
