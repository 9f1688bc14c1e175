#include "backend/backend.h"

#include "backend/backend_private.h"
#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char no_address[] = "host has no address";

struct backend_registry *backend_registry_new(void)
{
    struct backend_registry *registry = mem_zalloc(sizeof(*registry));

    pthread_mutex_init(&registry->lock, NULL);
    return registry;
}

void backend_registry_free(struct backend_registry **registry)
{
    struct backend_registry *mine = *registry;

    *registry = NULL;
    if (mine == NULL)
        return;
    assert(mine->first == NULL);
    pthread_mutex_destroy(&mine->lock);
    free(mine);
}

static struct backend *new_backend(struct backend_registry *registry,
                                   const char *name, const char *host,
                                   uint16_t port)
{
    struct backend *backend = mem_zalloc(sizeof(*backend));

    backend->registry = registry;
    backend->name = mem_strdup(name);
    backend->host = mem_strdup(host);
    backend->port = port;
    backend->fall = BACKEND_FAILURES_MAX;
    backend->rise = 1;
    backend->state_since_ms = clock_now_ms();
    pthread_mutex_init(&backend->lock, NULL);
    backend->number = ++registry->numbered;
    backend->next = registry->first;
    registry->first = backend;
    return backend;
}

static bool is_at(const struct backend *backend, const char *name,
                  const char *host, uint16_t port)
{
    return backend->port == port && strcmp(backend->name, name) == 0 &&
           strcmp(backend->host, host) == 0;
}

struct backend *backend_registry_get(struct backend_registry *registry,
                                     const char *name, const char *host,
                                     uint16_t port)
{
    struct backend *backend;

    pthread_mutex_lock(&registry->lock);
    backend = registry->first;
    while (backend != NULL && !is_at(backend, name, host, port))
        backend = backend->next;
    if (backend == NULL)
        backend = new_backend(registry, name, host, port);
    atomic_fetch_add(&backend->refs, 1);
    pthread_mutex_unlock(&registry->lock);
    return backend;
}

struct backend *backend_ref(struct backend *backend)
{
    atomic_fetch_add_explicit(&backend->refs, 1, memory_order_relaxed);
    return backend;
}

static void free_backend(struct backend *backend)
{
    pthread_mutex_destroy(&backend->lock);
    free(backend->host);
    free(backend->name);
    free(backend);
}

static void remove_locked(struct backend *backend)
{
    struct backend **link = &backend->registry->first;

    while (*link != backend)
        link = &(*link)->next;
    *link = backend->next;
}

/* The registry may be handing the backend out just now, so the last reference
 * is dropped under its lock. */
static void unref_last(struct backend *backend)
{
    pthread_mutex_t *lock = &backend->registry->lock;
    bool is_last;

    pthread_mutex_lock(lock);
    is_last = atomic_fetch_sub(&backend->refs, 1) == 1;
    if (is_last)
        remove_locked(backend);
    pthread_mutex_unlock(lock);
    if (is_last)
        free_backend(backend);
}

void backend_unref(struct backend **backend)
{
    struct backend *mine = *backend;
    unsigned refs;

    *backend = NULL;
    if (mine == NULL)
        return;
    refs = atomic_load(&mine->refs);
    while (refs > 1) {
        if (atomic_compare_exchange_weak(&mine->refs, &refs, refs - 1))
            return;
    }
    unref_last(mine);
}

const char *backend_name(const struct backend *backend)
{
    return backend->name;
}

const char *backend_host(const struct backend *backend)
{
    return backend->host;
}

uint16_t backend_port(const struct backend *backend)
{
    return backend->port;
}

void backend_publish_locked(struct backend *backend,
                            const struct address *addresses, size_t count)
{
    uint64_t next = atomic_load(&backend->generation) + 1;
    struct packed_addresses *to = &backend->addresses[next % 2];

    for (size_t i = 0; i < count; i++) {
        _Atomic uint64_t *words = to->words + i * WORDS_PER_ADDRESS;
        uint64_t ip[2];

        memcpy(ip, addresses[i].ip, sizeof(ip));
        atomic_store_explicit(&words[0], ip[0], memory_order_release);
        atomic_store_explicit(&words[1], ip[1], memory_order_release);
        atomic_store_explicit(
            &words[2], (uint64_t)backend->port << 1 | addresses[i].is_ipv6,
            memory_order_release);
    }
    atomic_store_explicit(&to->count, count, memory_order_release);
    atomic_store_explicit(&backend->generation, next, memory_order_release);
}

static void unpack(const struct packed_addresses *from, size_t index,
                   struct address *out)
{
    const _Atomic uint64_t *words = from->words + index * WORDS_PER_ADDRESS;
    uint64_t ip[2];
    uint64_t rest;

    ip[0] = atomic_load_explicit(&words[0], memory_order_acquire);
    ip[1] = atomic_load_explicit(&words[1], memory_order_acquire);
    rest = atomic_load_explicit(&words[2], memory_order_acquire);
    *out = (struct address){.port = (uint16_t)(rest >> 1),
                            .is_ipv6 = (rest & 1) != 0};
    memcpy(out->ip, ip, sizeof(ip));
}

/* A writer raises the generation before it touches this set again, and each
 * of its words is released after that and acquired here: if one of them was
 * seen, the second look sees the raised generation too. */
size_t backend_addresses(const struct backend *backend,
                         struct address out[BACKEND_ADDRESSES_MAX])
{
    uint64_t generation =
        atomic_load_explicit(&backend->generation, memory_order_acquire);

    for (;;) {
        const struct packed_addresses *from =
            &backend->addresses[generation % 2];
        uint64_t before = generation;
        size_t count = atomic_load_explicit(&from->count, memory_order_acquire);

        for (size_t i = 0; i < count; i++)
            unpack(from, i, &out[i]);
        generation =
            atomic_load_explicit(&backend->generation, memory_order_acquire);
        if (generation == before)
            return count;
    }
}

static bool has_addresses(const struct backend *backend)
{
    uint64_t generation =
        atomic_load_explicit(&backend->generation, memory_order_acquire);

    return atomic_load_explicit(&backend->addresses[generation % 2].count,
                                memory_order_relaxed) > 0;
}

static bool is_same(const struct backend *backend,
                    const struct address *addresses, size_t count)
{
    struct address known[BACKEND_ADDRESSES_MAX];

    if (backend_addresses(backend, known) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!address_same_host(&known[i], &addresses[i]))
            return false;
    }
    return true;
}

/* Called with the backend's lock. */
static void enter_state_locked(struct backend *backend, const char *why)
{
    atomic_store(&backend->state_since_ms, clock_now_ms());
    snprintf(backend->state_why, sizeof(backend->state_why), "%s", why);
}

/* The first address makes up of down, the loss of the last one the reverse,
 * but for a backend that is down for its failures. */
static void note_addresses_locked(struct backend *backend, bool had_any,
                                  bool has_any)
{
    if (had_any != has_any && !atomic_load(&backend->is_failing))
        enter_state_locked(backend,
                           has_any ? "host has an address" : no_address);
}

bool backend_set_addresses(struct backend *backend,
                           const struct address *addresses, size_t count)
{
    bool has_changed;

    if (count > BACKEND_ADDRESSES_MAX)
        count = BACKEND_ADDRESSES_MAX;
    pthread_mutex_lock(&backend->lock);
    has_changed = !is_same(backend, addresses, count);
    if (has_changed) {
        note_addresses_locked(backend, has_addresses(backend), count > 0);
        backend_publish_locked(backend, addresses, count);
        atomic_store(&backend->retry_at_ms, 0);
    }
    pthread_mutex_unlock(&backend->lock);
    return has_changed;
}

void backend_set_rules(struct backend *backend,
                       const struct backend_rules *rules)
{
    assert(rules->fall > 0 && rules->rise > 0);
    pthread_mutex_lock(&backend->lock);
    backend->fall = rules->fall;
    backend->rise = rules->rise;
    atomic_store(&backend->is_probed, rules->is_probed);
    atomic_store(&backend->is_logged_in_to, rules->is_logged_in_to);
    pthread_mutex_unlock(&backend->lock);
}

static bool is_failing(const struct backend *backend)
{
    return atomic_load_explicit(&backend->is_failing, memory_order_relaxed);
}

static bool is_probed(const struct backend *backend)
{
    return atomic_load_explicit(&backend->is_probed, memory_order_relaxed);
}

enum backend_state backend_state(const struct backend *backend)
{
    if (is_failing(backend) || !has_addresses(backend))
        return BACKEND_DOWN;
    return BACKEND_UP;
}

bool backend_is_dialable(const struct backend *backend, uint64_t now_ms)
{
    if (!has_addresses(backend))
        return false;
    if (!is_failing(backend))
        return true;
    return !is_probed(backend) &&
           atomic_load_explicit(&backend->retry_at_ms, memory_order_relaxed) <=
               now_ms;
}

/* Whoever moves the moment of the next try has this one. */
static bool take_retry(struct backend *backend, uint64_t now_ms)
{
    uint64_t retry_at_ms = atomic_load(&backend->retry_at_ms);

    return retry_at_ms <= now_ms &&
           atomic_compare_exchange_strong(&backend->retry_at_ms, &retry_at_ms,
                                          now_ms + BACKEND_RETRY_MS);
}

bool backend_may_dial(struct backend *backend, uint64_t now_ms)
{
    if (!has_addresses(backend))
        return false;
    if (is_failing(backend) &&
        (is_probed(backend) || !take_retry(backend, now_ms)))
        return false;
    atomic_fetch_add_explicit(&backend->dials, 1, memory_order_relaxed);
    return true;
}

static void log_down(const struct backend *backend, const char *why)
{
    struct log_entry entry;

    log_begin(&entry, LOG_ERROR, "backend-down");
    log_text(&entry, "backend", backend->name);
    log_text(&entry, "reason", why);
    log_end(&entry);
}

static void log_up(const struct backend *backend)
{
    struct log_entry entry;

    log_begin(&entry, LOG_INFO, "backend-up");
    log_text(&entry, "backend", backend->name);
    log_end(&entry);
}

/* Called with the backend's lock. True when this takes the backend down. */
static bool add_failure_locked(struct backend *backend, _Atomic uint32_t *row,
                               const char *why)
{
    uint32_t failures = atomic_load(row) + 1;

    backend->successes = 0;
    atomic_store(row, failures);
    if (failures < backend->fall || is_failing(backend))
        return false;
    enter_state_locked(backend, why);
    atomic_store(&backend->is_failing, true);
    return true;
}

/* Called with the backend's lock. True when this brings the backend up. */
static bool add_success_locked(struct backend *backend)
{
    bool was_failing = is_failing(backend);

    if (was_failing && ++backend->successes < backend->rise)
        return false;
    backend->successes = 0;
    atomic_store(&backend->failures, 0);
    atomic_store(&backend->failed_dials, 0);
    if (!was_failing)
        return false;
    enter_state_locked(backend, "answers again");
    atomic_store(&backend->is_failing, false);
    return true;
}

static bool add_failure(struct backend *backend, _Atomic uint32_t *row,
                        uint64_t now_ms, const char *why)
{
    bool is_news;

    pthread_mutex_lock(&backend->lock);
    atomic_store(&backend->last_failure_ms, now_ms);
    /* Before the state says down, so that nobody sees a stale moment. */
    atomic_store(&backend->retry_at_ms, now_ms + BACKEND_RETRY_MS);
    is_news = add_failure_locked(backend, row, why);
    pthread_mutex_unlock(&backend->lock);
    if (is_news)
        log_down(backend, why);
    return is_news;
}

static bool is_empty(const _Atomic uint32_t *row)
{
    return atomic_load_explicit(row, memory_order_relaxed) == 0;
}

static bool add_success(struct backend *backend)
{
    bool is_news;

    /* The common case must not write to a line that all workers share. */
    if (!is_failing(backend) && is_empty(&backend->failures) &&
        is_empty(&backend->failed_dials))
        return false;
    pthread_mutex_lock(&backend->lock);
    is_news = add_success_locked(backend);
    pthread_mutex_unlock(&backend->lock);
    if (is_news)
        log_up(backend);
    return is_news;
}

static bool is_logged_in_to(const struct backend *backend)
{
    return atomic_load_explicit(&backend->is_logged_in_to,
                                memory_order_relaxed);
}

bool backend_dial_failed(struct backend *backend, uint64_t now_ms,
                         const char *why)
{
    _Atomic uint32_t *row =
        is_logged_in_to(backend) ? &backend->failed_dials : &backend->failures;

    atomic_fetch_add_explicit(&backend->dial_failures, 1, memory_order_relaxed);
    return add_failure(backend, row, now_ms, why);
}

static void end_failed_dials(struct backend *backend)
{
    if (is_empty(&backend->failed_dials))
        return;
    pthread_mutex_lock(&backend->lock);
    atomic_store(&backend->failed_dials, 0);
    pthread_mutex_unlock(&backend->lock);
}

bool backend_dial_succeeded(struct backend *backend)
{
    if (!is_logged_in_to(backend))
        return add_success(backend);
    end_failed_dials(backend);
    return false;
}

void backend_dial_abandoned(struct backend *backend)
{
    atomic_store_explicit(&backend->retry_at_ms, 0, memory_order_relaxed);
}

bool backend_probe_begin(struct backend *backend)
{
    if (!has_addresses(backend))
        return false;
    atomic_fetch_add_explicit(&backend->probes, 1, memory_order_relaxed);
    return true;
}

bool backend_probe_failed(struct backend *backend, uint64_t now_ms,
                          const char *why)
{
    atomic_fetch_add_explicit(&backend->probe_failures, 1,
                              memory_order_relaxed);
    return add_failure(backend, &backend->failures, now_ms, why);
}

bool backend_probe_succeeded(struct backend *backend)
{
    return add_success(backend);
}

unsigned backend_source_turn(struct backend *backend)
{
    return atomic_fetch_add_explicit(&backend->source_turn, 1,
                                     memory_order_relaxed);
}

enum backend_mode backend_mode(const struct backend *backend)
{
    return atomic_load_explicit(&backend->mode, memory_order_relaxed);
}

const char *backend_mode_name(enum backend_mode mode)
{
    switch (mode) {
    case BACKEND_READY:
        return "ready";
    case BACKEND_DRAINING:
        return "draining";
    case BACKEND_MAINTENANCE:
        return "maintenance";
    }
    return "";
}

uint64_t backend_up_since_ms(const struct backend *backend)
{
    uint64_t up =
        atomic_load_explicit(&backend->state_since_ms, memory_order_relaxed);
    uint64_t ready =
        atomic_load_explicit(&backend->mode_since_ms, memory_order_relaxed);

    return up > ready ? up : ready;
}

static void log_mode(const struct backend *backend)
{
    struct log_entry entry;

    log_begin(&entry, LOG_INFO, "backend-mode");
    log_text(&entry, "backend", backend->name);
    log_text(&entry, "mode", backend_mode_name(backend->mode));
    log_text(&entry, "reason", backend->mode_why);
    log_end(&entry);
}

static bool set_mode_locked(struct backend *backend, enum backend_mode mode,
                            const char *why)
{
    if (backend_mode(backend) == mode)
        return false;
    atomic_store(&backend->mode, mode);
    atomic_store(&backend->mode_since_ms, clock_now_ms());
    snprintf(backend->mode_why, sizeof(backend->mode_why), "%s", why);
    log_mode(backend);
    return true;
}

bool backend_set_mode(struct backend *backend, enum backend_mode mode,
                      const char *why)
{
    bool has_changed;

    pthread_mutex_lock(&backend->lock);
    has_changed = set_mode_locked(backend, mode, why);
    pthread_mutex_unlock(&backend->lock);
    return has_changed;
}

bool backend_configure_mode(struct backend *backend, enum backend_mode mode)
{
    bool has_changed = false;

    pthread_mutex_lock(&backend->lock);
    if (backend->configured_mode != mode)
        has_changed = set_mode_locked(backend, mode, "routing table");
    backend->configured_mode = mode;
    pthread_mutex_unlock(&backend->lock);
    return has_changed;
}

static bool take_place(_Atomic uint32_t *places, unsigned max)
{
    uint32_t taken = atomic_load(places);

    while (taken < max) {
        if (atomic_compare_exchange_weak(places, &taken, taken + 1))
            return true;
    }
    return false;
}

struct backend *backend_session_opened(struct backend *backend)
{
    atomic_fetch_add_explicit(&backend->sessions, 1, memory_order_relaxed);
    return backend_ref(backend);
}

struct backend *backend_session_try(struct backend *backend, unsigned max)
{
    if (max == 0)
        return backend_session_opened(backend);
    return take_place(&backend->sessions, max) ? backend_ref(backend) : NULL;
}

void backend_session_closed(struct backend **backend)
{
    if (*backend != NULL)
        atomic_fetch_sub_explicit(&(*backend)->sessions, 1,
                                  memory_order_relaxed);
    backend_unref(backend);
}

uint32_t backend_sessions(const struct backend *backend)
{
    return atomic_load_explicit(&backend->sessions, memory_order_relaxed);
}

bool backend_note(struct backend *backend, enum backend_note note)
{
    unsigned bit = 1u << note;

    /* The common case must not write to a line that all workers share. */
    if ((backend_notes(backend) & bit) != 0)
        return false;
    return (atomic_fetch_or(&backend->notes, bit) & bit) == 0;
}

unsigned backend_notes(const struct backend *backend)
{
    return atomic_load_explicit(&backend->notes, memory_order_relaxed);
}

const char *backend_note_name(enum backend_note note)
{
    static const char *const names[BACKEND_NOTE_COUNT] = {
        [BACKEND_NOTE_LACKS_MECHANISM] = "lacks-mechanism",
        [BACKEND_NOTE_OFFERS_PLUS] = "offers-plus",
        [BACKEND_NOTE_OFFERS_UNAUTHENTICATE] = "offers-unauthenticate",
        [BACKEND_NOTE_OFFERS_REFERRALS] = "offers-referrals",
        [BACKEND_NOTE_REFUSES_PROBE] = "refuses-probe",
    };

    return names[note];
}

bool backend_login_begin(struct backend *backend, unsigned max)
{
    return take_place(&backend->logins, max);
}

void backend_login_end(struct backend *backend)
{
    atomic_fetch_sub(&backend->logins, 1);
}

bool backend_login_queue(struct backend *backend, unsigned max)
{
    return take_place(&backend->logins_waiting, max);
}

void backend_login_unqueue(struct backend *backend)
{
    atomic_fetch_sub(&backend->logins_waiting, 1);
}

static void read_state(struct backend *backend, struct backend_facts *out)
{
    const char *why;

    pthread_mutex_lock(&backend->lock);
    out->state = backend_state(backend);
    out->state_since_ms = atomic_load(&backend->state_since_ms);
    why = is_failing(backend) || has_addresses(backend) ? backend->state_why
                                                        : no_address;
    snprintf(out->state_why, sizeof(out->state_why), "%s", why);
    pthread_mutex_unlock(&backend->lock);
}

static void read_mode(struct backend *backend, struct backend_facts *out)
{
    pthread_mutex_lock(&backend->lock);
    out->mode = backend_mode(backend);
    out->since_ms = atomic_load(&backend->mode_since_ms);
    memcpy(out->why, backend->mode_why, sizeof(out->why));
    pthread_mutex_unlock(&backend->lock);
}

static uint32_t longer_row(const struct backend *backend)
{
    uint32_t failures = atomic_load(&backend->failures);
    uint32_t failed_dials = atomic_load(&backend->failed_dials);

    return failures > failed_dials ? failures : failed_dials;
}

void backend_read_facts(struct backend *backend, struct backend_facts *out)
{
    struct address addresses[BACKEND_ADDRESSES_MAX];

    *out = (struct backend_facts){
        .sessions = backend_sessions(backend),
        .logins = atomic_load(&backend->logins),
        .logins_waiting = atomic_load(&backend->logins_waiting),
        .failures_in_a_row = longer_row(backend),
        .address_count = backend_addresses(backend, addresses),
        .dials = atomic_load(&backend->dials),
        .dial_failures = atomic_load(&backend->dial_failures),
        .probes = atomic_load(&backend->probes),
        .probe_failures = atomic_load(&backend->probe_failures),
        .last_failure_ms = atomic_load(&backend->last_failure_ms),
        .notes = backend_notes(backend)};
    read_mode(backend, out);
    read_state(backend, out);
}
