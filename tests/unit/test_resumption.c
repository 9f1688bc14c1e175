/* The few sessions that a context keeps, without any handshake: those are in
 * test_tls_client_context.c. */
#include "net/resumption.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    THREADS = 4,
    TURNS = 2000
};

struct fixture {
    SSL_CTX *ctx;
    SSL *ssl;
    struct resumption *resumption;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->ctx = SSL_CTX_new(TLS_method());
    fixture->resumption = resumption_attach(fixture->ctx);
    fixture->ssl = SSL_new(fixture->ctx);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    SSL_free(fixture->ssl);
    SSL_CTX_free(fixture->ctx);
    free(fixture);
    return 0;
}

static SSL_SESSION *new_session(const struct fixture *fixture, uint16_t version,
                                uint8_t number, size_t ticket_len)
{
    SSL_SESSION *session = SSL_SESSION_new(fixture->ctx);
    uint8_t *ticket = malloc(ticket_len);

    memset(ticket, number, ticket_len);
    assert_true(SSL_SESSION_set_protocol_version(session, version));
    assert_true(SSL_SESSION_set_ticket(session, ticket, ticket_len));
    free(ticket);
    return session;
}

/* As BoringSSL does when a ticket has arrived; says whether it was kept. */
static bool arrive(const struct fixture *fixture, SSL_SESSION *session)
{
    if (SSL_CTX_sess_get_new_cb(fixture->ctx)(fixture->ssl, session) == 1)
        return true;
    SSL_SESSION_free(session);
    return false;
}

static bool arrive_numbered(const struct fixture *fixture, uint16_t version,
                            uint8_t number)
{
    return arrive(fixture, new_session(fixture, version, number, 32));
}

/* The number of the session that is handed out; -1 if there is none. */
static int take_number(const struct fixture *fixture)
{
    SSL_SESSION *session = resumption_take(fixture->resumption);
    const uint8_t *ticket;
    size_t len;
    int number;

    if (session == NULL)
        return -1;
    SSL_SESSION_get0_ticket(session, &ticket, &len);
    number = ticket[0];
    SSL_SESSION_free(session);
    return number;
}

static void nothing_is_there_at_first(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(resumption_count(fixture->resumption), 0);
    assert_int_equal(take_number(fixture), -1);
}

static void the_newest_session_goes_first_and_once(void **state)
{
    struct fixture *fixture = *state;

    for (uint8_t i = 1; i <= 3; i++)
        assert_true(arrive_numbered(fixture, TLS1_3_VERSION, i));

    assert_int_equal(take_number(fixture), 3);
    assert_int_equal(take_number(fixture), 2);
    assert_int_equal(take_number(fixture), 1);
    assert_int_equal(take_number(fixture), -1);
}

static void a_session_of_tls_1_2_goes_any_number_of_times(void **state)
{
    struct fixture *fixture = *state;

    assert_true(arrive_numbered(fixture, TLS1_2_VERSION, 1));

    for (size_t i = 0; i < 3; i++)
        assert_int_equal(take_number(fixture), 1);
}

static void a_session_of_tls_1_2_replaces_all(void **state)
{
    struct fixture *fixture = *state;

    assert_true(arrive_numbered(fixture, TLS1_3_VERSION, 1));
    assert_true(arrive_numbered(fixture, TLS1_2_VERSION, 2));
    assert_true(arrive_numbered(fixture, TLS1_2_VERSION, 3));

    assert_int_equal(resumption_count(fixture->resumption), 1);
    assert_int_equal(take_number(fixture), 3);
}

static void the_oldest_make_room(void **state)
{
    struct fixture *fixture = *state;

    for (uint8_t i = 0; i < 100; i++)
        assert_true(arrive_numbered(fixture, TLS1_3_VERSION, i));

    assert_int_equal(resumption_count(fixture->resumption),
                     RESUMPTION_SESSIONS_MAX);
    for (int i = 0; i < RESUMPTION_SESSIONS_MAX; i++)
        assert_int_equal(take_number(fixture), 99 - i);
}

static void tickets_over_the_limit_are_not_kept(void **state)
{
    struct fixture *fixture = *state;

    assert_true(arrive(fixture, new_session(fixture, TLS1_3_VERSION, 1,
                                            RESUMPTION_TICKET_MAX)));
    assert_false(arrive(fixture, new_session(fixture, TLS1_3_VERSION, 2,
                                             RESUMPTION_TICKET_MAX + 1)));

    assert_int_equal(take_number(fixture), 1);
    assert_int_equal(take_number(fixture), -1);
}

static void forgetting_drops_all_and_new_ones_are_kept(void **state)
{
    struct fixture *fixture = *state;

    for (uint8_t i = 1; i <= 3; i++)
        assert_true(arrive_numbered(fixture, TLS1_3_VERSION, i));
    resumption_forget(fixture->resumption);

    assert_int_equal(take_number(fixture), -1);
    assert_true(arrive_numbered(fixture, TLS1_3_VERSION, 4));
    assert_int_equal(take_number(fixture), 4);
}

static void what_was_taken_in_vain_can_be_given_back(void **state)
{
    struct fixture *fixture = *state;
    static const uint16_t versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};

    for (size_t i = 0; i < 2; i++) {
        SSL_SESSION *session;

        assert_true(arrive_numbered(fixture, versions[i], 1));
        session = resumption_take(fixture->resumption);
        resumption_give_back(fixture->resumption, session);
        SSL_SESSION_free(session);

        assert_int_equal(resumption_count(fixture->resumption), 1);
        assert_int_equal(take_number(fixture), 1);
    }
}

static void after_the_end_nothing_is_kept(void **state)
{
    struct fixture *fixture = *state;

    assert_true(arrive_numbered(fixture, TLS1_3_VERSION, 1));
    resumption_end(fixture->resumption);

    assert_int_equal(take_number(fixture), -1);
    assert_false(arrive_numbered(fixture, TLS1_3_VERSION, 2));
    assert_int_equal(take_number(fixture), -1);
}

/* Which the leak check of AddressSanitizer sees. */
static void what_is_left_goes_with_the_context(void **state)
{
    struct fixture *fixture = *state;

    for (uint8_t i = 1; i <= 3; i++)
        assert_true(arrive_numbered(fixture, TLS1_3_VERSION, i));
    SSL_CTX_free(fixture->ctx);
    fixture->ctx = NULL;

    assert_int_equal(resumption_count(fixture->resumption), 3);
}

static void *work(void *argument)
{
    struct fixture *fixture = argument;
    size_t taken = 0;

    for (uint8_t i = 0; taken < TURNS; i++) {
        uint16_t version = i % 8 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;

        (void)arrive_numbered(fixture, version, i);
        if (take_number(fixture) >= 0)
            taken++;
        if (i == 0)
            resumption_forget(fixture->resumption);
    }
    return NULL;
}

static void many_threads_take_and_give(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, fixture), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    assert_in_range(resumption_count(fixture->resumption), 0,
                    RESUMPTION_SESSIONS_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_there_at_first),
        TEST(the_newest_session_goes_first_and_once),
        TEST(a_session_of_tls_1_2_goes_any_number_of_times),
        TEST(a_session_of_tls_1_2_replaces_all),
        TEST(the_oldest_make_room),
        TEST(tickets_over_the_limit_are_not_kept),
        TEST(forgetting_drops_all_and_new_ones_are_kept),
        TEST(what_was_taken_in_vain_can_be_given_back),
        TEST(after_the_end_nothing_is_kept),
        TEST(what_is_left_goes_with_the_context),
        TEST(many_threads_take_and_give),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
