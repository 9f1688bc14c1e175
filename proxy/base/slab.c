#include "base/slab.h"

/* See slab_malloc.c for the other case. */
#ifndef SLAB_IS_MALLOC

#include <assert.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The region has room for some four million sessions and costs address space
 * only; malloc serves what comes after. */
enum {
    SPAN_SIZE = 32 * 1024,
    SPAN_COUNT = 512 * 1024,
    SPANS_PER_STEP = 64, /* made writable at once */
    STEP = 8,            /* between the sizes of blocks */
    CLASS_COUNT = (SLAB_SIZE_MAX - SLAB_SIZE_MIN) / STEP + 1,
    MAP_WORDS = SPAN_SIZE / SLAB_SIZE_MIN / 64,
    RESERVE_MAX = 4 /* empty spans that a heap keeps for any size */
};

/* What is known of a span lies outside it, so that neither an empty span nor
 * a stray write into a freed block has anything to do with it. Only the owner
 * writes here while a block is in use. */
struct span {
    struct heap *owner;
    struct span *next; /* in a list of its heap, or of the region */
    struct span *previous;
    uint64_t free_map[MAP_WORDS]; /* a bit is 1 while its block is free */
    uint32_t inverse;             /* 2^32 / block_size, rounded up */
    uint16_t block_size;
    uint16_t free_count;
};
_Static_assert(sizeof(struct span) <= 64, "one line of cache");

/* A block that another thread than its owner's has freed. */
struct returned {
    struct returned *next;
};

struct heap {
    struct span *partial[CLASS_COUNT]; /* not full */
    struct span *reserve;
    unsigned reserve_count;
    _Atomic(struct returned *) returned;
};

/* The first two are set once, before any thread has a heap, while a thread
 * that needs none may be freeing blocks of malloc: whether that one sees the
 * region yet makes no difference to it. */
static struct {
    _Atomic(char *) bytes; /* NULL while not reserved */
    struct span *spans;
    pthread_mutex_t lock;
    struct span *given_back;
    size_t given_back_count;
    size_t made; /* spans taken at least once; these come first */
    size_t writable;
} region = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local struct heap *own_heap;

static char *region_bytes(void);
static void reserve_region(void);
static void *from_malloc(size_t size);
static struct span *need_span(struct heap *heap, size_t class);
static void *take_block(struct heap *heap, struct span *span);
static void put_block(struct heap *heap, struct span *span, const char *block);
static void give_to_owner(struct heap *owner, void *block);

void slab_join_thread(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, reserve_region);
    if (region_bytes() != NULL && own_heap == NULL)
        own_heap = mem_zalloc(sizeof(*own_heap));
}

void *slab_alloc(size_t size)
{
    struct heap *heap = own_heap;
    struct span *span;
    size_t class;

    if (heap == NULL || size < SLAB_SIZE_MIN || size > SLAB_SIZE_MAX)
        return from_malloc(size);
    class = (size - SLAB_SIZE_MIN + STEP - 1) / STEP;
    span = heap->partial[class];
    if (span == NULL)
        span = need_span(heap, class);
    return span == NULL ? from_malloc(size) : take_block(heap, span);
}

void *slab_zalloc(size_t size)
{
    return memset(slab_alloc(size), 0, size);
}

static char *region_bytes(void)
{
    return atomic_load_explicit(&region.bytes, memory_order_relaxed);
}

/* NULL for a block of malloc. */
static struct span *span_of(const void *block)
{
    char *bytes = region_bytes();
    uintptr_t offset = (uintptr_t)block - (uintptr_t)bytes;

    if (bytes == NULL || offset / SPAN_SIZE >= SPAN_COUNT)
        return NULL;
    return &region.spans[offset / SPAN_SIZE];
}

void slab_free(void *block)
{
    struct span *span = span_of(block);

    if (span == NULL)
        free(block);
    else if (span->owner == own_heap)
        put_block(own_heap, span, block);
    else
        give_to_owner(span->owner, block);
}

size_t slab_size(const void *block)
{
    const struct span *span = span_of(block);

    return span == NULL ? malloc_usable_size((void *)(uintptr_t)block)
                        : span->block_size;
}

/* What mem_alloc does, without its way over realloc: most of a login's blocks
 * come by here. */
static void *from_malloc(size_t size)
{
    void *block = malloc(size == 0 ? 1 : size);

    if (block == NULL)
        mem_exhausted();
    return block;
}

size_t slab_held_bytes(void)
{
    size_t spans;

    pthread_mutex_lock(&region.lock);
    spans = region.made - region.given_back_count;
    pthread_mutex_unlock(&region.lock);
    return spans * SPAN_SIZE;
}

/* --- blocks of a span --- */

static char *bytes_of(const struct span *span)
{
    return region_bytes() + (size_t)(span - region.spans) * SPAN_SIZE;
}

static void link_span(struct span **list, struct span *span)
{
    span->previous = NULL;
    span->next = *list;
    if (*list != NULL)
        (*list)->previous = span;
    *list = span;
}

static void unlink_span(struct span **list, struct span *span)
{
    if (span->previous == NULL)
        *list = span->next;
    else
        span->previous->next = span->next;
    if (span->next != NULL)
        span->next->previous = span->previous;
}

static struct span **list_of(struct heap *heap, const struct span *span)
{
    return &heap->partial[(span->block_size - SLAB_SIZE_MIN) / STEP];
}

/* The lowest free block, so that pages fill from the first on. */
static void *take_block(struct heap *heap, struct span *span)
{
    size_t word = 0;
    size_t slot;

    while (span->free_map[word] == 0)
        word++;
    slot = word * 64 + (size_t)__builtin_ctzll(span->free_map[word]);
    span->free_map[word] &= span->free_map[word] - 1;
    if (--span->free_count == 0)
        unlink_span(list_of(heap, span), span);
    return bytes_of(span) + slot * span->block_size;
}

/* offset / block_size without a division: exact, since the offset is at most
 * 2^15 and the inverse too large by less than 1. */
static size_t slot_at(const struct span *span, size_t offset)
{
    return (size_t)(offset * (uint64_t)span->inverse >> 32);
}

static bool is_last_of_list(const struct span *span)
{
    return span->previous == NULL && span->next == NULL;
}

static void retire_span(struct heap *heap, struct span *span);

/* A span that was full goes to the front: of all it lacks the least, and the
 * emptier ones behind it get a chance to become empty. The last one of its
 * size stays: a login that comes when nobody is here asks the kernel for
 * nothing. */
static void put_block(struct heap *heap, struct span *span, const char *block)
{
    size_t offset = (size_t)(block - bytes_of(span));
    size_t slot = slot_at(span, offset);
    uint64_t bit = (uint64_t)1 << slot % 64;

    assert(slot * span->block_size == offset);
    assert((span->free_map[slot / 64] & bit) == 0); /* not freed twice */
    if (span->free_count++ == 0)
        link_span(list_of(heap, span), span);
    span->free_map[slot / 64] |= bit;
    if (span->free_count == slot_at(span, SPAN_SIZE) && !is_last_of_list(span))
        retire_span(heap, span);
}

/* --- blocks that other threads free --- */

static void give_to_owner(struct heap *owner, void *block)
{
    struct returned *mine = block;

    mine->next = atomic_load_explicit(&owner->returned, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&owner->returned, &mine->next,
                                                  mine, memory_order_release,
                                                  memory_order_relaxed))
        ;
}

static void take_returned(struct heap *heap)
{
    struct returned *block =
        atomic_exchange_explicit(&heap->returned, NULL, memory_order_acquire);

    while (block != NULL) {
        struct returned *next = block->next;

        put_block(heap, span_of(block), (const char *)block);
        block = next;
    }
}

/* --- spans of a heap --- */

static struct span *take_from_region(void);
static void give_to_region(struct span *span);

static struct span *take_empty_span(struct heap *heap)
{
    struct span *span = heap->reserve;

    if (span == NULL)
        return take_from_region();
    heap->reserve_count--;
    unlink_span(&heap->reserve, span);
    return span;
}

/* The map may have more bits than there are blocks. Those are never reached:
 * the lowest goes first, and the count ends before them. */
static void cut_span(struct span *span, size_t block_size)
{
    size_t blocks = SPAN_SIZE / block_size;

    span->block_size = (uint16_t)block_size;
    span->inverse =
        (uint32_t)((((uint64_t)1 << 32) + block_size - 1) / block_size);
    span->free_count = (uint16_t)blocks;
    memset(span->free_map, 0xff, sizeof(span->free_map));
}

/* NULL where the region is used up. */
static struct span *need_span(struct heap *heap, size_t class)
{
    struct span *span;

    take_returned(heap);
    if (heap->partial[class] != NULL)
        return heap->partial[class];
    span = take_empty_span(heap);
    if (span == NULL)
        return NULL;
    span->owner = heap;
    cut_span(span, SLAB_SIZE_MIN + class * STEP);
    link_span(&heap->partial[class], span);
    return span;
}

/* Some empty spans stay at hand: what one burst empties the next one fills. */
static void retire_span(struct heap *heap, struct span *span)
{
    unlink_span(list_of(heap, span), span);
    if (heap->reserve_count == RESERVE_MAX) {
        give_to_region(span);
        return;
    }
    heap->reserve_count++;
    link_span(&heap->reserve, span);
}

/* --- the region --- */

static void *reserve(size_t size, int protection)
{
    void *bytes = mmap(NULL, size, protection,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (bytes == MAP_FAILED)
        return NULL;
    /* A huge page would take back what spans have given. A kernel without
     * such pages refuses, which is as good. */
    (void)madvise(bytes, size, MADV_NOHUGEPAGE);
    return bytes;
}

/* The bytes are not writable yet: what is, counts against the limits of the
 * process even while untouched. */
static void reserve_region(void)
{
    region.spans =
        reserve(SPAN_COUNT * sizeof(*region.spans), PROT_READ | PROT_WRITE);
    if (region.spans != NULL)
        region.bytes = reserve((size_t)SPAN_COUNT * SPAN_SIZE, PROT_NONE);
}

static bool make_writable_locked(void)
{
    if (region.writable == SPAN_COUNT ||
        mprotect(region_bytes() + region.writable * SPAN_SIZE,
                 (size_t)SPANS_PER_STEP * SPAN_SIZE,
                 PROT_READ | PROT_WRITE) != 0)
        return false;
    region.writable += SPANS_PER_STEP;
    return true;
}

static struct span *take_from_region(void)
{
    struct span *span;

    pthread_mutex_lock(&region.lock);
    span = region.given_back;
    if (span != NULL) {
        unlink_span(&region.given_back, span);
        region.given_back_count--;
    } else if (region.made < region.writable || make_writable_locked()) {
        span = &region.spans[region.made++];
    }
    pthread_mutex_unlock(&region.lock);
    return span;
}

/* Where a page is larger than a span the kernel refuses, and the pages stay
 * for the next heap that needs one. */
static void give_to_region(struct span *span)
{
    (void)madvise(bytes_of(span), SPAN_SIZE, MADV_DONTNEED);
    pthread_mutex_lock(&region.lock);
    link_span(&region.given_back, span);
    region.given_back_count++;
    pthread_mutex_unlock(&region.lock);
}

#endif
