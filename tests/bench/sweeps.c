/* How long a worker's loop stands still while it looks at all of its sessions:
 * to list, kick or drain them. The sessions have users, backends and places in
 * the registry, and no sockets, so that there can be more of them than
 * descriptors. Usage: bench_sweeps SESSIONS; logs to standard error as a worker
 * does. */
#include "base/clock.h"
#include "base/log.h"
#include "base/slab.h"
#include "session/drain.h"
#include "session/kick.h"
#include "session/listing.h"
#include "session/session_private.h"
#include "session/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LISTED = 1000,     /* as a page of the admin socket has */
    SPREAD_S = 60,     /* of what is ended little by little */
    WATCHED_MS = 1500, /* of that */
    BUSY_FOR_MS = 3600000
};

static struct env env;
static uv_loop_t loop;
static struct registry registry;
static struct sweeps sweeps;
static struct kicks kicks;
static struct drain drain;
static struct listing listing;
static struct backend *backend;
static bool is_listed;

static struct session *make_session(size_t number)
{
    struct session *session = slab_zalloc(sizeof(*session));
    struct identity identity = {.user = ""};

    identity.user_len = (size_t)snprintf(identity.user, sizeof(identity.user),
                                         "user%zu@example.org", number);
    session->env = &env;
    session->state = SESSION_SPLICE;
    session->facts.number = number + 1;
    session->facts.started_ms = clock_now_ms();
    session->backend = backend_session_opened(backend);
    /* None is quiet: a kick looks at all of them in vain, then begins anew. */
    session->splice.active_ms = clock_now_ms() + BUSY_FOR_MS;
    session_facts_name_user(&session->facts, &identity);
    return session;
}

/* In no order that memory has, as after days of coming and going. */
static void fill_registry(size_t count)
{
    struct session **sessions = mem_alloc(count * sizeof(*sessions));

    for (size_t i = 0; i < count; i++)
        sessions[i] = make_session(i);
    env.sessions_made = count;
    srand(1);
    for (size_t i = count; i > 0; i--) {
        size_t at = (size_t)rand() % i;
        struct session *drawn = sessions[at];

        sessions[at] = sessions[i - 1];
        registry_add(&registry, &drawn->node);
        registry_settle(&registry, &drawn->node);
    }
    free(sessions);
}

static void set_up(size_t count)
{
    struct backend_registry *backends = backend_registry_new();
    struct counters_set *counters = counters_set_new(1);

    slab_join_thread();
    backend = backend_registry_get(backends, "b1", "::1", 143);
    env.counters = counters_set_at(counters, 0);
    env.limits = limits_new();
    env.registry = &registry;
    env.sweeps = &sweeps;
    registry_init(&registry);
    if (uv_loop_init(&loop) != 0 ||
        io_init(&env.io, &loop, env.counters, 4096) != 0 ||
        sweeps_open(&sweeps, &loop, &registry) != 0)
        abort();
    kicks_init(&kicks, &env);
    fill_registry(count);
}

/* Times are the processor's, so that other programs do not count. */
static uint64_t now_ns(void)
{
    struct timespec moment;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &moment);
    return (uint64_t)moment.tv_sec * 1000000000 + (uint64_t)moment.tv_nsec;
}

struct times {
    uint64_t longest_ns; /* turn of the loop */
    uint64_t all_ns;
};

static void add_turn(struct times *times, uint64_t since_ns)
{
    uint64_t took_ns = now_ns() - since_ns;

    times->all_ns += took_ns;
    if (took_ns > times->longest_ns)
        times->longest_ns = took_ns;
}

static void turn(struct times *times)
{
    uint64_t since_ns = now_ns();

    (void)uv_run(&loop, UV_RUN_NOWAIT);
    add_turn(times, since_ns);
}

static void report(const char *what, const struct times *times)
{
    printf("%s longest_us %llu all_us %llu\n", what,
           (unsigned long long)(times->longest_ns / 1000),
           (unsigned long long)(times->all_ns / 1000));
}

static void on_listed(struct listing *done, bool is_whole, void *owner)
{
    (void)done;
    (void)owner;
    is_listed = is_whole;
}

static void measure_listing(void)
{
    struct times times = {0};
    uint64_t since_ns = now_ns();

    listing.limit = LISTED;
    listing_fill(&listing, &env, on_listed, NULL);
    add_turn(&times, since_ns);
    while (!is_listed)
        turn(&times);
    listing_deinit(&listing);
    report("list", &times);
}

static struct kick *new_kick(const char *name, const char *user)
{
    struct kick kick = {.reason = "kicked"};
    struct kick *copy = kick_copy(&kick);

    if (name != NULL)
        copy->backend = mem_strdup(name);
    if (user != NULL)
        snprintf(copy->user, sizeof(copy->user), "%s", user);
    return copy;
}

static void measure_kick(const char *what, struct kick *kick)
{
    uint64_t until_ms =
        kick->spread_ms == 0 ? UINT64_MAX : clock_now_ms() + WATCHED_MS;
    struct times times = {0};
    uint64_t since_ns = now_ns();

    kicks_take(&kicks, kick);
    add_turn(&times, since_ns);
    while (kicks.first != NULL && clock_now_ms() < until_ms)
        turn(&times);
    report(what, &times);
    kicks_deinit(&kicks);
    while (kicks.is_sweeping)
        (void)uv_run(&loop, UV_RUN_NOWAIT);
}

static void measure_drain(void)
{
    uint64_t until_ms = clock_now_ms() + WATCHED_MS;
    struct times times = {0};
    uint64_t since_ns = now_ns();

    drain_start(&drain, &env, SPREAD_S * 1000);
    add_turn(&times, since_ns);
    while (clock_now_ms() < until_ms)
        turn(&times);
    report("drain", &times);
    drain_stop(&drain);
}

int main(int argc, char **argv)
{
    struct kick *over;

    if (argc != 2) {
        fprintf(stderr, "Usage: bench_sweeps SESSIONS\n");
        return 2;
    }
    (void)log_start(LOG_INFO, LOG_JSON);
    set_up(strtoul(argv[1], NULL, 10));
    measure_listing();
    measure_kick("kick-user", new_kick(NULL, "user0@example.org"));
    over = new_kick("b1", NULL);
    over->spread_ms = SPREAD_S * 1000;
    measure_kick("kick-over-a-minute", over);
    measure_drain();
    measure_kick("kick-all-at-once", new_kick("b1", NULL));
    if (backend_sessions(backend) != 0)
        abort();
    log_stop(1000);
    /* Nothing is freed: without sockets no session ever ends. */
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
