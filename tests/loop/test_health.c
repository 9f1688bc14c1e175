/* When backends are probed and what comes of it, in a loop turned by hand; the
 * probes are pretended. Time runs a hundred times as fast, where the build lets
 * it. */
#include "backend/health.h"
#include "base/clock.h"
#include "base/counters.h"
#include "patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    BACKENDS = 16,
    INTERVAL_MS = 1000
};

/* A probe that waits for its finding. */
struct probe {
    struct bench *bench;
    size_t backend;
    struct health_watch *watch;
};

struct bench {
    uv_loop_t loop;
    struct counters_set *counters;
    struct io io;
    struct backend_registry *registry;
    char names[BACKENDS][8];
    struct backend_config configs[BACKENDS];
    struct link_target targets[BACKENDS];
    struct health_settings settings;
    struct health *health;

    struct probe *open[BACKENDS]; /* those under way */
    unsigned opened[BACKENDS];
    uint64_t opened_ms[BACKENDS]; /* the last one */
    uint64_t timeout_ms;
};

static char host[] = "127.0.0.1";

static struct probe *open_probe(void *owner, const struct link_target *target,
                                uint64_t timeout_ms, struct health_watch *watch)
{
    struct bench *bench = owner;
    struct probe *probe = calloc(1, sizeof(*probe));

    probe->bench = bench;
    probe->watch = watch;
    while (bench->targets[probe->backend].facts != target->facts)
        probe->backend++;
    assert_null(bench->open[probe->backend]);
    bench->open[probe->backend] = probe;
    bench->opened[probe->backend]++;
    bench->opened_ms[probe->backend] = clock_now_ms();
    bench->timeout_ms = timeout_ms;
    return probe;
}

static void close_probe(struct probe **probe)
{
    if (*probe != NULL)
        (*probe)->bench->open[(*probe)->backend] = NULL;
    free(*probe);
    *probe = NULL;
}

static const struct health_verbs verbs = {open_probe, close_probe};

static void add_backend(struct bench *bench, size_t index)
{
    static const struct address loopback = {.ip = {127, 0, 0, 1}};
    char *name = bench->names[index];

    snprintf(name, sizeof(bench->names[index]), "b%zu", index);
    bench->configs[index] =
        (struct backend_config){.name = name, .host = host, .port = 143};
    bench->targets[index] = (struct link_target){
        .config = &bench->configs[index],
        .facts = backend_registry_get(bench->registry, name, host, 143)};
    backend_set_addresses(bench->targets[index].facts, &loopback, 1);
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    uv_loop_init(&bench->loop);
    bench->counters = counters_set_new(1);
    assert_int_equal(io_init(&bench->io, &bench->loop,
                             counters_set_at(bench->counters, 0), 4096),
                     0);
    bench->registry = backend_registry_new();
    for (size_t i = 0; i < BACKENDS; i++)
        add_backend(bench, i);
    bench->settings = (struct health_settings){
        .interval_ms = INTERVAL_MS, .timeout_ms = 700, .rise = 2, .fall = 3};
    bench->health = health_new(&bench->io, 0, 1, &verbs, bench);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    health_free(&bench->health);
    for (size_t i = 0; i < BACKENDS; i++) {
        assert_null(bench->open[i]);
        backend_unref(&bench->targets[i].facts);
    }
    io_stop(&bench->io);
    while (uv_run(&bench->loop, UV_RUN_NOWAIT) != 0)
        continue;
    io_deinit(&bench->io);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    backend_registry_free(&bench->registry);
    counters_set_free(&bench->counters);
    free(bench);
    return 0;
}

static void turn(struct bench *bench)
{
    uv_run(&bench->loop, UV_RUN_NOWAIT);
    uv_sleep(1);
}

static void turn_for(struct bench *bench, uint64_t delay_ms)
{
    uint64_t until_ms = clock_now_ms() + delay_ms;

    while (clock_now_ms() < until_ms)
        turn(bench);
}

static void follow(struct bench *bench, size_t count)
{
    health_follow(bench->health, bench->targets, count, &bench->settings);
}

static void find(struct bench *bench, enum health_finding finding)
{
    TURN_UNTIL(bench, bench->open[0] != NULL);
    health_found(bench->open[0]->watch, finding, "why");
}

static struct backend *first(struct bench *bench)
{
    return bench->targets[0].facts;
}

static void fail_often(struct bench *bench)
{
    for (int i = 0; i < 3; i++)
        find(bench, HEALTH_BAD);
}

static void each_backend_gets_its_turn(void **state)
{
    struct bench *bench = *state;

    follow(bench, BACKENDS);
    for (size_t i = 0; i < BACKENDS; i++)
        TURN_UNTIL(bench, bench->open[i] != NULL);

    assert_int_equal(bench->timeout_ms, 700);
    assert_int_equal(counters_set_sum(bench->counters, COUNTER_PROBES),
                     BACKENDS);
}

static uint64_t span_of_first_turns_ms(struct bench *bench)
{
    uint64_t least_ms = UINT64_MAX;
    uint64_t most_ms = 0;

    follow(bench, 0);
    follow(bench, BACKENDS);
    for (size_t i = 0; i < BACKENDS; i++) {
        TURN_UNTIL(bench, bench->open[i] != NULL);
        if (bench->opened_ms[i] < least_ms)
            least_ms = bench->opened_ms[i];
        if (bench->opened_ms[i] > most_ms)
            most_ms = bench->opened_ms[i];
    }
    return most_ms - least_ms;
}

/* On a busy machine we may stand still until all are due: then once more. */
static void first_turns_lie_apart(void **state)
{
    struct bench *bench = *state;
    uint64_t span_ms = 0;

    for (int i = 0; i < 10 && span_ms <= INTERVAL_MS / 4; i++)
        span_ms = span_of_first_turns_ms(bench);

    assert_true(span_ms > INTERVAL_MS / 4);
}

static void the_next_turn_waits_for_the_finding(void **state)
{
    struct bench *bench = *state;

    follow(bench, 1);
    TURN_UNTIL(bench, bench->open[0] != NULL);
    turn_for(bench, 5 * INTERVAL_MS);

    assert_int_equal(bench->opened[0], 1);
}

static void pauses_vary_by_a_quarter(void **state)
{
    struct bench *bench = *state;
    uint64_t least_ms = UINT64_MAX;
    uint64_t most_ms = 0;

    bench->settings.interval_ms = 5 * INTERVAL_MS;
    follow(bench, 1);
    for (int i = 0; i < 12; i++) {
        uint64_t found_ms, pause_ms;

        find(bench, HEALTH_GOOD);
        found_ms = clock_now_ms();
        TURN_UNTIL(bench, bench->open[0] != NULL);
        pause_ms = bench->opened_ms[0] - found_ms;
        least_ms = pause_ms < least_ms ? pause_ms : least_ms;
        most_ms = pause_ms > most_ms ? pause_ms : most_ms;
    }

    assert_true(least_ms >= 5 * INTERVAL_MS * 3 / 4 - 1);
    assert_true(most_ms - least_ms > 5 * INTERVAL_MS / 16);
}

/* Whatever the machine does meanwhile: once the interval is over, a turn of the
 * loop has to open it. */
static void no_pause_is_longer_than_the_interval(void **state)
{
    struct bench *bench = *state;

    bench->settings.interval_ms = 4 * INTERVAL_MS;
    follow(bench, 1);
    for (int i = 0; i < 8; i++) {
        find(bench, HEALTH_GOOD);
        assert_null(bench->open[0]);
        uv_sleep((unsigned)clock_real_delay_ms(4 * INTERVAL_MS) + 1);
        for (int turns = 0; turns < 3; turns++)
            uv_run(&bench->loop, UV_RUN_NOWAIT);
        assert_non_null(bench->open[0]);
    }
}

static void a_down_one_is_looked_at_as_often_as_logins_tried_it(void **state)
{
    struct health_settings settings = {.interval_ms = 60 * 1000};

    (void)state;
    assert_int_equal(health_pause_max(&settings, BACKEND_UP), 60 * 1000);
    assert_int_equal(health_pause_max(&settings, BACKEND_DOWN),
                     BACKEND_RETRY_MS);
    settings.interval_ms = 2000;
    assert_int_equal(health_pause_max(&settings, BACKEND_DOWN), 2000);
}

static void findings_take_it_down_and_bring_it_up(void **state)
{
    struct bench *bench = *state;

    follow(bench, 1);
    find(bench, HEALTH_BAD);
    find(bench, HEALTH_BAD);
    assert_int_equal(backend_state(first(bench)), BACKEND_UP);
    find(bench, HEALTH_BAD);
    assert_int_equal(backend_state(first(bench)), BACKEND_DOWN);
    find(bench, HEALTH_GOOD);
    assert_int_equal(backend_state(first(bench)), BACKEND_DOWN);
    find(bench, HEALTH_GOOD);
    assert_int_equal(backend_state(first(bench)), BACKEND_UP);
    assert_int_equal(counters_set_sum(bench->counters, COUNTER_PROBE_FAILURES),
                     3);
}

static void what_is_not_known_counts_for_nothing(void **state)
{
    struct bench *bench = *state;

    follow(bench, 1);
    for (int i = 0; i < 3; i++) {
        find(bench, HEALTH_BAD);
        find(bench, HEALTH_UNKNOWN);
        assert_int_equal(backend_state(first(bench)),
                         i < 2 ? BACKEND_UP : BACKEND_DOWN);
    }
    find(bench, HEALTH_UNKNOWN);
    find(bench, HEALTH_UNKNOWN);

    assert_int_equal(backend_state(first(bench)), BACKEND_DOWN);
}

static void failed_dials_count_beside_probes(void **state)
{
    struct bench *bench = *state;

    follow(bench, 1);
    find(bench, HEALTH_BAD);
    backend_dial_failed(first(bench), 0, "refused");
    find(bench, HEALTH_BAD);

    assert_int_equal(backend_state(first(bench)), BACKEND_DOWN);
}

static void logins_try_nothing_while_probes_do(void **state)
{
    struct bench *bench = *state;

    follow(bench, 1);
    fail_often(bench);
    assert_false(backend_may_dial(first(bench), UINT64_MAX));

    health_stop(bench->health);
    assert_true(backend_may_dial(first(bench), UINT64_MAX));
}

static void stopping_ends_all(void **state)
{
    struct bench *bench = *state;

    follow(bench, BACKENDS);
    TURN_UNTIL(bench, bench->open[0] != NULL);
    health_stop(bench->health);
    memset(bench->opened, 0, sizeof(bench->opened));
    turn_for(bench, 3 * INTERVAL_MS);

    for (size_t i = 0; i < BACKENDS; i++) {
        assert_null(bench->open[i]);
        assert_int_equal(bench->opened[i], 0);
    }
}

static void who_is_gone_is_probed_no_more(void **state)
{
    struct bench *bench = *state;

    follow(bench, 2);
    fail_often(bench);
    TURN_UNTIL(bench, bench->open[0] != NULL);
    health_follow(bench->health, &bench->targets[1], 1, &bench->settings);
    assert_null(bench->open[0]);
    bench->opened[0] = 0;
    turn_for(bench, 3 * INTERVAL_MS);

    assert_int_equal(bench->opened[0], 0);
    assert_true(bench->opened[1] > 0);
    assert_true(backend_may_dial(first(bench), UINT64_MAX));
}

static void a_probe_under_way_outlives_a_reload(void **state)
{
    struct bench *bench = *state;
    struct link_target again[BACKENDS];
    struct probe *probe;

    follow(bench, BACKENDS);
    TURN_UNTIL(bench, bench->open[0] != NULL);
    probe = bench->open[0];
    memcpy(again, bench->targets, sizeof(again));
    health_follow(bench->health, again, BACKENDS, &bench->settings);

    assert_ptr_equal(bench->open[0], probe);
    find(bench, HEALTH_BAD);
    assert_int_equal(bench->opened[0], 1);
    health_stop(bench->health);
}

static void a_probe_of_what_was_changed_begins_anew(void **state)
{
    struct bench *bench = *state;
    struct backend_config config = bench->configs[0];
    struct link_target again = {&config, first(bench), NULL};

    config.proxy_protocol = BACKEND_PROXY_V2;
    follow(bench, 1);
    TURN_UNTIL(bench, bench->open[0] != NULL);
    health_follow(bench->health, &again, 1, &bench->settings);

    assert_null(bench->open[0]);
    TURN_UNTIL(bench, bench->open[0] != NULL);
    health_stop(bench->health);
}

static void a_shorter_interval_holds_at_once(void **state)
{
    struct bench *bench = *state;

    bench->settings.interval_ms = (uint64_t)3600 * 1000 * 1000;
    follow(bench, 1);
    bench->settings.interval_ms = INTERVAL_MS;
    follow(bench, 1);

    TURN_UNTIL(bench, bench->open[0] != NULL);
}

static void without_an_interval_none_is_probed(void **state)
{
    struct bench *bench = *state;

    bench->settings.interval_ms = 0;
    bench->settings.fall = 2;
    follow(bench, BACKENDS);
    turn_for(bench, 3 * INTERVAL_MS);

    assert_int_equal(bench->opened[0], 0);
    backend_dial_failed(first(bench), 0, "refused");
    assert_true(backend_dial_failed(first(bench), 0, "refused"));
    assert_true(backend_may_dial(first(bench), BACKEND_RETRY_MS));
    assert_true(backend_dial_succeeded(first(bench)));
}

static void a_host_without_an_address_is_not_probed(void **state)
{
    struct bench *bench = *state;
    static const struct address loopback = {.ip = {127, 0, 0, 1}};

    backend_set_addresses(first(bench), NULL, 0);
    follow(bench, 1);
    turn_for(bench, 3 * INTERVAL_MS);
    assert_int_equal(bench->opened[0], 0);

    backend_set_addresses(first(bench), &loopback, 1);
    TURN_UNTIL(bench, bench->open[0] != NULL);
}

static void greetings_count_for_nothing_beside_a_probe_user(void **state)
{
    struct bench *bench = *state;
    static char user[] = "probe";

    bench->configs[0].probe.user = user;
    follow(bench, 1);
    for (int i = 0; i < 3; i++) {
        find(bench, HEALTH_BAD);
        backend_dial_succeeded(first(bench));
    }

    assert_int_equal(backend_state(first(bench)), BACKEND_DOWN);
    health_stop(bench->health);
    assert_true(backend_dial_succeeded(first(bench)));
}

static void workers_share_the_backends(void **state)
{
    struct bench *bench = *state;
    struct health *parts[3];
    unsigned shares = 0;

    bench->settings.interval_ms = (uint64_t)3600 * 1000;
    for (unsigned i = 0; i < 3; i++) {
        parts[i] = health_new(&bench->io, i, 3, &verbs, bench);
        bench->settings.fall = i + 1;
        health_follow(parts[i], bench->targets, BACKENDS, &bench->settings);
    }

    /* By its rules each tells whose it is. */
    for (size_t i = 0; i < BACKENDS; i++) {
        unsigned fall = 1;

        while (!backend_dial_failed(bench->targets[i].facts, 0, "refused"))
            fall++;
        assert_in_range(fall, 1, 3);
        shares |= 1u << fall;
    }
    assert_int_equal(shares, 0xe);
    for (unsigned i = 0; i < 3; i++)
        health_free(&parts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(each_backend_gets_its_turn),
        CLAIM(first_turns_lie_apart),
        CLAIM(the_next_turn_waits_for_the_finding),
        CLAIM(pauses_vary_by_a_quarter),
        CLAIM(no_pause_is_longer_than_the_interval),
        CLAIM(a_down_one_is_looked_at_as_often_as_logins_tried_it),
        CLAIM(findings_take_it_down_and_bring_it_up),
        CLAIM(what_is_not_known_counts_for_nothing),
        CLAIM(failed_dials_count_beside_probes),
        CLAIM(logins_try_nothing_while_probes_do),
        CLAIM(stopping_ends_all),
        CLAIM(who_is_gone_is_probed_no_more),
        CLAIM(a_probe_under_way_outlives_a_reload),
        CLAIM(a_probe_of_what_was_changed_begins_anew),
        CLAIM(a_shorter_interval_holds_at_once),
        CLAIM(without_an_interval_none_is_probed),
        CLAIM(a_host_without_an_address_is_not_probed),
        CLAIM(greetings_count_for_nothing_beside_a_probe_user),
        CLAIM(workers_share_the_backends),
    };

    setenv("GATEPOST_FAULT_CLOCK_SCALE", "100", 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
