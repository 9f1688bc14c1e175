/* Who may open which ticket, and for how long. */
#include "net/ticket_keys.h"

#include "ticket_case.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

enum {
    START_MS = 5000,
    READERS = 3,
    ROTATIONS = 20000,
    SPINS = 2000
};

static int apply(void *keys, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher,
                 HMAC_CTX *hmac, int is_sealing)
{
    return ticket_keys_apply(keys, name, iv, cipher, hmac, is_sealing);
}

static void seal(struct ticket_keys *keys, struct ticket *ticket)
{
    ticket_seal(apply, keys, ticket);
}

static int open_ticket(struct ticket_keys *keys, const struct ticket *ticket)
{
    return ticket_open(apply, keys, ticket);
}

static int set_up(void **state)
{
    *state = ticket_keys_new(START_MS);
    return 0;
}

static int tear_down(void **state)
{
    struct ticket_keys *keys = *state;

    ticket_keys_unref(&keys);
    return 0;
}

static void tickets_of_the_current_key_open(void **state)
{
    struct ticket ticket;

    seal(*state, &ticket);

    assert_int_equal(open_ticket(*state, &ticket), 1);
}

static void tickets_of_the_previous_key_open_and_are_renewed(void **state)
{
    struct ticket ticket;

    seal(*state, &ticket);
    assert_true(
        ticket_keys_rotate_if_due(*state, START_MS + TICKET_KEYS_PERIOD_MS));

    assert_int_equal(open_ticket(*state, &ticket), 2);
}

static void tickets_older_than_two_rotations_are_ignored(void **state)
{
    struct ticket ticket;

    seal(*state, &ticket);
    ticket_keys_rotate_if_due(*state, START_MS + TICKET_KEYS_PERIOD_MS);
    ticket_keys_rotate_if_due(*state, START_MS + 2 * TICKET_KEYS_PERIOD_MS);

    assert_int_equal(open_ticket(*state, &ticket), 0);
}

static void a_long_sleep_drops_the_keys_at_once(void **state)
{
    struct ticket ticket;

    seal(*state, &ticket);
    assert_true(ticket_keys_rotate_if_due(
        *state, START_MS + 50 * TICKET_KEYS_PERIOD_MS));

    assert_int_equal(open_ticket(*state, &ticket), 0);
}

static void nothing_rotates_before_the_period_is_over(void **state)
{
    struct ticket ticket;

    seal(*state, &ticket);
    assert_false(ticket_keys_rotate_if_due(
        *state, START_MS + TICKET_KEYS_PERIOD_MS - 1));

    assert_int_equal(open_ticket(*state, &ticket), 1);
}

static void rotations_keep_their_rhythm_when_called_late(void **state)
{
    ticket_keys_rotate_if_due(*state, START_MS + TICKET_KEYS_PERIOD_MS + 999);

    assert_true(ticket_keys_rotate_if_due(
        *state, START_MS + 2 * TICKET_KEYS_PERIOD_MS));
}

static void a_clock_that_steps_back_rotates_nothing(void **state)
{
    assert_false(ticket_keys_rotate_if_due(*state, 0));
}

static void tickets_of_other_keys_are_ignored(void **state)
{
    struct ticket_keys *other = ticket_keys_new(START_MS);
    struct ticket ticket;

    seal(other, &ticket);

    assert_int_equal(open_ticket(*state, &ticket), 0);
    ticket_keys_unref(&other);
}

static void no_two_tickets_share_an_iv(void **state)
{
    struct ticket first;
    struct ticket second;

    seal(*state, &first);
    seal(*state, &second);

    assert_memory_not_equal(first.iv, second.iv, 16);
}

static void keys_live_until_the_last_reference(void **state)
{
    struct ticket_keys *second = ticket_keys_ref(*state);
    struct ticket ticket;

    ticket_keys_unref(&second);
    assert_null(second);
    seal(*state, &ticket);

    assert_int_equal(open_ticket(*state, &ticket), 1);
}

static void unref_accepts_null(void **state)
{
    struct ticket_keys *none = NULL;

    (void)state;
    ticket_keys_unref(&none);

    assert_null(none);
}

struct reader {
    struct ticket_keys *keys;
    atomic_bool *is_over;
    unsigned torn; /* tickets that were sealed or opened with a mixed key */
};

static void *read_keys(void *owner)
{
    struct reader *reader = owner;
    struct ticket ticket;

    while (!atomic_load(reader->is_over)) {
        seal(reader->keys, &ticket);
        if (open_ticket(reader->keys, &ticket) < 0)
            reader->torn++;
    }
    return NULL;
}

static void readers_never_see_half_a_rotation(void **state)
{
    atomic_bool is_over = false;
    struct reader readers[READERS];
    pthread_t threads[READERS];
    unsigned torn = 0;

    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader){*state, &is_over, 0};
        pthread_create(&threads[i], NULL, read_keys, &readers[i]);
    }
    for (uint64_t i = 1; i <= ROTATIONS; i++)
        ticket_keys_rotate_if_due(*state, START_MS + i * TICKET_KEYS_PERIOD_MS);
    atomic_store(&is_over, true);
    for (size_t i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        torn += readers[i].torn;
    }

    assert_int_equal(torn, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tickets_of_the_current_key_open),
        TEST(tickets_of_the_previous_key_open_and_are_renewed),
        TEST(tickets_older_than_two_rotations_are_ignored),
        TEST(a_long_sleep_drops_the_keys_at_once),
        TEST(nothing_rotates_before_the_period_is_over),
        TEST(rotations_keep_their_rhythm_when_called_late),
        TEST(a_clock_that_steps_back_rotates_nothing),
        TEST(tickets_of_other_keys_are_ignored),
        TEST(no_two_tickets_share_an_iv),
        TEST(keys_live_until_the_last_reference),
        TEST(unref_accepts_null),
        TEST(readers_never_see_half_a_rotation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
