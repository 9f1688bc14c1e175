/* Whose tickets are opened by keys that came from files, and by which part of
 * such a file. */
#include "net/shared_ticket_keys.h"

#include "ticket_case.h"

#include <openssl/digest.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Keys A, B and C, as a file of each holds them. */
struct fixture {
    struct shared_ticket_key keys[3];
};

static int set_up(void **state)
{
    static struct fixture fixture;

    for (size_t i = 0; i < 3; i++) {
        uint8_t bytes[SHARED_TICKET_KEY_SIZE];

        for (size_t b = 0; b < sizeof(bytes); b++)
            bytes[b] = (uint8_t)(100 * i + b);
        memcpy(&fixture.keys[i], bytes, sizeof(bytes));
    }
    *state = &fixture;
    return 0;
}

static int apply(void *keys, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher,
                 HMAC_CTX *hmac, int is_sealing)
{
    return shared_ticket_keys_apply(keys, name, iv, cipher, hmac, is_sealing);
}

/* A machine that has such keys, such as "AB"; the first seals. */
static struct shared_ticket_keys *machine(const struct fixture *fixture,
                                          const char *letters)
{
    struct shared_ticket_key keys[3];
    size_t count = strlen(letters);

    for (size_t i = 0; i < count; i++)
        keys[i] = fixture->keys[letters[i] - 'A'];
    return shared_ticket_keys_new(keys, count);
}

/* What a machine with these keys says to a ticket of one with those. */
static int opens(const struct fixture *fixture, const char *these,
                 const char *those)
{
    struct shared_ticket_keys *taker = machine(fixture, these);
    struct shared_ticket_keys *giver = machine(fixture, those);
    struct ticket ticket;
    int answer;

    ticket_seal(apply, giver, &ticket);
    answer = ticket_open(apply, taker, &ticket);
    shared_ticket_keys_free(&taker);
    shared_ticket_keys_free(&giver);
    return answer;
}

static void the_first_key_seals_and_opens(void **state)
{
    assert_int_equal(opens(*state, "A", "A"), TICKET_GOOD);
    assert_int_equal(opens(*state, "AB", "AC"), TICKET_GOOD);
    assert_int_equal(opens(*state, "A", "BA"), TICKET_UNKNOWN);
}

static void every_other_key_opens_and_renews(void **state)
{
    assert_int_equal(opens(*state, "BAC", "A"), TICKET_RENEW);
    assert_int_equal(opens(*state, "BCA", "A"), TICKET_RENEW);
}

static void a_key_that_is_not_there_opens_nothing(void **state)
{
    assert_int_equal(opens(*state, "BC", "A"), TICKET_UNKNOWN);
}

static void no_two_tickets_share_an_iv(void **state)
{
    struct shared_ticket_keys *keys = machine(*state, "A");
    struct ticket first;
    struct ticket second;

    ticket_seal(apply, keys, &first);
    ticket_seal(apply, keys, &second);

    assert_memory_not_equal(first.iv, second.iv, TICKET_IV_SIZE);
    shared_ticket_keys_free(&keys);
}

/* As nginx has it: the name, 32 bytes for the HMAC, 32 for AES-256. */
static int apply_as_nginx(void *key, uint8_t *name, uint8_t *iv,
                          EVP_CIPHER_CTX *cipher, HMAC_CTX *hmac,
                          int is_sealing)
{
    const uint8_t *bytes = key;

    assert_false(is_sealing);
    assert_memory_equal(name, bytes, 16);
    return EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, bytes + 48,
                              iv) &&
           HMAC_Init_ex(hmac, bytes + 16, 32, EVP_sha256(), NULL);
}

static void a_file_is_read_in_the_order_of_nginx(void **state)
{
    struct fixture *fixture = *state;
    struct shared_ticket_keys *keys = machine(fixture, "C");
    uint8_t file[SHARED_TICKET_KEY_SIZE];
    struct ticket ticket;

    memcpy(file, &fixture->keys[2], sizeof(file));
    ticket_seal(apply, keys, &ticket);

    assert_int_equal(ticket_open(apply_as_nginx, file, &ticket), 1);
    shared_ticket_keys_free(&keys);
}

static void free_leaves_null_and_accepts_it(void **state)
{
    struct shared_ticket_keys *keys = machine(*state, "A");

    shared_ticket_keys_free(&keys);
    assert_null(keys);
    shared_ticket_keys_free(&keys);

    assert_null(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_first_key_seals_and_opens, set_up),
        cmocka_unit_test_setup(every_other_key_opens_and_renews, set_up),
        cmocka_unit_test_setup(a_key_that_is_not_there_opens_nothing, set_up),
        cmocka_unit_test_setup(no_two_tickets_share_an_iv, set_up),
        cmocka_unit_test_setup(a_file_is_read_in_the_order_of_nginx, set_up),
        cmocka_unit_test_setup(free_leaves_null_and_accepts_it, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
