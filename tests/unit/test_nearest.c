/* Which known word somebody meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/nearest.h"

static const char *word_at(const void *words, size_t index)
{
    const char *const *list = words;

    return list[index];
}

static const char *nearest(const char *word, const char *first,
                           const char *second)
{
    const char *words[] = {first, second};

    return nearest_of(word, word_at, words, 2);
}

static void a_letter_too_many_too_few_or_wrong_is_one_step(void **state)
{
    (void)state;
    assert_string_equal(nearest("poort", "part", "port"), "port");
    assert_string_equal(nearest("prt", "purt", "xxx"), "purt");
    assert_string_equal(nearest("pert", "port", "pppp"), "port");
}

static void swapped_neighbours_are_one_step(void **state)
{
    (void)state;
    assert_string_equal(nearest("prot", "prxx", "port"), "port");
    assert_string_equal(nearest("abcdefg", "abxyzfg", "badcefg"), "badcefg");
}

/* Of three letters one may be wrong: more would be somebody else's word. */
static void a_third_of_the_letters_may_be_wrong(void **state)
{
    (void)state;
    assert_string_equal(nearest("abc", "abx", "zzz"), "abx");
    assert_null(nearest("abc", "axx", "zzz"));
    assert_string_equal(nearest("abcdef", "abcdxx", "zzz"), "abcdxx");
    assert_null(nearest("abcdef", "abcxxx", "zzz"));
}

static void the_first_of_the_equally_near_is_named(void **state)
{
    (void)state;
    assert_string_equal(nearest("p3", "p1", "p2"), "p1");
}

static void case_does_not_count(void **state)
{
    (void)state;
    assert_string_equal(nearest("TLS", "tos", "tls"), "tls");
}

static void gaps_and_long_words_are_left_out(void **state)
{
    char word[NEAREST_WORD_MAX + 2];

    (void)state;
    memset(word, 'a', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    assert_null(nearest(word, NULL, word));
    assert_null(nearest(word + 1, NULL, word));
    assert_string_equal(nearest(word + 1, NULL, word + 1), word + 1);
    assert_null(nearest("", NULL, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_too_many_too_few_or_wrong_is_one_step),
        cmocka_unit_test(swapped_neighbours_are_one_step),
        cmocka_unit_test(a_third_of_the_letters_may_be_wrong),
        cmocka_unit_test(the_first_of_the_equally_near_is_named),
        cmocka_unit_test(case_does_not_count),
        cmocka_unit_test(gaps_and_long_words_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
