/* What the files of the facts about backends share: backend.c has their life
 * and their counts, backend_addresses.c, backend_state.c (up or down) and
 * backend_mode.c (whom it takes) what their names say, backend_memory.c what
 * outlives the process. Private to backend/. */
#ifndef BACKEND_BACKEND_PRIVATE_H
#define BACKEND_BACKEND_PRIVATE_H

#include "backend/backend.h"

#include <pthread.h>
#include <stdatomic.h>

/* An address in words that can be read and written atomically. */
enum {
    WORDS_PER_ADDRESS = 3
};

struct packed_addresses {
    _Atomic uint64_t count;
    _Atomic uint64_t words[BACKEND_ADDRESSES_MAX * WORDS_PER_ADDRESS];
};

struct backend {
    struct backend_registry *registry;
    struct backend *next; /* of the registry, under its lock */
    char *name;
    char *host;
    uint16_t port;
    uint32_t number; /* of the registry's, from 1 */

    _Atomic enum backend_mode mode;    /* written under the lock */
    enum backend_mode configured_mode; /* the latest table's; likewise */
    _Atomic uint64_t mode_since_ms;
    char mode_why[BACKEND_WHY_MAX];

    atomic_uint refs;
    _Atomic uint32_t sessions;
    _Atomic uint32_t logins; /* under way, where they are limited */
    _Atomic uint32_t logins_waiting;
    _Atomic uint32_t failures; /* in a row */
    /* Those of dials where the probes log in: a greeting ends this row, and
     * not the other. */
    _Atomic uint32_t failed_dials;
    atomic_bool is_failing; /* down, for as many failures */
    atomic_bool is_probed;
    atomic_bool is_logged_in_to; /* by the probes */
    _Atomic uint64_t retry_at_ms;
    _Atomic uint64_t last_failure_ms;
    _Atomic uint64_t dials;
    _Atomic uint64_t dial_failures;
    _Atomic uint64_t probes;
    _Atomic uint64_t probe_failures;
    _Atomic uint64_t state_since_ms;
    atomic_uint source_turn;
    atomic_uint notes;

    pthread_mutex_t lock; /* for whoever writes what follows, or the state */
    unsigned fall;
    unsigned rise;
    unsigned successes; /* in a row while it is failing */
    char state_why[BACKEND_WHY_MAX];
    /* Readers go to addresses[generation % 2]; a writer fills the other and
     * raises the generation. Only a reader whose set was replaced meanwhile
     * tries again, so nobody waits for a writer that lost its processor. */
    _Atomic uint64_t generation;
    struct packed_addresses addresses[2];
};

struct backend_registry {
    pthread_mutex_t lock;
    struct backend *first; /* the newest */
    uint32_t numbered;
};

/* Called with the backend's lock. */
void backend_publish_locked(struct backend *backend,
                            const struct address *addresses, size_t count);

bool backend_has_addresses(const struct backend *backend);

/* The first address makes up of down, the loss of the last one the reverse,
 * but for a backend that is down for its failures. Called with the backend's
 * lock. */
void backend_heed_addresses_locked(struct backend *backend, bool had_any,
                                   bool has_any);

/* What each has of backend_read_facts; the rest is left alone. */
void backend_read_state(struct backend *backend, struct backend_facts *out);
void backend_read_mode(struct backend *backend, struct backend_facts *out);

#endif
