/* Chunks for bytes that a socket refused. One pool per worker, not for several
 * threads. A chunk given back is wiped, as far as it was filled: passwords
 * pass through here. */
#ifndef NET_BUFFER_POOL_H
#define NET_BUFFER_POOL_H

#include <stddef.h>
#include <stdint.h>

enum {
    BUFFER_CHUNK_SIZE = 16 * 1024
};

/* bytes[start..end) are in use. The taker moves start and end as it likes,
 * but end never goes down while the chunk is out: it says what to wipe. */
struct buffer_chunk {
    struct buffer_chunk *next; /* for the taker's queue, then the pool's */
    uint32_t start;
    uint32_t end;
    uint8_t bytes[BUFFER_CHUNK_SIZE];
};

struct buffer_pool {
    struct buffer_chunk *idle;
    size_t idle_count;
    size_t idle_max;
    size_t out_count; /* taken and not given back */
    size_t out_peak;
};

/* idle_max: how many chunks are kept for the next taker; more are freed. */
void buffer_pool_init(struct buffer_pool *pool, size_t idle_max);

/* Frees the idle chunks. Every chunk must have been given back. */
void buffer_pool_deinit(struct buffer_pool *pool);

/* An empty chunk, owned by the caller until it is given back. */
struct buffer_chunk *buffer_pool_take(struct buffer_pool *pool);

/* Takes back one chunk and leaves NULL behind; NULL inside is accepted. */
void buffer_pool_give(struct buffer_pool *pool, struct buffer_chunk **chunk);

#endif
