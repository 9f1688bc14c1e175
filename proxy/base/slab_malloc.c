#include "base/slab.h"

/* The slab of builds that want to see each block in malloc's books. */
#ifdef SLAB_IS_MALLOC

#include <malloc.h>
#include <stdlib.h>

void slab_join_thread(void)
{
}

void *slab_alloc(size_t size)
{
    return mem_alloc(size);
}

void *slab_zalloc(size_t size)
{
    return mem_zalloc(size);
}

void slab_free(void *block)
{
    free(block);
}

size_t slab_size(const void *block)
{
    return malloc_usable_size((void *)(size_t)block);
}

size_t slab_held_bytes(void)
{
    return 0;
}

#endif
