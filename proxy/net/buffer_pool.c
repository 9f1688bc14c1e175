#include "net/buffer_pool.h"

#include "config/mem.h"

#include <assert.h>
#include <openssl/mem.h>
#include <stdlib.h>

/* An idle chunk is nobody's: under ASan touching it is an error. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(bytes, size) ((void)(bytes), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(bytes, size) ((void)(bytes), (void)(size))
#endif

void buffer_pool_init(struct buffer_pool *pool, size_t idle_max)
{
    *pool = (struct buffer_pool){.idle_max = idle_max};
}

static struct buffer_chunk *pop_idle(struct buffer_pool *pool)
{
    struct buffer_chunk *chunk = pool->idle;

    ASAN_UNPOISON_MEMORY_REGION(chunk->bytes, sizeof(chunk->bytes));
    pool->idle = chunk->next;
    pool->idle_count--;
    return chunk;
}

static void push_idle(struct buffer_pool *pool, struct buffer_chunk *chunk)
{
    chunk->next = pool->idle;
    pool->idle = chunk;
    pool->idle_count++;
    ASAN_POISON_MEMORY_REGION(chunk->bytes, sizeof(chunk->bytes));
}

void buffer_pool_deinit(struct buffer_pool *pool)
{
    assert(pool->out_count == 0);
    while (pool->idle != NULL)
        free(pop_idle(pool));
}

struct buffer_chunk *buffer_pool_take(struct buffer_pool *pool)
{
    struct buffer_chunk *chunk =
        pool->idle != NULL ? pop_idle(pool) : mem_alloc(sizeof(*chunk));

    chunk->next = NULL;
    chunk->start = 0;
    chunk->end = 0;
    pool->out_count++;
    if (pool->out_count > pool->out_peak)
        pool->out_peak = pool->out_count;
    return chunk;
}

void buffer_pool_give(struct buffer_pool *pool, struct buffer_chunk **chunk)
{
    struct buffer_chunk *mine = *chunk;

    *chunk = NULL;
    if (mine == NULL)
        return;
    assert(pool->out_count > 0 && mine->end <= sizeof(mine->bytes));
    pool->out_count--;
    OPENSSL_cleanse(mine->bytes, mine->end);
    if (pool->idle_count < pool->idle_max)
        push_idle(pool, mine);
    else
        free(mine);
}
