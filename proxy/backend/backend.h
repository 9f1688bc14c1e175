/* What is known about each backend while it runs: state, load, addresses.
 * Facts are keyed by the backend's name and place, and outlive a reload; what
 * the table says of a backend (config/route_table.h) does not live here.
 *
 * All functions may be called from any thread. Those that a login needs take
 * no lock. */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include "config/mem.h"
#include "config/route_table.h"
#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum backend_state {
    BACKEND_UP,
    BACKEND_DOWN
};

/* So many failures in a row take a backend down, if nothing else was said. */
enum {
    BACKEND_FAILURES_MAX = 3
};

/* While it is down and nobody probes it, one login in so many milliseconds is
 * let through. */
enum {
    BACKEND_RETRY_MS = 5000
};

enum {
    BACKEND_ADDRESSES_MAX = 16
};

/* Why a backend is in its state, with its NUL; longer words are cut. */
enum {
    BACKEND_WHY_MAX = 64
};

/* What takes a backend down, and what brings it up again. */
struct backend_rules {
    unsigned fall; /* failures in a row, of dials and probes; not 0 */
    unsigned rise; /* successes in a row; not 0 */
    /* Somebody probes it: while it is down no login is let through to find out
     * how it is. */
    bool is_probed;
    /* The probes log in. A greeting proves less than that, so failures of dials
     * are a row of their own: a greeting ends it, but nothing other than a
     * probe ends the probes' or brings the backend up. */
    bool is_logged_in_to;
};

struct backend;
struct backend_registry;

/* The one place where keys become facts. Free it after the last backend. */
struct backend_registry *backend_registry_new(void);
void backend_registry_free(struct backend_registry **registry);

/* The backend of that name at that place, made when there is none: without
 * addresses. A table that moves a backend gets other facts than the one still
 * in force, which dials the old place to its end. The caller owns a reference.
 * Takes a lock: for loading, not for logins. */
struct backend *backend_registry_get(struct backend_registry *registry,
                                     const char *name, const char *host,
                                     uint16_t port);

struct backend *backend_ref(struct backend *backend);

/* The facts go with the last reference. */
void backend_unref(struct backend **backend);

const char *backend_name(const struct backend *backend);
const char *backend_host(const struct backend *backend);
uint16_t backend_port(const struct backend *backend);

/* The facts of every backend of one table, for the snapshot that holds the
 * table. The set lends from the table, which must outlive it. */
struct backend_set;

/* configs is route_table_backends, in the table's order. */
struct backend_set *backend_set_new(struct backend_registry *registry,
                                    const struct backend_config *configs,
                                    size_t count);
void backend_set_free(struct backend_set **set);

/* The facts of a backend of the set's table; lent by the set. */
struct backend *backend_set_find(const struct backend_set *set,
                                 const struct backend_config *config);

/* rendezvous_seed of its name, computed once. */
uint64_t backend_set_seed(const struct backend_set *set,
                          const struct backend_config *config);

/* All of them, in the table's order. */
size_t backend_set_count(const struct backend_set *set);
struct backend *backend_set_at(const struct backend_set *set, size_t index,
                               const struct backend_config **config_out);

/* Sets the addresses, in the order in which they are to be tried; their ports
 * are replaced by the backend's, and those past BACKEND_ADDRESSES_MAX are
 * left out. Returns true if that changed anything. New addresses are tried at
 * once, also while the backend is down. Takes a lock. */
bool backend_set_addresses(struct backend *backend,
                           const struct address *addresses, size_t count);

/* Copies the addresses, with ports; returns how many, 0 when none is known.
 * Never waits for a writer. */
size_t backend_addresses(const struct backend *backend,
                         struct address out[BACKEND_ADDRESSES_MAX]);

/* Goes by these rules from now on; at first by BACKEND_FAILURES_MAX failures
 * and one success, unprobed. They change no state by themselves. Takes a
 * lock. */
void backend_set_rules(struct backend *backend,
                       const struct backend_rules *rules);

/* Down: it failed too often in a row, or has no address. */
enum backend_state backend_state(const struct backend *backend);

/* Whom it takes, as the table or an operator says; whether it is up is another
 * matter. */
enum backend_mode backend_mode(const struct backend *backend);

/* The word of routes.json for it: "ready", "draining", "maintenance". */
const char *backend_mode_name(enum backend_mode mode);

/* Since when it is ready and up, on base/clock's scale; of one that is not it
 * says nothing. */
uint64_t backend_up_since_ms(const struct backend *backend);

/* Sets and logs it; why is told by backend_read_facts. Returns false when it
 * was so already: then nothing changes. To close the sessions of one in
 * maintenance is the caller's part. Takes a lock. */
bool backend_set_mode(struct backend *backend, enum backend_mode mode,
                      const char *why);

/* What the table says: taken as above where it is another than the table said
 * before, so that a reload does not undo what an operator did by command. */
bool backend_configure_mode(struct backend *backend, enum backend_mode mode);

/* Whether backend_may_dial would say yes; changes nothing. */
bool backend_is_dialable(const struct backend *backend, uint64_t now_ms);

/* Asks leave to dial, once per dial. While the backend is down nobody gets it
 * if it is probed, and one caller in BACKEND_RETRY_MS if it is not. One of the
 * next two should follow; a dial that was given up for other reasons is
 * followed by neither. */
bool backend_may_dial(struct backend *backend, uint64_t now_ms);

/* A dial failed: connecting, TLS or greeting, on every address. Nothing that
 * comes later counts. Logs when this takes the backend down, and returns
 * true then. why is for the log. */
bool backend_dial_failed(struct backend *backend, uint64_t now_ms,
                         const char *why);

/* A dial ended in a greeting. Logs when this brings the backend up, and
 * returns true then. Where the probes log in it ends a row of failed dials, and
 * no more. */
bool backend_dial_succeeded(struct backend *backend);

/* The dial was given up before either. The leave that it had while the backend
 * is down goes back, so that clients who come and go at once cannot keep a
 * backend down that has recovered. */
void backend_dial_abandoned(struct backend *backend);

/* Counts a probe that begins; false, and none, while there is no address. One
 * of the next two should follow, which log and return as those of dials do. */
MUST_USE bool backend_probe_begin(struct backend *backend);
bool backend_probe_failed(struct backend *backend, uint64_t now_ms,
                          const char *why);
bool backend_probe_succeeded(struct backend *backend);

/* 0, 1, ... to whoever asks: by it dials take their source addresses in turn,
 * those of all workers together. */
unsigned backend_source_turn(struct backend *backend);

/* Counts a session, which keeps the facts alive until it is closed. */
struct backend *backend_session_opened(struct backend *backend);
/* Likewise, unless it has max already: then NULL. 0: no limit. */
MUST_USE struct backend *backend_session_try(struct backend *backend,
                                             unsigned max);
void backend_session_closed(struct backend **backend);
uint32_t backend_sessions(const struct backend *backend);

/* What was seen of a backend that its operator should know; each is told once
 * in the life of the facts, and shown from then on. */
enum backend_note {
    BACKEND_NOTE_LACKS_MECHANISM, /* one that we offer to clients */
    BACKEND_NOTE_OFFERS_PLUS,     /* channel binding, which ends at our TLS */
    BACKEND_NOTE_OFFERS_UNAUTHENTICATE,
    BACKEND_NOTE_OFFERS_REFERRALS,
    BACKEND_NOTE_REFUSES_PROBE /* its user, or the password of that */
};
#define BACKEND_NOTE_COUNT 5

/* Keeps the note; true when it is new. Takes no lock, and writes nothing when
 * it is not. */
bool backend_note(struct backend *backend, enum backend_note note);

/* All notes kept: a set of 1 << enum backend_note. */
unsigned backend_notes(const struct backend *backend);

/* The log's word for it, such as "offers-plus". */
const char *backend_note_name(enum backend_note note);

/* Logins under way here, for backend/gate.h: takes one of so many places, or
 * returns false when all are taken. Likewise for waiting. */
MUST_USE bool backend_login_begin(struct backend *backend, unsigned max);
void backend_login_end(struct backend *backend);
MUST_USE bool backend_login_queue(struct backend *backend, unsigned max);
void backend_login_unqueue(struct backend *backend);

/* For those who look on; the parts may be of slightly different moments. Takes
 * a lock. */
struct backend_facts {
    enum backend_state state;
    uint64_t state_since_ms; /* on base/clock's scale */
    char state_why[BACKEND_WHY_MAX];
    enum backend_mode mode;
    uint64_t since_ms; /* when the mode was set, on base/clock's scale; 0: it
                          never was */
    char why[BACKEND_WHY_MAX]; /* likewise */
    uint32_t sessions;
    uint32_t logins; /* under way, where they are limited */
    uint32_t logins_waiting;
    uint32_t failures_in_a_row; /* of the longer row, where there are two */
    size_t address_count;
    uint64_t dials;
    uint64_t dial_failures;
    uint64_t probes;
    uint64_t probe_failures;
    uint64_t last_failure_ms; /* on base/clock's scale; 0: never */
    unsigned notes;           /* see backend_notes */
};

void backend_read_facts(struct backend *backend, struct backend_facts *out);

#endif
