/* What backends meet, and which of them are believed. */
#include "net/tls_client_context.h"

#include "certificates.h"
#include "net/tls_server_context.h"
#include "tls_pair.h"
#include "tls_weight.h"

#include <openssl/pool.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MALLOC_IS_MEASURABLE 0
#else
#define MALLOC_IS_MEASURABLE 1
#endif

static const long hour_s = 60L * 60;

enum {
    CLIENT_BYTES_MAX = 2800
};

/* The clock of this program, to whose time() it belongs. BoringSSL's own age
 * of a session goes by another clock. */
static long clock_ahead_s;

time_t time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += clock_ahead_s;
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}

/* One authority, a backend of its making, a client that trusts it. */
struct fixture {
    struct test_certificate *authority;
    struct test_certificate *backend_certificate;
    struct test_certificate *own_certificate; /* the client's */
    struct trust_anchors *anchors;
    struct tls_client_config config;
    struct tls_client_context *context;
    struct reasons *reasons;
    SSL_CTX *backend;
};

static char failure[CERTIFICATE_WHY_MAX];
static char asked[256];

static void note_failure(SSL *ssl, const char *why)
{
    assert_non_null(ssl);
    assert_true(strlen(why) < sizeof(failure));
    strncpy(failure, why, sizeof(failure) - 1);
}

static int note_asked(SSL *ssl, int *alert, void *owner)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    (void)owner;
    strncpy(asked, name == NULL ? "none" : name, sizeof(asked) - 1);
    return SSL_TLSEXT_ERR_OK;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct pem_file file;

    fixture->reasons = reasons_new();
    fixture->authority = test_certificate_new(
        &(struct test_recipe){.common_name = "root", .is_authority = true});
    file = test_anchor_file(fixture->authority, "ca.pem");
    fixture->anchors = trust_anchors_new(&file, fixture->reasons);
    fixture->config = (struct tls_client_config){
        .name = "imap-a1.example.org",
        .file = "routes.json",
        .path = "$.backends.imap-a1",
        .anchors = fixture->anchors,
        .verify = true,
        .verify_failed = note_failure,
        .now = (int64_t)time(NULL),
    };
    clock_ahead_s = 0;
    memset(failure, 0, sizeof(failure));
    memset(asked, 0, sizeof(asked));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    tls_client_context_unref(&fixture->context);
    trust_anchors_unref(&fixture->anchors);
    reasons_free(&fixture->reasons);
    SSL_CTX_free(fixture->backend);
    test_certificate_free(&fixture->backend_certificate);
    test_certificate_free(&fixture->own_certificate);
    test_certificate_free(&fixture->authority);
    free(fixture);
    return 0;
}

static int tear_down_group(void **state)
{
    (void)state;
    test_keys_free();
    return 0;
}

/* A backend of any version that BoringSSL speaks. */
static void build_backend(struct fixture *fixture,
                          const struct test_recipe *recipe)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());

    test_certificate_free(&fixture->backend_certificate);
    SSL_CTX_free(fixture->backend);
    fixture->backend_certificate = test_certificate_new(recipe);
    fixture->backend = ctx;
    assert_true(SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION));
    assert_true(SSL_CTX_use_certificate(
        ctx, test_certificate_x509(fixture->backend_certificate)));
    assert_true(SSL_CTX_use_PrivateKey(
        ctx, test_certificate_key(fixture->backend_certificate)));
    SSL_CTX_set_tlsext_servername_callback(ctx, note_asked);
}

static void build_usual_backend(struct fixture *fixture)
{
    build_backend(fixture, &(struct test_recipe){.dns = {"imap-a1.example.org"},
                                                 .issuer = fixture->authority});
}

static void speak(struct fixture *fixture, uint16_t version)
{
    assert_true(SSL_CTX_set_min_proto_version(fixture->backend, version));
    assert_true(SSL_CTX_set_max_proto_version(fixture->backend, version));
}

static bool build(struct fixture *fixture)
{
    tls_client_context_unref(&fixture->context);
    fixture->context =
        tls_client_context_new(&fixture->config, fixture->reasons);
    return fixture->context != NULL;
}

static struct tls_pair start(struct fixture *fixture)
{
    struct tls_pair pair;
    SSL *backend = SSL_new(fixture->backend);

    SSL_set_accept_state(backend);
    tls_pair_init(&pair, tls_client_context_open(fixture->context), backend);
    return pair;
}

static bool finish(struct tls_pair *pair)
{
    return tls_pair_handshake(pair) && tls_pair_talks(pair);
}

static bool connects(struct fixture *fixture)
{
    struct tls_pair pair;
    bool is_good;

    assert_true(build(fixture));
    pair = start(fixture);
    is_good = finish(&pair);
    tls_pair_deinit(&pair);
    return is_good;
}

static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* Whom it believes. */

static void a_backend_that_proves_its_name_is_believed(void **state)
{
    struct fixture *fixture = *state;

    build_usual_backend(fixture);

    for (size_t i = 0; i < 2; i++) {
        speak(fixture, versions[i]);
        assert_true(connects(fixture));
    }
    assert_string_equal(failure, "");
}

static void a_backend_of_another_name_is_refused_with_a_reason(void **state)
{
    struct fixture *fixture = *state;

    build_backend(fixture, &(struct test_recipe){.dns = {"imap-a2.example.org"},
                                                 .issuer = fixture->authority});

    for (size_t i = 0; i < 2; i++) {
        speak(fixture, versions[i]);
        failure[0] = '\0';
        assert_false(connects(fixture));
        assert_string_equal(
            failure, "the certificate does not name imap-a1.example.org");
    }
}

static void an_expired_backend_is_refused_with_a_reason(void **state)
{
    struct fixture *fixture = *state;

    build_backend(fixture, &(struct test_recipe){.dns = {"imap-a1.example.org"},
                                                 .begins_s = -2 * hour_s,
                                                 .ends_s = -hour_s,
                                                 .issuer = fixture->authority});

    assert_false(connects(fixture));
    assert_non_null(strstr(failure, "expired"));
}

static void a_self_signed_backend_is_refused(void **state)
{
    struct fixture *fixture = *state;

    build_backend(fixture,
                  &(struct test_recipe){.dns = {"imap-a1.example.org"}});

    assert_false(connects(fixture));
    assert_string_not_equal(failure, "");
}

static void a_refused_backend_hears_bad_certificate(void **state)
{
    struct fixture *fixture = *state;
    struct tls_pair pair;

    build_backend(fixture,
                  &(struct test_recipe){.dns = {"imap-a1.example.org"}});
    speak(fixture, TLS1_2_VERSION);
    assert_true(build(fixture));
    pair = start(fixture);

    assert_false(tls_pair_handshake(&pair));
    assert_int_equal(pair.client_alert[1], SSL_AD_BAD_CERTIFICATE);
    tls_pair_deinit(&pair);
}

static void refusing_works_without_a_hook(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.verify_failed = NULL;
    build_backend(fixture,
                  &(struct test_recipe){.dns = {"imap-a1.example.org"}});

    assert_false(connects(fixture));
}

static void anyone_is_believed_only_where_nothing_is_verified(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.verify = false;
    fixture->config.anchors = NULL;
    build_backend(fixture, &(struct test_recipe){.dns = {"elsewhere.example"},
                                                 .ends_s = -hour_s,
                                                 .begins_s = -2 * hour_s});

    for (size_t i = 0; i < 2; i++) {
        speak(fixture, versions[i]);
        assert_true(connects(fixture));
    }
    assert_string_equal(failure, "");
}

static void an_address_is_verified_as_an_address(void **state)
{
    static const uint8_t address[] = {192, 0, 2, 1};
    struct fixture *fixture = *state;

    fixture->config.name = "192.0.2.1";
    build_backend(fixture, &(struct test_recipe){.address = address,
                                                 .address_len = sizeof(address),
                                                 .issuer = fixture->authority});
    assert_true(connects(fixture));
    build_backend(fixture, &(struct test_recipe){.dns = {"192.0.2.1"},
                                                 .issuer = fixture->authority});
    assert_false(connects(fixture));
}

/* What it says. */

static void the_name_is_sent_as_sni(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.name = "IMAP-A1.example.org.";
    build_usual_backend(fixture);

    assert_true(connects(fixture));
    assert_string_equal(asked, "imap-a1.example.org");
    assert_string_equal(tls_client_context_name(fixture->context),
                        "imap-a1.example.org");
}

static void the_name_is_let_go_once_it_was_sent(void **state)
{
    struct fixture *fixture = *state;
    struct tls_pair pair;

    build_usual_backend(fixture);
    assert_true(build(fixture));
    pair = start(fixture);

    assert_true(finish(&pair));
    assert_null(SSL_get_servername(pair.client, TLSEXT_NAMETYPE_host_name));
    tls_pair_deinit(&pair);
}

static void an_address_is_not_sent_as_sni(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.name = "192.0.2.1";
    fixture->config.verify = false;
    build_usual_backend(fixture);

    assert_true(connects(fixture));
    assert_string_equal(asked, "none");
}

static void nothing_older_than_tls_1_2_is_spoken(void **state)
{
    struct fixture *fixture = *state;

    build_usual_backend(fixture);
    speak(fixture, TLS1_1_VERSION);

    assert_false(connects(fixture));
}

static void only_ecdhe_with_aead_is_offered(void **state)
{
    struct fixture *fixture = *state;

    build_backend(fixture, &(struct test_recipe){.dns = {"imap-a1.example.org"},
                                                 .key = TEST_KEY_RSA_2048,
                                                 .issuer = fixture->authority});
    speak(fixture, TLS1_2_VERSION);

    assert_true(SSL_CTX_set_strict_cipher_list(
        fixture->backend, "ECDHE-RSA-AES128-SHA:AES128-GCM-SHA256"));
    assert_false(connects(fixture));
    assert_true(SSL_CTX_set_strict_cipher_list(fixture->backend,
                                               "ECDHE-RSA-CHACHA20-POLY1305"));
    assert_true(connects(fixture));
}

static enum ssl_verify_result_t believe(SSL *ssl, uint8_t *alert_out)
{
    (void)ssl;
    (void)alert_out;
    return ssl_verify_ok;
}

static void ask_for_certificate(SSL *ssl)
{
    SSL_set_custom_verify(
        ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, believe);
}

static void our_certificate_is_sent_only_when_asked_for(void **state)
{
    struct fixture *fixture = *state;
    const STACK_OF(CRYPTO_BUFFER) * seen;

    fixture->own_certificate =
        test_certificate_new(&(struct test_recipe){.common_name = "gatepost"});
    fixture->config.certificate =
        test_chain_file(fixture->own_certificate, "own.pem");
    fixture->config.key = test_key_file(fixture->own_certificate, "own.key");
    build_usual_backend(fixture);
    assert_true(build(fixture));

    for (size_t i = 0; i < 4; i++) {
        bool is_asked = i >= 2;
        struct tls_pair pair;

        speak(fixture, versions[i % 2]);
        pair = start(fixture);
        if (is_asked)
            ask_for_certificate(pair.server);
        assert_true(finish(&pair));
        seen = SSL_get0_peer_certificates(pair.server);
        assert_int_equal(seen == NULL ? 0 : sk_CRYPTO_BUFFER_num(seen),
                         is_asked ? 1 : 0);
        tls_pair_deinit(&pair);
    }
}

static void asked_without_a_certificate_it_sends_none(void **state)
{
    struct fixture *fixture = *state;
    struct tls_pair pair;

    build_usual_backend(fixture);
    assert_true(build(fixture));
    pair = start(fixture);
    SSL_set_verify(pair.server, SSL_VERIFY_PEER, NULL);

    assert_true(finish(&pair));
    tls_pair_deinit(&pair);
}

/* What it resumes: threats.md, E9. */

/* One connection from its first to its last byte. */
struct outcome {
    bool is_good;
    bool is_resumed;
};

static struct outcome connect_once(struct fixture *fixture)
{
    struct tls_pair pair = start(fixture);
    struct outcome outcome;

    failure[0] = '\0';
    outcome.is_good = finish(&pair);
    outcome.is_resumed = SSL_session_reused(pair.client) != 0;
    tls_pair_deinit(&pair);
    return outcome;
}

static void assert_connects(struct fixture *fixture, bool is_resumed)
{
    struct outcome outcome = connect_once(fixture);

    assert_true(outcome.is_good);
    assert_int_equal(outcome.is_resumed, is_resumed);
}

static void assert_refused(struct fixture *fixture, const char *reason)
{
    assert_false(connect_once(fixture).is_good);
    assert_non_null(strstr(failure, reason));
}

/* A context and a backend of one version, after a first connection. */
static void meet(struct fixture *fixture, uint16_t version)
{
    speak(fixture, version);
    assert_true(build(fixture));
    assert_connects(fixture, false);
}

static void the_second_connection_is_resumed(void **state)
{
    struct fixture *fixture = *state;

    build_usual_backend(fixture);

    for (size_t i = 0; i < 2; i++) {
        meet(fixture, versions[i]);
        for (size_t j = 0; j < 20; j++)
            assert_connects(fixture, true);
    }
}

static void sessions_are_resumed_where_nothing_is_verified(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.verify = false;
    fixture->config.anchors = NULL;
    build_usual_backend(fixture);

    for (size_t i = 0; i < 2; i++) {
        meet(fixture, versions[i]);
        assert_connects(fixture, true);
    }
}

static void sessions_are_resumed_with_a_certificate_of_our_own(void **state)
{
    struct fixture *fixture = *state;

    fixture->own_certificate =
        test_certificate_new(&(struct test_recipe){.common_name = "gatepost"});
    fixture->config.certificate =
        test_chain_file(fixture->own_certificate, "own.pem");
    fixture->config.key = test_key_file(fixture->own_certificate, "own.key");
    build_usual_backend(fixture);
    SSL_CTX_set_custom_verify(fixture->backend,
                              SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                              believe);
    assert_true(SSL_CTX_set_session_id_context(fixture->backend,
                                               (const uint8_t *)"b", 1));

    for (size_t i = 0; i < 2; i++) {
        meet(fixture, versions[i]);
        assert_connects(fixture, true);
    }
}

static void a_resumed_connection_sends_its_name_and_lets_it_go(void **state)
{
    struct fixture *fixture = *state;

    build_usual_backend(fixture);

    for (size_t i = 0; i < 2; i++) {
        struct tls_pair pair;

        meet(fixture, versions[i]);
        memset(asked, 0, sizeof(asked));
        pair = start(fixture);
        assert_true(finish(&pair));
        assert_true(SSL_session_reused(pair.client));
        assert_string_equal(asked, "imap-a1.example.org");
        assert_null(SSL_get_servername(pair.client, TLSEXT_NAMETYPE_host_name));
        tls_pair_deinit(&pair);
    }
}

static void a_ticket_of_tls_1_3_is_used_once(void **state)
{
    struct fixture *fixture = *state;
    struct tls_pair pairs[3];

    build_usual_backend(fixture);
    meet(fixture, TLS1_3_VERSION);

    /* The backend gave two tickets, and gives none while these are begun. */
    for (size_t i = 0; i < 3; i++)
        pairs[i] = start(fixture);
    for (size_t i = 0; i < 3; i++) {
        assert_true(finish(&pairs[i]));
        assert_int_equal(SSL_session_reused(pairs[i].client), i < 2);
        tls_pair_deinit(&pairs[i]);
    }
}

static void another_context_of_the_same_backend_resumes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct tls_client_context *first;

    fixture->config.verify = false;
    fixture->config.anchors = NULL;
    build_usual_backend(fixture);

    for (size_t i = 0; i < 2; i++) {
        meet(fixture, versions[i]);
        first = tls_client_context_ref(fixture->context);
        assert_true(build(fixture));
        assert_connects(fixture, false);
        tls_client_context_unref(&first);
    }
}

static void a_backend_that_has_forgotten_us_gets_a_full_handshake(void **state)
{
    static const uint8_t other_keys[48] = {1};
    struct fixture *fixture = *state;

    build_usual_backend(fixture);

    for (size_t i = 0; i < 2; i++) {
        meet(fixture, versions[i]);
        assert_true(SSL_CTX_set_tlsext_ticket_keys(fixture->backend, other_keys,
                                                   sizeof(other_keys)));
        SSL_CTX_flush_sessions(fixture->backend, 0);
        assert_connects(fixture, false);
        assert_connects(fixture, true);
        build_usual_backend(fixture);
    }
}

static void a_backend_that_gives_nothing_to_resume_is_spoken_to(void **state)
{
    struct fixture *fixture = *state;

    build_usual_backend(fixture);
    SSL_CTX_set_session_cache_mode(fixture->backend, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(fixture->backend, SSL_OP_NO_TICKET);

    for (size_t i = 0; i < 2; i++) {
        meet(fixture, versions[i]);
        assert_connects(fixture, false);
    }
}

static void a_session_id_does_where_there_are_no_tickets(void **state)
{
    struct fixture *fixture = *state;

    build_usual_backend(fixture);
    SSL_CTX_set_options(fixture->backend, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(fixture->backend, SSL_SESS_CACHE_SERVER);

    meet(fixture, TLS1_2_VERSION);
    assert_connects(fixture, true);
}

static void a_session_of_another_version_is_no_obstacle(void **state)
{
    struct fixture *fixture = *state;

    build_usual_backend(fixture);

    for (size_t i = 0; i < 2; i++) {
        meet(fixture, versions[i]);
        speak(fixture, versions[1 - i]);
        assert_connects(fixture, false);
        assert_connects(fixture, true);
    }
}

static void after_forgetting_the_next_handshake_is_full(void **state)
{
    struct fixture *fixture = *state;

    build_usual_backend(fixture);

    for (size_t i = 0; i < 2; i++) {
        meet(fixture, versions[i]);
        tls_client_context_forget(fixture->context);
        assert_connects(fixture, false);
        assert_connects(fixture, true);
    }
}

/* A connection that is to offer the last session there is. */
static SSL *open_with_last_session(const struct fixture *fixture)
{
    SSL *last = NULL;
    SSL *next = tls_client_context_open(fixture->context);

    while (SSL_get_session(next) != NULL) {
        SSL_free(last);
        last = next;
        next = tls_client_context_open(fixture->context);
    }
    SSL_free(next);
    assert_non_null(last);
    return last;
}

static void what_met_no_peer_leaves_its_session_to_the_next(void **state)
{
    struct fixture *fixture = *state;
    SSL *unused;

    build_usual_backend(fixture);
    meet(fixture, TLS1_3_VERSION);

    unused = open_with_last_session(fixture);
    tls_client_context_unused(fixture->context, unused);
    SSL_free(unused);

    assert_connects(fixture, true);
}

static void no_early_data_is_offered(void **state)
{
    struct fixture *fixture = *state;
    struct tls_pair pair;

    build_usual_backend(fixture);
    SSL_CTX_set_early_data_enabled(fixture->backend, 1);
    meet(fixture, TLS1_3_VERSION);
    pair = start(fixture);

    SSL_do_handshake(pair.client);
    assert_false(SSL_in_early_data(pair.client));
    assert_true(finish(&pair));
    assert_true(SSL_session_reused(pair.client));
    assert_false(SSL_early_data_accepted(pair.client));
    tls_pair_deinit(&pair);
}

static void tickets_that_outlive_the_context_go_nowhere(void **state)
{
    struct fixture *fixture = *state;
    struct tls_pair pair;

    build_usual_backend(fixture);
    speak(fixture, TLS1_3_VERSION);
    assert_true(build(fixture));
    pair = start(fixture);
    pair.holds_tickets = true;
    assert_true(tls_pair_handshake(&pair));
    tls_client_context_unref(&fixture->context);

    assert_true(tls_pair_talks(&pair));
    assert_int_equal(SSL_CTX_sess_get_new_cb(SSL_get_SSL_CTX(pair.client))(
                         pair.client, SSL_get_session(pair.client)),
                     0);
    tls_pair_deinit(&pair);
}

/* What it believes a second time. */

static void a_resumed_backend_is_refused_once_it_expires(void **state)
{
    struct fixture *fixture = *state;

    build_backend(fixture, &(struct test_recipe){.dns = {"imap-a1.example.org"},
                                                 .ends_s = hour_s,
                                                 .issuer = fixture->authority});

    for (size_t i = 0; i < 2; i++) {
        clock_ahead_s = 0;
        meet(fixture, versions[i]);
        clock_ahead_s = hour_s - 60;
        assert_connects(fixture, true);
        clock_ahead_s = hour_s;
        assert_refused(fixture, "expired");
    }
}

static void a_resumed_backend_is_refused_before_its_time(void **state)
{
    struct fixture *fixture = *state;

    build_backend(fixture, &(struct test_recipe){.dns = {"imap-a1.example.org"},
                                                 .begins_s = -hour_s,
                                                 .issuer = fixture->authority});

    for (size_t i = 0; i < 2; i++) {
        clock_ahead_s = 0;
        meet(fixture, versions[i]);
        clock_ahead_s = -hour_s - 60;
        assert_refused(fixture, "not yet valid");
    }
}

static void a_backend_expires_with_the_authority_above_it(void **state)
{
    struct fixture *fixture = *state;
    struct test_certificate *between = test_certificate_new(
        &(struct test_recipe){.common_name = "between",
                              .is_authority = true,
                              .ends_s = hour_s,
                              .key = TEST_KEY_OTHER_P256,
                              .issuer = fixture->authority});

    build_backend(fixture, &(struct test_recipe){.dns = {"imap-a1.example.org"},
                                                 .issuer = between});
    assert_true(SSL_CTX_add1_chain_cert(fixture->backend,
                                        test_certificate_x509(between)));

    for (size_t i = 0; i < 2; i++) {
        clock_ahead_s = 0;
        meet(fixture, versions[i]);
        assert_connects(fixture, true);
        clock_ahead_s = hour_s + 60;
        assert_refused(fixture, "expired");
    }
    test_certificate_free(&between);
}

static void a_full_handshake_too_sees_that_the_time_is_over(void **state)
{
    struct fixture *fixture = *state;

    build_backend(fixture, &(struct test_recipe){.dns = {"imap-a1.example.org"},
                                                 .ends_s = hour_s,
                                                 .issuer = fixture->authority});

    for (size_t i = 0; i < 2; i++) {
        clock_ahead_s = 0;
        meet(fixture, versions[i]);
        tls_client_context_forget(fixture->context);
        clock_ahead_s = hour_s;
        assert_refused(fixture, "expired");
    }
}

/* Every certificate of a backend but the one that was verified last. */
static void a_backend_that_changes_its_certificate_is_verified(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < 2; i++) {
        build_usual_backend(fixture);
        meet(fixture, versions[i]);
        build_backend(fixture,
                      &(struct test_recipe){.dns = {"imap-a2.example.org"},
                                            .issuer = fixture->authority});
        speak(fixture, versions[i]);
        assert_refused(fixture, "does not name");
        build_backend(fixture,
                      &(struct test_recipe){.dns = {"imap-a1.example.org"}});
        speak(fixture, versions[i]);
        assert_refused(fixture, "certificate 1");
    }
}

/* Each side minds its own knobs: threats.md, E8. */

static struct tls_server_context *new_front(struct fixture *fixture,
                                            struct ticket_keys *keys,
                                            enum tls_policy policy)
{
    struct tls_server_certificate files = {
        test_chain_file(fixture->backend_certificate, "front.pem"),
        test_key_file(fixture->backend_certificate, "front.key")};
    struct tls_server_config config = {.certificates = &files,
                                       .certificate_count = 1,
                                       .policy = policy,
                                       .now = fixture->config.now};

    return tls_server_context_new(&config, keys, fixture->reasons);
}

static bool front_accepts(struct tls_server_context *front, SSL_CTX *client,
                          SSL_SESSION *session)
{
    struct tls_pair pair;
    bool is_good;

    tls_pair_init(&pair, SSL_new(client),
                  tls_server_context_open(front, false));
    SSL_set_connect_state(pair.client);
    SSL_set_session(pair.client, session);
    is_good =
        finish(&pair) && (session == NULL || SSL_session_reused(pair.server));
    tls_pair_deinit(&pair);
    return is_good;
}

static void cbc_in_front_is_not_cbc_behind(void **state)
{
    struct fixture *fixture = *state;
    struct ticket_keys *keys = ticket_keys_new(0);
    SSL_CTX *old = tls_plain_client(TLS1_2_VERSION, TLS1_2_VERSION);
    struct tls_server_context *front;

    build_usual_backend(fixture);
    front = new_front(fixture, keys, TLS_POLICY_COMPATIBLE);
    assert_true(SSL_CTX_set_strict_cipher_list(old, "ECDHE-ECDSA-AES128-SHA"));
    speak(fixture, TLS1_2_VERSION);
    assert_true(SSL_CTX_set_strict_cipher_list(fixture->backend,
                                               "ECDHE-ECDSA-AES128-SHA"));

    assert_true(front_accepts(front, old, NULL));
    assert_false(connects(fixture));
    tls_server_context_unref(&front);
    ticket_keys_unref(&keys);
    SSL_CTX_free(old);
}

static void verifying_backends_asks_nothing_of_clients(void **state)
{
    struct fixture *fixture = *state;
    struct ticket_keys *keys = ticket_keys_new(0);
    SSL_CTX *plain = tls_plain_client(TLS1_2_VERSION, TLS1_3_VERSION);
    struct tls_server_context *front;

    build_usual_backend(fixture);
    front = new_front(fixture, keys, TLS_POLICY_MODERN);

    assert_true(connects(fixture));
    assert_true(front_accepts(front, plain, NULL));
    tls_server_context_unref(&front);
    ticket_keys_unref(&keys);
    SSL_CTX_free(plain);
}

static SSL_SESSION *kept;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(kept);
    kept = session;
    return 1;
}

static void refusing_tickets_behind_gives_tickets_in_front(void **state)
{
    struct fixture *fixture = *state;
    struct ticket_keys *keys = ticket_keys_new(0);
    SSL_CTX *plain = tls_plain_client(TLS1_2_VERSION, TLS1_2_VERSION);
    struct tls_server_context *front;

    build_usual_backend(fixture);
    front = new_front(fixture, keys, TLS_POLICY_MODERN);
    SSL_CTX_set_session_cache_mode(plain, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(plain, keep_session);

    assert_true(connects(fixture));
    assert_true(front_accepts(front, plain, NULL));
    assert_non_null(kept);
    assert_true(front_accepts(front, plain, kept));
    SSL_SESSION_free(kept);
    kept = NULL;
    tls_server_context_unref(&front);
    ticket_keys_unref(&keys);
    SSL_CTX_free(plain);
}

static void alpn_of_the_front_is_not_offered_behind(void **state)
{
    struct fixture *fixture = *state;
    struct ticket_keys *keys = ticket_keys_new(0);
    struct tls_server_context *front;
    struct tls_pair pair;
    const uint8_t *chosen;
    unsigned len;

    build_usual_backend(fixture);
    assert_true(build(fixture));
    front = new_front(fixture, keys, TLS_POLICY_MODERN);
    tls_pair_init(&pair, tls_client_context_open(fixture->context),
                  tls_server_context_open(front, false));

    assert_true(finish(&pair));
    SSL_get0_alpn_selected(pair.server, &chosen, &len);
    assert_int_equal(len, 0);
    tls_pair_deinit(&pair);
    tls_server_context_unref(&front);
    ticket_keys_unref(&keys);
}

/* Size and lifetime. */

static SSL *make_client(void *owner)
{
    struct fixture *fixture = owner;
    struct tls_pair pair = start(fixture);
    SSL *made = NULL;

    if (finish(&pair)) {
        tls_pair_drop_bios(&pair);
        made = pair.client;
        pair.client = NULL;
    }
    tls_pair_deinit(&pair);
    return made;
}

static void an_idle_client_is_small(void **state)
{
    struct fixture *fixture = *state;

    if (!MALLOC_IS_MEASURABLE)
        skip();
    build_usual_backend(fixture);
    /* Else what the backend remembers is counted too. */
    SSL_CTX_set_session_cache_mode(fixture->backend, SSL_SESS_CACHE_OFF);
    assert_true(build(fixture));

    for (size_t i = 0; i < 2; i++) {
        size_t bytes;

        speak(fixture, versions[i]);
        bytes = tls_weight(make_client, fixture);
        print_message("TLS 1.%zu: %zu bytes per client\n", i + 2, bytes);
        assert_in_range(bytes, 1, CLIENT_BYTES_MAX);
    }
}

static void connections_share_one_copy_of_the_chain(void **state)
{
    struct fixture *fixture = *state;
    struct tls_pair first;
    struct tls_pair second;

    build_usual_backend(fixture);
    assert_true(build(fixture));
    first = start(fixture);
    second = start(fixture);

    assert_true(finish(&first));
    assert_true(finish(&second));
    assert_ptr_equal(
        sk_CRYPTO_BUFFER_value(SSL_get0_peer_certificates(first.client), 0),
        sk_CRYPTO_BUFFER_value(SSL_get0_peer_certificates(second.client), 0));
    tls_pair_deinit(&first);
    tls_pair_deinit(&second);
}

static void a_connection_outlives_its_context(void **state)
{
    struct fixture *fixture = *state;
    struct tls_pair pair;

    build_usual_backend(fixture);
    assert_true(build(fixture));
    pair = start(fixture);
    assert_true(finish(&pair));
    tls_client_context_unref(&fixture->context);

    assert_true(tls_pair_talks(&pair));
    assert_int_equal(SSL_shutdown(pair.client), 0);
    tls_pair_deinit(&pair);
}

static void a_context_lives_until_its_last_reference(void **state)
{
    struct fixture *fixture = *state;
    struct tls_client_context *second;
    struct tls_pair pair;

    build_usual_backend(fixture);
    assert_true(build(fixture));
    second = tls_client_context_ref(fixture->context);
    tls_client_context_unref(&second);
    pair = start(fixture);

    assert_null(second);
    assert_true(finish(&pair));
    tls_pair_deinit(&pair);
}

/* Loading. */

static void names_that_are_none_are_refused_with_their_place(void **state)
{
    static const char *const names[] = {"", "a b", "127.1", "*.example.org",
                                        "imap.example.org:993"};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        fixture->config.name = names[i];
        assert_false(build(fixture));
        assert_int_equal(fixture->reasons->errors, i + 1);
        assert_string_equal(fixture->reasons->items[i].file, "routes.json");
        assert_string_equal(fixture->reasons->items[i].path,
                            "$.backends.imap-a1");
        assert_non_null(strstr(fixture->reasons->items[i].found, names[i]));
    }
}

static void a_key_that_does_not_match_names_both_files(void **state)
{
    struct fixture *fixture = *state;
    struct test_certificate *other =
        test_certificate_new(&(struct test_recipe){.key = TEST_KEY_OTHER_P256});

    fixture->own_certificate = test_certificate_new(&(struct test_recipe){0});
    fixture->config.certificate =
        test_chain_file(fixture->own_certificate, "own.pem");
    fixture->config.key = test_key_file(other, "other.key");

    assert_false(build(fixture));
    assert_string_equal(fixture->reasons->items[0].file, "other.key");
    assert_non_null(strstr(fixture->reasons->items[0].expected, "own.pem"));
    test_certificate_free(&other);
}

static void a_certificate_without_its_key_is_refused(void **state)
{
    struct fixture *fixture = *state;

    fixture->own_certificate = test_certificate_new(&(struct test_recipe){0});
    fixture->config.certificate =
        test_chain_file(fixture->own_certificate, "own.pem");
    fixture->config.key.name = "none.key";

    assert_false(build(fixture));
    assert_int_equal(fixture->reasons->errors, 1);
}

static void equal_inputs_match(void **state)
{
    struct fixture *fixture = *state;

    assert_true(build(fixture));
    fixture->config.name = "Imap-A1.example.org.";
    fixture->config.file = "moved.json";
    fixture->config.now += hour_s;

    assert_true(tls_client_context_matches(fixture->context, &fixture->config));
}

static void any_other_input_does_not_match(void **state)
{
    struct fixture *fixture = *state;
    struct tls_client_config usual = fixture->config;

    assert_true(build(fixture));
    fixture->config.name = "imap-a2.example.org";
    assert_false(
        tls_client_context_matches(fixture->context, &fixture->config));
    fixture->config = usual;
    fixture->config.verify = false;
    assert_false(
        tls_client_context_matches(fixture->context, &fixture->config));
    fixture->config = usual;
    fixture->config.anchors = NULL;
    assert_false(
        tls_client_context_matches(fixture->context, &fixture->config));
    fixture->config = usual;
    fixture->config.verify_failed = NULL;
    assert_false(
        tls_client_context_matches(fixture->context, &fixture->config));
    fixture->config = usual;
    fixture->own_certificate = test_certificate_new(&(struct test_recipe){0});
    fixture->config.certificate =
        test_chain_file(fixture->own_certificate, "own.pem");
    assert_false(
        tls_client_context_matches(fixture->context, &fixture->config));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_backend_that_proves_its_name_is_believed),
        TEST(a_backend_of_another_name_is_refused_with_a_reason),
        TEST(an_expired_backend_is_refused_with_a_reason),
        TEST(a_self_signed_backend_is_refused),
        TEST(a_refused_backend_hears_bad_certificate),
        TEST(refusing_works_without_a_hook),
        TEST(anyone_is_believed_only_where_nothing_is_verified),
        TEST(an_address_is_verified_as_an_address),
        TEST(the_name_is_sent_as_sni),
        TEST(the_name_is_let_go_once_it_was_sent),
        TEST(an_address_is_not_sent_as_sni),
        TEST(nothing_older_than_tls_1_2_is_spoken),
        TEST(only_ecdhe_with_aead_is_offered),
        TEST(our_certificate_is_sent_only_when_asked_for),
        TEST(asked_without_a_certificate_it_sends_none),
        TEST(the_second_connection_is_resumed),
        TEST(sessions_are_resumed_where_nothing_is_verified),
        TEST(sessions_are_resumed_with_a_certificate_of_our_own),
        TEST(a_resumed_connection_sends_its_name_and_lets_it_go),
        TEST(a_ticket_of_tls_1_3_is_used_once),
        TEST(another_context_of_the_same_backend_resumes_nothing),
        TEST(a_backend_that_has_forgotten_us_gets_a_full_handshake),
        TEST(a_backend_that_gives_nothing_to_resume_is_spoken_to),
        TEST(a_session_id_does_where_there_are_no_tickets),
        TEST(a_session_of_another_version_is_no_obstacle),
        TEST(after_forgetting_the_next_handshake_is_full),
        TEST(what_met_no_peer_leaves_its_session_to_the_next),
        TEST(no_early_data_is_offered),
        TEST(tickets_that_outlive_the_context_go_nowhere),
        TEST(a_resumed_backend_is_refused_once_it_expires),
        TEST(a_resumed_backend_is_refused_before_its_time),
        TEST(a_backend_expires_with_the_authority_above_it),
        TEST(a_full_handshake_too_sees_that_the_time_is_over),
        TEST(a_backend_that_changes_its_certificate_is_verified),
        TEST(cbc_in_front_is_not_cbc_behind),
        TEST(verifying_backends_asks_nothing_of_clients),
        TEST(refusing_tickets_behind_gives_tickets_in_front),
        TEST(alpn_of_the_front_is_not_offered_behind),
        TEST(an_idle_client_is_small),
        TEST(connections_share_one_copy_of_the_chain),
        TEST(a_connection_outlives_its_context),
        TEST(a_context_lives_until_its_last_reference),
        TEST(names_that_are_none_are_refused_with_their_place),
        TEST(a_key_that_does_not_match_names_both_files),
        TEST(a_certificate_without_its_key_is_refused),
        TEST(equal_inputs_match),
        TEST(any_other_input_does_not_match),
    };

    return cmocka_run_group_tests(tests, NULL, tear_down_group);
}
