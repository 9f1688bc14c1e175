/* One user, one backend: who is where, and who may move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "state/homes.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    BACKENDS = 3,
    USERS = 5000,
    THREADS = 4,
    ROUNDS = 3000
};

static struct backend_registry *registry;
static struct backend *backends[BACKENDS];
static struct homes *homes;

static int set_up(void **state)
{
    (void)state;
    registry = backend_registry_new();
    for (uint16_t i = 0; i < BACKENDS; i++)
        backends[i] = backend_registry_get(registry, "b", "h", i);
    homes = homes_new();
    return 0;
}

/* Freeing the registry asserts that no home keeps a backend. */
static int tear_down(void **state)
{
    (void)state;
    homes_free(&homes);
    for (size_t i = 0; i < BACKENDS; i++)
        backend_unref(&backends[i]);
    backend_registry_free(&registry);
    return 0;
}

static struct home_claim enter(const char *user, struct backend *wanted)
{
    struct home_claim claim = {.at = NULL};

    bool is_in =
        homes_enter(homes, (const uint8_t *)user, strlen(user), wanted, &claim);

    assert_int_equal(is_in, claim.at != NULL);
    return claim;
}

static void first_one_chooses_the_home(void **state)
{
    struct home_claim first = enter("alice", backends[0]);
    struct home_claim second = enter("alice", backends[1]);
    struct home_claim other = enter("bob", backends[1]);

    (void)state;
    assert_ptr_equal(first.at, backends[0]);
    assert_ptr_equal(second.at, backends[0]);
    assert_ptr_equal(other.at, backends[1]);
    assert_int_equal(homes_count(homes), 2);
    homes_leave(homes, &first);
    homes_leave(homes, &second);
    homes_leave(homes, &other);
}

static void home_goes_with_the_last_one(void **state)
{
    struct home_claim first = enter("alice", backends[0]);
    struct home_claim second = enter("alice", backends[0]);
    struct home_claim third;

    (void)state;
    homes_leave(homes, &first);
    assert_null(first.at);
    assert_true(homes_arrive(homes, &second));
    homes_settle(&second);
    assert_int_equal(homes_count(homes), 1);
    homes_leave_session(homes, (const uint8_t *)"alice", 5);
    assert_int_equal(homes_count(homes), 0);

    third = enter("alice", backends[1]);
    assert_ptr_equal(third.at, backends[1]);
    homes_leave(homes, &third);
}

static void nowhere_is_no_home(void **state)
{
    struct home_claim nobody = enter("alice", NULL);
    struct home_claim first = enter("alice", backends[2]);
    struct home_claim second = enter("alice", NULL);

    (void)state;
    assert_null(nobody.at);
    assert_ptr_equal(second.at, backends[2]);
    homes_leave(homes, &first);
    homes_leave(homes, &second);
    homes_leave(homes, &nobody);
}

static void who_is_alone_moves_at_once(void **state)
{
    struct home_claim claim = enter("alice", backends[0]);

    (void)state;
    assert_int_equal(homes_move(homes, &claim, backends[1]), HOMES_MOVED);
    assert_ptr_equal(claim.at, backends[1]);
    homes_leave(homes, &claim);
}

static void a_session_holds_the_home_until_it_ends(void **state)
{
    struct home_claim session = enter("alice", backends[0]);
    struct home_claim mover = enter("alice", backends[1]);

    (void)state;
    assert_true(homes_arrive(homes, &session));
    homes_settle(&session);
    assert_int_equal(homes_move(homes, &mover, backends[1]), HOMES_WAIT);
    assert_int_equal(homes_move(homes, &mover, backends[1]), HOMES_WAIT);
    homes_leave_session(homes, (const uint8_t *)"alice", 5);

    assert_int_equal(homes_move(homes, &mover, backends[1]), HOMES_MOVED);
    homes_leave(homes, &mover);
}

static void who_seeks_holds_nobody_and_follows(void **state)
{
    struct home_claim first = enter("alice", backends[0]);
    struct home_claim second = enter("alice", backends[0]);
    struct home_claim third = enter("alice", backends[0]);

    (void)state;
    assert_int_equal(homes_move(homes, &first, backends[1]), HOMES_MOVED);
    assert_int_equal(homes_move(homes, &second, backends[2]), HOMES_ELSEWHERE);
    assert_ptr_equal(second.at, backends[1]);
    assert_false(homes_arrive(homes, &third));
    assert_ptr_equal(third.at, backends[1]);
    assert_true(homes_arrive(homes, &third));
    assert_int_equal(homes_move(homes, &first, backends[2]), HOMES_WAIT);
    homes_leave(homes, &third);
    assert_int_equal(homes_move(homes, &first, backends[2]), HOMES_MOVED);
    homes_leave(homes, &first);
    homes_leave(homes, &second);
}

static struct home_claim enter_number(unsigned number, struct backend *wanted)
{
    char user[32];

    snprintf(user, sizeof(user), "user%u@example.org", number);
    return enter(user, wanted);
}

static void many_users_are_each_found(void **state)
{
    static struct home_claim claims[USERS];

    (void)state;
    for (unsigned i = 0; i < USERS; i++)
        claims[i] = enter_number(i, backends[i % BACKENDS]);
    assert_int_equal(homes_count(homes), USERS);
    for (unsigned i = 0; i < USERS; i += 2)
        homes_leave(homes, &claims[i]);

    for (unsigned i = 1; i < USERS; i += 2) {
        struct home_claim again = enter_number(i, NULL);

        assert_ptr_equal(again.at, backends[i % BACKENDS]);
        homes_leave(homes, &again);
        homes_leave(homes, &claims[i]);
    }
    assert_int_equal(homes_count(homes), 0);
}

/* --- one user's logins, drains and failures in any order --- */

enum {
    PEOPLE = 6,
    STEPS = 200000
};

/* What a login is: nobody, one that seeks, one at a backend. */
struct person {
    struct home_claim claim;
    struct backend *at; /* where it has a session; NULL: none */
    struct backend *wanted;
};

static void assert_one_place(const struct person *people)
{
    const struct backend *place = NULL;

    for (size_t i = 0; i < PEOPLE; i++) {
        if (people[i].at == NULL)
            continue;
        assert_true(place == NULL || place == people[i].at);
        place = people[i].at;
    }
}

static struct backend *any_backend(void)
{
    return backends[rand() % BACKENDS];
}

static void try_to_move(struct person *person)
{
    enum homes_answer answer =
        homes_move(homes, &person->claim, person->wanted);

    if (answer != HOMES_WAIT && rand() % 2 == 0)
        person->wanted = person->claim.at;
}

static void try_to_arrive(struct person *person)
{
    if (homes_arrive(homes, &person->claim))
        person->at = person->claim.at;
}

static void come(struct person *person)
{
    person->wanted = any_backend();
    person->claim = enter("alice", person->wanted);
}

static void go(struct person *person)
{
    homes_leave(homes, &person->claim);
    *person = (struct person){.at = NULL};
}

static void take_step(struct person *person)
{
    if (person->claim.at == NULL)
        come(person);
    else if (person->at == NULL && rand() % 3 == 0)
        try_to_move(person);
    else if (person->at == NULL && rand() % 3 > 0)
        try_to_arrive(person);
    else
        go(person);
}

static void no_order_of_events_puts_a_user_at_two_places(void **state)
{
    static struct person people[PEOPLE];

    (void)state;
    srand(5);
    for (unsigned i = 0; i < STEPS; i++) {
        take_step(&people[rand() % PEOPLE]);
        assert_one_place(people);
    }
    for (size_t i = 0; i < PEOPLE; i++) {
        if (people[i].claim.at != NULL)
            go(&people[i]);
    }
    assert_int_equal(homes_count(homes), 0);
}

/* --- threads --- */

static atomic_uint sessions_at[BACKENDS];
static atomic_uint clashes;

static void visit(const struct backend *at)
{
    size_t mine = 0;

    while (backends[mine] != at)
        mine++;
    atomic_fetch_add(&sessions_at[mine], 1);
    for (size_t i = 0; i < BACKENDS; i++) {
        if (i != mine && atomic_load(&sessions_at[i]) > 0)
            atomic_fetch_add(&clashes, 1);
    }
    atomic_fetch_sub(&sessions_at[mine], 1);
}

static void *log_in_and_out(void *seed)
{
    unsigned random = (unsigned)(uintptr_t)seed;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct backend *wanted = backends[rand_r(&random) % BACKENDS];
        struct home_claim claim = enter("alice", wanted);

        if (claim.at != wanted && rand_r(&random) % 2 == 0)
            (void)(homes_move(homes, &claim, wanted) == HOMES_MOVED);
        if (homes_arrive(homes, &claim))
            visit(claim.at);
        homes_leave(homes, &claim);
    }
    return NULL;
}

static void two_logins_at_once_meet_at_one_place(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    atomic_store(&clashes, 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, log_in_and_out,
                       (void *)(uintptr_t)(i + 1));
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    assert_int_equal(atomic_load(&clashes), 0);
    assert_int_equal(homes_count(homes), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(first_one_chooses_the_home),
        CLAIM(home_goes_with_the_last_one),
        CLAIM(nowhere_is_no_home),
        CLAIM(who_is_alone_moves_at_once),
        CLAIM(a_session_holds_the_home_until_it_ends),
        CLAIM(who_seeks_holds_nobody_and_follows),
        CLAIM(many_users_are_each_found),
        CLAIM(no_order_of_events_puts_a_user_at_two_places),
        CLAIM(two_logins_at_once_meet_at_one_place),
    };

    log_set(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
