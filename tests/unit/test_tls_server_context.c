/* What clients meet: which certificate, which versions and suites, which
 * tickets. Both ends live in memory. */
#include "net/tls_server_context.h"

#include "certificates.h"
#include "tls_pair.h"

#include <malloc.h>
#include <openssl/mem.h>
#include <openssl/pool.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MALLOC_IS_MEASURABLE 0
#else
#define MALLOC_IS_MEASURABLE 1
#endif

static const long day_s = 24L * 60 * 60;

enum {
    CERTIFICATES_MAX = 8,
    CONNECTIONS = 64,
    WARM_UP = 16, /* until the allocator's own lists are as they stay */
    WORKERS = 3,
    HANDSHAKES = 40, /* of each worker */
    BARE_BYTES_MAX = 2600,
    FULL_BYTES_MAX = 2688, /* with a name and a protocol of the client's */
    ALERT_NO_APPLICATION_PROTOCOL = 120
};

/* A context under construction, and what a test asks of its clients. */
struct fixture {
    struct test_certificate *certificates[CERTIFICATES_MAX];
    struct tls_server_certificate files[CERTIFICATES_MAX];
    struct tls_server_config config;
    struct ticket_keys *keys;
    struct reasons *reasons;
    struct tls_server_context *context;
    SSL_CTX *client;
    SSL_SESSION *session; /* the last that the client was given */
    unsigned tickets;     /* how many it was given */
    size_t flight_max;    /* the server's largest of all handshakes */
};

static char refused[64];

static void note_refused(SSL *ssl, const uint8_t *offered, size_t len)
{
    assert_non_null(ssl);
    assert_true(len < sizeof(refused));
    memcpy(refused, offered, len);
    refused[len] = '\0';
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->keys = ticket_keys_new(0);
    fixture->reasons = reasons_new();
    fixture->config.certificates = fixture->files;
    fixture->config.alpn_refused = note_refused;
    fixture->config.now = (int64_t)time(NULL);
    fixture->client = tls_plain_client(TLS1_2_VERSION, TLS1_3_VERSION);
    SSL_CTX_set_app_data(fixture->client, fixture);
    refused[0] = '\0';
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    SSL_SESSION_free(fixture->session);
    SSL_CTX_free(fixture->client);
    tls_server_context_unref(&fixture->context);
    ticket_keys_unref(&fixture->keys);
    reasons_free(&fixture->reasons);
    for (size_t i = 0; i < CERTIFICATES_MAX; i++)
        test_certificate_free(&fixture->certificates[i]);
    free(fixture);
    return 0;
}

static int tear_down_group(void **state)
{
    (void)state;
    test_keys_free();
    return 0;
}

static void add(struct fixture *fixture, const struct test_recipe *recipe)
{
    static const char *const chains[] = {"0.pem", "1.pem", "2.pem", "3.pem",
                                         "4.pem", "5.pem", "6.pem", "7.pem"};
    static const char *const keys[] = {"0.key", "1.key", "2.key", "3.key",
                                       "4.key", "5.key", "6.key", "7.key"};
    size_t i = fixture->config.certificate_count++;

    fixture->certificates[i] = test_certificate_new(recipe);
    fixture->files[i].chain =
        test_chain_file(fixture->certificates[i], chains[i]);
    fixture->files[i].key = test_key_file(fixture->certificates[i], keys[i]);
}

static void add_host(struct fixture *fixture, const char *host,
                     enum test_key key)
{
    add(fixture, &(struct test_recipe){.dns = {host}, .key = key});
}

static bool build(struct fixture *fixture)
{
    tls_server_context_unref(&fixture->context);
    fixture->context = tls_server_context_new(&fixture->config, fixture->keys,
                                              fixture->reasons);
    return fixture->context != NULL;
}

static void build_for(struct fixture *fixture, const char *host)
{
    add_host(fixture, host, TEST_KEY_P256);
    assert_true(build(fixture));
}

static void set_client(struct fixture *fixture, SSL_CTX *client)
{
    SSL_CTX_free(fixture->client);
    fixture->client = client;
}

static SSL *new_client(struct fixture *fixture, const char *asked)
{
    SSL *ssl = SSL_new(fixture->client);

    SSL_set_connect_state(ssl);
    if (asked != NULL)
        assert_true(SSL_set_tlsext_host_name(ssl, asked));
    return ssl;
}

static struct tls_pair start(struct fixture *fixture, const char *asked)
{
    struct tls_pair pair;

    tls_pair_init(&pair, new_client(fixture, asked),
                  tls_server_context_open(fixture->context, false));
    return pair;
}

static bool finish(struct fixture *fixture, struct tls_pair *pair)
{
    bool is_good = tls_pair_handshake(pair) && tls_pair_talks(pair);

    if (pair->flight_max > fixture->flight_max)
        fixture->flight_max = pair->flight_max;
    return is_good;
}

static bool connects(struct fixture *fixture, const char *asked)
{
    struct tls_pair pair = start(fixture, asked);
    bool is_good = finish(fixture, &pair);

    tls_pair_deinit(&pair);
    return is_good;
}

/* Which of the fixture's certificates the client was shown; -1 for none. */
static int shown_to(struct fixture *fixture, const SSL *client)
{
    const STACK_OF(CRYPTO_BUFFER) *chain = SSL_get0_peer_certificates(client);
    int found = -1;

    if (chain == NULL || sk_CRYPTO_BUFFER_num(chain) == 0)
        return -1;
    for (size_t i = 0; i < fixture->config.certificate_count; i++) {
        const CRYPTO_BUFFER *leaf = sk_CRYPTO_BUFFER_value(chain, 0);
        uint8_t *der = NULL;
        int len =
            i2d_X509(test_certificate_x509(fixture->certificates[i]), &der);

        if ((size_t)len == CRYPTO_BUFFER_len(leaf) &&
            memcmp(der, CRYPTO_BUFFER_data(leaf), (size_t)len) == 0)
            found = (int)i;
        OPENSSL_free(der);
    }
    return found;
}

static int shown_for(struct fixture *fixture, const char *asked)
{
    struct tls_pair pair = start(fixture, asked);
    int found = finish(fixture, &pair) ? shown_to(fixture, pair.client) : -1;

    tls_pair_deinit(&pair);
    return found;
}

/* Which certificate for which name. */

static void add_sites(struct fixture *fixture)
{
    add(fixture, &(struct test_recipe){.dns = {"default.example.org"}});
    add(fixture, &(struct test_recipe){.dns = {"*.example.org"}});
    add(fixture,
        &(struct test_recipe){.dns = {"Imap.Example.org", "mail.example.net"}});
    assert_true(build(fixture));
}

static void an_exact_name_comes_before_a_wildcard(void **state)
{
    add_sites(*state);

    assert_int_equal(shown_for(*state, "imap.example.org"), 2);
    assert_int_equal(shown_for(*state, "mail.example.net"), 2);
}

static void a_wildcard_serves_one_label(void **state)
{
    add_sites(*state);

    assert_int_equal(shown_for(*state, "pop.example.org"), 1);
    assert_int_equal(shown_for(*state, "a.pop.example.org"), 0);
}

static void the_first_certificate_serves_unknown_names(void **state)
{
    add_sites(*state);

    assert_int_equal(shown_for(*state, "elsewhere.example"), 0);
    assert_int_equal(shown_for(*state, NULL), 0);
}

static void names_are_matched_whatever_their_case_and_last_dot(void **state)
{
    add_sites(*state);

    assert_int_equal(shown_for(*state, "IMAP.eXample.ORG"), 2);
    assert_int_equal(shown_for(*state, "imap.example.org."), 2);
}

static void odd_names_get_the_first_certificate(void **state)
{
    char longest[256];

    memset(longest, 'a', 255);
    longest[255] = '\0';
    add_sites(*state);

    assert_int_equal(shown_for(*state, "*.example.org"), 0);
    assert_int_equal(shown_for(*state, ".example.org"), 0);
    assert_int_equal(shown_for(*state, "."), 0);
    assert_int_equal(shown_for(*state, "192.0.2.1"), 0);
    assert_int_equal(shown_for(*state, "im ap\x01\xff.example.org"), 0);
    assert_int_equal(shown_for(*state, longest), 0);
}

static void a_client_hello_in_single_bytes_chooses_the_same(void **state)
{
    struct fixture *fixture = *state;
    struct tls_pair pair;

    add_sites(fixture);
    pair = start(fixture, "imap.example.org");
    pair.is_fragmented = true;

    assert_true(finish(fixture, &pair));
    assert_int_equal(shown_to(fixture, pair.client), 2);
    tls_pair_deinit(&pair);
}

/* RSA and ECDSA for one name. */

static void add_both_kinds(struct fixture *fixture)
{
    add_host(fixture, "imap.example.org", TEST_KEY_RSA_2048);
    add_host(fixture, "imap.example.org", TEST_KEY_P256);
    assert_true(build(fixture));
}

static void verify_only(struct fixture *fixture, uint16_t scheme)
{
    assert_true(
        SSL_CTX_set_verify_algorithm_prefs(fixture->client, &scheme, 1));
}

static void ecdsa_is_preferred_since_it_costs_less(void **state)
{
    struct fixture *fixture = *state;

    add_both_kinds(fixture);

    assert_int_equal(shown_for(fixture, "imap.example.org"), 1);
    assert_int_equal(shown_for(fixture, NULL), 1);
}

static void clients_without_ecdsa_get_rsa_in_tls_1_3(void **state)
{
    struct fixture *fixture = *state;

    add_both_kinds(fixture);
    verify_only(fixture, SSL_SIGN_RSA_PSS_RSAE_SHA256);

    assert_int_equal(shown_for(fixture, "imap.example.org"), 0);
    assert_int_equal(shown_for(fixture, NULL), 0);
}

static void clients_without_rsa_get_ecdsa_in_tls_1_3(void **state)
{
    struct fixture *fixture = *state;

    add_both_kinds(fixture);
    verify_only(fixture, SSL_SIGN_ECDSA_SECP256R1_SHA256);

    assert_int_equal(shown_for(fixture, "imap.example.org"), 1);
}

static void suites_decide_in_tls_1_2(void **state)
{
    struct fixture *fixture = *state;

    add_both_kinds(fixture);
    set_client(fixture, tls_plain_client(TLS1_2_VERSION, TLS1_2_VERSION));
    assert_int_equal(shown_for(fixture, "imap.example.org"), 1);
    assert_true(SSL_CTX_set_strict_cipher_list(
        fixture->client, "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA"));

    assert_int_equal(shown_for(fixture, "imap.example.org"), 0);
}

static void schemes_decide_in_tls_1_2(void **state)
{
    struct fixture *fixture = *state;

    add_both_kinds(fixture);
    set_client(fixture, tls_plain_client(TLS1_2_VERSION, TLS1_2_VERSION));
    verify_only(fixture, SSL_SIGN_RSA_PKCS1_SHA256);

    assert_int_equal(shown_for(fixture, "imap.example.org"), 0);
}

static void groups_decide_in_tls_1_2(void **state)
{
    struct fixture *fixture = *state;

    add_both_kinds(fixture);
    set_client(fixture, tls_plain_client(TLS1_2_VERSION, TLS1_2_VERSION));
    assert_true(SSL_CTX_set1_curves_list(fixture->client, "X25519"));

    assert_int_equal(shown_for(fixture, "imap.example.org"), 0);
}

static void curves_decide_in_tls_1_3(void **state)
{
    struct fixture *fixture = *state;

    add_host(fixture, "imap.example.org", TEST_KEY_P384);
    add_host(fixture, "imap.example.org", TEST_KEY_P256);
    assert_true(build(fixture));
    assert_int_equal(shown_for(fixture, "imap.example.org"), 0);
    verify_only(fixture, SSL_SIGN_ECDSA_SECP256R1_SHA256);

    assert_int_equal(shown_for(fixture, "imap.example.org"), 1);
}

static void a_wildcard_of_the_right_kind_beats_a_name_of_the_wrong(void **state)
{
    struct fixture *fixture = *state;

    add_host(fixture, "imap.example.org", TEST_KEY_P256);
    add_host(fixture, "*.example.org", TEST_KEY_RSA_2048);
    assert_true(build(fixture));
    verify_only(fixture, SSL_SIGN_RSA_PSS_RSAE_SHA256);

    assert_int_equal(shown_for(fixture, "imap.example.org"), 1);
}

static void every_kind_of_key_serves(void **state)
{
    static const enum test_key kinds[] = {TEST_KEY_P256, TEST_KEY_P384,
                                          TEST_KEY_P521, TEST_KEY_ED25519,
                                          TEST_KEY_RSA_2048};
    static const uint16_t schemes[] = {
        SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_ECDSA_SECP384R1_SHA384,
        SSL_SIGN_ECDSA_SECP521R1_SHA512, SSL_SIGN_ED25519,
        SSL_SIGN_RSA_PSS_RSAE_SHA256};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        add_host(fixture, "imap.example.org", kinds[i]);
    assert_true(build(fixture));

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        verify_only(fixture, schemes[i]);
        assert_int_equal(shown_for(fixture, "imap.example.org"), (int)i);
    }
}

/* Versions and suites. */

static const char *suite_for(struct fixture *fixture, const char *suites)
{
    struct tls_pair pair;
    const char *name = "none";

    set_client(fixture, tls_plain_client(TLS1_2_VERSION, TLS1_2_VERSION));
    assert_true(SSL_CTX_set_strict_cipher_list(fixture->client, suites));
    pair = start(fixture, "imap.example.org");
    if (finish(fixture, &pair))
        name = SSL_CIPHER_get_name(SSL_get_current_cipher(pair.server));
    tls_pair_deinit(&pair);
    return name;
}

static void both_versions_are_spoken(void **state)
{
    struct fixture *fixture = *state;

    build_for(fixture, "imap.example.org");
    assert_true(connects(fixture, NULL));
    set_client(fixture, tls_plain_client(TLS1_3_VERSION, TLS1_3_VERSION));
    assert_true(connects(fixture, NULL));
    set_client(fixture, tls_plain_client(TLS1_2_VERSION, TLS1_2_VERSION));
    assert_true(connects(fixture, NULL));
}

static void nothing_older_than_tls_1_2_is_spoken(void **state)
{
    struct fixture *fixture = *state;
    struct tls_pair pair;

    fixture->config.policy = TLS_POLICY_COMPATIBLE;
    build_for(fixture, "imap.example.org");
    set_client(fixture, tls_plain_client(TLS1_VERSION, TLS1_1_VERSION));
    pair = start(fixture, NULL);

    assert_false(finish(fixture, &pair));
    assert_int_equal(pair.alert[1], SSL_AD_PROTOCOL_VERSION);
    tls_pair_deinit(&pair);
}

static void aes_128_gcm_is_preferred(void **state)
{
    struct fixture *fixture = *state;

    build_for(fixture, "imap.example.org");

    assert_string_equal(suite_for(fixture, "ECDHE-ECDSA-CHACHA20-POLY1305:"
                                           "ECDHE-ECDSA-AES256-GCM-SHA384:"
                                           "ECDHE-ECDSA-AES128-GCM-SHA256"),
                        "ECDHE-ECDSA-AES128-GCM-SHA256");
    assert_string_equal(suite_for(fixture, "ECDHE-ECDSA-CHACHA20-POLY1305"),
                        "ECDHE-ECDSA-CHACHA20-POLY1305");
    assert_string_equal(suite_for(fixture, "ECDHE-ECDSA-AES256-GCM-SHA384"),
                        "ECDHE-ECDSA-AES256-GCM-SHA384");
}

static void cbc_is_spoken_by_the_compatible_policy_only(void **state)
{
    struct fixture *fixture = *state;

    build_for(fixture, "imap.example.org");
    assert_string_equal(suite_for(fixture, "ECDHE-ECDSA-AES128-SHA"), "none");
    fixture->config.policy = TLS_POLICY_COMPATIBLE;
    assert_true(build(fixture));

    assert_string_equal(suite_for(fixture, "ECDHE-ECDSA-AES128-SHA"),
                        "ECDHE-ECDSA-AES128-SHA");
    assert_string_equal(suite_for(fixture, "ECDHE-ECDSA-AES256-SHA:"
                                           "ECDHE-ECDSA-AES256-GCM-SHA384"),
                        "ECDHE-ECDSA-AES256-GCM-SHA384");
}

static void keys_are_never_exchanged_by_rsa(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.policy = TLS_POLICY_COMPATIBLE;
    add_host(fixture, "imap.example.org", TEST_KEY_RSA_2048);
    assert_true(build(fixture));

    assert_string_equal(suite_for(fixture, "AES128-GCM-SHA256"), "none");
    assert_string_equal(suite_for(fixture, "ECDHE-RSA-AES128-SHA"),
                        "ECDHE-RSA-AES128-SHA");
}

static void sha_1_signs_nothing(void **state)
{
    struct fixture *fixture = *state;

    add_host(fixture, "imap.example.org", TEST_KEY_RSA_2048);
    assert_true(build(fixture));
    set_client(fixture, tls_plain_client(TLS1_2_VERSION, TLS1_2_VERSION));
    verify_only(fixture, SSL_SIGN_RSA_PKCS1_SHA1);

    assert_false(connects(fixture, NULL));
}

static void the_usual_groups_are_spoken(void **state)
{
    static const char *const groups[] = {"X25519", "P-256", "P-384"};
    struct fixture *fixture = *state;

    build_for(fixture, "imap.example.org");

    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        assert_true(SSL_CTX_set1_curves_list(fixture->client, groups[i]));
        assert_true(connects(fixture, NULL));
    }
    assert_true(SSL_CTX_set1_curves_list(fixture->client, "P-521"));
    assert_false(connects(fixture, NULL));
}

/* ALPN. */

static struct tls_pair offer(struct fixture *fixture, const char *offered)
{
    struct tls_pair pair = start(fixture, "imap.example.org");

    assert_int_equal(SSL_set_alpn_protos(pair.client, (const uint8_t *)offered,
                                         (unsigned)strlen(offered)),
                     0);
    return pair;
}

static void imap_is_chosen_wherever_it_stands(void **state)
{
    static const char *const offers[] = {"\x04imap", "\x08http/1.1\x04imap",
                                         "\x04imap\x04pop3"};
    struct fixture *fixture = *state;

    build_for(fixture, "imap.example.org");

    for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
        struct tls_pair pair = offer(fixture, offers[i]);
        const uint8_t *chosen;
        unsigned len;

        assert_true(finish(fixture, &pair));
        SSL_get0_alpn_selected(pair.client, &chosen, &len);
        assert_int_equal(len, 4);
        assert_memory_equal(chosen, "imap", 4);
        tls_pair_deinit(&pair);
    }
    assert_string_equal(refused, "");
}

static void offers_without_imap_are_refused(void **state)
{
    static const char *const offers[] = {"\x08http/1.1", "\x05imaps\x03map",
                                         "\x09\x04imap.com", "\x04IMAP"};
    struct fixture *fixture = *state;

    build_for(fixture, "imap.example.org");

    for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
        struct tls_pair pair = offer(fixture, offers[i]);

        assert_false(finish(fixture, &pair));
        assert_int_equal(pair.alert[0], SSL3_AL_FATAL);
        assert_int_equal(pair.alert[1], ALERT_NO_APPLICATION_PROTOCOL);
        assert_string_equal(refused, offers[i]);
        tls_pair_deinit(&pair);
    }
}

static void a_client_without_alpn_is_served(void **state)
{
    struct fixture *fixture = *state;

    build_for(fixture, "imap.example.org");

    assert_true(connects(fixture, "imap.example.org"));
    assert_string_equal(refused, "");
}

/* Tickets. */

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct fixture *fixture = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    SSL_SESSION_free(fixture->session);
    fixture->session = session;
    fixture->tickets++;
    return 1;
}

static void keep_sessions(struct fixture *fixture, uint16_t version)
{
    set_client(fixture, tls_plain_client(version, version));
    SSL_CTX_set_app_data(fixture->client, fixture);
    SSL_CTX_set_session_cache_mode(fixture->client, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(fixture->client, keep_session);
}

/* Offers the session kept before; says whether the server took it up. */
static bool resumes(struct fixture *fixture, const char *asked)
{
    struct tls_pair pair = start(fixture, asked);
    bool is_reused;

    assert_non_null(fixture->session);
    assert_true(SSL_set_session(pair.client, fixture->session));
    assert_true(finish(fixture, &pair));
    is_reused = SSL_session_reused(pair.server) != 0;
    assert_int_equal(SSL_session_reused(pair.client), is_reused);
    tls_pair_deinit(&pair);
    return is_reused;
}

static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void a_ticket_resumes_a_session(void **state)
{
    struct fixture *fixture = *state;

    build_for(fixture, "imap.example.org");

    for (size_t i = 0; i < 2; i++) {
        keep_sessions(fixture, versions[i]);
        assert_true(connects(fixture, "imap.example.org"));
        assert_true(resumes(fixture, "imap.example.org"));
    }
}

static void a_ticket_is_good_for_its_own_certificate_only(void **state)
{
    struct fixture *fixture = *state;

    add_host(fixture, "one.example.org", TEST_KEY_P256);
    add_host(fixture, "two.example.org", TEST_KEY_P256);
    assert_true(build(fixture));

    for (size_t i = 0; i < 2; i++) {
        keep_sessions(fixture, versions[i]);
        assert_true(connects(fixture, "one.example.org"));
        assert_false(resumes(fixture, "two.example.org"));
        assert_false(resumes(fixture, "one.example.org"));
        assert_true(resumes(fixture, "one.example.org"));
    }
}

static void a_ticket_is_good_for_its_own_policy_only(void **state)
{
    struct fixture *fixture = *state;

    build_for(fixture, "imap.example.org");

    for (size_t i = 0; i < 2; i++) {
        fixture->config.policy = TLS_POLICY_MODERN;
        assert_true(build(fixture));
        keep_sessions(fixture, versions[i]);
        assert_true(connects(fixture, "imap.example.org"));
        fixture->config.policy = TLS_POLICY_COMPATIBLE;
        assert_true(build(fixture));
        assert_false(resumes(fixture, "imap.example.org"));
    }
}

static void a_ticket_outlives_a_reload(void **state)
{
    struct fixture *fixture = *state;

    build_for(fixture, "imap.example.org");

    for (size_t i = 0; i < 2; i++) {
        keep_sessions(fixture, versions[i]);
        assert_true(connects(fixture, "imap.example.org"));
        add_host(fixture, "new.example.org", TEST_KEY_P256);
        assert_true(build(fixture));
        assert_true(resumes(fixture, "imap.example.org"));
    }
}

static void a_ticket_dies_with_the_second_rotation(void **state)
{
    struct fixture *fixture = *state;
    uint64_t now_ms = 0;

    build_for(fixture, "imap.example.org");

    for (size_t i = 0; i < 2; i++) {
        SSL_SESSION *first;

        keep_sessions(fixture, versions[i]);
        assert_true(connects(fixture, "imap.example.org"));
        first = fixture->session;
        SSL_SESSION_up_ref(first);
        now_ms += TICKET_KEYS_PERIOD_MS;
        ticket_keys_rotate_if_due(fixture->keys, now_ms);
        assert_true(resumes(fixture, "imap.example.org"));
        now_ms += TICKET_KEYS_PERIOD_MS;
        ticket_keys_rotate_if_due(fixture->keys, now_ms);
        assert_true(resumes(fixture, "imap.example.org"));
        SSL_SESSION_free(fixture->session);
        fixture->session = first;
        assert_false(resumes(fixture, "imap.example.org"));
    }
}

/* Keys of files, so that another machine opens what one has sealed. */

static const struct shared_ticket_key shared_keys[] = {
    {.name = "older", .mac = "a", .secret = "b"},
    {.name = "newer", .mac = "c", .secret = "d"}};

/* From now on the fixture is another machine, with its own random keys and so
 * many of the shared ones from first on. */
static void be_another_machine(struct fixture *fixture, size_t first,
                               size_t count)
{
    ticket_keys_unref(&fixture->keys);
    fixture->keys = ticket_keys_new(0);
    fixture->config.ticket_keys = shared_keys + first;
    fixture->config.ticket_key_count = count;
    assert_true(build(fixture));
}

static void machines_resume_each_others_sessions_by_shared_keys(void **state)
{
    struct fixture *fixture = *state;

    add_host(fixture, "imap.example.org", TEST_KEY_P256);

    for (size_t i = 0; i < 2; i++) {
        keep_sessions(fixture, versions[i]);
        be_another_machine(fixture, 0, 2);
        assert_true(connects(fixture, "imap.example.org"));
        be_another_machine(fixture, 0, 2);
        assert_true(resumes(fixture, "imap.example.org"));
        be_another_machine(fixture, 0, 0);
        assert_false(resumes(fixture, "imap.example.org"));
        be_another_machine(fixture, 0, 0);
        assert_false(resumes(fixture, "imap.example.org"));
    }
}

static void a_shared_key_that_was_dropped_opens_nothing(void **state)
{
    struct fixture *fixture = *state;

    add_host(fixture, "imap.example.org", TEST_KEY_P256);

    for (size_t i = 0; i < 2; i++) {
        keep_sessions(fixture, versions[i]);
        be_another_machine(fixture, 0, 1);
        assert_true(connects(fixture, "imap.example.org"));
        be_another_machine(fixture, 1, 1);
        assert_false(resumes(fixture, "imap.example.org"));
    }
}

/* threats.md, B5: whatever the order and the number of certificates there. */
static void
b5_a_ticket_of_another_machine_is_bound_to_its_certificate(void **state)
{
    struct fixture *fixture = *state;

    add_host(fixture, "one.example.org", TEST_KEY_P256);
    add_host(fixture, "two.example.org", TEST_KEY_P256);

    for (size_t i = 0; i < 2; i++) {
        struct tls_server_certificate kept = fixture->files[0];

        keep_sessions(fixture, versions[i]);
        be_another_machine(fixture, 0, 1);
        assert_true(connects(fixture, "one.example.org"));
        fixture->files[0] = fixture->files[1];
        fixture->files[1] = kept;
        be_another_machine(fixture, 0, 1);
        assert_true(resumes(fixture, "one.example.org"));
        assert_false(resumes(fixture, "two.example.org"));
    }
}

static void b5_a_ticket_of_another_machine_is_bound_to_its_policy(void **state)
{
    struct fixture *fixture = *state;

    add_host(fixture, "imap.example.org", TEST_KEY_P256);

    for (size_t i = 0; i < 2; i++) {
        fixture->config.policy = TLS_POLICY_MODERN;
        keep_sessions(fixture, versions[i]);
        be_another_machine(fixture, 0, 1);
        assert_true(connects(fixture, "imap.example.org"));
        fixture->config.policy = TLS_POLICY_COMPATIBLE;
        be_another_machine(fixture, 0, 1);
        assert_false(resumes(fixture, "imap.example.org"));
    }
}

static void our_own_rotation_leaves_shared_keys_alone(void **state)
{
    struct fixture *fixture = *state;

    add_host(fixture, "imap.example.org", TEST_KEY_P256);
    be_another_machine(fixture, 0, 1);

    for (size_t i = 0; i < 2; i++) {
        keep_sessions(fixture, versions[i]);
        assert_true(connects(fixture, "imap.example.org"));
        ticket_keys_rotate_if_due(fixture->keys,
                                  (i + 1) * 50 * TICKET_KEYS_PERIOD_MS);
        assert_true(resumes(fixture, "imap.example.org"));
    }
}

static void one_handshake_gives_one_ticket(void **state)
{
    struct fixture *fixture = *state;

    build_for(fixture, "imap.example.org");

    for (size_t i = 0; i < 2; i++) {
        keep_sessions(fixture, versions[i]);
        fixture->tickets = 0;
        assert_true(connects(fixture, "imap.example.org"));
        assert_int_equal(fixture->tickets, 1);
    }
}

static void early_data_is_never_allowed(void **state)
{
    struct fixture *fixture = *state;

    build_for(fixture, "imap.example.org");
    keep_sessions(fixture, TLS1_3_VERSION);
    SSL_CTX_set_early_data_enabled(fixture->client, 1);
    assert_true(connects(fixture, "imap.example.org"));

    assert_false(SSL_SESSION_early_data_capable(fixture->session));
}

/* Size and lifetime. */

/* The server's longest flight in both versions, for one such certificate. */
static size_t measure_flight(struct fixture *fixture,
                             const struct test_recipe *recipe)
{
    static const uint16_t schemes[] = {SSL_SIGN_ECDSA_SECP256R1_SHA256,
                                       SSL_SIGN_ECDSA_SECP521R1_SHA512,
                                       SSL_SIGN_RSA_PSS_RSAE_SHA512};

    fixture->config.certificate_count = 0;
    test_certificate_free(&fixture->certificates[0]);
    add(fixture, recipe);
    assert_true(build(fixture));
    fixture->flight_max = 0;
    for (size_t i = 0; i < 2; i++) {
        keep_sessions(fixture, versions[i]);
        assert_true(
            SSL_CTX_set_verify_algorithm_prefs(fixture->client, schemes, 3));
        assert_true(
            SSL_CTX_set1_curves_list(fixture->client, "P-384:P-256:P-521"));
        assert_true(connects(fixture, "imap.example.org"));
    }
    return fixture->flight_max;
}

static void no_flight_is_longer_than_was_foretold(void **state)
{
    static const enum test_key kinds[] = {TEST_KEY_P256, TEST_KEY_P521,
                                          TEST_KEY_RSA_4096};
    static const size_t paddings[] = {0, 3000, 40000};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < 9; i++) {
        const struct test_recipe recipe = {.dns = {"imap.example.org"},
                                           .key = kinds[i / 3],
                                           .padding = paddings[i % 3]};
        size_t longest = measure_flight(fixture, &recipe);
        size_t foretold = tls_server_context_flight_max(fixture->context);

        assert_true(longest > recipe.padding);
        assert_in_range(foretold, longest, longest + 4096);
    }
}

static void the_longest_chain_of_all_counts(void **state)
{
    struct fixture *fixture = *state;
    size_t alone;

    add(fixture,
        &(struct test_recipe){.dns = {"imap.example.org"}, .padding = 3000});
    assert_true(build(fixture));
    alone = tls_server_context_flight_max(fixture->context);
    add_host(fixture, "mail.example.org", TEST_KEY_P256);
    assert_true(build(fixture));

    assert_int_equal(tls_server_context_flight_max(fixture->context), alone);
}

static size_t heap_bytes(void)
{
    return mallinfo2().uordblks;
}

struct batch {
    struct fixture *fixture;
    const char *asked;
    SSL **servers;
    size_t count;
    size_t made;
};

static void *make_servers(void *argument)
{
    struct batch *batch = argument;

    while (batch->made < batch->count) {
        struct tls_pair pair = start(batch->fixture, batch->asked);

        if (!finish(batch->fixture, &pair))
            break;
        tls_pair_drop_bios(&pair);
        batch->servers[batch->made++] = pair.server;
        pair.server = NULL;
        tls_pair_deinit(&pair);
    }
    return NULL;
}

/* On a thread of its own: malloc counts what a thread has freed into its cache
 * as in use until the thread ends. */
static void make_apart(struct fixture *fixture, const char *asked,
                       SSL **servers, size_t count)
{
    struct batch batch = {fixture, asked, servers, count, 0};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, make_servers, &batch), 0);
    pthread_join(thread, NULL);
    assert_int_equal(batch.made, count);
}

/* Bytes of heap per server's SSL, with its BIOs taken away. */
static size_t bytes_per_server(struct fixture *fixture, const char *asked)
{
    SSL *servers[CONNECTIONS];
    size_t before, bytes;

    make_apart(fixture, asked, servers, WARM_UP);
    before = heap_bytes();
    make_apart(fixture, asked, servers + WARM_UP, CONNECTIONS - WARM_UP);
    bytes = (heap_bytes() - before) / (CONNECTIONS - WARM_UP);
    for (size_t i = 0; i < CONNECTIONS; i++)
        SSL_free(servers[i]);
    return bytes;
}

static size_t bytes_in(struct fixture *fixture, uint16_t version,
                       const char *asked, const char *offered)
{
    set_client(fixture, tls_plain_client(version, version));
    assert_int_equal(SSL_CTX_set_alpn_protos(fixture->client,
                                             (const uint8_t *)offered,
                                             (unsigned)strlen(offered)),
                     0);
    return bytes_per_server(fixture, asked);
}

static void an_idle_server_is_small(void **state)
{
    struct fixture *fixture = *state;

    if (!MALLOC_IS_MEASURABLE)
        skip();
    add_both_kinds(fixture);

    for (size_t i = 0; i < 2; i++) {
        size_t bare = bytes_in(fixture, versions[i], NULL, "");
        size_t full =
            bytes_in(fixture, versions[i], "imap.example.org", "\x04imap");

        print_message("TLS 1.%zu: %zu bytes, %zu with SNI and ALPN\n", i + 2,
                      bare, full);
        assert_in_range(bare, 1, BARE_BYTES_MAX);
        assert_in_range(full, 1, FULL_BYTES_MAX);
    }
}

static void unknown_names_leave_nothing_behind(void **state)
{
    struct fixture *fixture = *state;
    size_t before;

    if (!MALLOC_IS_MEASURABLE)
        skip();
    build_for(fixture, "imap.example.org");
    assert_true(connects(fixture, "elsewhere.example"));
    before = heap_bytes();
    for (int i = 0; i < 300; i++) {
        char name[64];

        snprintf(name, sizeof(name), "host-%d.example.com", i);
        assert_true(connects(fixture, name));
    }

    assert_in_range(heap_bytes(), 0, before + 256);
}

static void a_connection_outlives_its_context(void **state)
{
    struct fixture *fixture = *state;
    struct tls_pair pair;

    build_for(fixture, "imap.example.org");
    pair = start(fixture, "imap.example.org");
    assert_true(finish(fixture, &pair));
    tls_server_context_unref(&fixture->context);

    assert_true(tls_pair_talks(&pair));
    assert_int_equal(SSL_shutdown(pair.server), 0);
    tls_pair_deinit(&pair);
}

static void a_context_lives_until_its_last_reference(void **state)
{
    struct fixture *fixture = *state;
    struct tls_server_context *second;

    build_for(fixture, "imap.example.org");
    second = tls_server_context_ref(fixture->context);
    tls_server_context_unref(&second);

    assert_null(second);
    assert_true(connects(fixture, "imap.example.org"));
}

struct worker {
    struct fixture *fixture;
    pthread_t thread;
    unsigned served;
};

static void *serve(void *owner)
{
    struct worker *worker = owner;
    struct tls_server_context *context =
        tls_server_context_ref(worker->fixture->context);

    for (unsigned i = 0; i < HANDSHAKES; i++) {
        struct tls_pair pair;

        tls_pair_init(&pair,
                      new_client(worker->fixture, i % 2 == 0
                                                      ? "imap.example.org"
                                                      : "mail.example.net"),
                      tls_server_context_open(context, false));
        worker->served += tls_pair_handshake(&pair) && tls_pair_talks(&pair);
        tls_pair_deinit(&pair);
    }
    tls_server_context_unref(&context);
    return NULL;
}

static void workers_share_a_context_while_keys_rotate(void **state)
{
    struct fixture *fixture = *state;
    struct worker workers[WORKERS];

    add_sites(fixture);
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.fixture = fixture};
        pthread_create(&workers[i].thread, NULL, serve, &workers[i]);
    }
    for (uint64_t i = 1; i <= HANDSHAKES; i++)
        ticket_keys_rotate_if_due(fixture->keys, i * TICKET_KEYS_PERIOD_MS);

    for (size_t i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].served, HANDSHAKES);
    }
}

/* Loading. */

static bool has_reason(const struct fixture *fixture, enum reason_kind kind,
                       const char *file, const char *words)
{
    for (size_t i = 0; i < fixture->reasons->count; i++) {
        const struct reason *reason = &fixture->reasons->items[i];

        if (reason->kind == kind && strcmp(reason->file, file) == 0 &&
            (strstr(reason->found, words) != NULL ||
             strstr(reason->expected, words) != NULL))
            return true;
    }
    return false;
}

static void a_key_that_does_not_match_names_both_files(void **state)
{
    struct fixture *fixture = *state;

    add_host(fixture, "imap.example.org", TEST_KEY_P256);
    add_host(fixture, "imap.example.org", TEST_KEY_OTHER_P256);
    fixture->files[0].key = fixture->files[1].key;
    fixture->files[0].key.name = "wrong.key";

    assert_false(build(fixture));
    assert_true(has_reason(fixture, REASON_ERROR, "wrong.key", "0.pem"));
}

static void every_broken_file_is_told(void **state)
{
    struct fixture *fixture = *state;

    add_host(fixture, "a.example.org", TEST_KEY_P256);
    add_host(fixture, "b.example.org", TEST_KEY_P256);
    fixture->files[0].chain.len = 0;
    fixture->files[0].key.len = 0;
    fixture->files[1].key.len /= 2;

    assert_false(build(fixture));
    assert_true(has_reason(fixture, REASON_ERROR, "0.pem", "no certificate"));
    assert_true(has_reason(fixture, REASON_ERROR, "0.key", "no private key"));
    assert_true(has_reason(fixture, REASON_ERROR, "1.key", "no private key"));
    assert_int_equal(fixture->reasons->errors, 3);
}

static void broken_chains_are_refused(void **state)
{
    static const char *const texts[] = {
        "-----BEGIN CERTIFICATE-----\nM!!=\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMAA=\n", "nothing at all"};
    struct fixture *fixture = *state;

    add_host(fixture, "imap.example.org", TEST_KEY_P256);

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        fixture->files[0].chain = (struct pem_file){
            "0.pem", (const uint8_t *)texts[i], strlen(texts[i])};
        assert_false(build(fixture));
        assert_int_equal(fixture->reasons->errors, i + 1);
    }
}

static void encrypted_keys_are_called_so(void **state)
{
    static const char text[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n"
                               "-----END ENCRYPTED PRIVATE KEY-----\n";
    struct fixture *fixture = *state;

    add_host(fixture, "imap.example.org", TEST_KEY_P256);
    fixture->files[0].key =
        (struct pem_file){"0.key", (const uint8_t *)text, sizeof(text) - 1};

    assert_false(build(fixture));
    assert_true(has_reason(fixture, REASON_ERROR, "0.key", "encrypted"));
}

static void weak_and_odd_keys_are_refused(void **state)
{
    struct fixture *fixture = *state;

    add_host(fixture, "imap.example.org", TEST_KEY_RSA_1024);
    add_host(fixture, "imap.example.org", TEST_KEY_P224);

    assert_false(build(fixture));
    assert_true(has_reason(fixture, REASON_ERROR, "0.key", "2048"));
    assert_true(has_reason(fixture, REASON_ERROR, "1.key", "P-256"));
}

static void a_certificate_that_may_not_sign_is_refused(void **state)
{
    struct fixture *fixture = *state;

    add(fixture,
        &(struct test_recipe){.dns = {"imap.example.org"},
                              .key = TEST_KEY_P256,
                              .purpose = TEST_PURPOSE_ENCRYPTION_ONLY});

    assert_false(build(fixture));
    assert_true(has_reason(fixture, REASON_ERROR, "0.pem", "signing"));
}

static void dates_are_warned_of(void **state)
{
    struct fixture *fixture = *state;

    add(fixture, &(struct test_recipe){.dns = {"a.example.org"},
                                       .begins_s = -2 * day_s,
                                       .ends_s = -60});
    add(fixture,
        &(struct test_recipe){.dns = {"b.example.org"}, .begins_s = day_s});
    add(fixture,
        &(struct test_recipe){.dns = {"c.example.org"}, .ends_s = 13 * day_s});
    add(fixture,
        &(struct test_recipe){.dns = {"d.example.org"}, .ends_s = 15 * day_s});

    assert_true(build(fixture));
    assert_true(has_reason(fixture, REASON_WARNING, "0.pem", "expired"));
    assert_true(has_reason(fixture, REASON_WARNING, "1.pem", "not yet valid"));
    assert_true(has_reason(fixture, REASON_WARNING, "2.pem", "14 days"));
    assert_int_equal(fixture->reasons->warnings, 3);
}

static void a_certificate_without_a_name_is_warned_of(void **state)
{
    struct fixture *fixture = *state;

    add(fixture, &(struct test_recipe){.common_name = "imap.example.org"});

    assert_true(build(fixture));
    assert_true(has_reason(fixture, REASON_WARNING, "0.pem", "no host name"));
    assert_int_equal(shown_for(fixture, "imap.example.org"), 0);
}

static void a_chain_in_disorder_is_warned_of(void **state)
{
    struct fixture *fixture = *state;
    struct pem_file first;
    struct pem_file second;
    char *text;

    add_host(fixture, "a.example.org", TEST_KEY_P256);
    add(fixture, &(struct test_recipe){.common_name = "not its issuer",
                                       .is_authority = true});
    first = fixture->files[0].chain;
    second = fixture->files[1].chain;
    text = malloc(first.len + second.len);
    memcpy(text, first.bytes, first.len);
    memcpy(text + first.len, second.bytes, second.len);
    fixture->files[0].chain.bytes = (const uint8_t *)text;
    fixture->files[0].chain.len = first.len + second.len;
    fixture->config.certificate_count = 1;

    assert_true(build(fixture));
    assert_true(has_reason(fixture, REASON_WARNING, "0.pem",
                           "did not issue certificate 1"));
    free(text);
}

static void the_whole_chain_is_sent(void **state)
{
    struct fixture *fixture = *state;
    struct test_certificate *root = test_certificate_new(
        &(struct test_recipe){.common_name = "root", .is_authority = true});
    struct test_certificate *middle =
        test_certificate_new(&(struct test_recipe){
            .common_name = "middle", .is_authority = true, .issuer = root});
    struct tls_pair pair;

    add(fixture,
        &(struct test_recipe){.dns = {"imap.example.org"}, .issuer = middle});
    assert_true(build(fixture));
    assert_int_equal(fixture->reasons->count, 0);
    pair = start(fixture, NULL);

    assert_true(finish(fixture, &pair));
    assert_int_equal(
        sk_CRYPTO_BUFFER_num(SSL_get0_peer_certificates(pair.client)), 2);
    tls_pair_deinit(&pair);
    test_certificate_free(&middle);
    test_certificate_free(&root);
}

static void the_names_of_a_certificate_are_listed(void **state)
{
    struct fixture *fixture = *state;

    add_sites(fixture);

    assert_int_equal(tls_server_context_name_count(fixture->context, 1), 1);
    assert_string_equal(tls_server_context_name(fixture->context, 1, 0),
                        "*.example.org");
    assert_int_equal(tls_server_context_name_count(fixture->context, 2), 2);
    assert_string_equal(tls_server_context_name(fixture->context, 2, 0),
                        "imap.example.org");
}

static void equal_inputs_match_whatever_their_files_are_called(void **state)
{
    struct fixture *fixture = *state;

    add_sites(fixture);
    fixture->files[0].chain.name = "moved.pem";
    fixture->config.now += 1000;

    assert_true(tls_server_context_matches(fixture->context, &fixture->config));
}

static void any_other_input_does_not_match(void **state)
{
    struct fixture *fixture = *state;
    struct tls_server_certificate kept;

    add_sites(fixture);
    fixture->config.policy = TLS_POLICY_COMPATIBLE;
    assert_false(
        tls_server_context_matches(fixture->context, &fixture->config));
    fixture->config.policy = TLS_POLICY_MODERN;
    fixture->config.certificate_count--;
    assert_false(
        tls_server_context_matches(fixture->context, &fixture->config));
    fixture->config.certificate_count++;
    fixture->config.alpn_refused = NULL;
    assert_false(
        tls_server_context_matches(fixture->context, &fixture->config));
    fixture->config.alpn_refused = note_refused;
    kept = fixture->files[0];
    fixture->files[0] = fixture->files[1];
    fixture->files[1] = kept;
    assert_false(
        tls_server_context_matches(fixture->context, &fixture->config));
    fixture->files[1] = fixture->files[0];
    fixture->files[0] = kept;
    assert_true(tls_server_context_matches(fixture->context, &fixture->config));
    fixture->files[0].key.len--;
    assert_false(
        tls_server_context_matches(fixture->context, &fixture->config));
}

static void other_ticket_keys_do_not_match(void **state)
{
    struct fixture *fixture = *state;
    struct shared_ticket_key keys[2];

    memcpy(keys, shared_keys, sizeof(keys));
    build_for(fixture, "imap.example.org");
    be_another_machine(fixture, 0, 2);
    fixture->config.ticket_keys = keys;
    assert_true(tls_server_context_matches(fixture->context, &fixture->config));
    fixture->config.ticket_key_count = 1;
    assert_false(
        tls_server_context_matches(fixture->context, &fixture->config));
    fixture->config.ticket_key_count = 0;
    assert_false(
        tls_server_context_matches(fixture->context, &fixture->config));
    fixture->config.ticket_key_count = 2;
    keys[1].secret[31]++;

    assert_false(
        tls_server_context_matches(fixture->context, &fixture->config));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_exact_name_comes_before_a_wildcard),
        TEST(a_wildcard_serves_one_label),
        TEST(the_first_certificate_serves_unknown_names),
        TEST(names_are_matched_whatever_their_case_and_last_dot),
        TEST(odd_names_get_the_first_certificate),
        TEST(a_client_hello_in_single_bytes_chooses_the_same),
        TEST(ecdsa_is_preferred_since_it_costs_less),
        TEST(clients_without_ecdsa_get_rsa_in_tls_1_3),
        TEST(clients_without_rsa_get_ecdsa_in_tls_1_3),
        TEST(suites_decide_in_tls_1_2),
        TEST(schemes_decide_in_tls_1_2),
        TEST(groups_decide_in_tls_1_2),
        TEST(curves_decide_in_tls_1_3),
        TEST(a_wildcard_of_the_right_kind_beats_a_name_of_the_wrong),
        TEST(every_kind_of_key_serves),
        TEST(both_versions_are_spoken),
        TEST(nothing_older_than_tls_1_2_is_spoken),
        TEST(aes_128_gcm_is_preferred),
        TEST(cbc_is_spoken_by_the_compatible_policy_only),
        TEST(keys_are_never_exchanged_by_rsa),
        TEST(sha_1_signs_nothing),
        TEST(the_usual_groups_are_spoken),
        TEST(imap_is_chosen_wherever_it_stands),
        TEST(offers_without_imap_are_refused),
        TEST(a_client_without_alpn_is_served),
        TEST(a_ticket_resumes_a_session),
        TEST(a_ticket_is_good_for_its_own_certificate_only),
        TEST(a_ticket_is_good_for_its_own_policy_only),
        TEST(a_ticket_outlives_a_reload),
        TEST(a_ticket_dies_with_the_second_rotation),
        TEST(machines_resume_each_others_sessions_by_shared_keys),
        TEST(a_shared_key_that_was_dropped_opens_nothing),
        TEST(b5_a_ticket_of_another_machine_is_bound_to_its_certificate),
        TEST(b5_a_ticket_of_another_machine_is_bound_to_its_policy),
        TEST(our_own_rotation_leaves_shared_keys_alone),
        TEST(one_handshake_gives_one_ticket),
        TEST(early_data_is_never_allowed),
        TEST(no_flight_is_longer_than_was_foretold),
        TEST(the_longest_chain_of_all_counts),
        TEST(an_idle_server_is_small),
        TEST(unknown_names_leave_nothing_behind),
        TEST(a_connection_outlives_its_context),
        TEST(a_context_lives_until_its_last_reference),
        TEST(workers_share_a_context_while_keys_rotate),
        TEST(a_key_that_does_not_match_names_both_files),
        TEST(every_broken_file_is_told),
        TEST(broken_chains_are_refused),
        TEST(encrypted_keys_are_called_so),
        TEST(weak_and_odd_keys_are_refused),
        TEST(a_certificate_that_may_not_sign_is_refused),
        TEST(dates_are_warned_of),
        TEST(a_certificate_without_a_name_is_warned_of),
        TEST(a_chain_in_disorder_is_warned_of),
        TEST(the_whole_chain_is_sent),
        TEST(the_names_of_a_certificate_are_listed),
        TEST(equal_inputs_match_whatever_their_files_are_called),
        TEST(any_other_input_does_not_match),
        TEST(other_ticket_keys_do_not_match),
    };

    return cmocka_run_group_tests(tests, NULL, tear_down_group);
}
