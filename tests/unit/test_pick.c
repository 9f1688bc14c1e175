/* Which backend a user gets: the vectors that other implementations can check
 * themselves against, and what the order promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/pick.h"
#include "backend/rendezvous.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define CLAIM(name) cmocka_unit_test_teardown(name, tear_down)

enum {
    BACKENDS = 1000,
    USERS = 100000
};

/* A pool over the first so many of these; health is known once use_facts was
 * called. */
static char names[BACKENDS][32];
static struct backend_config configs[BACKENDS];
static const struct backend_config *members[BACKENDS];
static uint32_t weight_sums[BACKENDS];
static atomic_uint turns;
static struct pool pool;
static struct backend_registry *registry;
static struct backend_set *set;

static char host[] = "127.0.0.1";

static void make_pool(size_t count, enum pool_balance balance,
                      enum pool_when_down when_down)
{
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "imap-%zu", i);
        configs[i] = (struct backend_config){
            .name = names[i], .host = host, .port = 143, .weight = 1};
        members[i] = &configs[i];
    }
    atomic_store(&turns, 0);
    pool = (struct pool){.backends = members,
                         .backend_count = count,
                         .weight_sums = weight_sums,
                         .turns = &turns,
                         .turn_step = 1,
                         .balance = balance,
                         .when_down = when_down};
}

static void use_facts(void)
{
    static const struct address somewhere = {.ip = {127, 0, 0, 1}};
    uint32_t sum = 0;

    for (size_t i = 0; i < pool.backend_count; i++)
        weight_sums[i] = sum += configs[i].weight;
    registry = backend_registry_new();
    set = backend_set_new(registry, configs, pool.backend_count);
    for (size_t i = 0; i < pool.backend_count; i++)
        backend_set_addresses(backend_set_find(set, &configs[i]), &somewhere,
                              1);
}

static int tear_down(void **state)
{
    (void)state;
    backend_set_free(&set);
    backend_registry_free(&registry);
    return 0;
}

static void start(struct pick *pick, const char *user)
{
    pick_start(pick, &pool, set, (const uint8_t *)user, strlen(user));
}

/* The index of the next candidate, or -1. */
static int next(struct pick *pick)
{
    const struct backend_config *config = pick_next(pick, 0);

    return config == NULL ? -1 : (int)(config - configs);
}

static int first_for(const char *user)
{
    struct pick pick;

    start(&pick, user);
    return next(&pick);
}

static int first_for_number(unsigned number)
{
    char user[32];

    snprintf(user, sizeof(user), "user%u@example.org", number);
    return first_for(user);
}

static uint64_t user_hash(const char *user)
{
    return rendezvous_user((const uint8_t *)user, strlen(user));
}

static void hashes_never_change(void **state)
{
    (void)state;

    assert_true(rendezvous_seed("imap-a1") == 0x8a0f554f2d2c3d03);
    assert_true(rendezvous_seed("imap-a2") == 0x22fdb137eb8ac207);
    assert_true(rendezvous_seed("imap-b1") == 0x889d2666ec1139fd);
    assert_true(rendezvous_seed("") == 0xc3817c016ba4ff30);
    assert_true(user_hash("alice@example.org") == 0x37a0322d348ccc9c);
    assert_true(user_hash("bob@example.org") == 0xb0671682c3b5ce17);
    assert_true(user_hash("") == 0xf52a15e9a9b5e89b);
    assert_true(user_hash("\xc3\xbc@example.org") == 0xfbab445cb8e53c54);
}

static void costs_never_change(void **state)
{
    (void)state;

    assert_true(rendezvous_cost(0) == 0x40000000000000);
    assert_true(rendezvous_cost(1) == 0x40000000000000);
    assert_true(rendezvous_cost(2) == 0x3e6a3fe5c6042a);
    assert_true(rendezvous_cost(UINT64_C(1) << 63) == 0x1000000000000);
    assert_true(rendezvous_cost(0xb504f333f9de6484) == 0x800000000000);
    assert_true(rendezvous_cost(0xaeb91653c31becc4) == 0x8d13349c44cf);
    assert_true(rendezvous_cost(0xfc1bec0ba18f2a47) == 0x5a811c211eb);
    assert_true(rendezvous_cost(UINT64_MAX) == 1);
}

static void cost_falls_as_the_hash_rises(void **state)
{
    uint64_t hash = 1;

    (void)state;
    srand(3);
    for (int i = 0; i < 100000; i++) {
        uint64_t step = (uint64_t)rand() << (rand() % 32);
        uint64_t higher = hash + step;

        if (higher < hash)
            higher = (uint64_t)rand();
        else
            assert_true(rendezvous_cost(higher) <= rendezvous_cost(hash));
        hash = higher;
    }
}

/* A hash of any size: near 0, near the top, just beside a power of two. */
static uint64_t random_hash(void)
{
    uint64_t bits =
        (uint64_t)rand() << 33 ^ (uint64_t)rand() << 11 ^ (uint64_t)rand();

    switch (rand() % 4) {
    case 0:
        return bits >> rand() % 64;
    case 1:
        return ~(bits >> rand() % 64);
    case 2:
        return (UINT64_C(1) << rand() % 64) + (uint64_t)(rand() % 5) - 2;
    default:
        return bits;
    }
}

/* One whose cost by weight is nearly the same as that of the other. */
static struct rendezvous rival_of(const struct rendezvous *one)
{
    struct rendezvous rival = {.weight = 1 + (unsigned)rand() % 1000};
    uint64_t missing = ~one->hash / one->weight;

    if (missing > UINT64_MAX / 200000)
        rival.hash = random_hash();
    else
        rival.hash =
            ~(missing * rival.weight / 100 * (uint64_t)(97 + rand() % 6));
    return rival;
}

static void shortcuts_decide_as_the_costs_do(void **state)
{
    (void)state;
    srand(4);
    for (int i = 0; i < 200000; i++) {
        struct rendezvous one = {.hash = random_hash(),
                                 .weight = 1 + (unsigned)rand() % 1000};
        struct rendezvous other = rival_of(&one);
        /* 54 bits by 10 bits fit. */
        uint64_t mine = rendezvous_cost(one.hash) * other.weight;
        uint64_t others = rendezvous_cost(other.hash) * one.weight;

        if (one.weight == other.weight || mine == others)
            continue;
        assert_int_equal(rendezvous_is_before(&one, &other), mine < others);
    }
}

/* Sets the three backends of the vectors, with these weights. */
static void make_vector_pool(unsigned a1, unsigned a2, unsigned b1)
{
    make_pool(3, POOL_HASH, POOL_NEXT);
    memcpy(names[0], "imap-a1", 8);
    memcpy(names[1], "imap-a2", 8);
    memcpy(names[2], "imap-b1", 8);
    configs[0].weight = a1;
    configs[1].weight = a2;
    configs[2].weight = b1;
}

static void assert_order(const char *user, int first, int second, int third)
{
    struct pick pick;

    start(&pick, user);
    assert_int_equal(next(&pick), first);
    assert_int_equal(next(&pick), second);
    assert_int_equal(next(&pick), third);
    assert_int_equal(next(&pick), -1);
}

static void order_of_equal_weights_never_changes(void **state)
{
    (void)state;
    make_vector_pool(1, 1, 1);

    assert_order("alice@example.org", 2, 1, 0);
    assert_order("bob@example.org", 0, 2, 1);
    assert_order("carol@example.net", 0, 2, 1);
    assert_order("dave@example.net", 2, 0, 1);
    assert_order("frank", 2, 1, 0);
    assert_order("", 1, 2, 0);
}

static void order_of_weights_1_2_3_never_changes(void **state)
{
    (void)state;
    make_vector_pool(1, 2, 3);

    assert_order("alice@example.org", 2, 1, 0);
    assert_order("bob@example.org", 0, 2, 1);
    assert_order("carol@example.net", 0, 2, 1);
    assert_order("dave@example.net", 2, 1, 0);
    assert_order("frank", 2, 1, 0);
    assert_order("", 1, 2, 0);
}

static void order_is_the_same_with_and_without_facts(void **state)
{
    int alone[1000];

    (void)state;
    make_pool(5, POOL_HASH, POOL_REFUSE);
    for (unsigned i = 0; i < 1000; i++)
        alone[i] = first_for_number(i);
    use_facts();

    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(first_for_number(i), alone[i]);
}

static void users_spread_by_weight(void **state)
{
    double share[3] = {0};

    (void)state;
    make_pool(3, POOL_HASH, POOL_REFUSE);
    for (unsigned i = 0; i < 3; i++)
        configs[i].weight = i + 1;
    use_facts();
    for (unsigned i = 0; i < USERS; i++)
        share[first_for_number(i)] += 1.0 / USERS;

    for (unsigned i = 0; i < 3; i++) {
        double fair = (i + 1) / 6.0;

        assert_true(share[i] > fair * 0.97 && share[i] < fair * 1.03);
    }
}

static void two_thousand_users_spread_within_a_tenth(void **state)
{
    double share[4] = {0};

    (void)state;
    make_pool(4, POOL_HASH, POOL_REFUSE);
    configs[3].weight = 2;
    for (unsigned i = 0; i < 2000; i++)
        share[first_for_number(i)] += 1.0 / 2000;

    for (unsigned i = 0; i < 4; i++) {
        double fair = configs[i].weight / 5.0;

        assert_true(share[i] > fair * 0.9 && share[i] < fair * 1.1);
    }
}

static void removing_a_backend_moves_only_its_own_users(void **state)
{
    static int before[USERS / 10];
    unsigned moved = 0;

    (void)state;
    make_pool(10, POOL_HASH, POOL_REFUSE);
    for (unsigned i = 0; i < USERS / 10; i++)
        before[i] = first_for_number(i);
    configs[4].weight = 0;

    for (unsigned i = 0; i < USERS / 10; i++) {
        int now = first_for_number(i);

        assert_int_not_equal(now, 4);
        if (before[i] != 4)
            assert_int_equal(now, before[i]);
        moved += now != before[i];
    }
    assert_in_range(moved, USERS / 10 / 12, USERS / 10 / 8);
}

static void users_of_a_lost_backend_go_to_their_second_choice(void **state)
{
    (void)state;
    make_pool(10, POOL_HASH, POOL_NEXT);
    for (unsigned i = 0; i < 200; i++) {
        struct pick pick;
        char user[32];
        int first;
        int second;

        snprintf(user, sizeof(user), "user%u@example.org", i);
        start(&pick, user);
        first = next(&pick);
        second = next(&pick);
        configs[first].weight = 0;

        assert_int_equal(first_for(user), second);

        configs[first].weight = 1;
    }
}

static void raising_a_weight_moves_users_only_to_that_backend(void **state)
{
    static int before[USERS / 10];
    unsigned moved = 0;

    (void)state;
    make_pool(4, POOL_HASH, POOL_REFUSE);
    configs[1].weight = 2;
    for (unsigned i = 0; i < USERS / 10; i++)
        before[i] = first_for_number(i);
    configs[2].weight = 3;

    for (unsigned i = 0; i < USERS / 10; i++) {
        int now = first_for_number(i);

        if (now != before[i])
            assert_int_equal(now, 2);
        moved += now != before[i];
    }
    /* From 1/5 to 3/7 of the users. */
    assert_in_range(moved, USERS / 10 * 21 / 100, USERS / 10 * 25 / 100);
}

static void order_of_a_pool_does_not_matter(void **state)
{
    int before[1000];

    (void)state;
    make_pool(7, POOL_HASH, POOL_REFUSE);
    for (unsigned i = 0; i < 1000; i++)
        before[i] = first_for_number(i);
    for (size_t i = 0; i < 7; i++)
        members[i] = &configs[6 - i];

    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(first_for_number(i), before[i]);
}

static void iteration_gives_each_backend_once(void **state)
{
    static bool seen[BACKENDS];
    struct pick pick;

    (void)state;
    make_pool(BACKENDS, POOL_HASH, POOL_NEXT);
    for (size_t i = 0; i < BACKENDS; i++)
        configs[i].weight = (unsigned)(i % 7 + 1);
    use_facts();
    start(&pick, "alice@example.org");
    for (size_t i = 0; i < BACKENDS; i++) {
        int index = next(&pick);

        assert_in_range(index, 0, BACKENDS - 1);
        assert_false(seen[index]);
        seen[index] = true;
    }

    assert_int_equal(next(&pick), -1);
}

static void refuse_gives_one_candidate_whatever_its_health(void **state)
{
    struct backend *backend;
    struct pick pick;
    int first;

    (void)state;
    make_pool(3, POOL_HASH, POOL_REFUSE);
    use_facts();
    first = first_for("alice@example.org");
    backend = backend_set_find(set, &configs[first]);
    for (int i = 0; i < BACKEND_FAILURES_MAX; i++)
        backend_dial_failed(backend, 0, "test");

    start(&pick, "alice@example.org");
    assert_int_equal(next(&pick), first);
    assert_int_equal(next(&pick), -1);
}

static void weight_0_is_chosen_for_nobody(void **state)
{
    (void)state;
    make_pool(2, POOL_HASH, POOL_NEXT);
    configs[0].weight = 0;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(first_for_number(i), 1);
    configs[1].weight = 0;
    assert_int_equal(first_for("alice@example.org"), -1);
}

static void open_sessions(size_t index, unsigned count)
{
    while (count-- > 0)
        backend_session_opened(backend_set_find(set, &configs[index]));
}

static void close_sessions(size_t index, unsigned count)
{
    while (count-- > 0) {
        struct backend *backend = backend_set_find(set, &configs[index]);

        backend_session_closed(&backend);
    }
}

static void least_sessions_wins_by_weight(void **state)
{
    struct pick pick;

    (void)state;
    make_pool(3, POOL_LEAST_SESSIONS, POOL_NEXT);
    configs[1].weight = 10;
    use_facts();
    open_sessions(0, 2);
    open_sessions(1, 19);
    open_sessions(2, 3);

    start(&pick, "alice@example.org");
    assert_int_equal(next(&pick), 1);
    assert_int_equal(next(&pick), 0);
    assert_int_equal(next(&pick), 2);
    assert_int_equal(next(&pick), -1);

    close_sessions(0, 2);
    close_sessions(1, 19);
    close_sessions(2, 3);
}

static void equal_loads_go_by_rendezvous(void **state)
{
    int by_hash[1000];

    (void)state;
    make_pool(4, POOL_HASH, POOL_REFUSE);
    for (unsigned i = 0; i < 1000; i++)
        by_hash[i] = first_for_number(i);
    pool.balance = POOL_LEAST_SESSIONS;

    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(first_for_number(i), by_hash[i]);
    use_facts();
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(first_for_number(i), by_hash[i]);
}

static void least_sessions_leaves_the_dead_for_last(void **state)
{
    struct backend *dead;
    struct pick pick;

    (void)state;
    make_pool(2, POOL_LEAST_SESSIONS, POOL_REFUSE);
    use_facts();
    open_sessions(1, 5);
    dead = backend_set_find(set, &configs[0]);
    for (int i = 0; i < BACKEND_FAILURES_MAX; i++)
        backend_dial_failed(dead, 0, "test");

    start(&pick, "alice@example.org");
    assert_int_equal(next(&pick), 1);
    start(&pick, "alice@example.org");
    assert_ptr_equal(pick_next(&pick, BACKEND_RETRY_MS), &configs[0]);

    close_sessions(1, 5);
}

static void set_mode(size_t index, enum backend_mode mode)
{
    backend_set_mode(backend_set_find(set, &configs[index]), mode, "test");
}

static void least_sessions_passes_over_what_takes_nobody(void **state)
{
    (void)state;
    make_pool(3, POOL_LEAST_SESSIONS, POOL_REFUSE);
    use_facts();
    open_sessions(2, 5);
    set_mode(0, BACKEND_DRAINING);
    set_mode(1, BACKEND_MAINTENANCE);

    assert_int_equal(first_for("alice@example.org"), 2);
    set_mode(1, BACKEND_READY);
    assert_int_equal(first_for("alice@example.org"), 1);

    close_sessions(2, 5);
}

static void draws_pass_over_what_takes_nobody(void **state)
{
    (void)state;
    make_pool(100, POOL_LEAST_SESSIONS, POOL_REFUSE);
    use_facts();
    for (size_t i = 0; i < 50; i++)
        set_mode(i, BACKEND_DRAINING);

    for (unsigned i = 0; i < 1000; i++)
        assert_in_range(first_for_number(i), 50, 99);
}

static void modes_move_nobody_of_a_hash_pool(void **state)
{
    int before[100];

    (void)state;
    make_pool(5, POOL_HASH, POOL_REFUSE);
    use_facts();
    for (unsigned i = 0; i < 100; i++)
        before[i] = first_for_number(i);
    set_mode(1, BACKEND_DRAINING);
    set_mode(2, BACKEND_MAINTENANCE);

    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(first_for_number(i), before[i]);
}

static void make_backup(size_t index)
{
    configs[index].is_backup = true;
    pool.has_backups = true;
}

static void turns_go_by_weight(void **state)
{
    unsigned counts[3] = {0};

    (void)state;
    make_pool(3, POOL_ROUND_ROBIN, POOL_REFUSE);
    configs[1].weight = 3;
    use_facts();
    for (unsigned i = 0; i < 500; i++)
        counts[first_for("alice@example.org")]++;

    assert_int_equal(counts[0], 100);
    assert_int_equal(counts[1], 300);
    assert_int_equal(counts[2], 100);
}

static void turns_of_others_are_shared_out(void **state)
{
    unsigned counts[4] = {0};

    (void)state;
    make_pool(4, POOL_ROUND_ROBIN, POOL_REFUSE);
    use_facts();
    set_mode(0, BACKEND_DRAINING);
    configs[1].max_sessions = 2;
    open_sessions(1, 2);
    for (unsigned i = 0; i < 100; i++)
        counts[first_for("alice@example.org")]++;

    assert_int_equal(counts[0], 0);
    assert_int_equal(counts[1], 0);
    assert_int_equal(counts[2] + counts[3], 100);
    assert_true(counts[3] > 0);
    close_sessions(1, 2);
}

static void round_robin_gives_each_backend_once(void **state)
{
    struct pick pick;
    unsigned seen = 0;

    (void)state;
    make_pool(5, POOL_ROUND_ROBIN, POOL_NEXT);
    use_facts();
    set_mode(3, BACKEND_MAINTENANCE);
    start(&pick, "alice@example.org");
    for (int i = 0; i < 5; i++)
        seen |= 1u << next(&pick);

    assert_int_equal(seen, 31);
    assert_int_equal(next(&pick), -1);
}

static void full_ones_come_last(void **state)
{
    (void)state;
    make_pool(2, POOL_LEAST_SESSIONS, POOL_REFUSE);
    configs[0].max_sessions = 1;
    use_facts();
    open_sessions(0, 1);
    open_sessions(1, 5);

    assert_int_equal(first_for("alice@example.org"), 1);
    configs[0].max_sessions = 2;
    assert_int_equal(first_for("alice@example.org"), 0);

    close_sessions(0, 1);
    close_sessions(1, 5);
}

static void backups_come_after_all_others(void **state)
{
    static const enum pool_balance balances[] = {POOL_HASH, POOL_LEAST_SESSIONS,
                                                 POOL_ROUND_ROBIN};

    (void)state;
    make_pool(4, POOL_HASH, POOL_NEXT);
    make_backup(1);
    make_backup(2);
    use_facts();
    set_mode(0, BACKEND_MAINTENANCE);
    for (size_t i = 0; i < 300; i++) {
        struct pick pick;
        char user[32];
        int others;
        int backups;

        pool.balance = balances[i % 3];
        snprintf(user, sizeof(user), "user%zu@example.org", i);
        start(&pick, user);
        others = 1 << next(&pick) | 1 << next(&pick);
        backups = 1 << next(&pick) | 1 << next(&pick);

        assert_int_equal(others, 1 << 0 | 1 << 3);
        assert_int_equal(backups, 1 << 1 | 1 << 2);
        assert_int_equal(next(&pick), -1);
    }
}

static void backups_move_nobody_of_the_others(void **state)
{
    int before[200];

    (void)state;
    make_pool(4, POOL_HASH, POOL_NEXT);
    configs[3].weight = 0;
    for (unsigned i = 0; i < 200; i++)
        before[i] = first_for_number(i);
    configs[3].weight = 1;
    make_backup(3);

    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(first_for_number(i), before[i]);
}

static void domains_stay_together(void **state)
{
    unsigned seen = 0;

    (void)state;
    make_pool(4, POOL_HASH, POOL_REFUSE);
    pool.hash_by = POOL_BY_DOMAIN;
    for (unsigned i = 0; i < 100; i++) {
        char user[48];
        int home;

        snprintf(user, sizeof(user), "@example%u.org", i);
        home = first_for(user);
        seen |= 1u << home;
        snprintf(user, sizeof(user), "alice@example%u.org", i);
        assert_int_equal(first_for(user), home);
        snprintf(user, sizeof(user), "b@ob@example%u.org", i);
        assert_int_equal(first_for(user), home);
    }

    assert_int_equal(seen, 15);
}

static void who_has_no_domain_is_hashed_by_name(void **state)
{
    int by_user;

    (void)state;
    make_pool(4, POOL_HASH, POOL_REFUSE);
    for (unsigned i = 0; i < 50; i++) {
        char user[16];

        snprintf(user, sizeof(user), "user%u", i);
        pool.hash_by = POOL_BY_USER;
        by_user = first_for(user);
        pool.hash_by = POOL_BY_DOMAIN;
        assert_int_equal(first_for(user), by_user);
    }
}

/* How many of 1,000 logins of as many users 0 gets, so long after it came
 * back. */
static unsigned share_after(uint64_t passed_ms)
{
    uint64_t now_ms = backend_up_since_ms(backend_set_find(set, &configs[0]));
    unsigned share = 0;

    for (unsigned i = 0; i < 1000; i++) {
        struct pick pick;
        char user[32];

        snprintf(user, sizeof(user), "user%u@example.org", i);
        start(&pick, user);
        share += pick_next(&pick, now_ms + passed_ms) == &configs[0];
    }
    return share;
}

static void share_grows_in_a_slow_start(void **state)
{
    (void)state;
    make_pool(2, POOL_ROUND_ROBIN, POOL_REFUSE);
    use_facts();
    pool.slow_start_ms = 40;
    usleep(50 * 1000); /* the other's is over */
    set_mode(0, BACKEND_DRAINING);
    set_mode(0, BACKEND_READY);

    assert_in_range(share_after(0), 0, 60);
    assert_in_range(share_after(20), 200, 450);
    assert_in_range(share_after(40), 450, 550);
}

static void take_down(size_t index)
{
    for (int i = 0; i < BACKEND_FAILURES_MAX; i++)
        backend_dial_failed(backend_set_find(set, &configs[index]), 0, "test");
}

/* A session for each of so many users, where they are picked. */
static void log_in(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        open_sessions((size_t)first_for_number(i), 1);
}

static uint32_t sessions_of(size_t index)
{
    return backend_sessions(backend_set_find(set, &configs[index]));
}

static void close_all_sessions(void)
{
    for (size_t i = 0; i < pool.backend_count; i++)
        close_sessions(i, sessions_of(i));
}

static void draws_keep_a_large_pool_even(void **state)
{
    (void)state;
    make_pool(BACKENDS, POOL_LEAST_SESSIONS, POOL_REFUSE);
    use_facts();

    log_in(BACKENDS * 20);

    /* By chance alone some would have fewer than 10 and more than 30. */
    for (size_t i = 0; i < BACKENDS; i++)
        assert_in_range(sessions_of(i), 14, 24);
    close_all_sessions();
}

static void draws_go_by_weight(void **state)
{
    (void)state;
    make_pool(100, POOL_LEAST_SESSIONS, POOL_REFUSE);
    configs[7].weight = 50;
    configs[8].weight = 0;
    use_facts();

    log_in(148 * 20);

    assert_in_range(sessions_of(7), 950, 1050);
    assert_int_equal(sessions_of(8), 0);
    close_all_sessions();
}

static void draws_pass_by_the_dead(void **state)
{
    (void)state;
    make_pool(100, POOL_LEAST_SESSIONS, POOL_REFUSE);
    use_facts();
    for (size_t i = 0; i < 98; i++)
        take_down(i);

    log_in(1000);

    assert_in_range(sessions_of(98), 490, 510);
    assert_in_range(sessions_of(99), 490, 510);
    close_all_sessions();
}

static void draws_differ_from_moment_to_moment(void **state)
{
    const struct backend_config *before = NULL;
    const struct backend_config *picked;
    unsigned moved = 0;
    struct pick pick;

    (void)state;
    make_pool(100, POOL_LEAST_SESSIONS, POOL_REFUSE);
    use_facts();

    for (uint64_t now_ms = 0; now_ms < 100; now_ms++) {
        start(&pick, "alice@example.org");
        picked = pick_next(&pick, now_ms);
        moved += picked != before;
        before = picked;
    }

    assert_true(moved > 90);
}

static void iteration_of_a_large_pool_gives_each_once(void **state)
{
    bool seen[100] = {false};
    struct pick pick;
    int index;
    unsigned count = 0;

    (void)state;
    make_pool(100, POOL_LEAST_SESSIONS, POOL_NEXT);
    use_facts();

    start(&pick, "alice@example.org");
    while ((index = next(&pick)) >= 0) {
        assert_false(seen[index]);
        seen[index] = true;
        count++;
    }

    assert_int_equal(count, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(hashes_never_change),
        CLAIM(costs_never_change),
        CLAIM(cost_falls_as_the_hash_rises),
        CLAIM(shortcuts_decide_as_the_costs_do),
        CLAIM(order_of_equal_weights_never_changes),
        CLAIM(order_of_weights_1_2_3_never_changes),
        CLAIM(order_is_the_same_with_and_without_facts),
        CLAIM(users_spread_by_weight),
        CLAIM(two_thousand_users_spread_within_a_tenth),
        CLAIM(removing_a_backend_moves_only_its_own_users),
        CLAIM(users_of_a_lost_backend_go_to_their_second_choice),
        CLAIM(raising_a_weight_moves_users_only_to_that_backend),
        CLAIM(order_of_a_pool_does_not_matter),
        CLAIM(iteration_gives_each_backend_once),
        CLAIM(refuse_gives_one_candidate_whatever_its_health),
        CLAIM(weight_0_is_chosen_for_nobody),
        CLAIM(least_sessions_wins_by_weight),
        CLAIM(equal_loads_go_by_rendezvous),
        CLAIM(least_sessions_leaves_the_dead_for_last),
        CLAIM(least_sessions_passes_over_what_takes_nobody),
        CLAIM(draws_pass_over_what_takes_nobody),
        CLAIM(modes_move_nobody_of_a_hash_pool),
        CLAIM(turns_go_by_weight),
        CLAIM(turns_of_others_are_shared_out),
        CLAIM(round_robin_gives_each_backend_once),
        CLAIM(full_ones_come_last),
        CLAIM(backups_come_after_all_others),
        CLAIM(backups_move_nobody_of_the_others),
        CLAIM(domains_stay_together),
        CLAIM(who_has_no_domain_is_hashed_by_name),
        CLAIM(share_grows_in_a_slow_start),
        CLAIM(draws_keep_a_large_pool_even),
        CLAIM(draws_go_by_weight),
        CLAIM(draws_pass_by_the_dead),
        CLAIM(draws_differ_from_moment_to_moment),
        CLAIM(iteration_of_a_large_pool_gives_each_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
