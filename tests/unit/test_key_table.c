/* The hash table under the routing table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/key_table.h"

static const struct key_seed seed = {
    {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}};

/* The vectors that SipHash's authors publish: the key 00..0f and the messages
 * "", 00, 00 01, ... */
static void key_hash_is_siphash_2_4(void **state)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } vectors[] = {
        {0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)},
        {7, UINT64_C(0xab0200f58b01d137)},  {8, UINT64_C(0x93f5f5799a932462)},
        {15, UINT64_C(0xa129ca6149be45e5)}, {16, UINT64_C(0x3f2acc7f57c29bdb)},
    };
    uint8_t message[16];

    (void)state;
    for (size_t i = 0; i < sizeof(message); i++)
        message[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        assert_true(key_hash(&seed, message, vectors[i].len) ==
                    vectors[i].hash);
}

static void two_seeds_differ(void **state)
{
    struct key_seed left = key_seed_random();
    struct key_seed right = key_seed_random();

    (void)state;
    assert_memory_not_equal(&left, &right, sizeof(left));
}

static void key_table_finds_each_key_and_no_other(void **state)
{
    struct key_table table;
    struct text_blob texts;
    char text[32];

    (void)state;
    text_blob_init(&texts);
    key_table_init(&table, 5000, &seed);
    for (uint32_t i = 0; i < 5000; i++) {
        size_t len = (size_t)snprintf(text, sizeof(text), "user%u", i);

        key_table_add(&table, &texts, text_blob_add(&texts, text, len), len, i);
    }

    for (uint32_t i = 0; i < 10000; i++) {
        size_t len = (size_t)snprintf(text, sizeof(text), "user%u", i);
        const struct key_entry *entry =
            key_table_find(&table, &texts, text, len);

        if (i < 5000)
            assert_int_equal(entry->value, i);
        else
            assert_null(entry);
    }
    key_table_deinit(&table);
    text_blob_deinit(&texts);
}

static void a_key_is_as_long_as_it_is(void **state)
{
    struct key_table table;
    struct text_blob texts;

    (void)state;
    text_blob_init(&texts);
    key_table_init(&table, 1, &seed);
    key_table_add(&table, &texts, text_blob_add(&texts, "ab\0cd", 5), 5, 1);

    assert_non_null(key_table_find(&table, &texts, "ab\0cd", 5));
    assert_null(key_table_find(&table, &texts, "ab\0cdx", 6));
    assert_null(key_table_find(&table, &texts, "ab", 2));
    key_table_deinit(&table);
    text_blob_deinit(&texts);
}

static void an_empty_table_finds_nothing(void **state)
{
    struct key_table table = {.count = 0};
    struct text_blob texts;

    (void)state;
    text_blob_init(&texts);

    assert_null(key_table_find(&table, &texts, "a", 1));
    key_table_init(&table, 0, &seed);
    assert_null(key_table_find(&table, &texts, "a", 1));
    key_table_deinit(&table);
    text_blob_deinit(&texts);
}

static void key_table_never_finds_a_text_beyond_its_longest(void **state)
{
    size_t len = (size_t)KEY_TABLE_TEXT_MAX + 1;
    char *text = mem_zalloc(len);
    struct key_table table;
    struct text_blob texts;

    (void)state;
    text_blob_init(&texts);
    key_table_init(&table, 1, &seed);
    key_table_add(&table, &texts, text_blob_add(&texts, "a", 1), 1, 1);

    assert_null(key_table_find(&table, &texts, text, len));
    key_table_deinit(&table);
    text_blob_deinit(&texts);
    free(text);
}

/* The longest run of taken slots bounds what any stranger's name costs. */
static void key_table_has_short_runs(void **state)
{
    struct key_seed random_seed = key_seed_random();
    struct key_table table;
    struct text_blob texts;
    char text[32];
    uint32_t longest = 0;
    uint32_t run = 0;

    (void)state;
    text_blob_init(&texts);
    key_table_init(&table, 100000, &random_seed);
    for (uint32_t i = 0; i < 100000; i++) {
        size_t len = (size_t)snprintf(text, sizeof(text), "%u", i);

        key_table_add(&table, &texts, text_blob_add(&texts, text, len), len, i);
    }
    for (uint32_t i = 0; i < table.capacity; i++) {
        run = table.slots[i].text_at == 0 ? 0 : run + 1;
        longest = run > longest ? run : longest;
    }

    assert_in_range(longest, 3, 400);
    key_table_deinit(&table);
    text_blob_deinit(&texts);
}

static void a_full_blob_says_so(void **state)
{
    struct text_blob texts;
    size_t len;

    (void)state;
    text_blob_init(&texts);
    len = texts.len;
    texts.len = UINT32_MAX - 10; /* as if that much had been added */

    assert_int_equal(text_blob_add(&texts, "0123456789", 10), 0);
    texts.len = len;
    text_blob_deinit(&texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_hash_is_siphash_2_4),
        cmocka_unit_test(two_seeds_differ),
        cmocka_unit_test(key_table_finds_each_key_and_no_other),
        cmocka_unit_test(a_key_is_as_long_as_it_is),
        cmocka_unit_test(an_empty_table_finds_nothing),
        cmocka_unit_test(key_table_never_finds_a_text_beyond_its_longest),
        cmocka_unit_test(key_table_has_short_runs),
        cmocka_unit_test(a_full_blob_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
