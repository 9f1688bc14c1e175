/* Clients that are asked for a certificate, in whole handshakes: who is let
 * in, who is told what, and who is asked at all. */
#include "net/client_trust.h"

#include "net/client_certificate.h"
#include "net/tls_server_context.h"

#include "certificates.h"
#include "tls_pair.h"
#include "tls_weight.h"

#include <openssl/err.h>
#include <openssl/nid.h>
#include <openssl/pool.h>
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

static const long hour_s = 60L * 60;
static const long day_s = 24L * 60 * 60;
static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

enum {
    VERSIONS = 2,
    MADE_MAX = 24,
    TEXTS_MAX = 2,
    NO_ALERT = 0
};

/* A server that asks, its authority, and a client to come. */
struct fixture {
    struct test_certificate *made[MADE_MAX]; /* all to be freed */
    size_t made_count;
    uint8_t *texts[TEXTS_MAX]; /* likewise */
    size_t text_count;
    struct test_certificate *authority;
    struct tls_server_certificate site;
    struct tls_server_config config;
    struct ticket_keys *keys;
    struct reasons *reasons;
    struct tls_server_context *context;
    bool is_not_asked;
    SSL_CTX *client;
    unsigned asked;       /* how often the client was asked for one */
    size_t named;         /* authorities named then */
    unsigned tickets;     /* it was given */
    SSL_SESSION *session; /* the last of them */
};

static char refused[CERTIFICATE_WHY_MAX];

static void note_refused(SSL *ssl, const char *why)
{
    assert_non_null(ssl);
    snprintf(refused, sizeof(refused), "%s", why);
}

static struct test_certificate *make(struct fixture *fixture,
                                     const struct test_recipe *recipe)
{
    struct test_certificate *made = test_certificate_new(recipe);

    assert_true(fixture->made_count < MADE_MAX);
    fixture->made[fixture->made_count++] = made;
    return made;
}

static bool build(struct fixture *fixture)
{
    tls_server_context_unref(&fixture->context);
    fixture->context = tls_server_context_new(&fixture->config, fixture->keys,
                                              fixture->reasons);
    return fixture->context != NULL;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    const struct test_certificate *site =
        make(fixture, &(struct test_recipe){.dns = {"imap.example.org"}});

    fixture->authority =
        make(fixture, &(struct test_recipe){.common_name = "people",
                                            .is_authority = true});
    fixture->site.chain = test_chain_file(site, "site.pem");
    fixture->site.key = test_key_file(site, "site.key");
    fixture->config = (struct tls_server_config){
        .certificates = &fixture->site,
        .certificate_count = 1,
        .client_ca = test_anchor_file(fixture->authority, "people.pem"),
        .client_refused = note_refused,
        .now = (int64_t)time(NULL)};
    fixture->keys = ticket_keys_new(0);
    fixture->reasons = reasons_new();
    refused[0] = '\0';
    *state = fixture;
    return !build(fixture);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    SSL_SESSION_free(fixture->session);
    SSL_CTX_free(fixture->client);
    tls_server_context_unref(&fixture->context);
    ticket_keys_unref(&fixture->keys);
    reasons_free(&fixture->reasons);
    for (size_t i = 0; i < fixture->made_count; i++)
        test_certificate_free(&fixture->made[i]);
    for (size_t i = 0; i < fixture->text_count; i++)
        free(fixture->texts[i]);
    free(fixture);
    return 0;
}

static int tear_down_group(void **state)
{
    (void)state;
    test_keys_free();
    return 0;
}

/* Clients. */

static int note_asked(SSL *ssl, void *owner)
{
    struct fixture *fixture = owner;
    const STACK_OF(CRYPTO_BUFFER) *names = SSL_get0_server_requested_CAs(ssl);

    fixture->asked++;
    fixture->named = names == NULL ? 0 : sk_CRYPTO_BUFFER_num(names);
    return 1;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct fixture *fixture = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    SSL_SESSION_free(fixture->session);
    fixture->session = session;
    fixture->tickets++;
    return 1;
}

static void use_client(struct fixture *fixture, uint16_t version)
{
    SSL_CTX_free(fixture->client);
    fixture->client = tls_plain_client(version, version);
    SSL_CTX_set_app_data(fixture->client, fixture);
    SSL_CTX_set_cert_cb(fixture->client, note_asked, fixture);
    SSL_CTX_set_session_cache_mode(fixture->client, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(fixture->client, keep_session);
    fixture->asked = 0;
    fixture->named = 0;
    fixture->tickets = 0;
}

static void show(struct fixture *fixture,
                 const struct test_certificate *certificate)
{
    assert_true(SSL_CTX_use_certificate(fixture->client,
                                        test_certificate_x509(certificate)));
    assert_true(SSL_CTX_use_PrivateKey(fixture->client,
                                       test_certificate_key(certificate)));
}

static void show_behind(struct fixture *fixture,
                        const struct test_certificate *certificate)
{
    assert_true(SSL_CTX_add1_chain_cert(fixture->client,
                                        test_certificate_x509(certificate)));
}

static struct tls_pair start(struct fixture *fixture)
{
    struct tls_pair pair;
    SSL *client = SSL_new(fixture->client);

    SSL_set_connect_state(client);
    tls_pair_init(
        &pair, client,
        tls_server_context_open(fixture->context, !fixture->is_not_asked));
    return pair;
}

/* What the server told the client that it did not like. */
static int read_alert(struct tls_pair *pair)
{
    uint8_t byte;
    uint32_t error;

    ERR_clear_error();
    if (SSL_is_init_finished(pair->client))
        SSL_read(pair->client, &byte, 1);
    else
        SSL_do_handshake(pair->client);
    error = ERR_peek_error();
    ERR_clear_error();
    assert_in_range(ERR_GET_REASON(error), SSL_AD_REASON_OFFSET,
                    SSL_AD_REASON_OFFSET + 255);
    return ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;
}

/* The alert that ends the handshake, or NO_ALERT where it is good. The user
 * is set then, if the certificate names one. */
static char user[CLIENT_CERTIFICATE_USER_MAX + 1];

static int meet(struct fixture *fixture)
{
    struct tls_pair pair = start(fixture);
    int alert = NO_ALERT;

    user[0] = '\0';
    if (!tls_pair_handshake(&pair))
        alert = read_alert(&pair);
    else if (!tls_pair_talks(&pair))
        fail_msg("the handshake is done, but nothing comes through");
    else if (!client_certificate_user(pair.server, CERTIFICATE_USER_EMAIL, user,
                                      sizeof(user)))
        assert_string_equal(user, "");
    tls_pair_deinit(&pair);
    return alert;
}

/* The same for each version, with a certificate of the recipe. */
static int meet_shown(struct fixture *fixture, const struct test_recipe *recipe)
{
    const struct test_certificate *certificate = make(fixture, recipe);
    int alerts[VERSIONS];

    for (size_t i = 0; i < VERSIONS; i++) {
        use_client(fixture, versions[i]);
        show(fixture, certificate);
        alerts[i] = meet(fixture);
    }
    assert_int_equal(alerts[0], alerts[1]);
    return alerts[0];
}

static struct test_recipe person(const struct test_certificate *issuer)
{
    return (struct test_recipe){.common_name = "Alice Smith",
                                .emails = {"alice@example.org"},
                                .purpose = TEST_PURPOSE_CLIENT,
                                .key = TEST_KEY_OTHER_P256,
                                .issuer = issuer};
}

/* Who is let in. */

static void a_certificate_of_the_authority_names_its_user(void **state)
{
    struct fixture *fixture = *state;
    const struct test_recipe alice = person(fixture->authority);

    assert_int_equal(meet_shown(fixture, &alice), NO_ALERT);
    assert_string_equal(user, "alice@example.org");
    assert_int_equal(fixture->asked, 1);
    assert_string_equal(refused, "");
}

static void a_client_without_a_certificate_is_nobody(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < VERSIONS; i++) {
        use_client(fixture, versions[i]);
        assert_int_equal(meet(fixture), NO_ALERT);
        assert_string_equal(user, "");
        assert_int_equal(fixture->asked, 1);
    }
}

static void a_certificate_without_the_name_names_nobody(void **state)
{
    struct fixture *fixture = *state;
    struct test_recipe alice = person(fixture->authority);

    alice.emails[0] = NULL;

    assert_int_equal(meet_shown(fixture, &alice), NO_ALERT);
    assert_string_equal(user, "");
}

static void a_certificate_without_a_purpose_is_good(void **state)
{
    struct fixture *fixture = *state;
    struct test_recipe alice = person(fixture->authority);

    alice.purpose = TEST_PURPOSE_ANY;

    assert_int_equal(meet_shown(fixture, &alice), NO_ALERT);
    assert_string_equal(user, "alice@example.org");
}

static void every_kind_of_key_is_good(void **state)
{
    static const enum test_key kinds[] = {TEST_KEY_P384, TEST_KEY_P521,
                                          TEST_KEY_RSA_2048};
    struct fixture *fixture = *state;
    struct test_recipe alice = person(fixture->authority);

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        alice.key = kinds[i];
        assert_int_equal(meet_shown(fixture, &alice), NO_ALERT);
        assert_string_equal(user, "alice@example.org");
    }
}

static void an_intermediate_authority_may_stand_between(void **state)
{
    struct fixture *fixture = *state;
    struct test_certificate *middle =
        make(fixture, &(struct test_recipe){.common_name = "staff",
                                            .is_authority = true,
                                            .key = TEST_KEY_P384,
                                            .issuer = fixture->authority});
    const struct test_recipe alice = person(middle);
    const struct test_certificate *certificate = make(fixture, &alice);

    for (size_t i = 0; i < VERSIONS; i++) {
        use_client(fixture, versions[i]);
        show(fixture, certificate);
        assert_int_equal(meet(fixture), SSL_AD_UNKNOWN_CA);
        show_behind(fixture, middle);
        assert_int_equal(meet(fixture), NO_ALERT);
        assert_string_equal(user, "alice@example.org");
    }
}

/* Who is not. */

static void a_certificate_of_a_foreign_authority_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct test_certificate *foreign =
        make(fixture, &(struct test_recipe){.common_name = "others",
                                            .is_authority = true});
    const struct test_recipe alice = person(foreign);

    assert_int_equal(meet_shown(fixture, &alice), SSL_AD_UNKNOWN_CA);
    assert_string_not_equal(refused, "");
}

/* Which has the authority's name and not its key. */
static void a_certificate_of_a_false_authority_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct test_certificate *foreign =
        make(fixture, &(struct test_recipe){.common_name = "people",
                                            .is_authority = true,
                                            .key = TEST_KEY_OTHER_P256});
    const struct test_recipe alice = person(foreign);

    assert_int_not_equal(meet_shown(fixture, &alice), NO_ALERT);
}

static void a_self_signed_certificate_is_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct test_recipe alice = person(NULL);

    assert_int_equal(meet_shown(fixture, &alice), SSL_AD_UNKNOWN_CA);
}

static void a_certificate_by_another_person_is_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct test_recipe bob = {.common_name = "Bob",
                                    .purpose = TEST_PURPOSE_CLIENT,
                                    .issuer = fixture->authority};
    struct test_certificate *signer = make(fixture, &bob);
    const struct test_recipe alice = person(signer);
    const struct test_certificate *certificate = make(fixture, &alice);

    for (size_t i = 0; i < VERSIONS; i++) {
        use_client(fixture, versions[i]);
        show(fixture, certificate);
        show_behind(fixture, signer);
        assert_int_not_equal(meet(fixture), NO_ALERT);
    }
}

static void an_expired_certificate_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct test_recipe alice = person(fixture->authority);

    alice.begins_s = -2 * day_s;
    alice.ends_s = -60;

    assert_int_equal(meet_shown(fixture, &alice), SSL_AD_CERTIFICATE_EXPIRED);
    assert_non_null(strstr(refused, "expired"));
}

static void a_certificate_of_the_future_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct test_recipe alice = person(fixture->authority);

    alice.begins_s = hour_s;

    /* RFC 8446, 6.2: "expired or is not currently valid" */
    assert_int_equal(meet_shown(fixture, &alice), SSL_AD_CERTIFICATE_EXPIRED);
    assert_non_null(strstr(refused, "not yet valid"));
}

static void a_server_certificate_is_no_clients(void **state)
{
    struct fixture *fixture = *state;
    struct test_recipe alice = person(fixture->authority);

    alice.purpose = TEST_PURPOSE_SERVER;

    assert_int_equal(meet_shown(fixture, &alice),
                     SSL_AD_UNSUPPORTED_CERTIFICATE);
}

/* No client that follows the rules would send it. */
static void a_certificate_that_may_not_sign_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct trust_anchors *anchors =
        trust_anchors_new(&fixture->config.client_ca, fixture->reasons);
    struct test_recipe recipe = person(fixture->authority);
    const struct test_certificate *sent[1];
    STACK_OF(CRYPTO_BUFFER) * chain;
    int error;

    recipe.purpose = TEST_PURPOSE_ENCRYPTION_ONLY;
    sent[0] = make(fixture, &recipe);
    chain = test_sent_chain(sent, 1);

    assert_false(certificate_check_client(anchors, chain, 0, &error, refused));
    assert_int_equal(error, X509_V_ERR_INVALID_PURPOSE);
    sk_CRYPTO_BUFFER_pop_free(chain, CRYPTO_BUFFER_free);
    trust_anchors_unref(&anchors);
}

static EVP_PKEY *thiefs_key;

static enum ssl_private_key_result_t
sign_with_own(SSL *ssl, uint8_t *out, size_t *out_len, size_t max,
              uint16_t algorithm, const uint8_t *in, size_t in_len)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool is_signed;

    (void)ssl;
    (void)algorithm;
    *out_len = max;
    is_signed =
        EVP_DigestSignInit(digest, NULL, EVP_sha256(), NULL, thiefs_key) &&
        EVP_DigestSign(digest, out, out_len, in, in_len);
    EVP_MD_CTX_free(digest);
    return is_signed ? ssl_private_key_success : ssl_private_key_failure;
}

static const SSL_PRIVATE_KEY_METHOD thief = {.sign = sign_with_own};

static void a_certificate_without_its_key_is_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct test_recipe recipe = person(fixture->authority);
    const struct test_certificate *alice = make(fixture, &recipe);

    thiefs_key = test_certificate_key(fixture->authority);
    for (size_t i = 0; i < VERSIONS; i++) {
        use_client(fixture, versions[i]);
        assert_true(SSL_CTX_use_certificate(fixture->client,
                                            test_certificate_x509(alice)));
        SSL_CTX_set_private_key_method(fixture->client, &thief);
        assert_int_equal(meet(fixture), SSL_AD_DECRYPT_ERROR);
    }
    thiefs_key = test_certificate_key(alice);
    assert_int_equal(meet(fixture), NO_ALERT);
}

static void a_chain_that_is_too_large_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct test_recipe alice = person(fixture->authority);

    alice.padding = 15000;
    assert_int_equal(meet_shown(fixture, &alice), NO_ALERT);
    alice.padding = 17000;

    assert_int_not_equal(meet_shown(fixture, &alice), NO_ALERT);
}

static void a_chain_of_too_many_is_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct test_recipe alice = person(fixture->authority);
    const struct test_certificate *certificate = make(fixture, &alice);

    for (size_t i = 0; i < VERSIONS; i++) {
        use_client(fixture, versions[i]);
        show(fixture, certificate);
        for (int more = 1; more < PEM_CHAIN_MAX; more++)
            show_behind(fixture, fixture->authority);
        assert_int_equal(meet(fixture), NO_ALERT);
        show_behind(fixture, fixture->authority);
        assert_int_equal(meet(fixture), SSL_AD_BAD_CERTIFICATE);
    }
}

/* Who is asked, and what. */

static void nobody_is_asked_where_the_listener_does_not(void **state)
{
    struct fixture *fixture = *state;
    const struct test_recipe alice = person(fixture->authority);

    fixture->is_not_asked = true;

    assert_int_equal(meet_shown(fixture, &alice), NO_ALERT);
    assert_int_equal(fixture->asked, 0);
    assert_string_equal(user, "");
}

static void nobody_is_asked_without_an_authority(void **state)
{
    struct fixture *fixture = *state;
    const struct test_recipe alice = person(fixture->authority);

    fixture->config.client_ca = (struct pem_file){.name = NULL};
    assert_true(build(fixture));

    assert_int_equal(meet_shown(fixture, &alice), NO_ALERT);
    assert_int_equal(fixture->asked, 0);
    assert_string_equal(user, "");
}

static void clients_are_asked_under_every_certificate_of_ours(void **state)
{
    struct fixture *fixture = *state;
    const struct test_certificate *other =
        make(fixture, &(struct test_recipe){.dns = {"mail.example.net"},
                                            .key = TEST_KEY_OTHER_P256});
    const struct tls_server_certificate both[] = {
        fixture->site,
        {test_chain_file(other, "b.pem"), test_key_file(other, "b.key")}};
    struct tls_pair pair;

    fixture->config.certificates = both;
    fixture->config.certificate_count = 2;
    assert_true(build(fixture));
    use_client(fixture, TLS1_3_VERSION);
    pair = start(fixture);
    assert_true(SSL_set_tlsext_host_name(pair.client, "mail.example.net"));

    assert_true(tls_pair_handshake(&pair));
    assert_int_equal(fixture->asked, 1);
    assert_int_equal(fixture->named, 1);
    tls_pair_deinit(&pair);
}

/* A file that ends in one more certificate. */
static void append(struct fixture *fixture, struct pem_file *file,
                   const struct test_certificate *made)
{
    struct pem_file more = test_anchor_file(made, file->name);
    uint8_t *both = malloc(file->len + more.len);

    assert_true(fixture->text_count < TEXTS_MAX);
    memcpy(both, file->bytes, file->len);
    memcpy(both + file->len, more.bytes, more.len);
    fixture->texts[fixture->text_count++] = both;
    file->bytes = both;
    file->len += more.len;
}

static void every_authority_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct pem_file both = test_anchor_file(fixture->authority, "two.pem");

    append(fixture, &both,
           make(fixture, &(struct test_recipe){.common_name = "staff",
                                               .is_authority = true}));
    fixture->config.client_ca = both;
    assert_true(build(fixture));

    for (size_t i = 0; i < VERSIONS; i++) {
        use_client(fixture, versions[i]);
        assert_int_equal(meet(fixture), NO_ALERT);
        assert_int_equal(fixture->named, 2);
    }
}

/* Names of authorities take so many bytes that one more goes over 8 KiB. */
static struct test_certificate *make_talkative(struct fixture *fixture,
                                               size_t count)
{
    static char text[5000];
    struct test_attribute name = {NID_organizationName, V_ASN1_UTF8STRING, text,
                                  0, false};

    memset(text, 'x', count);
    text[count] = '\0';
    return make(fixture,
                &(struct test_recipe){.subject = {name}, .is_authority = true});
}

static void a_bundle_of_authorities_is_not_named(void **state)
{
    struct fixture *fixture = *state;
    const struct test_recipe alice = person(fixture->authority);
    struct pem_file all = test_anchor_file(fixture->authority, "all.pem");

    append(fixture, &all, make_talkative(fixture, 4500));
    append(fixture, &all, make_talkative(fixture, 4501));
    fixture->config.client_ca = all;
    assert_true(build(fixture));

    assert_int_equal(meet_shown(fixture, &alice), NO_ALERT);
    assert_string_equal(user, "alice@example.org");
    assert_int_equal(fixture->named, 0);
    assert_int_equal(fixture->reasons->count, 1);
    assert_string_equal(fixture->reasons->items[0].file, "all.pem");
}

static void names_of_authorities_are_foretold_in_the_flight(void **state)
{
    struct fixture *fixture = *state;
    struct pem_file two = test_anchor_file(fixture->authority, "two.pem");

    append(fixture, &two, make_talkative(fixture, 4900));
    fixture->config.client_ca = two;
    assert_true(build(fixture));

    for (size_t i = 0; i < VERSIONS; i++) {
        struct tls_pair pair;

        use_client(fixture, versions[i]);
        pair = start(fixture);
        assert_true(tls_pair_handshake(&pair));
        assert_true(pair.flight_max > 4900);
        assert_in_range(tls_server_context_flight_max(fixture->context),
                        pair.flight_max, pair.flight_max + 4096);
        tls_pair_deinit(&pair);
    }
}

/* Tickets. */

static void who_is_asked_gets_no_ticket(void **state)
{
    struct fixture *fixture = *state;
    const struct test_recipe alice = person(fixture->authority);

    for (size_t i = 0; i < VERSIONS; i++) {
        use_client(fixture, versions[i]);
        assert_int_equal(meet(fixture), NO_ALERT);
        assert_int_equal(fixture->tickets, 0);
    }
    assert_int_equal(meet_shown(fixture, &alice), NO_ALERT);
    assert_int_equal(fixture->tickets, 0);
}

static void a_ticket_from_elsewhere_is_not_taken(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < VERSIONS; i++) {
        struct tls_pair pair;

        use_client(fixture, versions[i]);
        fixture->is_not_asked = true;
        assert_int_equal(meet(fixture), NO_ALERT);
        assert_int_equal(fixture->tickets, 1);
        fixture->is_not_asked = false;
        pair = start(fixture);
        assert_true(SSL_set_session(pair.client, fixture->session));

        assert_true(tls_pair_handshake(&pair));
        assert_false(SSL_session_reused(pair.server));
        assert_int_equal(fixture->asked, 1);
        tls_pair_deinit(&pair);
    }
}

static enum ssl_verify_result_t believe(SSL *ssl, uint8_t *alert_out)
{
    (void)ssl;
    (void)alert_out;
    return ssl_verify_ok;
}

/* Of a server that would resume what a certificate was shown for. */
static SSL_CTX *new_careless(const struct test_certificate *site)
{
    SSL_CTX *careless = SSL_CTX_new(TLS_method());

    assert_true(SSL_CTX_use_certificate(careless, test_certificate_x509(site)));
    assert_true(SSL_CTX_use_PrivateKey(careless, test_certificate_key(site)));
    SSL_CTX_set_session_id_context(careless, (const uint8_t *)"x", 1);
    SSL_CTX_set_custom_verify(careless, SSL_VERIFY_PEER, believe);
    return careless;
}

static void a_resumed_certificate_names_nobody(void **state)
{
    struct fixture *fixture = *state;
    const struct test_recipe recipe = person(fixture->authority);
    const struct test_certificate *alice = make(fixture, &recipe);
    SSL_CTX *careless = new_careless(fixture->made[0]);

    use_client(fixture, TLS1_3_VERSION);
    show(fixture, alice);
    for (int turn = 0; turn < 2; turn++) {
        SSL *server = SSL_new(careless);
        struct tls_pair pair;

        SSL_set_accept_state(server);
        tls_pair_init(&pair, SSL_new(fixture->client), server);
        SSL_set_connect_state(pair.client);
        if (turn == 1)
            assert_true(SSL_set_session(pair.client, fixture->session));
        assert_true(tls_pair_handshake(&pair) && tls_pair_talks(&pair));
        assert_non_null(SSL_get0_peer_certificates(pair.server));
        assert_int_equal(SSL_session_reused(pair.server), turn);
        assert_int_equal(client_certificate_user(pair.server,
                                                 CERTIFICATE_USER_EMAIL, user,
                                                 sizeof(user)),
                         turn == 0);
        tls_pair_deinit(&pair);
    }
    SSL_CTX_free(careless);
}

/* Loading. */

static void an_authority_that_changed_is_another_context(void **state)
{
    struct fixture *fixture = *state;
    struct test_certificate *other =
        make(fixture, &(struct test_recipe){.common_name = "people",
                                            .is_authority = true});

    assert_true(tls_server_context_matches(fixture->context, &fixture->config));
    fixture->config.client_ca = test_anchor_file(other, "people.pem");
    assert_false(
        tls_server_context_matches(fixture->context, &fixture->config));
    fixture->config.client_ca = (struct pem_file){.name = NULL};
    assert_false(
        tls_server_context_matches(fixture->context, &fixture->config));
    fixture->config.client_ca =
        test_anchor_file(fixture->authority, "renamed.pem");
    assert_true(tls_server_context_matches(fixture->context, &fixture->config));
    fixture->config.client_refused = NULL;
    assert_false(
        tls_server_context_matches(fixture->context, &fixture->config));
}

static void a_file_without_an_authority_is_told(void **state)
{
    struct fixture *fixture = *state;
    const struct test_recipe recipe = person(fixture->authority);
    const struct test_certificate *alice = make(fixture, &recipe);
    const struct pem_file files[] = {
        {"empty.pem", (const uint8_t *)"", 0},
        {"text.pem", (const uint8_t *)"no such thing", 13},
        test_anchor_file(alice, "alice.pem"),
        test_key_file(alice, "alice.key")};

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        fixture->config.client_ca = files[i];
        assert_false(build(fixture));
        assert_int_equal(fixture->reasons->errors, i + 1);
        assert_string_equal(
            fixture->reasons->items[fixture->reasons->count - 1].file,
            files[i].name);
    }
}

/* What it costs. */

static SSL *make_server(void *owner)
{
    struct fixture *fixture = owner;
    struct tls_pair pair = start(fixture);
    SSL *made = NULL;

    if (tls_pair_handshake(&pair) && tls_pair_talks(&pair)) {
        tls_pair_drop_bios(&pair);
        made = pair.server;
        pair.server = NULL;
    }
    tls_pair_deinit(&pair);
    return made;
}

static void measure(struct fixture *fixture, uint16_t version,
                    const struct test_certificate *alice)
{
    size_t bare, not_asked, asked, shown;

    use_client(fixture, version);
    fixture->config.client_ca = (struct pem_file){.name = NULL};
    assert_true(build(fixture));
    bare = tls_weight(make_server, fixture);
    fixture->config.client_ca =
        test_anchor_file(fixture->authority, "people.pem");
    assert_true(build(fixture));
    fixture->is_not_asked = true;
    not_asked = tls_weight(make_server, fixture);
    fixture->is_not_asked = false;
    asked = tls_weight(make_server, fixture);
    show(fixture, alice);
    shown = tls_weight(make_server, fixture);
    print_message("%zu bytes, %zu not asked, %zu asked, %zu with one\n", bare,
                  not_asked, asked, shown);
    assert_in_range(not_asked, 0, bare + 16);
    assert_in_range(asked, 0, bare + 16);
    assert_in_range(shown, 0, bare + 1024);
}

static void who_is_not_asked_costs_no_more(void **state)
{
    struct fixture *fixture = *state;
    const struct test_recipe recipe = person(fixture->authority);
    const struct test_certificate *alice = make(fixture, &recipe);

    if (!MALLOC_IS_MEASURABLE)
        skip();
    for (size_t i = 0; i < VERSIONS; i++)
        measure(fixture, versions[i], alice);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_certificate_of_the_authority_names_its_user),
        TEST(a_client_without_a_certificate_is_nobody),
        TEST(a_certificate_without_the_name_names_nobody),
        TEST(a_certificate_without_a_purpose_is_good),
        TEST(every_kind_of_key_is_good),
        TEST(an_intermediate_authority_may_stand_between),
        TEST(a_certificate_of_a_foreign_authority_is_refused),
        TEST(a_certificate_of_a_false_authority_is_refused),
        TEST(a_self_signed_certificate_is_refused),
        TEST(a_certificate_by_another_person_is_refused),
        TEST(an_expired_certificate_is_refused),
        TEST(a_certificate_of_the_future_is_refused),
        TEST(a_server_certificate_is_no_clients),
        TEST(a_certificate_that_may_not_sign_is_refused),
        TEST(a_certificate_without_its_key_is_refused),
        TEST(a_chain_that_is_too_large_is_refused),
        TEST(a_chain_of_too_many_is_refused),
        TEST(nobody_is_asked_where_the_listener_does_not),
        TEST(nobody_is_asked_without_an_authority),
        TEST(clients_are_asked_under_every_certificate_of_ours),
        TEST(every_authority_is_named),
        TEST(a_bundle_of_authorities_is_not_named),
        TEST(names_of_authorities_are_foretold_in_the_flight),
        TEST(who_is_asked_gets_no_ticket),
        TEST(a_ticket_from_elsewhere_is_not_taken),
        TEST(a_resumed_certificate_names_nobody),
        TEST(an_authority_that_changed_is_another_context),
        TEST(a_file_without_an_authority_is_told),
        TEST(who_is_not_asked_costs_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, tear_down_group);
}
