#include "state/limits.h"

#include "state/heir.h"
#include "state/limits_private.h"

#include <assert.h>
#include <openssl/rand.h>
#include <openssl/siphash.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_BUCKETS = 8
};

enum key_kind {
    KEY_ADDRESS,
    KEY_USER,
    KEY_USER_AND_ADDRESS
};

static const char *const answer_names[] = {
    [LIMITS_OK] = "ok",
    [LIMITS_ACCEPT_RATE] = "accept_rate",
    [LIMITS_BEFORE_LOGIN] = "before_login",
    [LIMITS_PER_ADDRESS] = "per_address",
    [LIMITS_PER_USER] = "per_user",
    [LIMITS_PER_USER_AND_ADDRESS] = "per_user_and_address",
};

const char *limits_answer_name(enum limits_answer answer)
{
    return answer_names[answer];
}

struct limits *limits_new(void)
{
    struct limits *limits = mem_zalloc(sizeof(*limits));

    RAND_bytes((uint8_t *)limits->hash_key, sizeof(limits->hash_key));
    for (size_t i = 0; i < LIMITS_SHARDS; i++)
        pthread_mutex_init(&limits->shards[i].lock, NULL);
    return limits;
}

void limits_free(struct limits **limits)
{
    struct limits *mine = *limits;

    *limits = NULL;
    if (mine == NULL)
        return;
    for (size_t i = 0; i < LIMITS_SHARDS; i++) {
        assert(mine->shards[i].entry_count == 0);
        pthread_mutex_destroy(&mine->shards[i].lock);
        free(mine->shards[i].buckets);
    }
    assert(atomic_load(&mine->before_login) == 0);
    free(mine);
}

size_t limits_host_len(const struct address *peer)
{
    return peer->is_ipv6 ? 8 : 4;
}

static uint64_t hash_bytes(const struct limits *limits, const uint8_t *bytes,
                           size_t len)
{
    return SIPHASH_24(limits->hash_key, bytes, len);
}

/* Keys of different families differ in length, so they need no other mark. */
static uint64_t hash_address(const struct limits *limits,
                             const struct address *peer)
{
    uint8_t key[1 + 8] = {KEY_ADDRESS};

    memcpy(key + 1, peer->ip, limits_host_len(peer));
    return hash_bytes(limits, key, 1 + limits_host_len(peer));
}

/* The name is as long as it likes, so it goes in as its own hash. */
static uint64_t hash_user(const struct limits *limits, enum key_kind kind,
                          uint64_t user_hash, const struct address *peer)
{
    uint8_t key[1 + 8 + 8] = {(uint8_t)kind};
    size_t len = 1 + sizeof(user_hash);

    memcpy(key + 1, &user_hash, sizeof(user_hash));
    if (kind == KEY_USER_AND_ADDRESS) {
        memcpy(key + len, peer->ip, limits_host_len(peer));
        len += limits_host_len(peer);
    }
    return hash_bytes(limits, key, len);
}

/* The low bits choose the shard, the others the bucket. */
struct limits_shard *limits_shard_of(struct limits *limits, uint64_t hash)
{
    return &limits->shards[hash % LIMITS_SHARDS];
}

static struct limits_bucket *bucket_of(const struct limits_shard *shard,
                                       uint64_t hash)
{
    return &shard->buckets[hash / LIMITS_SHARDS & (shard->bucket_count - 1)];
}

static void link_locked(struct limits_shard *shard, struct limits_entry *entry)
{
    struct limits_bucket *bucket = bucket_of(shard, entry->hash);

    entry->next = bucket->first;
    bucket->first = entry;
}

static void grow_locked(struct limits_shard *shard)
{
    struct limits_bucket *former = shard->buckets;
    size_t former_count = shard->bucket_count;

    shard->bucket_count = former_count == 0 ? FIRST_BUCKETS : former_count * 2;
    shard->buckets = mem_zalloc(shard->bucket_count * sizeof(*shard->buckets));
    for (size_t i = 0; i < former_count; i++) {
        while (former[i].first != NULL) {
            struct limits_entry *entry = former[i].first;

            former[i].first = entry->next;
            link_locked(shard, entry);
        }
    }
    free(former);
}

struct limits_entry *limits_find_locked(const struct limits_shard *shard,
                                        uint64_t hash)
{
    struct limits_entry *entry;

    if (shard->bucket_count == 0)
        return NULL;
    entry = bucket_of(shard, hash)->first;
    while (entry != NULL && entry->hash != hash)
        entry = entry->next;
    return entry;
}

static struct limits_entry *add_locked(struct limits_shard *shard,
                                       uint64_t hash)
{
    struct limits_entry *entry = mem_zalloc(sizeof(*entry));

    if (shard->entry_count >= shard->bucket_count)
        grow_locked(shard);
    entry->hash = hash;
    link_locked(shard, entry);
    shard->entry_count++;
    return entry;
}

struct limits_entry *limits_take_locked(struct limits_shard *shard,
                                        uint64_t hash, unsigned max)
{
    struct limits_entry *entry = limits_find_locked(shard, hash);

    if (entry == NULL)
        entry = add_locked(shard, hash);
    else if (entry->count >= max)
        return NULL;
    entry->count++;
    return entry;
}

/* While addresses are counted, no successor does so yet: it is told only. */
static struct limits_entry *take_entry(struct limits *limits, uint64_t hash,
                                       unsigned max)
{
    struct limits_shard *shard = limits_shard_of(limits, hash);
    struct limits_entry *entry;

    pthread_mutex_lock(&shard->lock);
    entry = limits_take_locked(shard, hash, max);
    if (shard->is_remote && entry != NULL)
        heir_tell(limits->heir, HEIR_COUNTED, hash, 0, 0);
    pthread_mutex_unlock(&shard->lock);
    return entry;
}

struct limits_entry *limits_ask_entry(struct limits *limits, uint64_t hash,
                                      unsigned max)
{
    struct limits_shard *shard = limits_shard_of(limits, hash);
    struct limits_entry *entry = NULL;
    bool is_remote;

    pthread_mutex_lock(&shard->lock);
    is_remote = shard->is_remote;
    if (!is_remote)
        entry = limits_take_locked(shard, hash, max);
    pthread_mutex_unlock(&shard->lock);
    return is_remote ? limits_take_remotely(limits, hash, max) : entry;
}

static void remove_locked(struct limits_shard *shard,
                          struct limits_entry *entry)
{
    struct limits_entry **link = &bucket_of(shard, entry->hash)->first;

    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    shard->entry_count--;
}

void limits_release_locked(struct limits_shard *shard,
                           struct limits_entry *entry, unsigned count)
{
    assert(count <= entry->count);
    entry->count -= count;
    if (entry->count > 0)
        return;
    remove_locked(shard, entry);
    free(entry);
}

static void release_entry(struct limits *limits, struct limits_entry **held)
{
    struct limits_entry *entry = *held;
    struct limits_shard *shard;

    *held = NULL;
    if (entry == NULL)
        return;
    shard = limits_shard_of(limits, entry->hash);
    pthread_mutex_lock(&shard->lock);
    if (shard->is_remote)
        heir_tell(limits->heir, HEIR_UNCOUNTED, entry->hash, 0, 0);
    limits_release_locked(shard, entry, 1);
    pthread_mutex_unlock(&shard->lock);
}

bool limits_is_exempt(const struct limits_settings *rules,
                      const struct address *peer)
{
    enum network_family family = peer->is_ipv6 ? NETWORK_IPV6 : NETWORK_IPV4;

    for (size_t i = 0; i < rules->exempt_count; i++) {
        if (network_contains(&rules->exempt[i], family, peer->ip))
            return true;
    }
    return false;
}

/* A token bucket as one number, the moment when it will be full again: each
 * token taken moves it on by what one takes to fill, and a bucket holds what
 * a second fills. A token may be taken up to ahead_us before it is there; how
 * long that is, or UINT64_MAX: none is to be had. */
static uint64_t take_token_us(_Atomic uint64_t *full_at_us, unsigned rate,
                              uint64_t now_us, uint64_t ahead_us)
{
    uint64_t burst_us = now_us + 1000000;
    uint64_t token_us = rate > 1000000 ? 1 : 1000000 / rate;
    uint64_t known = atomic_load(full_at_us);
    uint64_t next;

    do {
        next = (known > now_us ? known : now_us) + token_us;
        if (next > burst_us + ahead_us)
            return UINT64_MAX;
    } while (!atomic_compare_exchange_weak(full_at_us, &known, next));
    return next > burst_us ? next - burst_us : 0;
}

static bool take_before_login(struct limits *limits, unsigned max)
{
    unsigned taken = atomic_load(&limits->before_login);

    while (taken < max) {
        if (atomic_compare_exchange_weak(&limits->before_login, &taken,
                                         taken + 1))
            return true;
    }
    return false;
}

void limits_settle(struct limits *limits, struct limits_hold *hold)
{
    if (hold->before_login)
        atomic_fetch_sub(&limits->before_login, 1);
    hold->before_login = false;
}

/* The rate comes last: a connection that is turned away takes none of it. */
static enum limits_answer take_for_accept(struct limits *limits,
                                          const struct limits_settings *rules,
                                          const struct address *peer,
                                          uint64_t now_ms,
                                          struct limits_hold *hold)
{
    if (rules->per_address != 0) {
        hold->address =
            take_entry(limits, hash_address(limits, peer), rules->per_address);
        if (hold->address == NULL)
            return LIMITS_PER_ADDRESS;
    }
    if (rules->before_login != 0) {
        hold->before_login = take_before_login(limits, rules->before_login);
        if (!hold->before_login)
            return LIMITS_BEFORE_LOGIN;
    }
    if (rules->accept_rate != 0 &&
        take_token_us(&limits->rate_full_at_us, rules->accept_rate,
                      now_ms * 1000, 0) != 0)
        return LIMITS_ACCEPT_RATE;
    return LIMITS_OK;
}

enum limits_answer limits_accept(struct limits *limits,
                                 const struct limits_settings *rules,
                                 const struct address *peer, uint64_t now_ms,
                                 struct limits_hold *hold_out)
{
    enum limits_answer answer;

    *hold_out = (struct limits_hold){NULL, NULL, NULL, false};
    if (limits_is_exempt(rules, peer))
        return LIMITS_OK;
    answer = take_for_accept(limits, rules, peer, now_ms, hold_out);
    if (answer != LIMITS_OK)
        limits_release(limits, hold_out);
    return answer;
}

static bool take_user(struct limits *limits, enum key_kind kind,
                      uint64_t user_hash, const struct address *peer,
                      unsigned max, struct limits_entry **held)
{
    if (max == 0)
        return true;
    *held =
        limits_ask_entry(limits, hash_user(limits, kind, user_hash, peer), max);
    return *held != NULL;
}

enum limits_answer limits_login(struct limits *limits,
                                const struct limits_settings *rules,
                                const struct address *peer, const uint8_t *user,
                                size_t len, struct limits_hold *hold)
{
    unsigned per_both = rules->per_user_and_address;
    uint64_t user_hash;

    assert(hold->user == NULL && hold->user_and_address == NULL);
    if (rules->per_user == 0 && per_both == 0)
        return LIMITS_OK;
    if (limits_is_exempt(rules, peer))
        return LIMITS_OK;
    user_hash = hash_bytes(limits, user, len);
    if (!take_user(limits, KEY_USER, user_hash, peer, rules->per_user,
                   &hold->user))
        return LIMITS_PER_USER;
    if (!take_user(limits, KEY_USER_AND_ADDRESS, user_hash, peer, per_both,
                   &hold->user_and_address)) {
        release_entry(limits, &hold->user);
        return LIMITS_PER_USER_AND_ADDRESS;
    }
    return LIMITS_OK;
}

void limits_release(struct limits *limits, struct limits_hold *hold)
{
    release_entry(limits, &hold->user);
    release_entry(limits, &hold->user_and_address);
    release_entry(limits, &hold->address);
    limits_settle(limits, hold);
}

unsigned limits_before_login(const struct limits *limits)
{
    return atomic_load(&limits->before_login);
}

uint64_t limits_hold_back_ms(struct limits *limits,
                             const struct limits_settings *rules,
                             const struct address *peer, uint64_t now_ms)
{
    uint64_t wait_us;
    uint32_t random;

    if (rules->disconnect_rate == 0 || limits_is_exempt(rules, peer))
        return 0;
    wait_us =
        take_token_us(&limits->disconnects_full_at_us, rules->disconnect_rate,
                      now_ms * 1000, LIMITS_HOLD_MAX_MS * UINT64_C(1000));
    if (wait_us != UINT64_MAX)
        return wait_us / 1000;
    RAND_bytes((uint8_t *)&random, sizeof(random));
    return random % LIMITS_HOLD_MAX_MS;
}

size_t limits_entries(struct limits *limits)
{
    size_t count = 0;

    for (size_t i = 0; i < LIMITS_SHARDS; i++) {
        struct limits_shard *shard = &limits->shards[i];

        pthread_mutex_lock(&shard->lock);
        count += shard->entry_count;
        pthread_mutex_unlock(&shard->lock);
    }
    return count;
}
