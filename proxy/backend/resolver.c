#include "backend/resolver.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One backend whose host is a name; referenced. */
struct target {
    struct backend *backend;
    char *host;
    bool is_failing; /* and that was logged */
};

struct resolver {
    pthread_mutex_t lock; /* for all that follows */
    pthread_cond_t wake;  /* for the thread: an update, or the end */
    pthread_cond_t tried; /* for who waits for a round */
    resolver_lookup *lookup;
    uint64_t interval_ms;
    struct target *targets;
    size_t target_count;
    size_t tried_count;  /* of the targets since the last update */
    uint64_t generation; /* of the targets: an answer to a former one is
                            thrown away */
    bool is_ending;      /* the thread frees the resolver */
    struct address answer[RESOLVER_ANSWER_MAX]; /* the thread's own */
};

static bool take_answers(const struct addrinfo *from,
                         struct address out[RESOLVER_ANSWER_MAX],
                         size_t *count_out)
{
    size_t count = 0;

    for (; from != NULL && count < RESOLVER_ANSWER_MAX; from = from->ai_next)
        count += address_from_sockaddr(from->ai_addr, &out[count]);
    *count_out = count;
    return count > 0;
}

static bool ask_system(const char *host, int flags,
                       struct address out[RESOLVER_ANSWER_MAX],
                       size_t *count_out, const char **why_out)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *answer = NULL;
    int error = getaddrinfo(host, NULL, &hints, &answer);
    bool is_found = error == 0 && take_answers(answer, out, count_out);

    *why_out = error == 0 ? "no address" : gai_strerror(error);
    if (answer != NULL)
        freeaddrinfo(answer);
    return is_found;
}

static bool lookup_name(const char *host,
                        struct address out[RESOLVER_ANSWER_MAX],
                        size_t *count_out, const char **why_out)
{
    return ask_system(host, 0, out, count_out, why_out);
}

/* Never waits: no name server is asked about a literal. */
static bool read_literal(const char *host,
                         struct address out[RESOLVER_ANSWER_MAX],
                         size_t *count_out)
{
    const char *why;

    return ask_system(host, AI_NUMERICHOST, out, count_out, &why);
}

static void *run_resolver(void *argument);

struct resolver *resolver_new(uint64_t interval_ms, resolver_lookup *lookup)
{
    struct resolver *resolver = mem_zalloc(sizeof(*resolver));
    pthread_t thread;

    pthread_mutex_init(&resolver->lock, NULL);
    thread_condition_init(&resolver->wake);
    thread_condition_init(&resolver->tried);
    resolver->lookup = lookup == NULL ? lookup_name : lookup;
    resolver->interval_ms = interval_ms;
    if (thread_start(&thread, run_resolver, resolver) != 0)
        mem_exhausted();
    pthread_detach(thread);
    return resolver;
}

static void drop_targets_locked(struct resolver *resolver)
{
    for (size_t i = 0; i < resolver->target_count; i++) {
        backend_unref(&resolver->targets[i].backend);
        free(resolver->targets[i].host);
    }
    free(resolver->targets);
    resolver->targets = NULL;
    resolver->target_count = 0;
    resolver->tried_count = 0;
    resolver->generation++;
}

void resolver_free(struct resolver **resolver)
{
    struct resolver *mine = *resolver;

    *resolver = NULL;
    if (mine == NULL)
        return;
    pthread_mutex_lock(&mine->lock);
    drop_targets_locked(mine);
    mine->is_ending = true;
    pthread_cond_signal(&mine->wake);
    pthread_mutex_unlock(&mine->lock);
}

static void free_resolver(struct resolver *resolver)
{
    pthread_cond_destroy(&resolver->tried);
    pthread_cond_destroy(&resolver->wake);
    pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

static void add_target_locked(struct resolver *resolver,
                              struct backend *backend,
                              const struct backend_config *config)
{
    struct address literal[RESOLVER_ANSWER_MAX];
    struct target *target;
    size_t count;

    if (read_literal(config->host, literal, &count)) {
        backend_set_addresses(backend, literal, count);
        return;
    }
    target = &resolver->targets[resolver->target_count++];
    target->backend = backend_ref(backend);
    target->host = mem_strdup(config->host);
}

static bool has_address(const struct target *target)
{
    struct address known[BACKEND_ADDRESSES_MAX];

    return backend_addresses(target->backend, known) > 0;
}

/* So that a known name whose server is dead now does not delay new ones. */
static void put_unknown_first_locked(struct resolver *resolver)
{
    struct target *known =
        mem_alloc(resolver->target_count * sizeof(*resolver->targets));
    size_t known_count = 0;
    size_t unknown_count = 0;

    for (size_t i = 0; i < resolver->target_count; i++) {
        if (has_address(&resolver->targets[i]))
            known[known_count++] = resolver->targets[i];
        else
            resolver->targets[unknown_count++] = resolver->targets[i];
    }
    memcpy(resolver->targets + unknown_count, known,
           known_count * sizeof(*known));
    free(known);
}

void resolver_update(struct resolver *resolver, const struct backend_set *set,
                     uint64_t interval_ms)
{
    size_t count = backend_set_count(set);

    pthread_mutex_lock(&resolver->lock);
    drop_targets_locked(resolver);
    resolver->interval_ms = interval_ms;
    resolver->targets = mem_zalloc(count * sizeof(*resolver->targets));
    for (size_t i = 0; i < count; i++) {
        const struct backend_config *config;
        struct backend *backend = backend_set_at(set, i, &config);

        add_target_locked(resolver, backend, config);
    }
    put_unknown_first_locked(resolver);
    pthread_cond_signal(&resolver->wake);
    pthread_mutex_unlock(&resolver->lock);
}

bool resolver_wait(struct resolver *resolver, uint64_t wait_ms)
{
    struct timespec deadline = thread_deadline(wait_ms);
    bool is_done;
    int error = 0;

    pthread_mutex_lock(&resolver->lock);
    while (resolver->tried_count < resolver->target_count && error == 0)
        error = pthread_cond_timedwait(&resolver->tried, &resolver->lock,
                                       &deadline);
    is_done = resolver->tried_count >= resolver->target_count;
    pthread_mutex_unlock(&resolver->lock);
    return is_done;
}

/* Whether one address stands before another: the family that the system put
 * first, then by value, since name servers rotate their answers. */
static bool is_before(const struct address *one, const struct address *other,
                      bool ipv6_first)
{
    if (one->is_ipv6 != other->is_ipv6)
        return one->is_ipv6 == ipv6_first;
    return memcmp(one->ip, other->ip, sizeof(one->ip)) < 0;
}

/* By insertion, without those that stand twice; returns how many are left. */
static size_t sort_addresses(struct address *addresses, size_t count)
{
    bool ipv6_first = count > 0 && addresses[0].is_ipv6;
    size_t sorted = 0;

    for (size_t i = 0; i < count; i++) {
        struct address next = addresses[i];
        size_t at = sorted;

        while (at > 0 && is_before(&next, &addresses[at - 1], ipv6_first))
            at--;
        if (at > 0 && address_same_host(&next, &addresses[at - 1]))
            continue;
        memmove(addresses + at + 1, addresses + at,
                (sorted - at) * sizeof(*addresses));
        addresses[at] = next;
        sorted++;
    }
    return sorted;
}

static void log_lookup(const struct target *target, enum log_level level,
                       const char *event, const char *why)
{
    struct log_entry entry;

    log_begin(&entry, level, event);
    log_text(&entry, "backend", backend_name(target->backend));
    log_text(&entry, "host", target->host);
    if (why != NULL)
        log_text(&entry, "reason", why);
    log_bool(&entry, "down", backend_state(target->backend) == BACKEND_DOWN);
    log_end(&entry);
}

static void note_failure(struct target *target, const char *why)
{
    bool is_down = backend_state(target->backend) == BACKEND_DOWN;

    if (!target->is_failing)
        log_lookup(target, is_down ? LOG_ERROR : LOG_WARN, "resolve-failed",
                   why);
    target->is_failing = true;
}

static void note_answer(struct target *target, struct address *addresses,
                        size_t count)
{
    bool has_changed;

    count = sort_addresses(addresses, count);
    has_changed = backend_set_addresses(target->backend, addresses, count);
    if (has_changed || target->is_failing)
        log_lookup(target, LOG_INFO, "resolved", NULL);
    target->is_failing = false;
}

/* Looks one target up, unlocked meanwhile. Returns false if the targets were
 * replaced by the time of the answer. */
static bool try_target_locked(struct resolver *resolver, size_t index)
{
    uint64_t generation = resolver->generation;
    char *host = mem_strdup(resolver->targets[index].host);
    const char *why = NULL;
    size_t count = 0;
    bool is_found;

    pthread_mutex_unlock(&resolver->lock);
    is_found = resolver->lookup(host, resolver->answer, &count, &why);
    free(host);
    pthread_mutex_lock(&resolver->lock);
    if (resolver->generation != generation)
        return false;
    if (is_found)
        note_answer(&resolver->targets[index], resolver->answer, count);
    else
        note_failure(&resolver->targets[index], why);
    return true;
}

static void run_round_locked(struct resolver *resolver)
{
    size_t index = 0;

    while (index < resolver->target_count && !resolver->is_ending) {
        index = try_target_locked(resolver, index) ? index + 1 : 0;
        if (resolver->tried_count < index)
            resolver->tried_count = index;
        pthread_cond_broadcast(&resolver->tried);
    }
}

static void sleep_locked(struct resolver *resolver)
{
    struct timespec deadline =
        thread_deadline(clock_real_delay_ms(resolver->interval_ms));
    uint64_t generation = resolver->generation;
    int error = 0;

    while (resolver->generation == generation && error == 0)
        error =
            pthread_cond_timedwait(&resolver->wake, &resolver->lock, &deadline);
}

static void *run_resolver(void *argument)
{
    struct resolver *resolver = argument;

    pthread_mutex_lock(&resolver->lock);
    while (!resolver->is_ending) {
        run_round_locked(resolver);
        if (!resolver->is_ending)
            sleep_locked(resolver);
    }
    pthread_mutex_unlock(&resolver->lock);
    free_resolver(resolver);
    return NULL;
}
