#include "backend/backend.h"

#include "backend/backend_private.h"
#include "base/clock.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

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

unsigned backend_source_turn(struct backend *backend)
{
    return atomic_fetch_add_explicit(&backend->source_turn, 1,
                                     memory_order_relaxed);
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

uint64_t backend_up_since_ms(const struct backend *backend)
{
    uint64_t up =
        atomic_load_explicit(&backend->state_since_ms, memory_order_relaxed);
    uint64_t ready =
        atomic_load_explicit(&backend->mode_since_ms, memory_order_relaxed);

    return up > ready ? up : ready;
}

void backend_read_facts(struct backend *backend, struct backend_facts *out)
{
    struct address addresses[BACKEND_ADDRESSES_MAX];

    *out = (struct backend_facts){
        .sessions = backend_sessions(backend),
        .logins = atomic_load(&backend->logins),
        .logins_waiting = atomic_load(&backend->logins_waiting),
        .address_count = backend_addresses(backend, addresses),
        .notes = backend_notes(backend)};
    backend_read_mode(backend, out);
    backend_read_state(backend, out);
}
