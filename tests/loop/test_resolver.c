/* Names to addresses on a thread of its own, with name servers that answer,
 * fail, hang and change their minds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/resolver.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    BACKENDS = 3,
    WAIT_MS = 10000,
    NEVER_MS = 3600 * 1000,
    SOON_MS = 20
};

/* What the fake name server says; shared with the resolver's thread. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct address answer[RESOLVER_ANSWER_MAX];
    size_t count; /* 0: it fails */
    bool hangs;
    unsigned asked;
    char host[64]; /* of the last question */
} server = {.lock = PTHREAD_MUTEX_INITIALIZER,
            .changed = PTHREAD_COND_INITIALIZER};

static char names[BACKENDS][16] = {"imap-1", "imap-2", "imap-3"};
static char hosts[BACKENDS][64];
static struct backend_config configs[BACKENDS];
static struct backend_registry *registry;
static struct backend *backends[BACKENDS];
static struct resolver *resolver;

static bool ask_server(const char *host,
                       struct address out[RESOLVER_ANSWER_MAX],
                       size_t *count_out, const char **why_out)
{
    bool is_found;

    pthread_mutex_lock(&server.lock);
    server.asked++;
    snprintf(server.host, sizeof(server.host), "%s", host);
    pthread_cond_broadcast(&server.changed);
    while (server.hangs)
        pthread_cond_wait(&server.changed, &server.lock);
    is_found = server.count > 0;
    memcpy(out, server.answer, server.count * sizeof(*out));
    *count_out = server.count;
    pthread_mutex_unlock(&server.lock);
    *why_out = is_found ? "" : "no such host";
    return is_found;
}

static struct address parsed(const char *text)
{
    struct address address = {.port = 7};

    address.is_ipv6 = strchr(text, ':') != NULL;
    assert_int_equal(
        inet_pton(address.is_ipv6 ? AF_INET6 : AF_INET, text, address.ip), 1);
    return address;
}

static void set_answer(const char *first, const char *second, const char *third)
{
    const char *texts[] = {first, second, third};

    pthread_mutex_lock(&server.lock);
    server.count = 0;
    for (size_t i = 0; i < 3 && texts[i] != NULL; i++)
        server.answer[server.count++] = parsed(texts[i]);
    pthread_mutex_unlock(&server.lock);
}

static void set_hanging(bool hangs)
{
    pthread_mutex_lock(&server.lock);
    server.hangs = hangs;
    pthread_cond_broadcast(&server.changed);
    pthread_mutex_unlock(&server.lock);
}

static void wait_for_questions_locked(unsigned until)
{
    while (server.asked < until)
        pthread_cond_wait(&server.changed, &server.lock);
}

/* Waits until the server has been asked so many times more; it must be asked
 * at an interval. */
static void wait_for_questions(unsigned more)
{
    pthread_mutex_lock(&server.lock);
    wait_for_questions_locked(server.asked + more);
    pthread_mutex_unlock(&server.lock);
}

/* Waits for the first question since the claim began. */
static void wait_for_first_question(void)
{
    pthread_mutex_lock(&server.lock);
    wait_for_questions_locked(1);
    pthread_mutex_unlock(&server.lock);
}

/* Moves a backend, and looks at its facts there from now on. */
static void set_host(size_t index, const char *host)
{
    snprintf(hosts[index], sizeof(hosts[index]), "%s", host);
    backend_unref(&backends[index]);
    backends[index] =
        backend_registry_get(registry, names[index], host, configs[index].port);
}

static void forget_questions(void)
{
    pthread_mutex_lock(&server.lock);
    server.asked = 0;
    pthread_mutex_unlock(&server.lock);
}

static int set_up(void **state)
{
    (void)state;
    set_hanging(false);
    set_answer("192.0.2.1", NULL, NULL);
    forget_questions();
    registry = backend_registry_new();
    for (size_t i = 0; i < BACKENDS; i++) {
        configs[i] = (struct backend_config){
            .name = names[i], .host = hosts[i], .port = 993};
        set_host(i, "mail.example.org");
    }
    resolver = resolver_new(NEVER_MS, ask_server);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    set_hanging(false);
    resolver_free(&resolver);
    assert_null(resolver);
    for (size_t i = 0; i < BACKENDS; i++)
        backend_unref(&backends[i]);
    backend_registry_free(&registry);
    return 0;
}

/* Gives the resolver the first so many backends. */
static void update(size_t count, uint64_t interval_ms)
{
    struct backend_set *set = backend_set_new(registry, configs, count);

    resolver_update(resolver, set, interval_ms);
    backend_set_free(&set);
}

static void assert_address(size_t index, const struct address *addresses,
                           const char *text)
{
    struct address expected = parsed(text);

    assert_true(address_same_host(&addresses[index], &expected));
}

static void name_is_resolved_at_the_update(void **state)
{
    struct address out[BACKEND_ADDRESSES_MAX];

    (void)state;
    update(1, NEVER_MS);
    assert_true(resolver_wait(resolver, WAIT_MS));

    assert_int_equal(backend_addresses(backends[0], out), 1);
    assert_address(0, out, "192.0.2.1");
    assert_int_equal(out[0].port, 993);
    assert_int_equal(backend_state(backends[0]), BACKEND_UP);
}

static void literals_never_wait_for_a_name_server(void **state)
{
    struct address out[BACKEND_ADDRESSES_MAX];

    (void)state;
    set_hanging(true);
    set_host(1, "192.0.2.77");
    set_host(2, "2001:db8::7");
    update(3, NEVER_MS);

    assert_int_equal(backend_addresses(backends[1], out), 1);
    assert_address(0, out, "192.0.2.77");
    assert_int_equal(backend_addresses(backends[2], out), 1);
    assert_address(0, out, "2001:db8::7");
    assert_int_equal(backend_addresses(backends[0], out), 0);
    assert_false(resolver_wait(resolver, 50));
}

static void mapped_literal_is_ipv4(void **state)
{
    struct address out[BACKEND_ADDRESSES_MAX];

    (void)state;
    set_host(0, "::ffff:192.0.2.9");
    update(1, NEVER_MS);

    assert_int_equal(backend_addresses(backends[0], out), 1);
    assert_address(0, out, "192.0.2.9");
}

static void name_that_does_not_resolve_is_down(void **state)
{
    (void)state;
    set_answer(NULL, NULL, NULL);
    update(1, NEVER_MS);
    assert_true(resolver_wait(resolver, WAIT_MS));

    assert_int_equal(backend_state(backends[0]), BACKEND_DOWN);
}

static void name_is_asked_again_at_every_interval(void **state)
{
    struct address out[BACKEND_ADDRESSES_MAX];

    (void)state;
    set_answer(NULL, NULL, NULL);
    update(1, SOON_MS);
    wait_for_questions(2);
    set_answer("192.0.2.2", NULL, NULL);
    wait_for_questions(3);

    assert_int_equal(backend_addresses(backends[0], out), 1);
    assert_address(0, out, "192.0.2.2");
}

static void last_good_answer_is_kept(void **state)
{
    struct address out[BACKEND_ADDRESSES_MAX];

    (void)state;
    update(1, SOON_MS);
    assert_true(resolver_wait(resolver, WAIT_MS));
    set_answer(NULL, NULL, NULL);
    wait_for_questions(3);

    assert_int_equal(backend_addresses(backends[0], out), 1);
    assert_int_equal(backend_state(backends[0]), BACKEND_UP);
}

static void order_is_stable_whatever_the_server_rotates(void **state)
{
    struct address out[BACKEND_ADDRESSES_MAX];

    (void)state;
    set_answer("2001:db8::2", "10.0.0.1", "2001:db8::1");
    update(1, NEVER_MS);
    assert_true(resolver_wait(resolver, WAIT_MS));
    assert_int_equal(backend_addresses(backends[0], out), 3);
    assert_address(0, out, "2001:db8::1");
    assert_address(1, out, "2001:db8::2");
    assert_address(2, out, "10.0.0.1");
    set_answer("2001:db8::1", "2001:db8::2", "10.0.0.1");
    update(1, NEVER_MS);
    assert_true(resolver_wait(resolver, WAIT_MS));

    backend_addresses(backends[0], out);
    assert_address(0, out, "2001:db8::1");
    assert_address(1, out, "2001:db8::2");
    assert_address(2, out, "10.0.0.1");
}

static void address_that_stands_twice_is_tried_once(void **state)
{
    struct address out[BACKEND_ADDRESSES_MAX];

    (void)state;
    set_answer("192.0.2.2", "192.0.2.1", "192.0.2.2");
    update(1, NEVER_MS);
    assert_true(resolver_wait(resolver, WAIT_MS));

    assert_int_equal(backend_addresses(backends[0], out), 2);
}

static void answer_for_a_former_table_is_thrown_away(void **state)
{
    struct address out[BACKEND_ADDRESSES_MAX];

    (void)state;
    set_hanging(true);
    update(1, NEVER_MS);
    wait_for_first_question();
    set_host(0, "192.0.2.200");
    update(1, NEVER_MS);
    set_hanging(false);
    assert_true(resolver_wait(resolver, WAIT_MS));
    usleep(50 * 1000);

    assert_int_equal(backend_addresses(backends[0], out), 1);
    assert_address(0, out, "192.0.2.200");
}

static void name_that_stays_keeps_its_addresses_over_an_update(void **state)
{
    struct address out[BACKEND_ADDRESSES_MAX];

    (void)state;
    update(1, NEVER_MS);
    assert_true(resolver_wait(resolver, WAIT_MS));
    set_hanging(true);
    update(2, NEVER_MS);

    assert_int_equal(backend_addresses(backends[0], out), 1);
}

static void place_that_a_backend_left_keeps_its_addresses(void **state)
{
    struct address out[BACKEND_ADDRESSES_MAX];
    struct backend *former = backend_ref(backends[0]);

    (void)state;
    update(1, NEVER_MS);
    assert_true(resolver_wait(resolver, WAIT_MS));
    set_host(0, "192.0.2.200");
    update(1, NEVER_MS);

    assert_int_equal(backend_addresses(former, out), 1);
    assert_address(0, out, "192.0.2.1");
    assert_int_equal(backend_addresses(backends[0], out), 1);
    assert_address(0, out, "192.0.2.200");
    backend_unref(&former);
}

static void name_without_an_address_is_asked_for_first(void **state)
{
    char host[64];

    (void)state;
    update(2, NEVER_MS);
    assert_true(resolver_wait(resolver, WAIT_MS));
    set_hanging(true);
    forget_questions();
    set_host(2, "new.example.org");
    update(3, NEVER_MS);
    wait_for_first_question();
    pthread_mutex_lock(&server.lock);
    memcpy(host, server.host, sizeof(host));
    pthread_mutex_unlock(&server.lock);

    assert_string_equal(host, "new.example.org");
}

static void resolver_is_freed_while_a_name_server_hangs(void **state)
{
    struct backend_set *set = backend_set_new(registry, configs, 1);
    struct resolver *other = resolver_new(NEVER_MS, ask_server);

    (void)state;
    set_hanging(true);
    resolver_update(other, set, NEVER_MS);
    wait_for_first_question();
    resolver_free(&other);
    backend_set_free(&set);
    set_hanging(false);
    /* Its thread ends by itself, and touches no backend any more. */
    usleep(50 * 1000);

    assert_int_equal(backend_state(backends[0]), BACKEND_DOWN);
}

static void system_knows_localhost(void **state)
{
    struct address out[BACKEND_ADDRESSES_MAX];
    size_t count;

    (void)state;
    resolver_free(&resolver);
    resolver = resolver_new(NEVER_MS, NULL);
    set_host(0, "localhost");
    update(1, NEVER_MS);
    assert_true(resolver_wait(resolver, WAIT_MS));
    count = backend_addresses(backends[0], out);

    assert_in_range(count, 1, 4);
    for (size_t i = 0; i < count; i++)
        assert_true(address_is_loopback(&out[i]));
}

static void system_says_when_there_is_no_such_name(void **state)
{
    (void)state;
    resolver_free(&resolver);
    resolver = resolver_new(NEVER_MS, NULL);
    set_host(0, "..");
    update(1, NEVER_MS);
    assert_true(resolver_wait(resolver, WAIT_MS));

    assert_int_equal(backend_state(backends[0]), BACKEND_DOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(name_is_resolved_at_the_update),
        CLAIM(literals_never_wait_for_a_name_server),
        CLAIM(mapped_literal_is_ipv4),
        CLAIM(name_that_does_not_resolve_is_down),
        CLAIM(name_is_asked_again_at_every_interval),
        CLAIM(last_good_answer_is_kept),
        CLAIM(order_is_stable_whatever_the_server_rotates),
        CLAIM(address_that_stands_twice_is_tried_once),
        CLAIM(answer_for_a_former_table_is_thrown_away),
        CLAIM(name_that_stays_keeps_its_addresses_over_an_update),
        CLAIM(place_that_a_backend_left_keeps_its_addresses),
        CLAIM(name_without_an_address_is_asked_for_first),
        CLAIM(resolver_is_freed_while_a_name_server_hangs),
        CLAIM(system_knows_localhost),
        CLAIM(system_says_when_there_is_no_such_name),
    };

    log_set(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
