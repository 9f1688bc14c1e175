/* Counters: each worker writes its own, without locks; a reader sums them. */
#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum counter_kind {
    COUNTER_TOTAL,
    COUNTER_GAUGE
};

/* constant, name for machines, kind, what it counts */
#define COUNTERS(X)                                                            \
    X(ACCEPTED, accepted, TOTAL, "Connections accepted")                       \
    X(REFUSED_LIMIT, refused_limit, TOTAL,                                     \
      "Connections and logins refused by a limit")                             \
    X(EVICTED, evicted, TOTAL,                                                 \
      "Connections without a login ended to make room for others")             \
    X(ACCEPT_PAUSES, accept_pauses, TOTAL,                                     \
      "Times that accepting paused for want of descriptors")                   \
    X(PROXY_REFUSED, proxy_refused, TOTAL,                                     \
      "Connections closed for want of a PROXY header that may be believed")    \
    X(HANDSHAKES_FULL, handshakes_full, TOTAL,                                 \
      "TLS handshakes with clients, not resumed")                              \
    X(HANDSHAKES_RESUMED, handshakes_resumed, TOTAL,                           \
      "TLS handshakes with clients, resumed")                                  \
    X(HANDSHAKE_FAILURES, handshake_failures, TOTAL,                           \
      "TLS handshakes with clients that failed")                               \
    X(ALPN_REFUSED, alpn_refused, TOTAL,                                       \
      "Clients refused because they offered other protocols than imap")        \
    X(STARTTLS_INJECTIONS, starttls_injections, TOTAL,                         \
      "Connections ended because bytes in clear followed STARTTLS")            \
    X(CLEARTEXT_LOGINS, cleartext_logins, TOTAL,                               \
      "Logins tried without TLS and refused")                                  \
    X(LOGINS_OK, logins_ok, TOTAL, "Logins that a backend accepted")           \
    X(LOGINS_FAILED, logins_failed, TOTAL, "Logins that a backend refused")    \
    X(LOGINS_UNAVAILABLE, logins_unavailable, TOTAL,                           \
      "Logins for which no backend could be reached")                          \
    X(LOGINS_UNROUTED, logins_unrouted, TOTAL,                                 \
      "Logins for which the routing table has no rule")                        \
    X(LOGINS_DELAYED, logins_delayed, TOTAL,                                   \
      "Logins that waited because of failed ones before them")                 \
    X(LOGINS_PUT_OFF, logins_put_off, TOTAL,                                   \
      "Logins refused because too many of their address failed or waited")     \
    X(LOGINS_QUEUED, logins_queued, TOTAL,                                     \
      "Logins that waited until their backend had fewer under way")            \
    X(LOGINS_CROWDED_OUT, logins_crowded_out, TOTAL,                           \
      "Logins for which a backend had too many under way for too long")        \
    X(BAD_COMMANDS, bad_commands, TOTAL, "Commands before login refused")      \
    X(HTTP_REQUESTS, http_requests, TOTAL,                                     \
      "Connections ended because they spoke HTTP")                             \
    X(TIMEOUTS, timeouts, TOTAL, "Sessions ended by a timeout")                \
    X(CLIENTS_HELD_BACK, clients_held_back, TOTAL,                             \
      "Quiet clients that heard late of a lost backend, lest all come back")   \
    X(DIALS, dials, TOTAL, "Connections to backends begun")                    \
    X(DIAL_FAILURES, dial_failures, TOTAL,                                     \
      "Connections to backends that failed before their greeting")             \
    X(PROBES, probes, TOTAL, "Probes of backends begun")                       \
    X(PROBE_FAILURES, probe_failures, TOTAL,                                   \
      "Probes of backends that failed, their login included")                  \
    X(BACKEND_HANDSHAKES_FULL, backend_handshakes_full, TOTAL,                 \
      "TLS handshakes with backends, not resumed")                             \
    X(BACKEND_HANDSHAKES_RESUMED, backend_handshakes_resumed, TOTAL,           \
      "TLS handshakes with backends, resumed")                                 \
    X(WARM_READY, warm_ready, GAUGE,                                           \
      "Connections to backends ready for a login")                             \
    X(WARM_TAKEN, warm_taken, TOTAL, "Logins that took a ready connection")    \
    X(WARM_MISSED, warm_missed, TOTAL,                                         \
      "Logins that found none ready where some are kept")                      \
    X(WARM_EXPIRED, warm_expired, TOTAL,                                       \
      "Ready connections replaced because of their age")                       \
    X(WARM_LOST, warm_lost, TOTAL,                                             \
      "Ready connections that a backend closed or spoke on")                   \
    X(SESSIONS_OPEN, sessions_open, GAUGE, "Client connections open")          \
    X(SESSIONS_BEFORE_LOGIN, sessions_before_login, GAUGE,                     \
      "Client connections that are not logged in")                             \
    X(BYTES_TO_CLIENT, bytes_to_client, TOTAL,                                 \
      "Bytes spliced from backends to clients, before TLS")                    \
    X(BYTES_TO_BACKEND, bytes_to_backend, TOTAL,                               \
      "Bytes spliced from clients to backends, before TLS")                    \
    X(CERTIFICATES_EXPIRED, certificates_expired, GAUGE,                       \
      "Certificates shown to clients that have expired")                       \
    X(CERTIFICATES_EXPIRING, certificates_expiring, GAUGE,                     \
      "Certificates shown to clients that expire within 14 days")              \
    X(CERTIFICATES_NAMELESS, certificates_nameless, GAUGE,                     \
      "Certificates shown to clients that cover no host name")                 \
    X(RELOADS_OK, reloads_ok, TOTAL, "Reloads that took effect")               \
    X(RELOADS_FAILED, reloads_failed, TOTAL,                                   \
      "Reloads refused, the former files still in force")

#define COUNTERS_CONSTANT(CONSTANT, name, kind, help) COUNTER_##CONSTANT,
enum counter {
    COUNTERS(COUNTERS_CONSTANT) COUNTER_COUNT
};
#undef COUNTERS_CONSTANT

const char *counter_name(enum counter counter);
enum counter_kind counter_kind(enum counter counter);
const char *counter_help(enum counter counter);

/* One worker's. Only its thread writes; the type is open for the sake of the
 * two functions below, which are all that may touch it. */
struct counters {
    _Atomic uint64_t values[COUNTER_COUNT];
    struct counters_set *set;
};

/* No locked instruction: there is one writer. */
static inline void counters_add(struct counters *mine, enum counter counter,
                                uint64_t amount)
{
    uint64_t was =
        atomic_load_explicit(&mine->values[counter], memory_order_relaxed);
    atomic_store_explicit(&mine->values[counter], was + amount,
                          memory_order_relaxed);
}

/* For gauges. */
static inline void counters_subtract(struct counters *mine,
                                     enum counter counter, uint64_t amount)
{
    counters_add(mine, counter, UINT64_C(0) - amount);
}

/* The counters of several writers, each on cache lines of its own. */
struct counters_set *counters_set_new(size_t writers);
void counters_set_free(struct counters_set **set);

/* The index-th writer's; lives as long as the set. */
struct counters *counters_set_at(struct counters_set *set, size_t index);

/* The sum over all writers; from any thread. */
uint64_t counters_set_sum(const struct counters_set *set, enum counter counter);

/* Which protocols were offered by clients that were refused for their ALPN
 * (RFC 7301): a bounded table, so that a stranger cannot fill memory. Names
 * are a stranger's bytes. */
enum {
    COUNTERS_ALPN_NAMES = 16,
    COUNTERS_ALPN_NAME_MAX = 32
};

struct counters_alpn {
    uint8_t name[COUNTERS_ALPN_NAME_MAX];
    size_t len;
    uint64_t count;
};

/* Counts one refusal: COUNTER_ALPN_REFUSED, and each of the first eight names
 * of the list that the client sent (RFC 7301, 3.1: length, name, ...). Takes
 * a lock that all workers share, on a refusal only. */
void counters_alpn_refused(struct counters *mine, const uint8_t *list,
                           size_t len);

/* Copies the table; returns how many entries of *out are filled. *other_out
 * counts the names for which there was no room, or that were too long. */
size_t counters_set_alpn(struct counters_set *set,
                         struct counters_alpn out[COUNTERS_ALPN_NAMES],
                         uint64_t *other_out);

#endif
