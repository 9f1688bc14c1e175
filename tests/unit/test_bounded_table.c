/* A table that strangers fill stays within its bound, and keeps what is worth
 * most. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/bounded_table.h"

struct item {
    struct bounded_table_key key;
    uint64_t worth;
};

enum {
    SMALLEST = 512, /* 64 shards with one set of eight */
    SHARDS = 64
};

static uint64_t worth_of(const struct bounded_table_key *key, uint64_t now_ms)
{
    (void)now_ms;
    return ((const struct item *)(const void *)key)->worth;
}

static struct bounded_table *new_table(size_t max)
{
    return bounded_table_new(sizeof(struct item), 8, max, worth_of);
}

/* A hash of this shard, and of any set. */
static uint64_t hash_in(unsigned shard, uint64_t number)
{
    return (number + 1) * SHARDS + shard;
}

static struct item *get(struct bounded_table *table, uint64_t hash,
                        uint64_t worth)
{
    struct item *item;

    bounded_table_lock(table, hash);
    item = bounded_table_get(table, hash, 0);
    if (item != NULL)
        item->worth = worth;
    bounded_table_unlock(table, hash);
    return item;
}

static struct item *find(struct bounded_table *table, uint64_t hash)
{
    struct item *item;

    bounded_table_lock(table, hash);
    item = bounded_table_find(table, hash);
    bounded_table_unlock(table, hash);
    return item;
}

static void empty_table_holds_no_entries(void **state)
{
    struct bounded_table *table = new_table(1 << 20);

    (void)state;
    assert_null(find(table, 77));
    assert_int_equal(bounded_table_count(table), 0);
    assert_in_range(bounded_table_bytes(table), 1, 8192);
    bounded_table_free(&table);
    assert_null(table);
}

static void entry_is_found_again(void **state)
{
    struct bounded_table *table = new_table(1 << 16);

    (void)state;
    for (uint64_t i = 1; i <= 5000; i++)
        assert_non_null(get(table, i * 0x9e3779b97f4a7c15, i));

    for (uint64_t i = 1; i <= 5000; i++) {
        const struct item *item = find(table, i * 0x9e3779b97f4a7c15);

        assert_non_null(item);
        assert_int_equal(item->worth, i);
    }
    assert_int_equal(bounded_table_count(table), 5000);
    bounded_table_free(&table);
}

static void memory_follows_what_is_in_it(void **state)
{
    struct bounded_table *table = new_table(1 << 20);
    size_t bytes;

    (void)state;
    for (uint64_t i = 1; i <= 20000; i++)
        assert_non_null(get(table, i * 0x9e3779b97f4a7c15, 1));
    bytes = bounded_table_bytes(table);

    assert_in_range(bytes, 20000 * sizeof(struct item),
                    8 * 20000 * sizeof(struct item));
    bounded_table_free(&table);
}

static void memory_stays_at_the_bound(void **state)
{
    struct bounded_table *table = new_table(4096);
    size_t bytes = 0;

    (void)state;
    for (uint64_t i = 1; i <= 1000000; i++) {
        assert_non_null(get(table, i * 0x9e3779b97f4a7c15, i));
        if (i == 100000)
            bytes = bounded_table_bytes(table);
    }

    assert_int_equal(bounded_table_bytes(table), bytes);
    assert_in_range(bytes, 1, 4096 * sizeof(struct item) + 8192);
    assert_in_range(bounded_table_count(table), 4000, 4096);
    bounded_table_free(&table);
}

static void least_worth_gives_way(void **state)
{
    struct bounded_table *table = new_table(SMALLEST);

    (void)state;
    for (uint64_t i = 0; i < 8; i++)
        assert_non_null(get(table, hash_in(3, i), 100 + (i * 5) % 8));
    assert_non_null(get(table, hash_in(3, 8), 50));

    assert_null(find(table, hash_in(3, 0)));
    for (uint64_t i = 1; i < 9; i++)
        assert_non_null(find(table, hash_in(3, i)));
    bounded_table_free(&table);
}

static void who_stays_never_gives_way(void **state)
{
    struct bounded_table *table = new_table(SMALLEST);

    (void)state;
    for (uint64_t i = 0; i < 8; i++)
        assert_non_null(get(table, hash_in(3, i), BOUNDED_TABLE_STAYS));

    assert_null(get(table, hash_in(3, 8), 1));
    assert_non_null(get(table, hash_in(4, 8), 1));
    for (uint64_t i = 0; i < 8; i++)
        assert_non_null(find(table, hash_in(3, i)));
    bounded_table_free(&table);
}

static void worthless_gives_way_before_the_table_grows(void **state)
{
    struct bounded_table *table = new_table(1 << 20);
    size_t bytes;

    (void)state;
    for (uint64_t i = 0; i < 8; i++)
        assert_non_null(
            get(table, hash_in(3, i), i == 5 ? BOUNDED_TABLE_WORTHLESS : 1));
    bytes = bounded_table_bytes(table);
    assert_non_null(get(table, hash_in(3, 8), 1));

    assert_null(find(table, hash_in(3, 5)));
    assert_int_equal(bounded_table_bytes(table), bytes);
    assert_non_null(get(table, hash_in(3, 9), 1));
    assert_true(bounded_table_bytes(table) > bytes);
    for (uint64_t i = 0; i < 10; i++)
        assert_true((find(table, hash_in(3, i)) == NULL) == (i == 5));
    bounded_table_free(&table);
}

static void new_entry_in_an_old_place_is_zero(void **state)
{
    struct bounded_table *table = new_table(SMALLEST);
    struct item *item;

    (void)state;
    for (uint64_t i = 0; i < 8; i++)
        assert_non_null(get(table, hash_in(3, i), 100 + i));
    bounded_table_lock(table, hash_in(3, 9));
    item = bounded_table_get(table, hash_in(3, 9), 0);

    assert_int_equal(item->worth, 0);
    assert_int_equal(item->key.hash, hash_in(3, 9));
    bounded_table_unlock(table, hash_in(3, 9));
    bounded_table_free(&table);
}

static void removed_entry_leaves_its_place(void **state)
{
    struct bounded_table *table = new_table(SMALLEST);
    uint64_t hash = hash_in(3, 0);

    (void)state;
    assert_non_null(get(table, hash, 1));
    bounded_table_lock(table, hash);
    bounded_table_remove(table, bounded_table_find(table, hash));
    bounded_table_unlock(table, hash);

    assert_null(find(table, hash));
    assert_int_equal(bounded_table_count(table), 0);
    bounded_table_free(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_table_holds_no_entries),
        cmocka_unit_test(entry_is_found_again),
        cmocka_unit_test(memory_follows_what_is_in_it),
        cmocka_unit_test(memory_stays_at_the_bound),
        cmocka_unit_test(least_worth_gives_way),
        cmocka_unit_test(who_stays_never_gives_way),
        cmocka_unit_test(worthless_gives_way_before_the_table_grows),
        cmocka_unit_test(new_entry_in_an_old_place_is_zero),
        cmocka_unit_test(removed_entry_leaves_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
