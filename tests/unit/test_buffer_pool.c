/* Chunks that are lent, wiped and kept within bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/buffer_pool.h"

#define CLAIM(name) cmocka_unit_test(name)

static void fill(struct buffer_chunk *chunk, uint32_t len)
{
    memset(chunk->bytes, 's', len);
    chunk->end = len;
}

static void chunk_comes_empty(void **state)
{
    struct buffer_pool pool;
    struct buffer_chunk *chunk;

    (void)state;
    buffer_pool_init(&pool, 1);
    chunk = buffer_pool_take(&pool);
    fill(chunk, 100);
    chunk->start = 50;
    buffer_pool_give(&pool, &chunk);
    assert_null(chunk);
    chunk = buffer_pool_take(&pool);

    assert_int_equal(chunk->start, 0);
    assert_int_equal(chunk->end, 0);
    assert_null(chunk->next);

    buffer_pool_give(&pool, &chunk);
    buffer_pool_deinit(&pool);
}

static void chunk_that_was_filled_comes_back_wiped(void **state)
{
    struct buffer_pool pool;
    struct buffer_chunk *first;
    struct buffer_chunk *second;

    (void)state;
    buffer_pool_init(&pool, 1);
    first = buffer_pool_take(&pool);
    fill(first, BUFFER_CHUNK_SIZE);
    second = first;
    buffer_pool_give(&pool, &first);
    first = buffer_pool_take(&pool);

    assert_ptr_equal(first, second);
    for (size_t i = 0; i < BUFFER_CHUNK_SIZE; i++)
        assert_int_equal(first->bytes[i], 0);

    buffer_pool_give(&pool, &first);
    buffer_pool_deinit(&pool);
}

static void pool_keeps_no_more_idle_chunks_than_told(void **state)
{
    struct buffer_pool pool;
    struct buffer_chunk *chunks[10];

    (void)state;
    buffer_pool_init(&pool, 4);
    for (size_t i = 0; i < 10; i++)
        chunks[i] = buffer_pool_take(&pool);
    assert_int_equal(pool.out_count, 10);
    for (size_t i = 0; i < 10; i++)
        buffer_pool_give(&pool, &chunks[i]);

    assert_int_equal(pool.out_count, 0);
    assert_int_equal(pool.out_peak, 10);
    assert_int_equal(pool.idle_count, 4);

    buffer_pool_deinit(&pool);
    assert_int_equal(pool.idle_count, 0);
}

static void giving_nothing_is_allowed(void **state)
{
    struct buffer_pool pool;
    struct buffer_chunk *none = NULL;

    (void)state;
    buffer_pool_init(&pool, 4);
    buffer_pool_give(&pool, &none);

    assert_int_equal(pool.idle_count, 0);
    buffer_pool_deinit(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(chunk_comes_empty),
        CLAIM(chunk_that_was_filled_comes_back_wiped),
        CLAIM(pool_keeps_no_more_idle_chunks_than_told),
        CLAIM(giving_nothing_is_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
