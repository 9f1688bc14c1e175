/* Blocks that a session keeps for its whole life: side by side by size, so
 * that an idle session pays for its bytes and not for malloc's headers or for
 * the holes between them. Each worker has a heap of its own, without a lock;
 * a block may be freed by any thread. Memory is given back to the kernel in
 * spans of 32 KiB, when all that was in one is gone. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include "config/mem.h"

#include <stddef.h>

/* AddressSanitizer sees a use after free only in blocks of malloc. A build
 * may also ask for this, for tools that count malloc's blocks. */
#ifdef __SANITIZE_ADDRESS__
#define SLAB_IS_MALLOC
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_IS_MALLOC
#endif
#endif

/* What lies outside comes from malloc, as does everything else of a thread
 * that has no heap. */
enum {
    SLAB_SIZE_MIN = 128,
    SLAB_SIZE_MAX = 1024
};

/* Gives the calling thread a heap. It outlives the thread, since blocks may;
 * a second call does nothing. Where address space is limited, the thread
 * stays with malloc. */
void slab_join_thread(void);

/* Never NULL; freed by slab_free and nothing else. Aligned to 16 bytes where
 * size is a multiple of 16, otherwise to 8: no type that wants 16 has such a
 * size, and rounding up to it would cost an idle session 48 bytes. */
MUST_USE void *slab_alloc(size_t size);

/* Like slab_alloc, but every byte is 0. */
MUST_USE void *slab_zalloc(size_t size);

/* Takes any block of slab_alloc or malloc, or NULL. Wipes nothing. */
void slab_free(void *block);

/* How many bytes of a block of slab_alloc or malloc may be used. */
size_t slab_size(const void *block);

/* Bytes of all spans that heaps hold: free blocks are included, and the empty
 * spans that each keeps, a few for all sizes and one for each size that it
 * ever served. Takes a lock. */
size_t slab_held_bytes(void);

#endif
