#include "backend/health.h"

#include "backend/backend.h"
#include "backend/rendezvous.h"
#include "base/clock.h"
#include "base/log.h"

#include <openssl/rand.h>
#include <stdlib.h>

/* One backend. */
struct health_watch {
    struct health *health;
    const struct link_target *target;
    struct backend *facts; /* counted: outlives the table */
    struct probe *probe;   /* while it is under way */
    struct wheel_timer turn;
};

struct health {
    struct io *io;
    unsigned part;
    unsigned parts;
    const struct health_verbs *verbs;
    void *owner;
    struct health_settings settings;
    struct health_watch **watches;
    size_t count;
};

#define WATCH_OF(timer)                                                        \
    ((struct health_watch *)(void *)((char *)(timer)-offsetof(                 \
        struct health_watch, turn)))

static bool is_ours(const struct health *health,
                    const struct link_target *target);
static struct health_watch *follow(struct health *health,
                                   const struct link_target *target,
                                   const struct health_settings *settings,
                                   size_t *likely);
static void forget_all(struct health *health);
static void set_rules(const struct link_target *target,
                      const struct health_settings *settings);
static void on_turn(struct wheel_timer *timer);

struct health *health_new(struct io *io, unsigned part, unsigned parts,
                          const struct health_verbs *verbs, void *owner)
{
    struct health *health = mem_zalloc(sizeof(*health));

    health->io = io;
    health->part = part;
    health->parts = parts;
    health->verbs = verbs;
    health->owner = owner;
    return health;
}

static struct health_watch **follow_all(struct health *health,
                                        const struct link_target *targets,
                                        size_t count,
                                        const struct health_settings *settings,
                                        size_t *followed_out)
{
    struct health_watch **watches = mem_zalloc(count * sizeof(void *));
    size_t likely = 0;

    *followed_out = 0;
    for (size_t i = 0; i < count && settings->interval_ms > 0; i++) {
        if (is_ours(health, &targets[i]))
            watches[(*followed_out)++] =
                follow(health, &targets[i], settings, &likely);
    }
    return watches;
}

void health_follow(struct health *health, const struct link_target *targets,
                   size_t count, const struct health_settings *settings)
{
    size_t followed;
    struct health_watch **watches =
        follow_all(health, targets, count, settings, &followed);

    forget_all(health);
    health->settings = *settings;
    health->watches = watches;
    health->count = followed;
    for (size_t i = 0; i < count; i++) {
        if (is_ours(health, &targets[i]))
            set_rules(&targets[i], settings);
    }
}

void health_stop(struct health *health)
{
    forget_all(health);
}

void health_free(struct health **health)
{
    struct health *mine = *health;

    *health = NULL;
    if (mine == NULL)
        return;
    health_stop(mine);
    free(mine);
}

uint64_t health_pause_max(const struct health_settings *settings,
                          enum backend_state state)
{
    if (state == BACKEND_DOWN && settings->interval_ms > BACKEND_RETRY_MS)
        return BACKEND_RETRY_MS;
    return settings->interval_ms;
}

static uint64_t draw_below(uint64_t bound)
{
    uint32_t random;

    RAND_bytes((uint8_t *)&random, sizeof(random));
    return random % bound;
}

/* Backends that were put in force together, and Gateposts that were started
 * together, would stay in step for ever. */
static void await_first_turn(struct health_watch *watch, uint64_t interval_ms)
{
    io_arm(watch->health->io, &watch->turn, draw_below(interval_ms));
}

static void await_turn(struct health_watch *watch)
{
    uint64_t pause_ms =
        health_pause_max(&watch->health->settings, backend_state(watch->facts));

    io_arm(watch->health->io, &watch->turn,
           pause_ms - draw_below(pause_ms / 4));
}

static void on_turn(struct wheel_timer *timer)
{
    struct health_watch *watch = WATCH_OF(timer);
    struct health *health = watch->health;

    /* A host without an address is down already. */
    if (!backend_probe_begin(watch->facts)) {
        await_turn(watch);
        return;
    }
    counters_add(health->io->counters, COUNTER_PROBES, 1);
    watch->probe = health->verbs->open(health->owner, watch->target,
                                       health->settings.timeout_ms, watch);
}

static void log_finding(const struct health_watch *watch, const char *event,
                        const char *why)
{
    struct log_entry entry;

    log_begin(&entry, LOG_DEBUG, event);
    log_text(&entry, "backend", backend_name(watch->facts));
    log_text(&entry, "reason", why);
    log_end(&entry);
}

void health_found(struct health_watch *watch, enum health_finding finding,
                  const char *why)
{
    switch (finding) {
    case HEALTH_GOOD:
        backend_probe_succeeded(watch->facts);
        break;
    case HEALTH_BAD:
        counters_add(watch->health->io->counters, COUNTER_PROBE_FAILURES, 1);
        log_finding(watch, "probe-failed", why);
        backend_probe_failed(watch->facts, clock_now_ms(), why);
        break;
    case HEALTH_UNKNOWN:
        log_finding(watch, "probe-impossible", why);
        break;
    }
    watch->health->verbs->close(&watch->probe);
    await_turn(watch);
}

static bool is_ours(const struct health *health,
                    const struct link_target *target)
{
    return rendezvous_seed(backend_name(target->facts)) % health->parts ==
           health->part;
}

static void set_rules(const struct link_target *target,
                      const struct health_settings *settings)
{
    bool is_probed = settings->interval_ms > 0;
    const struct backend_rules rules = {
        .fall = settings->fall,
        /* Where logins have to find out, the first that gets through is not
         * asked to come again. */
        .rise = is_probed ? settings->rise : 1,
        .is_probed = is_probed,
        .is_logged_in_to = is_probed && target->config->probe.user != NULL,
    };

    backend_set_rules(target->facts, &rules);
}

/* Tables mostly keep their order, so that the search mostly ends at once. */
static struct health_watch *take_former(struct health *health,
                                        const struct link_target *target,
                                        size_t *likely)
{
    for (size_t i = 0; i < health->count; i++) {
        size_t index = (*likely + i) % health->count;
        struct health_watch *former = health->watches[index];

        if (former == NULL || former->facts != target->facts)
            continue;
        *likely = index + 1;
        health->watches[index] = NULL;
        return former;
    }
    return NULL;
}

static struct health_watch *new_watch(struct health *health,
                                      const struct link_target *target)
{
    struct health_watch *watch = mem_zalloc(sizeof(*watch));

    watch->health = health;
    watch->facts = backend_ref(target->facts);
    wheel_timer_init(&watch->turn, on_turn);
    return watch;
}

/* Whether a probe of the one tells how the other is. */
static bool asks_the_same(const struct link_target *one,
                          const struct link_target *other)
{
    return link_target_is_same(one, other) &&
           (one->config->probe.user == NULL) ==
               (other->config->probe.user == NULL);
}

static struct health_watch *follow(struct health *health,
                                   const struct link_target *target,
                                   const struct health_settings *settings,
                                   size_t *likely)
{
    struct health_watch *watch = take_former(health, target, likely);
    bool keeps_turn = watch != NULL && asks_the_same(watch->target, target) &&
                      health->settings.interval_ms == settings->interval_ms;

    if (watch == NULL)
        watch = new_watch(health, target);
    watch->target = target;
    if (!keeps_turn) {
        health->verbs->close(&watch->probe);
        await_first_turn(watch, settings->interval_ms);
    }
    return watch;
}

static void forget(struct health_watch *watch)
{
    struct health *health = watch->health;
    const struct backend_rules rules = {.fall = health->settings.fall,
                                        .rise = 1};

    health->verbs->close(&watch->probe);
    io_disarm(health->io, &watch->turn);
    backend_set_rules(watch->facts, &rules);
    backend_unref(&watch->facts);
    free(watch);
}

static void forget_all(struct health *health)
{
    for (size_t i = 0; i < health->count; i++) {
        if (health->watches[i] != NULL)
            forget(health->watches[i]);
    }
    free(health->watches);
    health->watches = NULL;
    health->count = 0;
}
