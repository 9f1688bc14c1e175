/* Blocks by size: where they lie, whose they are, and that memory goes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/slab.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLAIM(name) cmocka_unit_test(name)

enum {
    /* What a heap may keep when all its blocks of one size are gone. */
    SPAN_BYTES = 32 * 1024,
    RESERVE_BYTES = 4 * SPAN_BYTES + SPAN_BYTES,
    /* Enough for some dozens of spans. */
    MANY = 2000
};

/* --- a thread with a heap of its own, as a worker is --- */

typedef void *thread_main(void *argument);

struct thread_work {
    thread_main *run;
    void *argument;
};

static void *run_with_heap(void *argument)
{
    struct thread_work *work = argument;

    slab_join_thread();
    return work->run(work->argument);
}

static void *in_a_thread(thread_main *run, void *argument)
{
    struct thread_work work = {run, argument};
    pthread_t thread;
    void *result;

    assert_int_equal(pthread_create(&thread, NULL, run_with_heap, &work), 0);
    pthread_join(thread, &result);
    return result;
}

/* A claim is a function that returns NULL, or what is wrong. */
static void assert_claim(thread_main *run)
{
    const char *wrong = in_a_thread(run, NULL);

    if (wrong != NULL)
        fail_msg("%s", wrong);
}

static void *say(const char *wrong)
{
    return (void *)(uintptr_t)wrong;
}

/* --- blocks --- */

static void *check_sizes(void *unused)
{
    (void)unused;
    for (size_t size = 0; size < 2 * SLAB_SIZE_MAX; size++) {
        uint8_t *block = slab_alloc(size);
        uintptr_t alignment = size % 16 == 0 ? 16 : 8;

        if (slab_size(block) < size)
            return say("a block is too small");
        if ((uintptr_t)block % alignment != 0)
            return say("a block is not aligned");
        memset(block, 0xff, slab_size(block));
        slab_free(block);
    }
    return NULL;
}

static void block_has_room_and_alignment(void **state)
{
    (void)state;
    assert_claim(check_sizes);
}

static void *check_zeros(void *unused)
{
    (void)unused;
    for (int round = 0; round < 2; round++) {
        uint8_t *block = slab_zalloc(500);

        for (size_t i = 0; i < 500; i++)
            if (block[i] != 0)
                return say("a byte is not 0");
        memset(block, 0xff, 500);
        slab_free(block);
    }
    return NULL;
}

static void zalloc_gives_zeros_also_for_a_used_block(void **state)
{
    (void)state;
    assert_claim(check_zeros);
}

static void *check_null(void *unused)
{
    slab_free(NULL);
    return unused;
}

static void null_may_be_freed(void **state)
{
    (void)state;
    assert_claim(check_null);
}

static void thread_without_a_heap_has_malloc(void **state)
{
    void *block = slab_alloc(500);

    (void)state;
    assert_true(slab_size(block) >= 500);

    free(block);
}

static void *join_only(void *unused)
{
    slab_join_thread();
    return unused;
}

/* For ThreadSanitizer; the region must not be there yet. */
static void thread_without_a_heap_may_free_while_another_joins(void **state)
{
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, join_only, NULL), 0);
    for (int i = 0; i < 10000; i++)
        slab_free(mem_alloc(500));
    pthread_join(thread, NULL);
}

static void block_of_malloc_may_be_given(void **state)
{
    void *block = mem_alloc(500);

    (void)state;
    assert_true(slab_size(block) >= 500);

    slab_free(block);
}

/* --- against a model: each block is filled with its own mark --- */

enum {
    THREADS = 4,
    SLOTS = 400,
    STEPS = 40000
};

struct model_block {
    uint8_t *bytes;
    size_t size;
    uint8_t mark;
};

/* What one thread leaves for another to free; NULL while there is nothing. */
struct exchange {
    _Atomic(struct model_block *) letters[THREADS];
};

struct player {
    struct exchange *exchange;
    struct model_block blocks[SLOTS];
    unsigned seed;
    pthread_t thread;
    const char *wrong;
};

static struct model_block make_block(unsigned *seed)
{
    struct model_block block;

    /* Now and then one that malloc serves. */
    block.size = (size_t)rand_r(seed) % (SLAB_SIZE_MAX + 100);
    block.mark = (uint8_t)rand_r(seed);
    block.bytes = slab_alloc(block.size);
    memset(block.bytes, block.mark, block.size);
    return block;
}

/* Says whether nobody else wrote into it. */
static bool end_block(struct model_block *block)
{
    bool is_whole = slab_size(block->bytes) >= block->size;

    for (size_t i = 0; i < block->size; i++)
        is_whole = is_whole && block->bytes[i] == block->mark;
    slab_free(block->bytes);
    block->bytes = NULL;
    return is_whole;
}

/* Leaves a block for the next thread, and frees what the last one left. */
static bool trade(struct player *player, struct model_block *block)
{
    struct model_block *letter = malloc(sizeof(*letter));
    struct model_block *former;
    bool is_whole = true;

    *letter = *block;
    block->bytes = NULL;
    former = atomic_exchange(
        &player->exchange->letters[rand_r(&player->seed) % THREADS], letter);
    if (former != NULL)
        is_whole = end_block(former);
    free(former);
    return is_whole;
}

static bool play_step(struct player *player)
{
    struct model_block *block =
        &player->blocks[(size_t)rand_r(&player->seed) % SLOTS];

    if (block->bytes == NULL) {
        *block = make_block(&player->seed);
        return true;
    }
    if (rand_r(&player->seed) % 4 == 0)
        return trade(player, block);
    return end_block(block);
}

static void *play(void *argument)
{
    struct player *player = argument;
    bool is_whole = true;

    slab_join_thread();
    for (int step = 0; step < STEPS && is_whole; step++)
        is_whole = play_step(player);
    for (size_t i = 0; i < SLOTS; i++)
        if (player->blocks[i].bytes != NULL)
            is_whole = end_block(&player->blocks[i]) && is_whole;
    player->wrong = is_whole ? NULL : "a block was written by another";
    return NULL;
}

static void blocks_never_overlap_whoever_frees_them(void **state)
{
    static struct player players[THREADS];
    static struct exchange exchange;

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        players[i].exchange = &exchange;
        players[i].seed = i + 1;
        pthread_create(&players[i].thread, NULL, play, &players[i]);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(players[i].thread, NULL);

    for (unsigned i = 0; i < THREADS; i++)
        assert_null(players[i].wrong);
    for (unsigned i = 0; i < THREADS; i++) {
        struct model_block *letter = atomic_load(&exchange.letters[i]);

        if (letter != NULL)
            assert_true(end_block(letter)); /* its owner has ended */
        free(letter);
    }
}

#ifndef SLAB_IS_MALLOC

/* --- what it costs --- */

static void *blocks[MANY];

static void make_many(size_t size)
{
    for (size_t i = 0; i < MANY; i++)
        memset(blocks[i] = slab_alloc(size), 'x', size);
}

static void end_many(void)
{
    for (size_t i = 0; i < MANY; i++)
        slab_free(blocks[i]);
}

static void *check_cost(void *unused)
{
    static const size_t sizes[] = {SLAB_SIZE_MIN, 176, 240,          280,
                                   456,           592, SLAB_SIZE_MAX};

    (void)unused;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t before = slab_held_bytes();
        size_t cost;

        make_many(sizes[i]);
        cost = slab_held_bytes() - before;
        end_many();
        /* The reserve hides some; a span's rest and the last span add some. */
        if (cost > MANY * sizes[i] / 100 * 101 + SPAN_BYTES)
            return say("the blocks cost more than their bytes");
    }
    return NULL;
}

static void block_costs_its_bytes(void **state)
{
    (void)state;
    assert_claim(check_cost);
}

static size_t resident_pages(void *const *addresses, size_t count)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t resident = 0;

    for (size_t i = 0; i < count; i++) {
        uintptr_t at = (uintptr_t)addresses[i] / page * page;
        unsigned char is_resident = 0;

        if (mincore((void *)at, 1, &is_resident) == 0)
            resident += is_resident & 1;
    }
    return resident;
}

static void *check_pages(void *unused)
{
    size_t before;
    size_t pages = RESERVE_BYTES / (size_t)sysconf(_SC_PAGESIZE);

    (void)unused;
    before = slab_held_bytes();
    make_many(SLAB_SIZE_MAX);
    if (slab_held_bytes() - before < MANY * SLAB_SIZE_MAX)
        return say("the blocks are not in spans");
    if (resident_pages(blocks, MANY) != MANY)
        return say("pages in use cannot be seen");
    end_many();
    if (slab_held_bytes() - before > RESERVE_BYTES)
        return say("a heap keeps its empty spans");
    /* At this size each page has four blocks. */
    if (resident_pages(blocks, MANY) > pages * 4)
        return say("the pages stay");
    return NULL;
}

static void pages_go_back_when_the_blocks_are_gone(void **state)
{
    (void)state;
    assert_claim(check_pages);
}

/* A block of each size, and all freed again: a login in an empty house. */
static void visit(void)
{
    void *visitors[(SLAB_SIZE_MAX - SLAB_SIZE_MIN) / 8];
    size_t count = sizeof(visitors) / sizeof(visitors[0]);

    for (size_t i = 0; i < count; i++) {
        visitors[i] = slab_alloc(SLAB_SIZE_MIN + i * 8);
        memset(visitors[i], 'x', SLAB_SIZE_MIN + i * 8);
    }
    for (size_t i = 0; i < count; i++)
        slab_free(visitors[i]);
}

static long page_faults(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

static void *check_visits(void *unused)
{
    long before;

    (void)unused;
    visit();
    before = page_faults();
    for (int i = 0; i < 10; i++)
        visit();
    /* Each visit would be a hundred and more. */
    return page_faults() - before > 300 ? say("pages come and go") : NULL;
}

static void lone_visitors_ask_the_kernel_for_nothing(void **state)
{
    (void)state;
    assert_claim(check_visits);
}

static void *check_other_size(void *unused)
{
    size_t before;

    (void)unused;
    make_many(SLAB_SIZE_MAX);
    before = slab_held_bytes();
    end_many();
    make_many(SLAB_SIZE_MAX / 2);
    end_many();
    return slab_held_bytes() > before ? say("spans are not used again") : NULL;
}

static void empty_spans_serve_another_size(void **state)
{
    (void)state;
    assert_claim(check_other_size);
}

static void *check_holes(void *unused)
{
    size_t before;

    (void)unused;
    make_many(632);
    before = slab_held_bytes();
    for (size_t i = 0; i < MANY; i += 3)
        slab_free(blocks[i]);
    for (size_t i = 0; i < MANY; i += 3)
        blocks[i] = slab_alloc(632);
    before = slab_held_bytes() - before;
    end_many();
    return before > 0 ? say("holes are not filled first") : NULL;
}

static void holes_are_filled_before_a_new_span_is_taken(void **state)
{
    (void)state;
    assert_claim(check_holes);
}

/* --- blocks that outlive their thread, or are freed by another --- */

static void *make_many_of_500(void *unused)
{
    make_many(500);
    return unused;
}

static void block_of_an_ended_thread_can_be_freed(void **state)
{
    (void)state;
    in_a_thread(make_many_of_500, NULL);

    for (size_t i = 0; i < MANY; i++)
        assert_in_range(slab_size(blocks[i]), 500, 504);
    end_many();
}

static void *end_many_in_a_thread(void *unused)
{
    end_many();
    return unused;
}

static void *check_returned(void *unused)
{
    size_t before;

    (void)unused;
    make_many(500);
    before = slab_held_bytes();
    in_a_thread(end_many_in_a_thread, NULL);
    make_many(500);
    before = slab_held_bytes() - before;
    end_many();
    return before > SPAN_BYTES ? say("what others freed is not used") : NULL;
}

static void owner_uses_what_others_have_freed(void **state)
{
    (void)state;
    assert_claim(check_returned);
}

static void freeing_twice_aborts(void **state)
{
    int status = 0;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        void *block;

        setrlimit(RLIMIT_CORE, &no_core);
        (void)!freopen("/dev/null", "w", stderr);
        signal(SIGABRT, SIG_DFL);
        slab_join_thread();
        block = slab_alloc(500);
        slab_free(block);
        slab_free(block);
        _exit(0);
    }
    waitpid(child, &status, 0);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

#ifndef __SANITIZE_THREAD__

/* In a process of its own that has reserved nothing yet. */
static void limited_address_space_leaves_malloc(void **state)
{
    int status = 0;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        struct rlimit tight = {1 << 30, 1 << 30};

        setrlimit(RLIMIT_AS, &tight);
        slab_join_thread();
        free(slab_alloc(500));
        _exit(slab_held_bytes() == 0 ? 0 : 1);
    }
    waitpid(child, &status, 0);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#endif
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
#if !defined(SLAB_IS_MALLOC) && !defined(__SANITIZE_THREAD__)
        CLAIM(limited_address_space_leaves_malloc), /* before any heap */
#endif
        CLAIM(thread_without_a_heap_may_free_while_another_joins),
        CLAIM(block_has_room_and_alignment),
        CLAIM(zalloc_gives_zeros_also_for_a_used_block),
        CLAIM(null_may_be_freed),
        CLAIM(thread_without_a_heap_has_malloc),
        CLAIM(block_of_malloc_may_be_given),
        CLAIM(blocks_never_overlap_whoever_frees_them),
#ifndef SLAB_IS_MALLOC
        CLAIM(block_costs_its_bytes),
        CLAIM(pages_go_back_when_the_blocks_are_gone),
        CLAIM(lone_visitors_ask_the_kernel_for_nothing),
        CLAIM(empty_spans_serve_another_size),
        CLAIM(holes_are_filled_before_a_new_span_is_taken),
        CLAIM(block_of_an_ended_thread_can_be_freed),
        CLAIM(owner_uses_what_others_have_freed),
        CLAIM(freeing_twice_aborts),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
