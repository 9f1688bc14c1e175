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

/* Whose certificates outlive all threads: ThreadSanitizer sees nothing of the
 * counts of references in BoringSSL, and would call the last one's freeing a
 * race with the others' looks. */
struct changer {
    struct verified_chain *verified;
    STACK_OF(CRYPTO_BUFFER) * chains[2];
    unsigned known;
    pthread_t thread;
};

static void *change(void *argument)
{
    struct changer *changer = argument;

    for (size_t i = 0; i < 1000; i++) {
        verified_chain_keep(changer->verified, changer->chains[i % 2], &span);
        changer->known +=
            verified_chain_has(changer->verified, changer->chains[0], DURING);
    }
    return NULL;
}

static void many_threads_change_and_ask(void **state)
{
    static const char *const other[] = {"other", NULL};
    struct changer changers[3] = {0};

    for (size_t i = 0; i < 3; i++) {
        changers[i].verified = *state;
        changers[i].chains[0] = new_chain(usual);
        changers[i].chains[1] = new_chain(other);
    }
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(
            pthread_create(&changers[i].thread, NULL, change, &changers[i]), 0);
    for (size_t i = 0; i < 3; i++)
        pthread_join(changers[i].thread, NULL);

    keep(*state, usual, &span);
    assert_true(has(*state, usual, DURING));
    for (size_t i = 0; i < 6; i++)
        sk_CRYPTO_BUFFER_pop_free(changers[i / 2].chains[i % 2],
                                  CRYPTO_BUFFER_free);
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
