/* What is known about backends, by whom and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "base/clock.h"
#include "base/log.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    THREADS = 4,
    ROUNDS = 20000
};

static struct backend_registry *registry;
static struct backend *backend; /* one that is up */

static struct address numbered(uint8_t number)
{
    struct address address = {.is_ipv6 = true};

    memset(address.ip, number, sizeof(address.ip));
    return address;
}

static struct backend *get(const char *name, const char *host, uint16_t port)
{
    return backend_registry_get(registry, name, host, port);
}

static int set_up(void **state)
{
    struct address address = numbered(1);

    (void)state;
    registry = backend_registry_new();
    backend = get("imap-1", "mail.example.org", 993);
    backend_set_addresses(backend, &address, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    backend_unref(&backend);
    backend_registry_free(&registry);
    return 0;
}

static void take_down(uint64_t now_ms)
{
    for (int i = 0; i < BACKEND_FAILURES_MAX; i++)
        backend_dial_failed(backend, now_ms, "refused");
}

static void facts_outlive_a_reload(void **state)
{
    struct backend *again;

    (void)state;
    take_down(0);
    again = get("imap-1", "mail.example.org", 993);
    backend_unref(&backend);
    backend = again;

    assert_int_equal(backend_state(backend), BACKEND_DOWN);
    assert_string_equal(backend_name(backend), "imap-1");
}

static void facts_go_with_the_last_reference(void **state)
{
    struct address out[BACKEND_ADDRESSES_MAX];

    (void)state;
    take_down(0);
    backend_unref(&backend);
    assert_null(backend);
    backend = get("imap-1", "mail.example.org", 993);

    assert_int_equal(backend_addresses(backend, out), 0);
    assert_int_equal(backend_state(backend), BACKEND_DOWN);
}

static void session_keeps_the_facts(void **state)
{
    struct backend *mine = backend_session_opened(backend);
    struct backend *again;

    (void)state;
    backend_unref(&backend);
    again = get("imap-1", "mail.example.org", 993);
    backend = again;

    assert_ptr_equal(again, mine);
    assert_int_equal(backend_sessions(backend), 1);
    backend_session_closed(&mine);
    assert_null(mine);
    assert_int_equal(backend_sessions(backend), 0);
}

static void other_name_is_another_backend(void **state)
{
    struct backend *other = get("imap-2", "mail.example.org", 993);

    (void)state;
    take_down(0);

    assert_ptr_not_equal(other, backend);
    assert_int_equal(backend_sessions(other), 0);
    backend_unref(&other);
}

static void three_failures_in_a_row_take_a_backend_down(void **state)
{
    (void)state;
    assert_int_equal(backend_state(backend), BACKEND_UP);

    assert_false(backend_dial_failed(backend, 0, "refused"));
    assert_false(backend_dial_failed(backend, 0, "refused"));
    assert_int_equal(backend_state(backend), BACKEND_UP);
    assert_true(backend_dial_failed(backend, 0, "refused"));
    assert_int_equal(backend_state(backend), BACKEND_DOWN);
    assert_false(backend_dial_failed(backend, 0, "refused"));
}

static void success_between_failures_keeps_a_backend_up(void **state)
{
    (void)state;
    backend_dial_failed(backend, 0, "refused");
    backend_dial_failed(backend, 0, "refused");
    assert_false(backend_dial_succeeded(backend));
    backend_dial_failed(backend, 0, "refused");

    assert_int_equal(backend_state(backend), BACKEND_UP);
}

static void success_brings_a_backend_up(void **state)
{
    (void)state;
    take_down(0);

    assert_true(backend_dial_succeeded(backend));
    assert_int_equal(backend_state(backend), BACKEND_UP);
    assert_false(backend_dial_succeeded(backend));
    assert_true(backend_may_dial(backend, 0));
}

static void down_backend_lets_one_login_try_every_five_seconds(void **state)
{
    (void)state;
    take_down(1000);

    assert_false(backend_may_dial(backend, 1000));
    assert_false(backend_may_dial(backend, 1000 + BACKEND_RETRY_MS - 1));
    assert_true(backend_is_dialable(backend, 1000 + BACKEND_RETRY_MS));
    assert_true(backend_may_dial(backend, 1000 + BACKEND_RETRY_MS));
    assert_false(backend_is_dialable(backend, 1000 + BACKEND_RETRY_MS));
    assert_false(backend_may_dial(backend, 1000 + BACKEND_RETRY_MS));
    assert_true(backend_may_dial(backend, 1000 + 2 * BACKEND_RETRY_MS));
}

static void set_rules(unsigned fall, unsigned rise)
{
    const struct backend_rules rules = {.fall = fall, .rise = rise};

    backend_set_rules(backend, &rules);
}

static void as_many_failures_as_the_rules_say_take_a_backend_down(void **state)
{
    (void)state;
    set_rules(2, 1);

    assert_false(backend_dial_failed(backend, 0, "refused"));
    assert_true(backend_dial_failed(backend, 0, "refused"));
    assert_int_equal(backend_state(backend), BACKEND_DOWN);
}

static void as_many_successes_as_the_rules_say_bring_it_up(void **state)
{
    (void)state;
    set_rules(3, 2);
    take_down(0);

    assert_false(backend_dial_succeeded(backend));
    assert_int_equal(backend_state(backend), BACKEND_DOWN);
    assert_true(backend_dial_succeeded(backend));
    assert_int_equal(backend_state(backend), BACKEND_UP);
}

static void failure_between_successes_keeps_a_backend_down(void **state)
{
    (void)state;
    set_rules(3, 2);
    take_down(0);

    backend_dial_succeeded(backend);
    assert_false(backend_dial_failed(backend, 0, "refused"));
    assert_false(backend_dial_succeeded(backend));
    assert_int_equal(backend_state(backend), BACKEND_DOWN);
}

static void rules_that_grow_milder_bring_nobody_up(void **state)
{
    (void)state;
    take_down(0);
    set_rules(10, 1);

    assert_int_equal(backend_state(backend), BACKEND_DOWN);
    assert_false(backend_dial_failed(backend, 0, "refused"));
    assert_true(backend_dial_succeeded(backend));
}

static void no_login_is_let_through_to_one_that_is_probed(void **state)
{
    const struct backend_rules probed = {
        .fall = 3, .rise = 1, .is_probed = true};

    (void)state;
    backend_set_rules(backend, &probed);
    assert_true(backend_may_dial(backend, 0));
    take_down(0);
    assert_false(backend_may_dial(backend, 100 * BACKEND_RETRY_MS));
    assert_false(backend_is_dialable(backend, 100 * BACKEND_RETRY_MS));

    set_rules(3, 1);
    assert_true(backend_is_dialable(backend, 100 * BACKEND_RETRY_MS));
    assert_true(backend_may_dial(backend, 100 * BACKEND_RETRY_MS));
}

static void probes_count_as_dials_do(void **state)
{
    struct backend_facts facts;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_true(backend_probe_begin(backend));
        assert_false(backend_probe_failed(backend, 9, "timeout"));
    }
    assert_true(backend_dial_failed(backend, 9, "refused"));
    assert_true(backend_probe_begin(backend));
    assert_true(backend_probe_succeeded(backend));
    backend_read_facts(backend, &facts);

    assert_int_equal(facts.state, BACKEND_UP);
    assert_int_equal(facts.probes, 3);
    assert_int_equal(facts.probe_failures, 2);
    assert_int_equal(facts.dials, 0);
    assert_int_equal(facts.dial_failures, 1);
}

static void greetings_prove_nothing_where_probes_log_in(void **state)
{
    const struct backend_rules rules = {
        .fall = 3, .rise = 1, .is_probed = true, .is_logged_in_to = true};

    (void)state;
    backend_set_rules(backend, &rules);
    for (int i = 0; i < 2; i++) {
        backend_probe_failed(backend, 0, "login");
        assert_false(backend_dial_succeeded(backend));
    }
    assert_true(backend_probe_failed(backend, 0, "login"));
    assert_false(backend_dial_succeeded(backend));
    assert_true(backend_probe_succeeded(backend));
}

static void
greetings_end_a_row_of_failed_dials_where_probes_log_in(void **state)
{
    const struct backend_rules rules = {
        .fall = 3, .rise = 1, .is_probed = true, .is_logged_in_to = true};
    struct backend_facts facts;

    (void)state;
    backend_set_rules(backend, &rules);
    backend_probe_failed(backend, 0, "login");
    for (int i = 0; i < 4; i++) {
        assert_false(backend_dial_failed(backend, 0, "bad-greeting"));
        assert_false(backend_dial_failed(backend, 0, "bad-greeting"));
        backend_dial_succeeded(backend);
    }
    backend_read_facts(backend, &facts);

    assert_int_equal(facts.state, BACKEND_UP);
    assert_int_equal(facts.failures_in_a_row, 1);
    backend_probe_failed(backend, 0, "login");
    assert_true(backend_probe_failed(backend, 0, "login"));
}

static void failed_dials_take_down_what_probes_bring_up(void **state)
{
    const struct backend_rules rules = {
        .fall = 2, .rise = 2, .is_probed = true, .is_logged_in_to = true};

    (void)state;
    backend_set_rules(backend, &rules);
    backend_dial_failed(backend, 0, "refused");
    assert_true(backend_dial_failed(backend, 0, "refused"));
    assert_false(backend_dial_succeeded(backend));

    assert_false(backend_probe_succeeded(backend));
    assert_false(backend_dial_succeeded(backend));
    assert_int_equal(backend_state(backend), BACKEND_DOWN);
    assert_true(backend_probe_succeeded(backend));
}

static void nothing_is_probed_without_an_address(void **state)
{
    (void)state;
    backend_set_addresses(backend, NULL, 0);

    assert_false(backend_probe_begin(backend));
}

static void a_state_has_its_moment_and_its_reason(void **state)
{
    uint64_t before_ms = clock_now_ms();
    struct backend_facts facts;

    (void)state;
    take_down(0);
    backend_dial_failed(backend, 0, "something later");
    backend_read_facts(backend, &facts);
    assert_int_equal(facts.state, BACKEND_DOWN);
    assert_string_equal(facts.state_why, "refused");
    assert_in_range(facts.state_since_ms, before_ms, clock_now_ms());

    backend_dial_succeeded(backend);
    backend_read_facts(backend, &facts);
    assert_string_equal(facts.state_why, "answers again");
}

static void one_without_addresses_says_so(void **state)
{
    struct address address = numbered(2);
    struct backend_facts facts;

    (void)state;
    backend_set_addresses(backend, NULL, 0);
    backend_read_facts(backend, &facts);
    assert_int_equal(facts.state, BACKEND_DOWN);
    assert_string_equal(facts.state_why, "host has no address");

    backend_set_addresses(backend, &address, 1);
    backend_read_facts(backend, &facts);
    assert_string_equal(facts.state_why, "host has an address");
    take_down(0);
    backend_set_addresses(backend, NULL, 0);
    backend_read_facts(backend, &facts);
    assert_string_equal(facts.state_why, "refused");
}

static void backend_without_addresses_is_down(void **state)
{
    (void)state;
    backend_set_addresses(backend, NULL, 0);

    assert_int_equal(backend_state(backend), BACKEND_DOWN);
    assert_false(backend_may_dial(backend, UINT64_MAX));
    assert_false(backend_is_dialable(backend, UINT64_MAX));
}

static void new_addresses_are_tried_at_once(void **state)
{
    struct address address = numbered(2);

    (void)state;
    take_down(1000);
    assert_true(backend_set_addresses(backend, &address, 1));
    assert_true(backend_may_dial(backend, 1000));
    assert_false(backend_may_dial(backend, 1000));
}

static void same_addresses_change_nothing(void **state)
{
    struct address address = numbered(1);

    (void)state;
    take_down(1000);
    assert_false(backend_set_addresses(backend, &address, 1));
    assert_false(backend_may_dial(backend, 1000));
}

static void addresses_keep_order_family_and_port(void **state)
{
    struct address in[2] = {{.ip = {10, 0, 0, 9}}, {.is_ipv6 = true}};
    struct address out[BACKEND_ADDRESSES_MAX];

    (void)state;
    memset(in[1].ip, 0xfe, sizeof(in[1].ip));
    backend_set_addresses(backend, in, 2);

    assert_int_equal(backend_addresses(backend, out), 2);
    assert_true(address_same_host(&out[0], &in[0]));
    assert_true(address_same_host(&out[1], &in[1]));
    assert_int_equal(out[0].port, 993);
    assert_int_equal(out[1].port, 993);
}

static void addresses_are_bounded(void **state)
{
    struct address in[BACKEND_ADDRESSES_MAX + 5];
    struct address out[BACKEND_ADDRESSES_MAX];

    (void)state;
    for (uint8_t i = 0; i < BACKEND_ADDRESSES_MAX + 5; i++)
        in[i] = numbered(i);
    backend_set_addresses(backend, in, BACKEND_ADDRESSES_MAX + 5);

    assert_int_equal(backend_addresses(backend, out), BACKEND_ADDRESSES_MAX);
}

static void other_place_has_facts_of_its_own(void **state)
{
    struct backend *moved[] = {get("imap-1", "elsewhere.example.org", 993),
                               get("imap-1", "mail.example.org", 143)};
    struct address address = numbered(3);
    struct address out[BACKEND_ADDRESSES_MAX];

    (void)state;
    take_down(0);
    for (size_t i = 0; i < 2; i++) {
        assert_ptr_not_equal(moved[i], backend);
        assert_string_equal(backend_name(moved[i]), "imap-1");
        assert_int_equal(backend_addresses(moved[i], out), 0);
        backend_set_addresses(moved[i], &address, 1);
        assert_int_equal(backend_state(moved[i]), BACKEND_UP);
    }
    assert_int_equal(backend_addresses(backend, out), 1);
    assert_int_equal(out[0].port, 993);
    address = numbered(1);
    assert_true(address_same_host(&out[0], &address));
    assert_int_equal(backend_state(backend), BACKEND_DOWN);
    backend_unref(&moved[0]);
    backend_unref(&moved[1]);
}

static void facts_can_be_read(void **state)
{
    struct backend *session = backend_session_opened(backend);
    struct backend_facts facts;

    (void)state;
    assert_true(backend_may_dial(backend, 5));
    backend_dial_failed(backend, 7, "refused");
    backend_read_facts(backend, &facts);

    assert_int_equal(facts.state, BACKEND_UP);
    assert_int_equal(facts.sessions, 1);
    assert_int_equal(facts.failures_in_a_row, 1);
    assert_int_equal(facts.address_count, 1);
    assert_int_equal(facts.dials, 1);
    assert_int_equal(facts.dial_failures, 1);
    assert_int_equal(facts.last_failure_ms, 7);
    backend_session_closed(&session);
}

static void set_finds_the_facts_of_each_config(void **state)
{
    static char one[] = "imap-1";
    static char two[] = "imap-2";
    static char host[] = "mail.example.org";
    const struct backend_config configs[] = {
        {.name = two, .host = host, .port = 993},
        {.name = one, .host = host, .port = 993}};
    const struct backend_config *config;
    struct backend_set *set = backend_set_new(registry, configs, 2);

    (void)state;
    assert_ptr_equal(backend_set_find(set, &configs[1]), backend);
    assert_int_equal(backend_set_count(set), 2);
    assert_string_equal(backend_name(backend_set_at(set, 0, &config)),
                        "imap-2");
    assert_ptr_equal(config, &configs[0]);
    backend_set_free(&set);
    assert_null(set);
}

static void backend_is_ready_until_told_otherwise(void **state)
{
    struct backend_facts facts;

    (void)state;
    assert_int_equal(backend_mode(backend), BACKEND_READY);

    assert_true(backend_set_mode(backend, BACKEND_DRAINING, "by command"));
    assert_false(backend_set_mode(backend, BACKEND_DRAINING, "again"));

    backend_read_facts(backend, &facts);
    assert_int_equal(facts.mode, BACKEND_DRAINING);
    assert_string_equal(facts.why, "by command");
}

static void long_reasons_are_cut(void **state)
{
    char why[BACKEND_WHY_MAX * 2];
    struct backend_facts facts;

    (void)state;
    memset(why, 'x', sizeof(why));
    why[sizeof(why) - 1] = '\0';
    backend_set_mode(backend, BACKEND_DRAINING, why);

    backend_read_facts(backend, &facts);
    assert_int_equal(strlen(facts.why), BACKEND_WHY_MAX - 1);
}

static void reload_does_not_undo_a_command(void **state)
{
    (void)state;
    assert_false(backend_configure_mode(backend, BACKEND_READY));
    backend_set_mode(backend, BACKEND_DRAINING, "by command");

    assert_false(backend_configure_mode(backend, BACKEND_READY));
    assert_int_equal(backend_mode(backend), BACKEND_DRAINING);
    assert_true(backend_configure_mode(backend, BACKEND_MAINTENANCE));
    assert_int_equal(backend_mode(backend), BACKEND_MAINTENANCE);
    assert_true(backend_configure_mode(backend, BACKEND_READY));
    assert_int_equal(backend_mode(backend), BACKEND_READY);
}

static void each_mode_has_a_name(void **state)
{
    (void)state;

    assert_string_equal(backend_mode_name(BACKEND_READY), "ready");
    assert_string_equal(backend_mode_name(BACKEND_DRAINING), "draining");
    assert_string_equal(backend_mode_name(BACKEND_MAINTENANCE), "maintenance");
}

/* --- threads --- */

static atomic_bool is_over;
static atomic_uint mixed_sets;

/* Every address of a set has the same bytes, and there are as many addresses
 * as those bytes say. */
static void *read_addresses(void *unused)
{
    (void)unused;
    while (!atomic_load(&is_over)) {
        struct address out[BACKEND_ADDRESSES_MAX];
        size_t count = backend_addresses(backend, out);

        for (size_t i = 0; i < count; i++) {
            struct address expected = numbered((uint8_t)count);

            if (!address_same_host(&out[i], &expected))
                atomic_fetch_add(&mixed_sets, 1);
        }
    }
    return NULL;
}

static void readers_never_see_half_a_change(void **state)
{
    pthread_t readers[THREADS];

    (void)state;
    atomic_store(&is_over, false);
    atomic_store(&mixed_sets, 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&readers[i], NULL, read_addresses, NULL);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct address in[BACKEND_ADDRESSES_MAX];
        uint8_t count = (uint8_t)(round % BACKEND_ADDRESSES_MAX + 1);

        for (size_t i = 0; i < count; i++)
            in[i] = numbered(count);
        backend_set_addresses(backend, in, count);
    }
    atomic_store(&is_over, true);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(readers[i], NULL);

    assert_int_equal(atomic_load(&mixed_sets), 0);
}

static void *come_and_go(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS / 10; i++) {
        struct backend *mine = get("shared", "mail.example.org", 993);
        struct backend *session = backend_session_opened(mine);

        backend_unref(&mine);
        backend_session_closed(&session);
    }
    return NULL;
}

static void references_may_come_and_go_on_any_thread(void **state)
{
    pthread_t threads[THREADS];
    struct backend *shared;

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, come_and_go, NULL);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    shared = get("shared", "mail.example.org", 993);
    assert_int_equal(backend_sessions(shared), 0);
    backend_unref(&shared);
}

static atomic_uint let_through;

static void *ask_for_leave(void *unused)
{
    (void)unused;
    for (uint64_t now_ms = 0; now_ms < 100 * BACKEND_RETRY_MS; now_ms += 100)
        atomic_fetch_add(&let_through, backend_may_dial(backend, now_ms));
    return NULL;
}

static void only_one_thread_is_let_through_at_a_time(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    take_down(0);
    atomic_store(&let_through, 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, ask_for_leave, NULL);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    assert_in_range(atomic_load(&let_through), 1, 99);
}

static void a_note_is_new_only_once(void **state)
{
    struct backend_facts facts;

    (void)state;
    assert_int_equal(backend_notes(backend), 0);

    assert_true(backend_note(backend, BACKEND_NOTE_OFFERS_PLUS));
    assert_false(backend_note(backend, BACKEND_NOTE_OFFERS_PLUS));
    assert_true(backend_note(backend, BACKEND_NOTE_LACKS_MECHANISM));

    assert_int_equal(backend_notes(backend),
                     1u << BACKEND_NOTE_OFFERS_PLUS |
                         1u << BACKEND_NOTE_LACKS_MECHANISM);
    backend_read_facts(backend, &facts);
    assert_int_equal(facts.notes, backend_notes(backend));
}

static void notes_outlive_a_reload(void **state)
{
    struct backend *again = get("imap-1", "mail.example.org", 993);

    (void)state;

    (void)backend_note(backend, BACKEND_NOTE_OFFERS_REFERRALS);

    assert_false(backend_note(again, BACKEND_NOTE_OFFERS_REFERRALS));
    backend_unref(&again);
}

enum {
    NOTED = 1000,
    TELLERS = 2
};

static struct backend *noted[NOTED];
static atomic_uint told;
static atomic_uint arrived;

/* Spins, so that both go on at the same moment; not for ever, lest they share
 * one processor. */
static void meet(unsigned expected)
{
    for (unsigned spins = 0; atomic_load(&arrived) < expected; spins++) {
        if (spins > 1000000)
            sched_yield();
    }
}

static void *note_all(void *owner)
{
    (void)owner;
    for (unsigned i = 0; i < NOTED; i++) {
        atomic_fetch_add(&arrived, 1);
        meet((i + 1) * TELLERS);
        atomic_fetch_add(&told,
                         backend_note(noted[i], BACKEND_NOTE_OFFERS_PLUS));
    }
    return NULL;
}

static void only_one_thread_tells_a_note(void **state)
{
    pthread_t threads[TELLERS];

    (void)state;
    atomic_store(&told, 0);
    atomic_store(&arrived, 0);
    for (uint16_t i = 0; i < NOTED; i++)
        noted[i] = get("noted", "mail.example.org", i);
    for (size_t i = 0; i < TELLERS; i++)
        pthread_create(&threads[i], NULL, note_all, NULL);
    for (size_t i = 0; i < TELLERS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < NOTED; i++)
        backend_unref(&noted[i]);

    assert_int_equal(atomic_load(&told), NOTED);
}

static void each_note_has_a_name(void **state)
{
    (void)state;

    for (unsigned i = 0; i < BACKEND_NOTE_COUNT; i++)
        assert_non_null(backend_note_name((enum backend_note)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(facts_outlive_a_reload),
        CLAIM(facts_go_with_the_last_reference),
        CLAIM(session_keeps_the_facts),
        CLAIM(other_name_is_another_backend),
        CLAIM(three_failures_in_a_row_take_a_backend_down),
        CLAIM(success_between_failures_keeps_a_backend_up),
        CLAIM(success_brings_a_backend_up),
        CLAIM(down_backend_lets_one_login_try_every_five_seconds),
        CLAIM(as_many_failures_as_the_rules_say_take_a_backend_down),
        CLAIM(as_many_successes_as_the_rules_say_bring_it_up),
        CLAIM(failure_between_successes_keeps_a_backend_down),
        CLAIM(rules_that_grow_milder_bring_nobody_up),
        CLAIM(no_login_is_let_through_to_one_that_is_probed),
        CLAIM(probes_count_as_dials_do),
        CLAIM(greetings_prove_nothing_where_probes_log_in),
        CLAIM(greetings_end_a_row_of_failed_dials_where_probes_log_in),
        CLAIM(failed_dials_take_down_what_probes_bring_up),
        CLAIM(nothing_is_probed_without_an_address),
        CLAIM(a_state_has_its_moment_and_its_reason),
        CLAIM(one_without_addresses_says_so),
        CLAIM(backend_without_addresses_is_down),
        CLAIM(new_addresses_are_tried_at_once),
        CLAIM(same_addresses_change_nothing),
        CLAIM(addresses_keep_order_family_and_port),
        CLAIM(addresses_are_bounded),
        CLAIM(other_place_has_facts_of_its_own),
        CLAIM(facts_can_be_read),
        CLAIM(set_finds_the_facts_of_each_config),
        CLAIM(backend_is_ready_until_told_otherwise),
        CLAIM(long_reasons_are_cut),
        CLAIM(reload_does_not_undo_a_command),
        CLAIM(each_mode_has_a_name),
        CLAIM(readers_never_see_half_a_change),
        CLAIM(references_may_come_and_go_on_any_thread),
        CLAIM(only_one_thread_is_let_through_at_a_time),
        CLAIM(a_note_is_new_only_once),
        CLAIM(notes_outlive_a_reload),
        CLAIM(only_one_thread_tells_a_note),
        CLAIM(each_note_has_a_name),
    };

    log_set(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
