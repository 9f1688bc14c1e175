/* A shim for LD_PRELOAD that counts what a process holds on its heap: the sum
 * of malloc_usable_size over live blocks, and their number. The two figures
 * stand in a file BENCH_HEAP_DIR/PID that is mapped, so that the reader need
 * not disturb the process. The allocator below it is glibc's, unchanged. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct heap_counts {
    _Atomic int64_t bytes;
    _Atomic int64_t blocks;
};

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

static struct heap_counts unmapped;
static struct heap_counts *counts = &unmapped;

static void note_new(void *block);
static void note_gone(void *block);
static void map_counts(void);
static void copy_counts(struct heap_counts *to, struct heap_counts *from);
static void on_fork_in_child(void);

__attribute__((constructor)) static void start_counting(void)
{
    map_counts();
    pthread_atfork(NULL, NULL, on_fork_in_child);
}

void *malloc(size_t size)
{
    void *block = __libc_malloc(size);

    note_new(block);
    return block;
}

void *calloc(size_t count, size_t size)
{
    void *block = __libc_calloc(count, size);

    note_new(block);
    return block;
}

void *realloc(void *block, size_t size)
{
    size_t old_size = malloc_usable_size(block);
    void *moved = __libc_realloc(block, size);

    /* NULL is a failure that left the block, or a size of 0 that freed it. */
    if (moved == NULL && size != 0)
        return NULL;
    if (block != NULL) {
        atomic_fetch_sub_explicit(&counts->bytes, (int64_t)old_size,
                                  memory_order_relaxed);
        atomic_fetch_sub_explicit(&counts->blocks, 1, memory_order_relaxed);
    }
    note_new(moved);
    return moved;
}

void *memalign(size_t alignment, size_t size)
{
    void *block = __libc_memalign(alignment, size);

    note_new(block);
    return block;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **block_out, size_t alignment, size_t size)
{
    void *block = memalign(alignment, size);

    if (block == NULL)
        return ENOMEM;
    *block_out = block;
    return 0;
}

void free(void *block)
{
    note_gone(block);
    __libc_free(block);
}

static void note_new(void *block)
{
    if (block == NULL)
        return;
    atomic_fetch_add_explicit(&counts->bytes,
                              (int64_t)malloc_usable_size(block),
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&counts->blocks, 1, memory_order_relaxed);
}

static void note_gone(void *block)
{
    if (block == NULL)
        return;
    atomic_fetch_sub_explicit(&counts->bytes,
                              (int64_t)malloc_usable_size(block),
                              memory_order_relaxed);
    atomic_fetch_sub_explicit(&counts->blocks, 1, memory_order_relaxed);
}

/* Where the file cannot be made, counting goes on unseen. */
static void map_counts(void)
{
    const char *folder = getenv("BENCH_HEAP_DIR");
    struct heap_counts *mapped;
    char path[512];
    int fd;

    if (folder == NULL)
        return;
    snprintf(path, sizeof(path), "%s/%ld", folder, (long)getpid());
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return;
    if (ftruncate(fd, sizeof(*mapped)) == 0) {
        mapped = mmap(NULL, sizeof(*mapped), PROT_READ | PROT_WRITE, MAP_SHARED,
                      fd, 0);
        if (mapped != MAP_FAILED) {
            copy_counts(mapped, counts);
            counts = mapped;
        }
    }
    close(fd);
}

static void copy_counts(struct heap_counts *to, struct heap_counts *from)
{
    atomic_store(&to->bytes, atomic_load(&from->bytes));
    atomic_store(&to->blocks, atomic_load(&from->blocks));
}

/* A child owns a copy of its parent's heap, and a file of its own. */
static void on_fork_in_child(void)
{
    copy_counts(&unmapped, counts);
    counts = &unmapped;
    map_counts();
}
