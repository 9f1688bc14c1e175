/* A chain is known again only as a whole and only in its time. */
#include "net/verified_chain.h"

#include <openssl/pool.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    BEGINS = 1000,
    ENDS = 2000,
    DURING = 1500
};

static const struct certificate_span span = {BEGINS, ENDS};

/* Of buffers that nobody else has, one for each text. */
static STACK_OF(CRYPTO_BUFFER) * new_chain(const char *const *texts)
{
    STACK_OF(CRYPTO_BUFFER) *chain = sk_CRYPTO_BUFFER_new_null();

    for (; *texts != NULL; texts++)
        sk_CRYPTO_BUFFER_push(chain, CRYPTO_BUFFER_new((const uint8_t *)*texts,
                                                       strlen(*texts), NULL));
    return chain;
}

static bool has(struct verified_chain *verified, const char *const *texts,
                int64_t now)
{
    STACK_OF(CRYPTO_BUFFER) *chain = new_chain(texts);
    bool is_known = verified_chain_has(verified, chain, now);

    sk_CRYPTO_BUFFER_pop_free(chain, CRYPTO_BUFFER_free);
    return is_known;
}

static void keep(struct verified_chain *verified, const char *const *texts,
                 const struct certificate_span *its_span)
{
    STACK_OF(CRYPTO_BUFFER) *chain = new_chain(texts);

    verified_chain_keep(verified, chain, its_span);
    sk_CRYPTO_BUFFER_pop_free(chain, CRYPTO_BUFFER_free);
}

static const char *const usual[] = {"leaf", "between", NULL};

static int set_up(void **state)
{
    struct verified_chain *verified = malloc(sizeof(*verified));

    verified_chain_init(verified);
    *state = verified;
    return 0;
}

static int tear_down(void **state)
{
    struct verified_chain *verified = *state;

    verified_chain_deinit(verified);
    free(verified);
    return 0;
}

static void no_chain_is_known_at_first(void **state)
{
    static const char *const empty[] = {NULL};

    assert_false(has(*state, usual, DURING));
    assert_false(has(*state, empty, DURING));
}

static void a_chain_is_known_by_its_bytes(void **state)
{
    keep(*state, usual, &span);

    assert_true(has(*state, usual, DURING));
}

static void a_chain_that_differs_anywhere_is_another(void **state)
{
    static const char *const others[][4] = {
        {NULL},
        {"leaf", NULL},
        {"between", NULL},
        {"between", "leaf", NULL},
        {"leaf", "between", "between", NULL},
        {"Leaf", "between", NULL},
        {"leaf", "betweem", NULL},
        {"leaf", "betwee", NULL},
        {"leaf", "between!", NULL},
        {"leafb", "etween", NULL},
        {"", "between", NULL},
    };

    keep(*state, usual, &span);

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(has(*state, others[i], DURING));
}

static void a_chain_is_known_in_its_time_only(void **state)
{
    keep(*state, usual, &span);

    assert_false(has(*state, usual, BEGINS - 1));
    assert_true(has(*state, usual, BEGINS));
    assert_true(has(*state, usual, ENDS - 1));
    assert_false(has(*state, usual, ENDS));
    assert_false(has(*state, usual, 0));
    assert_false(has(*state, usual, INT64_MAX));
}

static void a_chain_without_any_time_is_never_known(void **state)
{
    static const struct certificate_span none = {DURING, DURING};

    keep(*state, usual, &none);

    assert_false(has(*state, usual, DURING));
}

static void only_the_last_chain_is_known(void **state)
{
    static const char *const next[] = {"renewed", "between", NULL};
    static const struct certificate_span later = {ENDS, ENDS + 1};

    keep(*state, usual, &span);
    keep(*state, next, &later);

    assert_false(has(*state, usual, DURING));
    assert_false(has(*state, next, DURING));
    assert_true(has(*state, next, ENDS));
}

static void *change(void *argument)
{
    static const char *const other[] = {"other", NULL};

    for (size_t i = 0; i < 1000; i++) {
        keep(argument, i % 2 == 0 ? usual : other, &span);
        (void)has(argument, usual, DURING);
    }
    return NULL;
}

static void many_threads_change_and_ask(void **state)
{
    pthread_t threads[3];

    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, change, *state), 0);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);

    keep(*state, usual, &span);
    assert_true(has(*state, usual, DURING));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_chain_is_known_at_first),
        TEST(a_chain_is_known_by_its_bytes),
        TEST(a_chain_that_differs_anywhere_is_another),
        TEST(a_chain_is_known_in_its_time_only),
        TEST(a_chain_without_any_time_is_never_known),
        TEST(only_the_last_chain_is_known),
        TEST(many_threads_change_and_ask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
