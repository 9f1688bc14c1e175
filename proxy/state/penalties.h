/* Who keeps failing to log in has to wait before a backend is asked
 * (auth/penalty.h): counted per address (IPv6: per /64) and per user, shared by
 * all workers behind sharded locks, in tables that are bounded and begin empty.
 *
 * - Attempts of an address that has failed take turns, so that many connections
 *   do not get round the delay; and no address has more than
 *   PENALTIES_UNANSWERED attempts at backends at a time, or twice as many with
 *   those of users who have logged in from there.
 * - A user whose password is being guessed makes others' attempts at that name
 *   wait, each by itself: turns would let a stranger lock the owner out. From
 *   an address at which the user logged in within 30 days there is no such
 *   delay; and there the user waits only for turns of the user's own, not for
 *   those of strangers behind the same address.
 *
 * The rules come with each call, from the caller's snapshot: a reload forgets
 * nothing. For exempt networks, and with a delay_max of 0, nothing is locked,
 * counted or remembered. */
#ifndef STATE_PENALTIES_H
#define STATE_PENALTIES_H

#include "auth/penalty.h"
#include "config/mem.h"
#include "config/settings.h"
#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PENALTIES_UNANSWERED = 16,
    PENALTIES_ENTRIES_MAX = 128 * 1024,   /* addresses; and users */
    PENALTIES_KNOWN_MAX = 2 * 1024 * 1024 /* users at addresses */
};

struct penalties;
struct heir;

enum penalties_answer {
    PENALTIES_GO,
    PENALTIES_WAIT,
    PENALTIES_REFUSE
};

enum penalties_outcome {
    PENALTIES_OK,
    PENALTIES_FAILED, /* the secret was wrong, or there is no such user */
    PENALTIES_OTHER   /* neither was found out, or nobody waits any more */
};

enum penalty_stage {
    PENALTY_NEW,
    PENALTY_TURN,  /* waits for one of its address */
    PENALTY_ALONE, /* waits, but for nobody else at its address */
    PENALTY_PLACE, /* waits until few enough are unanswered */
    PENALTY_GONE   /* to the backend */
};

/* What one attempt holds; all zero before its first question. Its answer must
 * be told, whatever it was. */
struct penalty_claim {
    enum penalty_stage stage;
    bool has_turn;   /* taken, of its address or of its own */
    bool has_waited; /* for what others did to its user */
    uint32_t secret; /* as a hash, like the next three; 0: none */
    uint64_t address;
    uint64_t user;
    uint64_t known; /* the user at the address; 0: not counted, too */
    uint64_t ready_ms;
    uint64_t place_by_ms;
};

/* Who asks; borrowed for the call. */
struct penalties_attempt {
    const struct address *peer;
    const uint8_t *user; /* normalised */
    size_t user_len;     /* 0: a token names nobody, only its address counts */
    const uint8_t *secret; /* NULL: none that could be compared */
    size_t secret_len;
};

struct penalties *penalties_new(void);

/* Every claim must have been answered. */
void penalties_free(struct penalties **penalties);

/* May this attempt go to a backend? WAIT: ask again in *wait_ms_out, with the
 * same claim. REFUSE: its turn would come too late; the claim is empty again.
 * now_ms is clock_now_ms. */
MUST_USE enum penalties_answer
penalties_ask(struct penalties *penalties, const struct settings *settings,
              const struct penalties_attempt *attempt, uint64_t now_ms,
              struct penalty_claim *claim, uint64_t *wait_ms_out);

/* Whether the user of a claim has logged in from there of late; nothing speaks
 * against it where nothing is counted. */
bool penalties_is_at_home(struct penalties *penalties,
                          const struct penalty_claim *claim, uint64_t now_ms);

/* What became of it, once; also when it never went, as OTHER. Empties the
 * claim; nothing happens for one that is empty. */
void penalties_answered(struct penalties *penalties,
                        struct penalty_claim *claim,
                        enum penalties_outcome outcome, uint64_t now_ms);

/* How many entries there are now, for tests and for those who look on. */
struct penalties_size {
    size_t addresses;
    size_t users;
    size_t known;
    size_t bytes;
};

void penalties_read_size(struct penalties *penalties,
                         struct penalties_size *out);

/* --- for state/handover.h --- */

/* Who hears of failures from the day on which all is given, or NULL. Before
 * there are workers. */
void penalties_set_heir(struct penalties *penalties, struct heir *heir);

/* What hashes are made with. One that takes another's penalties takes it first,
 * while there are none. */
void penalties_read_key(const struct penalties *penalties, uint64_t key_out[2]);
void penalties_set_key(struct penalties *penalties, const uint64_t key[2]);

enum penalties_table {
    PENALTIES_ADDRESSES,
    PENALTIES_USERS
};

struct failing_record {
    uint64_t hash;
    struct penalty penalty;
};

struct known_record {
    uint64_t hash;
    uint32_t seen_s;
    uint32_t turn_ms;
};

enum {
    PENALTIES_SHARDS = 64
};

/* What is remembered of one shard of PENALTIES_SHARDS; the caller frees. */
MUST_USE struct failing_record *
penalties_copy_failing(struct penalties *penalties, enum penalties_table table,
                       size_t shard, size_t *count_out);
MUST_USE struct known_record *penalties_copy_known(struct penalties *penalties,
                                                   size_t shard,
                                                   size_t *count_out);

/* False, and nothing is done, where it could not have been remembered here. */
MUST_USE bool penalties_add_failing(struct penalties *penalties,
                                    enum penalties_table table,
                                    const struct failing_record *record,
                                    uint64_t now_ms);
MUST_USE bool penalties_add_known(struct penalties *penalties,
                                  const struct known_record *record,
                                  uint64_t now_ms);

/* A login failed in another process; a hash of 0 is nobody. */
void penalties_hear(struct penalties *penalties, uint64_t address,
                    uint64_t user, uint32_t secret, uint64_t now_ms);

#endif
