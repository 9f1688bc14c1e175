/* Homes that our successor decides about. Our own book follows its answers, so
 * that we can go on by it should the successor fail. */
#include "backend/backend_memory.h"
#include "state/heir.h"
#include "state/homes_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void homes_set_heir(struct homes *homes, struct heir *heir)
{
    homes->heir = heir;
}

void homes_read_key(const struct homes *homes, uint64_t key_out[2])
{
    memcpy(key_out, homes->hash_key, sizeof(homes->hash_key));
}

void homes_set_key(struct homes *homes, const uint64_t key[2])
{
    assert(homes_count(homes) == 0);
    memcpy(homes->hash_key, key, sizeof(homes->hash_key));
}

/* Wants the heir's lock, and returns with the shard's: the answer is for what
 * stands there now. */
static enum heir_answer ask(struct homes *homes, struct homes_shard *shard,
                            const struct heir_question *question,
                            struct backend **at_out)
{
    enum heir_answer answer;
    bool is_remote;

    *at_out = NULL;
    pthread_mutex_lock(&shard->lock);
    is_remote = shard->is_remote;
    if (!is_remote)
        return HEIR_NOBODY;
    pthread_mutex_unlock(&shard->lock);
    answer = heir_ask(homes->heir, question, at_out);
    pthread_mutex_lock(&shard->lock);
    return answer;
}

/* Of both locks, and of what the answer named, when all was done by it. */
static void let_go(struct homes *homes, struct homes_shard *shard,
                   struct backend **at)
{
    pthread_mutex_unlock(&shard->lock);
    heir_unlock(homes->heir);
    backend_unref(at);
}

static void replace(struct backend **held, struct backend *by)
{
    backend_unref(held);
    *held = backend_ref(by);
}

/* A user whom our book does not have, or has elsewhere, is where the answer
 * says. */
static void enter_at_locked(struct homes_shard *shard, uint64_t key,
                            struct backend *at, struct home_claim *claim)
{
    struct home *home = homes_find_locked(shard, key);

    if (home != NULL)
        replace(&home->at, at);
    homes_enter_locked(shard, key, at, claim);
}

void homes_enter_remotely(struct homes *homes, uint64_t key,
                          struct backend *wanted, struct home_claim *claim)
{
    const struct heir_question question = {
        .verb = HEIR_ENTER, .key = key, .wanted = wanted};
    struct homes_shard *shard = homes_shard_of(homes, key);
    struct backend *at;

    heir_lock(homes->heir);
    switch (ask(homes, shard, &question, &at)) {
    case HEIR_NOBODY:
        homes_enter_locked(shard, key, wanted, claim);
        break;
    case HEIR_YES:
        enter_at_locked(shard, key, at, claim);
        break;
    case HEIR_NO:
    case HEIR_WAIT:
    case HEIR_SILENT:
        break;
    }
    let_go(homes, shard, &at);
}

/* Both now know where the home is. */
static void follow_locked(struct homes_shard *shard, struct home_claim *claim,
                          struct backend *at)
{
    replace(&homes_find_locked(shard, claim->key)->at, at);
    replace(&claim->at, at);
}

enum homes_answer homes_move_remotely(struct homes *homes,
                                      struct home_claim *claim,
                                      struct backend *to)
{
    const struct heir_question question = {
        .verb = HEIR_MOVE, .key = claim->key, .at = claim->at, .wanted = to};
    struct homes_shard *shard = homes_shard_of(homes, claim->key);
    enum homes_answer answer = HOMES_WAIT;
    struct backend *at;

    heir_lock(homes->heir);
    switch (ask(homes, shard, &question, &at)) {
    case HEIR_NOBODY:
        answer =
            homes_move_locked(homes_find_locked(shard, claim->key), claim, to);
        break;
    case HEIR_YES:
        follow_locked(shard, claim, at);
        answer = HOMES_MOVED;
        break;
    case HEIR_NO:
        follow_locked(shard, claim, at);
        answer = HOMES_ELSEWHERE;
        break;
    case HEIR_WAIT:
    case HEIR_SILENT:
        break;
    }
    let_go(homes, shard, &at);
    return answer;
}

/* The heir has been told, or will be. */
static void give_up_locked(struct homes_shard *shard, struct home_claim *claim)
{
    homes_leave_locked(shard, claim->key, 1, 1);
    backend_unref(&claim->at);
    claim->is_seeking = false;
}

void homes_arrive_remotely(struct homes *homes, struct home_claim *claim)
{
    const struct heir_question question = {
        .verb = HEIR_ARRIVE, .key = claim->key, .at = claim->at};
    struct homes_shard *shard = homes_shard_of(homes, claim->key);
    struct backend *at;

    heir_lock(homes->heir);
    switch (ask(homes, shard, &question, &at)) {
    case HEIR_NOBODY:
        homes_arrive_locked(homes_find_locked(shard, claim->key), claim);
        break;
    case HEIR_YES:
        follow_locked(shard, claim, at);
        homes_arrive_locked(homes_find_locked(shard, claim->key), claim);
        break;
    case HEIR_NO:
        follow_locked(shard, claim, at);
        break;
    case HEIR_WAIT:
    case HEIR_SILENT:
        give_up_locked(shard, claim);
        break;
    }
    let_go(homes, shard, &at);
}

static struct home_record record_of(const struct home *home)
{
    return (struct home_record){.key = home->key,
                                .at = backend_number(home->at),
                                .claims = home->claims,
                                .seekers = home->seekers};
}

struct home_record *homes_give(struct homes *homes, size_t index,
                               size_t *count_out)
{
    struct homes_shard *shard = &homes->shards[index];
    struct home_record *records;
    size_t count = 0;

    pthread_mutex_lock(&shard->lock);
    records = mem_alloc(shard->used * sizeof(*records));
    for (size_t i = 0; i < shard->slot_count; i++) {
        if (shard->slots[i].claims > 0)
            records[count++] = record_of(&shard->slots[i]);
    }
    shard->is_remote = true;
    pthread_mutex_unlock(&shard->lock);
    *count_out = count;
    return records;
}

void homes_keep(struct homes *homes)
{
    for (size_t i = 0; i < HOMES_SHARDS; i++) {
        pthread_mutex_lock(&homes->shards[i].lock);
        homes->shards[i].is_remote = false;
        pthread_mutex_unlock(&homes->shards[i].lock);
    }
}

bool homes_take(struct homes *homes, uint64_t key, struct backend *at,
                uint32_t claims, uint32_t seekers)
{
    struct homes_shard *shard = homes_shard_of(homes, key);
    struct home *home;
    bool is_there;

    pthread_mutex_lock(&shard->lock);
    home = homes_find_locked(shard, key);
    if (home == NULL)
        home = homes_add_locked(shard, key, at);
    is_there = home->at == at;
    if (is_there) {
        home->claims += claims;
        home->seekers += seekers;
    }
    pthread_mutex_unlock(&shard->lock);
    return is_there;
}

void homes_drop(struct homes *homes, uint64_t key, uint32_t arrived,
                uint32_t seekers)
{
    struct homes_shard *shard = homes_shard_of(homes, key);

    pthread_mutex_lock(&shard->lock);
    homes_leave_locked(shard, key, arrived + seekers, seekers);
    for (; shard->is_remote && arrived > 0; arrived--)
        heir_tell(homes->heir, HEIR_LEFT, key, 0, 0);
    for (; shard->is_remote && seekers > 0; seekers--)
        heir_tell(homes->heir, HEIR_LEFT_EARLY, key, 0, 0);
    pthread_mutex_unlock(&shard->lock);
}
