/* Limits per address, per user and per both, of those who have not logged in,
 * and the rate of accepting.
 * Counts are shared by all workers behind sharded locks, and touched when a
 * connection comes, when it logs in, and when it goes; where every limit is
 * off nothing is locked and nothing counted.
 *
 * The rules come with each call, from the caller's snapshot, so a reload
 * changes them and loses no count. A session is counted by what was limited
 * when it came: a limit that is switched on later does not see it.
 *
 * An IPv6 address counts as its /64. Who comes from a network of rules->exempt
 * is neither limited nor counted. */
#ifndef STATE_LIMITS_H
#define STATE_LIMITS_H

#include "config/mem.h"
#include "config/settings.h"
#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct limits;
struct limits_entry;
struct heir;

enum {
    LIMITS_SHARDS = 64
};

/* What one session holds of the counts. All NULL: nothing. */
struct limits_hold {
    struct limits_entry *address;
    struct limits_entry *user;
    struct limits_entry *user_and_address;
    bool before_login;
};

/* The limit that said no. */
enum limits_answer {
    LIMITS_OK,
    LIMITS_ACCEPT_RATE,
    LIMITS_BEFORE_LOGIN, /* another session before login may make room */
    LIMITS_PER_ADDRESS,
    LIMITS_PER_USER,
    LIMITS_PER_USER_AND_ADDRESS
};

/* A word for the log: "ok", "accept_rate", "per_address", ... */
const char *limits_answer_name(enum limits_answer answer);

struct limits *limits_new(void);

/* Whether the peer lies in a network that rules->exempt lists. */
bool limits_is_exempt(const struct limits_settings *rules,
                      const struct address *peer);

/* How many bytes of its ip tell one host from another: a host with IPv6 has a
 * /64 to choose its addresses from. */
size_t limits_host_len(const struct address *peer);

/* Every hold must have been released. */
void limits_free(struct limits **limits);

/* For a connection just accepted; fills *hold_out. Refused connections count
 * towards nothing but the rate of those accepted before them. now_ms is
 * clock_now_ms. */
MUST_USE enum limits_answer limits_accept(struct limits *limits,
                                          const struct limits_settings *rules,
                                          const struct address *peer,
                                          uint64_t now_ms,
                                          struct limits_hold *hold_out);

/* For a login that the backend has accepted, by the normalised user name;
 * fills the rest of the hold, or leaves it as it was on a refusal. */
MUST_USE enum limits_answer limits_login(struct limits *limits,
                                         const struct limits_settings *rules,
                                         const struct address *peer,
                                         const uint8_t *user, size_t len,
                                         struct limits_hold *hold);

/* The session is no longer one before login. */
void limits_settle(struct limits *limits, struct limits_hold *hold);

/* The connection has gone; releases all that is held. */
void limits_release(struct limits *limits, struct limits_hold *hold);

/* For a quiet session that has lost its backend: how long its client shall not
 * hear of it, lest all of them come back in one moment. A second's worth of
 * rules->disconnect_rate hears at once, the others at that rate, and those for
 * whom that would take longer than LIMITS_HOLD_MAX_MS by chance within it. */
MUST_USE uint64_t limits_hold_back_ms(struct limits *limits,
                                      const struct limits_settings *rules,
                                      const struct address *peer,
                                      uint64_t now_ms);

enum {
    LIMITS_HOLD_MAX_MS = 30000
};

/* How many entries are counted now, for tests and for those who look on. */
size_t limits_entries(struct limits *limits);

/* Sessions before login that are counted. */
unsigned limits_before_login(const struct limits *limits);

/* --- for state/handover.h --- */

/* Whom the counts are given to one day, or NULL. Before there are workers. */
void limits_set_heir(struct limits *limits, struct heir *heir);

/* What hashes are made with, and when the rate's bucket will be full. One that
 * takes another's counts takes these first, while nothing is counted. */
struct limits_basis {
    uint64_t key[2];
    uint64_t rate_full_at_us;
};
void limits_read_basis(const struct limits *limits, struct limits_basis *out);
void limits_set_basis(struct limits *limits, const struct limits_basis *basis);

struct limits_record {
    uint64_t hash;
    uint32_t count;
};

/* Copies one shard of LIMITS_SHARDS; the caller frees. From now on users are
 * counted in both processes together, by asking the heir, whose lock is held
 * until the records have gone. */
MUST_USE struct limits_record *limits_give(struct limits *limits, size_t shard,
                                           size_t *count_out);

/* We count alone again. */
void limits_keep(struct limits *limits);

/* For another process: so many more, whatever their number; one more, of max at
 * most; so many less, of as many at least. */
void limits_add(struct limits *limits, uint64_t hash, uint32_t count);
MUST_USE bool limits_count(struct limits *limits, uint64_t hash, unsigned max);
void limits_drop(struct limits *limits, uint64_t hash, uint32_t count);

#endif
