#include "state/penalties.h"

#include "state/heir.h"
#include "state/limits.h"
#include "state/penalties_private.h"

#include <assert.h>
#include <openssl/rand.h>
#include <openssl/siphash.h>
#include <stdlib.h>
#include <string.h>

enum {
    KNOWN_S = 30 * 24 * 3600,
    FORGOTTEN_AFTER_MS = 24 * 3600 * 1000, /* wrong secrets */
    FAILING_WAYS = 8,
    KNOWN_WAYS = 16,
    PLACE_SOON_MS = 50,
    PLACE_LATE_MS = 1000
};

enum key_kind {
    KEY_ADDRESS,
    KEY_USER,
    KEY_KNOWN,
    KEY_SECRET
};

/* Whoever is under way stays; else who has failed most, then who has failed
 * last. */
static uint64_t failing_worth(const struct bounded_table_key *key,
                              uint64_t now_ms)
{
    const struct failing *entry = (const void *)key;
    uint64_t since_ms = entry->penalty.since_ms;
    unsigned failures = penalty_failures(&entry->penalty, now_ms);

    if (entry->waiting > 0 || entry->unanswered > 0)
        return BOUNDED_TABLE_STAYS;
    if (failures == 0 && now_ms >= since_ms + FORGOTTEN_AFTER_MS)
        return BOUNDED_TABLE_WORTHLESS;
    return ((uint64_t)failures << 56 | since_ms) + 1;
}

static uint32_t seconds_of(uint64_t now_ms)
{
    return (uint32_t)(now_ms / 1000);
}

static bool is_fresh(const struct known *entry, uint64_t now_ms)
{
    return seconds_of(now_ms) - entry->seen_s < KNOWN_S;
}

static uint64_t known_worth(const struct bounded_table_key *key,
                            uint64_t now_ms)
{
    const struct known *entry = (const void *)key;

    return is_fresh(entry, now_ms) ? (uint64_t)entry->seen_s + 1
                                   : BOUNDED_TABLE_WORTHLESS;
}

struct penalties *penalties_new(void)
{
    struct penalties *penalties = mem_zalloc(sizeof(*penalties));

    RAND_bytes((uint8_t *)penalties->hash_key, sizeof(penalties->hash_key));
    penalties->addresses =
        bounded_table_new(sizeof(struct failing), FAILING_WAYS,
                          PENALTIES_ENTRIES_MAX, failing_worth);
    penalties->users = bounded_table_new(sizeof(struct failing), FAILING_WAYS,
                                         PENALTIES_ENTRIES_MAX, failing_worth);
    penalties->known = bounded_table_new(sizeof(struct known), KNOWN_WAYS,
                                         PENALTIES_KNOWN_MAX, known_worth);
    return penalties;
}

void penalties_free(struct penalties **penalties)
{
    struct penalties *mine = *penalties;

    *penalties = NULL;
    if (mine == NULL)
        return;
    bounded_table_free(&mine->addresses);
    bounded_table_free(&mine->users);
    bounded_table_free(&mine->known);
    free(mine);
}

static uint64_t hash_bytes(const struct penalties *penalties,
                           const uint8_t *bytes, size_t len)
{
    uint64_t hash = SIPHASH_24(penalties->hash_key, bytes, len);

    return hash == 0 ? 1 : hash;
}

/* What is long comes as a hash of its own; `of` may be empty. */
static uint64_t hash_key(const struct penalties *penalties, enum key_kind kind,
                         uint64_t first, const uint8_t *of, size_t len)
{
    uint8_t key[1 + 8 + 16] = {(uint8_t)kind};

    assert(len <= 16);
    memcpy(key + 1, &first, sizeof(first));
    if (len > 0)
        memcpy(key + 9, of, len);
    return hash_bytes(penalties, key, 9 + len);
}

/* Of the secret and its user together: one password tried on many users is
 * as many guesses. */
static uint32_t hash_secret(const struct penalties *penalties, uint64_t user,
                            const uint8_t *secret, size_t len)
{
    uint64_t own = hash_bytes(penalties, secret, len);
    uint32_t hash = (uint32_t)hash_key(penalties, KEY_SECRET, user,
                                       (const uint8_t *)&own, sizeof(own));

    return hash == 0 ? 1 : hash;
}

static void name_claim(const struct penalties *penalties,
                       const struct penalties_attempt *attempt,
                       struct penalty_claim *claim)
{
    const struct address *peer = attempt->peer;
    size_t host_len = limits_host_len(peer);
    uint64_t user = hash_bytes(penalties, attempt->user, attempt->user_len);

    claim->address = hash_key(penalties, KEY_ADDRESS, 0, peer->ip, host_len);
    if (attempt->user_len > 0) {
        claim->user = hash_key(penalties, KEY_USER, user, NULL, 0);
        claim->known = hash_key(penalties, KEY_KNOWN, user, peer->ip, host_len);
    }
    claim->secret = attempt->secret == NULL
                        ? 0
                        : hash_secret(penalties, user, attempt->secret,
                                      attempt->secret_len);
}

static unsigned failures_of(struct bounded_table *table, uint64_t hash,
                            uint64_t now_ms)
{
    const struct failing *entry;
    unsigned failures = 0;

    if (hash == 0)
        return 0;
    bounded_table_lock(table, hash);
    entry = bounded_table_find(table, hash);
    if (entry != NULL)
        failures = penalty_failures(&entry->penalty, now_ms);
    bounded_table_unlock(table, hash);
    return failures;
}

/* The last turn, on the scale of now_ms; what is not ahead is past. */
static uint64_t last_turn_ms(const struct known *entry, uint64_t now_ms)
{
    uint32_t ahead_ms = entry->turn_ms - (uint32_t)now_ms;

    return ahead_ms > PENALTY_DELAY_MAX_MS ? 0 : now_ms + ahead_ms;
}

/* Users who are at home here wait for nobody but themselves. False: this one
 * is not. */
static bool take_own_turn(struct penalties *penalties,
                          struct penalty_claim *claim, unsigned failures,
                          uint64_t max_ms, uint64_t now_ms,
                          uint64_t *turn_ms_out)
{
    struct known *entry;
    bool is_known;

    if (claim->known == 0)
        return false;
    bounded_table_lock(penalties->known, claim->known);
    entry = bounded_table_find(penalties->known, claim->known);
    is_known = entry != NULL && is_fresh(entry, now_ms);
    *turn_ms_out = now_ms;
    if (is_known && failures > 0) {
        *turn_ms_out = penalty_next_turn(last_turn_ms(entry, now_ms), failures,
                                         max_ms, now_ms);
        if (*turn_ms_out != PENALTY_NEVER)
            entry->turn_ms = (uint32_t)*turn_ms_out;
        claim->stage = PENALTY_ALONE;
        claim->has_turn = true;
    }
    bounded_table_unlock(penalties->known, claim->known);
    return is_known;
}

/* now_ms where the address has not failed. */
static uint64_t take_turn_of_address(struct penalties *penalties,
                                     struct penalty_claim *claim,
                                     uint64_t max_ms, uint64_t now_ms)
{
    struct failing *entry;
    uint64_t turn_ms = now_ms;

    bounded_table_lock(penalties->addresses, claim->address);
    entry = bounded_table_find(penalties->addresses, claim->address);
    if (entry != NULL)
        turn_ms = penalty_take_turn(
            &entry->penalty, (unsigned)entry->waiting + entry->unanswered,
            max_ms, now_ms);
    if (turn_ms != now_ms && turn_ms != PENALTY_NEVER) {
        entry->waiting++;
        claim->stage = PENALTY_TURN;
        claim->has_turn = true;
    }
    bounded_table_unlock(penalties->addresses, claim->address);
    return turn_ms;
}

/* The moment at which the attempt may go on; PENALTY_NEVER: it may not. Asked
 * again after each wait until there was a turn to take, since others of its
 * address may have failed meanwhile. */
static uint64_t take_turn(struct penalties *penalties, uint64_t max_ms,
                          uint64_t now_ms, struct penalty_claim *claim)
{
    unsigned failures_here =
        failures_of(penalties->addresses, claim->address, now_ms);
    unsigned failures_of_user =
        claim->has_waited ? 0
                          : failures_of(penalties->users, claim->user, now_ms);
    uint64_t user_ms = now_ms + penalty_delay_ms(failures_of_user, max_ms);
    uint64_t turn_ms;

    if (failures_here == 0 && failures_of_user == 0)
        return now_ms;
    if (take_own_turn(penalties, claim, failures_here, max_ms, now_ms,
                      &turn_ms))
        return turn_ms;
    claim->stage = PENALTY_ALONE;
    claim->has_waited = true;
    turn_ms = take_turn_of_address(penalties, claim, max_ms, now_ms);
    return turn_ms > user_ms ? turn_ms : user_ms;
}

static void forget_if_blank(struct bounded_table *table, struct failing *entry,
                            uint64_t now_ms)
{
    if (entry->waiting == 0 && entry->unanswered == 0 &&
        penalty_is_blank(&entry->penalty, now_ms))
        bounded_table_remove(table, entry);
}

/* Leaves the turn for a place among those that are asked about, if there is
 * one. Where the table is full of attempts under way, everybody goes: that is
 * a crowd, which no hundred thousand addresses wait for. */
static bool take_place(struct penalties *penalties, struct penalty_claim *claim,
                       unsigned places, uint64_t now_ms)
{
    struct failing *entry;
    bool has_place;

    bounded_table_lock(penalties->addresses, claim->address);
    entry = bounded_table_get(penalties->addresses, claim->address, now_ms);
    has_place = entry == NULL || entry->unanswered < places;
    if (claim->stage == PENALTY_TURN) {
        claim->stage = PENALTY_ALONE; /* its turn has come */
        if (entry != NULL)
            entry->waiting--;
    }
    if (entry != NULL && has_place)
        entry->unanswered++;
    bounded_table_unlock(penalties->addresses, claim->address);
    if (entry == NULL)
        claim->address = 0;
    return has_place;
}

static bool is_at_home(struct penalties *penalties,
                       const struct penalty_claim *claim, uint64_t now_ms)
{
    const struct known *entry;
    bool is_known;

    if (claim->known == 0)
        return false; /* a token without a name */
    bounded_table_lock(penalties->known, claim->known);
    entry = bounded_table_find(penalties->known, claim->known);
    is_known = entry != NULL && is_fresh(entry, now_ms);
    bounded_table_unlock(penalties->known, claim->known);
    return is_known;
}

bool penalties_is_at_home(struct penalties *penalties,
                          const struct penalty_claim *claim, uint64_t now_ms)
{
    return claim->stage == PENALTY_NEW || is_at_home(penalties, claim, now_ms);
}

/* As many places again for those who are at home at the address, so that
 * strangers behind it cannot take them all by being slow. */
static bool take_place_at_home(struct penalties *penalties,
                               struct penalty_claim *claim, uint64_t now_ms)
{
    return is_at_home(penalties, claim, now_ms) &&
           take_place(penalties, claim, 2 * PENALTIES_UNANSWERED, now_ms);
}

/* Looks less often the longer it takes. */
static enum penalties_answer wait_for_place(struct penalty_claim *claim,
                                            uint64_t max_ms, uint64_t now_ms)
{
    uint64_t pause_ms;

    if (claim->stage != PENALTY_PLACE)
        claim->place_by_ms = now_ms + max_ms;
    claim->stage = PENALTY_PLACE;
    if (now_ms >= claim->place_by_ms)
        return PENALTIES_REFUSE;
    pause_ms = (now_ms + max_ms - claim->place_by_ms) / 2;
    if (pause_ms < PLACE_SOON_MS)
        pause_ms = PLACE_SOON_MS;
    if (pause_ms > PLACE_LATE_MS)
        pause_ms = PLACE_LATE_MS;
    claim->ready_ms = now_ms + pause_ms;
    return PENALTIES_WAIT;
}

static enum penalties_answer go_on(struct penalties *penalties, uint64_t max_ms,
                                   uint64_t now_ms, struct penalty_claim *claim)
{
    if (now_ms < claim->ready_ms)
        return PENALTIES_WAIT;
    if (!claim->has_turn) {
        claim->ready_ms = take_turn(penalties, max_ms, now_ms, claim);
        if (claim->ready_ms == PENALTY_NEVER)
            return PENALTIES_REFUSE;
        if (claim->ready_ms > now_ms)
            return PENALTIES_WAIT;
    }
    if (!take_place(penalties, claim, PENALTIES_UNANSWERED, now_ms) &&
        !take_place_at_home(penalties, claim, now_ms))
        return wait_for_place(claim, max_ms, now_ms);
    claim->stage = PENALTY_GONE;
    return PENALTIES_GO;
}

enum penalties_answer
penalties_ask(struct penalties *penalties, const struct settings *settings,
              const struct penalties_attempt *attempt, uint64_t now_ms,
              struct penalty_claim *claim, uint64_t *wait_ms_out)
{
    uint64_t max_ms = settings->auth.delay_max_ms;
    enum penalties_answer answer;

    assert(claim->stage != PENALTY_GONE);
    *wait_ms_out = 0;
    if (claim->stage == PENALTY_NEW) {
        if (max_ms == 0 || limits_is_exempt(&settings->limits, attempt->peer))
            return PENALTIES_GO;
        name_claim(penalties, attempt, claim);
    }
    answer = go_on(penalties, max_ms, now_ms, claim);
    switch (answer) {
    case PENALTIES_GO:
        break;
    case PENALTIES_WAIT:
        *wait_ms_out = claim->ready_ms - now_ms;
        break;
    case PENALTIES_REFUSE:
        *claim = (struct penalty_claim){.stage = PENALTY_NEW};
        break;
    }
    return answer;
}

void penalties_fail_in(struct bounded_table *table, uint64_t hash,
                       uint32_t secret, uint64_t now_ms)
{
    struct failing *entry;

    if (hash == 0)
        return;
    bounded_table_lock(table, hash);
    entry = bounded_table_get(table, hash, now_ms);
    if (entry != NULL)
        (void)penalty_fail(&entry->penalty, secret, now_ms);
    bounded_table_unlock(table, hash);
}

/* From here on this is an address at which the user is at home. */
static void know(struct penalties *penalties, const struct penalty_claim *claim,
                 uint64_t now_ms)
{
    struct known *entry;

    if (claim->known == 0)
        return;
    bounded_table_lock(penalties->known, claim->known);
    entry = bounded_table_get(penalties->known, claim->known, now_ms);
    entry->seen_s = seconds_of(now_ms);
    bounded_table_unlock(penalties->known, claim->known);
}

/* Of an attempt that waited, or was under way, at its address. */
static void settle_address(struct penalties *penalties,
                           const struct penalty_claim *claim, bool has_failed,
                           uint64_t now_ms)
{
    struct failing *entry;

    if (claim->address == 0)
        return;
    bounded_table_lock(penalties->addresses, claim->address);
    entry = bounded_table_find(penalties->addresses, claim->address);
    assert(entry != NULL);
    if (claim->stage == PENALTY_TURN)
        entry->waiting--;
    else
        entry->unanswered--;
    if (has_failed)
        (void)penalty_fail(&entry->penalty, claim->secret, now_ms);
    forget_if_blank(penalties->addresses, entry, now_ms);
    bounded_table_unlock(penalties->addresses, claim->address);
}

static void settle(struct penalties *penalties,
                   const struct penalty_claim *claim,
                   enum penalties_outcome outcome, uint64_t now_ms)
{
    switch (outcome) {
    case PENALTIES_OK:
        know(penalties, claim, now_ms);
        break;
    case PENALTIES_FAILED:
        penalties_fail_in(penalties->users, claim->user, claim->secret, now_ms);
        heir_tell(penalties->heir, HEIR_LOGIN_FAILED, claim->address,
                  claim->user, claim->secret);
        break;
    case PENALTIES_OTHER:
        break;
    }
    settle_address(penalties, claim, outcome == PENALTIES_FAILED, now_ms);
}

void penalties_answered(struct penalties *penalties,
                        struct penalty_claim *claim,
                        enum penalties_outcome outcome, uint64_t now_ms)
{
    switch (claim->stage) {
    case PENALTY_NEW:
    case PENALTY_ALONE:
    case PENALTY_PLACE:
        break;
    case PENALTY_TURN:
        settle_address(penalties, claim, false, now_ms);
        break;
    case PENALTY_GONE:
        settle(penalties, claim, outcome, now_ms);
        break;
    }
    *claim = (struct penalty_claim){.stage = PENALTY_NEW};
}

void penalties_read_size(struct penalties *penalties,
                         struct penalties_size *out)
{
    out->addresses = bounded_table_count(penalties->addresses);
    out->users = bounded_table_count(penalties->users);
    out->known = bounded_table_count(penalties->known);
    out->bytes = sizeof(*penalties) +
                 bounded_table_bytes(penalties->addresses) +
                 bounded_table_bytes(penalties->users) +
                 bounded_table_bytes(penalties->known);
}
