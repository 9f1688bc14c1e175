#include "backend/backend_private.h"
#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <stdio.h>

static const char no_address[] = "host has no address";

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

static bool is_logged_in_to(const struct backend *backend)
{
    return atomic_load_explicit(&backend->is_logged_in_to,
                                memory_order_relaxed);
}

enum backend_state backend_state(const struct backend *backend)
{
    if (is_failing(backend) || !backend_has_addresses(backend))
        return BACKEND_DOWN;
    return BACKEND_UP;
}

bool backend_is_dialable(const struct backend *backend, uint64_t now_ms)
{
    if (!backend_has_addresses(backend))
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
    if (!backend_has_addresses(backend))
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

/* Called with the backend's lock. */
static void enter_state_locked(struct backend *backend, const char *why)
{
    atomic_store(&backend->state_since_ms, clock_now_ms());
    snprintf(backend->state_why, sizeof(backend->state_why), "%s", why);
}

void backend_heed_addresses_locked(struct backend *backend, bool had_any,
                                   bool has_any)
{
    if (had_any != has_any && !atomic_load(&backend->is_failing))
        enter_state_locked(backend,
                           has_any ? "host has an address" : no_address);
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
    if (!backend_has_addresses(backend))
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

static uint32_t longer_row(const struct backend *backend)
{
    uint32_t failures = atomic_load(&backend->failures);
    uint32_t failed_dials = atomic_load(&backend->failed_dials);

    return failures > failed_dials ? failures : failed_dials;
}

void backend_read_state(struct backend *backend, struct backend_facts *out)
{
    const char *why;

    out->failures_in_a_row = longer_row(backend);
    out->dials = atomic_load(&backend->dials);
    out->dial_failures = atomic_load(&backend->dial_failures);
    out->probes = atomic_load(&backend->probes);
    out->probe_failures = atomic_load(&backend->probe_failures);
    out->last_failure_ms = atomic_load(&backend->last_failure_ms);
    pthread_mutex_lock(&backend->lock);
    out->state = backend_state(backend);
    out->state_since_ms = atomic_load(&backend->state_since_ms);
    why = is_failing(backend) || backend_has_addresses(backend)
              ? backend->state_why
              : no_address;
    snprintf(out->state_why, sizeof(out->state_why), "%s", why);
    pthread_mutex_unlock(&backend->lock);
}
