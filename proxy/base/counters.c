#include "base/counters.h"

#include "config/mem.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    CACHE_LINE = 64,
    ALPN_NAMES_PER_LIST = 8
};

/* A slot fills whole cache lines, so that two writers never share one. */
struct slot {
    _Alignas(CACHE_LINE) struct counters counters;
};

struct counters_set {
    size_t writers;
    pthread_mutex_t alpn_lock; /* for the three below */
    size_t alpn_count;
    uint64_t alpn_other;
    struct counters_alpn alpn[COUNTERS_ALPN_NAMES];
    struct slot *slots;
};

struct counter_facts {
    const char *name;
    enum counter_kind kind;
    const char *help;
};

#define COUNTERS_FACTS(CONSTANT, name, kind, help)                             \
    [COUNTER_##CONSTANT] = {#name, COUNTER_##kind, help},
static const struct counter_facts facts[COUNTER_COUNT] = {
    COUNTERS(COUNTERS_FACTS)};
#undef COUNTERS_FACTS

const char *counter_name(enum counter counter)
{
    return facts[counter].name;
}

enum counter_kind counter_kind(enum counter counter)
{
    return facts[counter].kind;
}

const char *counter_help(enum counter counter)
{
    return facts[counter].help;
}

static struct slot *new_slots(struct counters_set *set, size_t writers)
{
    struct slot *slots;

    if (writers > SIZE_MAX / sizeof(*slots))
        mem_exhausted();
    slots = aligned_alloc(CACHE_LINE, writers * sizeof(*slots));
    if (slots == NULL)
        mem_exhausted();
    memset(slots, 0, writers * sizeof(*slots));
    for (size_t i = 0; i < writers; i++)
        slots[i].counters.set = set;
    return slots;
}

struct counters_set *counters_set_new(size_t writers)
{
    struct counters_set *set = mem_zalloc(sizeof(*set));

    assert(writers > 0);
    set->writers = writers;
    pthread_mutex_init(&set->alpn_lock, NULL);
    set->slots = new_slots(set, writers);
    return set;
}

void counters_set_free(struct counters_set **set)
{
    struct counters_set *mine = *set;

    *set = NULL;
    if (mine == NULL)
        return;
    pthread_mutex_destroy(&mine->alpn_lock);
    free(mine->slots);
    free(mine);
}

struct counters *counters_set_at(struct counters_set *set, size_t index)
{
    assert(index < set->writers);
    return &set->slots[index].counters;
}

uint64_t counters_set_sum(const struct counters_set *set, enum counter counter)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < set->writers; i++)
        sum += atomic_load_explicit(&set->slots[i].counters.values[counter],
                                    memory_order_relaxed);
    return sum;
}

static struct counters_alpn *find_alpn(struct counters_set *set,
                                       const uint8_t *name, size_t len)
{
    struct counters_alpn *entry = set->alpn;

    for (size_t i = 0; i < set->alpn_count; i++, entry++) {
        if (entry->len == len && memcmp(entry->name, name, len) == 0)
            return entry;
    }
    if (set->alpn_count == COUNTERS_ALPN_NAMES || len > sizeof(entry->name))
        return NULL;
    set->alpn_count++;
    memcpy(entry->name, name, len);
    entry->len = len;
    return entry;
}

static void note_alpn(struct counters_set *set, const uint8_t *name, size_t len)
{
    struct counters_alpn *entry = find_alpn(set, name, len);

    if (entry == NULL)
        set->alpn_other++;
    else
        entry->count++;
}

void counters_alpn_refused(struct counters *mine, const uint8_t *list,
                           size_t len)
{
    struct counters_set *set = mine->set;
    size_t at = 0;

    counters_add(mine, COUNTER_ALPN_REFUSED, 1);
    pthread_mutex_lock(&set->alpn_lock);
    for (int i = 0; i < ALPN_NAMES_PER_LIST && at < len; i++) {
        size_t name_len = list[at++];

        if (name_len > len - at)
            break;
        note_alpn(set, list + at, name_len);
        at += name_len;
    }
    pthread_mutex_unlock(&set->alpn_lock);
}

size_t counters_set_alpn(struct counters_set *set,
                         struct counters_alpn out[COUNTERS_ALPN_NAMES],
                         uint64_t *other_out)
{
    size_t count;

    pthread_mutex_lock(&set->alpn_lock);
    count = set->alpn_count;
    memcpy(out, set->alpn, count * sizeof(*out));
    *other_out = set->alpn_other;
    pthread_mutex_unlock(&set->alpn_lock);
    return count;
}
