/* Which chains prove which name: threats.md, E7. */
#include "net/certificate_check.h"

#include "certificates.h"

#include <openssl/pool.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const long hour_s = 60L * 60;
static const long day_s = 24L * 60 * 60;

enum {
    BUNDLE_MAX = 4 * 1024 * 1024
};

static const uint8_t address_v4[] = {192, 0, 2, 1};
static const uint8_t address_v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};

static struct test_certificate *authority;
static struct trust_anchors *anchors;

static int set_up_group(void **state)
{
    struct reasons *reasons = reasons_new();
    struct pem_file file;

    (void)state;
    authority = test_certificate_new(
        &(struct test_recipe){.common_name = "root", .is_authority = true});
    file = test_anchor_file(authority, "ca.pem");
    anchors = trust_anchors_new(&file, reasons);
    reasons_free(&reasons);
    return anchors == NULL;
}

static int tear_down_group(void **state)
{
    (void)state;
    trust_anchors_unref(&anchors);
    test_certificate_free(&authority);
    test_keys_free();
    return 0;
}

static char why[CERTIFICATE_WHY_MAX];

static bool check_sent(const struct test_certificate *const *sent, size_t count,
                       const char *asked)
{
    STACK_OF(CRYPTO_BUFFER) *chain = test_sent_chain(sent, count);
    struct server_name name;
    bool is_good;

    assert_true(server_name_parse(asked, strlen(asked), &name));
    is_good = certificate_check(anchors, chain, &name, 0, NULL, why);
    sk_CRYPTO_BUFFER_pop_free(chain, CRYPTO_BUFFER_free);
    return is_good;
}

/* Makes the leaf and checks it alone. */
static bool check_leaf(const struct test_recipe *recipe, const char *asked)
{
    struct test_certificate *leaf = test_certificate_new(recipe);
    const struct test_certificate *sent[] = {leaf};
    bool is_good = check_sent(sent, 1, asked);

    test_certificate_free(&leaf);
    return is_good;
}

static void a_good_leaf_proves_its_name(void **state)
{
    (void)state;
    assert_true(check_leaf(
        &(struct test_recipe){.dns = {"imap.example.org"}, .issuer = authority},
        "imap.example.org"));
}

static void a_leaf_proves_no_other_host(void **state)
{
    (void)state;
    assert_false(check_leaf(
        &(struct test_recipe){.dns = {"imap.example.org"}, .issuer = authority},
        "imap.example.net"));
    assert_string_equal(why, "the certificate does not name imap.example.net");
}

static void an_expired_leaf_is_refused(void **state)
{
    (void)state;
    assert_false(check_leaf(&(struct test_recipe){.dns = {"imap.example.org"},
                                                  .begins_s = -2 * day_s,
                                                  .ends_s = -hour_s,
                                                  .issuer = authority},
                            "imap.example.org"));
    assert_non_null(strstr(why, "expired"));
}

static void a_leaf_of_the_future_is_refused(void **state)
{
    (void)state;
    assert_false(check_leaf(&(struct test_recipe){.dns = {"imap.example.org"},
                                                  .begins_s = hour_s,
                                                  .issuer = authority},
                            "imap.example.org"));
}

static void the_time_given_is_the_time_checked(void **state)
{
    struct test_certificate *leaf = test_certificate_new(&(struct test_recipe){
        .dns = {"imap.example.org"}, .issuer = authority});
    const struct test_certificate *sent[] = {leaf};
    STACK_OF(CRYPTO_BUFFER) *chain = test_sent_chain(sent, 1);
    struct server_name name;

    (void)state;
    assert_true(server_name_parse("imap.example.org", 16, &name));

    assert_false(certificate_check(anchors, chain, &name, hour_s, NULL, why));
    sk_CRYPTO_BUFFER_pop_free(chain, CRYPTO_BUFFER_free);
    test_certificate_free(&leaf);
}

/* The span of a chain of two below the root, tried at its edges. */
static struct certificate_span span_of(const struct test_recipe *between_recipe,
                                       const struct test_recipe *leaf_recipe)
{
    struct test_certificate *between = test_certificate_new(between_recipe);
    struct test_recipe recipe = *leaf_recipe;
    struct test_certificate *leaf;
    struct certificate_span span = {-1, -1};
    STACK_OF(CRYPTO_BUFFER) * chain;
    struct server_name name;

    recipe.issuer = between;
    leaf = test_certificate_new(&recipe);
    chain =
        test_sent_chain((const struct test_certificate *[]){leaf, between}, 2);
    assert_true(server_name_parse("imap.example.org", 16, &name));
    assert_true(certificate_check(anchors, chain, &name, 0, &span, why));
    assert_true(
        certificate_check(anchors, chain, &name, span.begins, NULL, why));
    assert_true(
        certificate_check(anchors, chain, &name, span.ends - 1, NULL, why));
    assert_false(
        certificate_check(anchors, chain, &name, span.begins - 1, NULL, why));
    assert_false(
        certificate_check(anchors, chain, &name, span.ends, NULL, why));
    sk_CRYPTO_BUFFER_pop_free(chain, CRYPTO_BUFFER_free);
    test_certificate_free(&leaf);
    test_certificate_free(&between);
    return span;
}

/* Certificates are made in the second in which the test runs, or before. */
static void assert_near(int64_t time_s, long from_now_s)
{
    int64_t expected = (int64_t)time(NULL) + from_now_s;

    assert_true(time_s >= expected - 60 && time_s <= expected);
}

static void a_chain_is_good_while_its_leaf_is_valid(void **state)
{
    struct certificate_span span =
        span_of(&(struct test_recipe){.common_name = "between",
                                      .is_authority = true,
                                      .key = TEST_KEY_OTHER_P256,
                                      .issuer = authority},
                &(struct test_recipe){.dns = {"imap.example.org"},
                                      .begins_s = -hour_s,
                                      .ends_s = 2 * hour_s});

    (void)state;
    assert_near(span.begins, -hour_s);
    assert_near(span.ends, 2 * hour_s);
}

static void a_chain_is_good_while_its_authority_is_valid(void **state)
{
    struct certificate_span span =
        span_of(&(struct test_recipe){.common_name = "between",
                                      .is_authority = true,
                                      .key = TEST_KEY_OTHER_P256,
                                      .begins_s = -hour_s,
                                      .ends_s = 2 * hour_s,
                                      .issuer = authority},
                &(struct test_recipe){.dns = {"imap.example.org"}});

    (void)state;
    assert_near(span.begins, -hour_s);
    assert_near(span.ends, 2 * hour_s);
}

static void a_chain_is_good_while_its_anchor_is_valid(void **state)
{
    struct certificate_span span =
        span_of(&(struct test_recipe){.common_name = "between",
                                      .is_authority = true,
                                      .key = TEST_KEY_OTHER_P256,
                                      .begins_s = -30 * day_s,
                                      .ends_s = 365 * day_s,
                                      .issuer = authority},
                &(struct test_recipe){.dns = {"imap.example.org"},
                                      .begins_s = -30 * day_s,
                                      .ends_s = 365 * day_s});

    (void)state;
    assert_near(span.begins, -day_s);
    assert_near(span.ends, 90 * day_s);
}

static void a_self_signed_leaf_is_refused(void **state)
{
    (void)state;
    assert_false(check_leaf(&(struct test_recipe){.dns = {"imap.example.org"}},
                            "imap.example.org"));
}

static void a_self_signed_leaf_that_is_an_anchor_is_good(void **state)
{
    struct test_certificate *leaf = test_certificate_new(
        &(struct test_recipe){.dns = {"imap.example.org"}});
    struct pem_file file = test_anchor_file(leaf, "ca.pem");
    struct trust_anchors *usual = anchors;
    struct reasons *reasons = reasons_new();
    const struct test_certificate *sent[] = {leaf};

    (void)state;
    anchors = trust_anchors_new(&file, reasons);

    assert_true(check_sent(sent, 1, "imap.example.org"));
    trust_anchors_unref(&anchors);
    anchors = usual;
    reasons_free(&reasons);
    test_certificate_free(&leaf);
}

/* Checks a leaf, with its middle or alone, by a file that holds one of them. */
static bool check_by(bool is_by_middle, size_t sent_count, size_t *errors_out)
{
    struct test_certificate *middle =
        test_certificate_new(&(struct test_recipe){.common_name = "middle",
                                                   .is_authority = true,
                                                   .issuer = authority});
    struct test_certificate *leaf = test_certificate_new(
        &(struct test_recipe){.dns = {"imap.example.org"}, .issuer = middle});
    const struct test_certificate *sent[] = {leaf, middle};
    struct pem_file file =
        test_anchor_file(is_by_middle ? middle : leaf, "ca.pem");
    struct trust_anchors *usual = anchors;
    struct reasons *reasons = reasons_new();
    bool is_good;

    anchors = trust_anchors_new(&file, reasons);
    *errors_out = reasons->errors;
    is_good =
        anchors != NULL && check_sent(sent, sent_count, "imap.example.org");
    trust_anchors_unref(&anchors);
    anchors = usual;
    reasons_free(&reasons);
    test_certificate_free(&leaf);
    test_certificate_free(&middle);
    return is_good;
}

static void an_anchor_need_not_be_a_root(void **state)
{
    size_t errors;

    (void)state;
    assert_true(check_by(true, 1, &errors));
    assert_true(check_by(true, 2, &errors));
    assert_int_equal(errors, 0);
}

static void a_leaf_that_another_issued_is_no_anchor(void **state)
{
    size_t errors;

    (void)state;
    assert_false(check_by(false, 1, &errors));
    assert_int_equal(errors, 1);
}

static void a_stranger_of_the_same_name_signs_nothing(void **state)
{
    struct test_certificate *stranger =
        test_certificate_new(&(struct test_recipe){.common_name = "root",
                                                   .is_authority = true,
                                                   .key = TEST_KEY_OTHER_P256});

    (void)state;
    assert_false(check_leaf(
        &(struct test_recipe){.dns = {"imap.example.org"}, .issuer = stranger},
        "imap.example.org"));
    test_certificate_free(&stranger);
}

static void the_common_name_is_never_read(void **state)
{
    (void)state;
    assert_false(
        check_leaf(&(struct test_recipe){.common_name = "imap.example.org",
                                         .issuer = authority},
                   "imap.example.org"));
}

static void a_wildcard_stands_for_one_label(void **state)
{
    const struct test_recipe recipe = {.dns = {"*.example.org"},
                                       .issuer = authority};

    (void)state;
    assert_true(check_leaf(&recipe, "imap.example.org"));
    assert_false(check_leaf(&recipe, "a.imap.example.org"));
    assert_false(check_leaf(&recipe, "example.org"));
}

static void a_wildcard_below_a_top_level_is_refused(void **state)
{
    (void)state;
    assert_false(
        check_leaf(&(struct test_recipe){.dns = {"*.com"}, .issuer = authority},
                   "example.com"));
}

static void a_name_with_a_nul_is_refused(void **state)
{
    static const char raw[] = "imap.example.org\0.evil.example";

    (void)state;
    assert_false(
        check_leaf(&(struct test_recipe){.raw_dns = raw,
                                         .raw_dns_len = sizeof(raw) - 1,
                                         .issuer = authority},
                   "imap.example.org"));
}

static void case_does_not_matter(void **state)
{
    const struct test_recipe recipe = {.dns = {"IMAP.Example.ORG"},
                                       .issuer = authority};

    (void)state;
    assert_true(check_leaf(&recipe, "imap.example.org"));
    assert_true(check_leaf(&recipe, "Imap.eXample.org."));
}

static void an_address_is_proved_by_an_address_only(void **state)
{
    const struct test_recipe good = {.address = address_v4,
                                     .address_len = sizeof(address_v4),
                                     .issuer = authority};
    const struct test_recipe as_host = {.dns = {"192.0.2.1"},
                                        .issuer = authority};

    (void)state;
    assert_true(check_leaf(&good, "192.0.2.1"));
    assert_false(check_leaf(&good, "192.0.2.2"));
    assert_false(check_leaf(&as_host, "192.0.2.1"));
}

static void an_address_of_version_6_is_compared_in_bytes(void **state)
{
    const struct test_recipe recipe = {.address = address_v6,
                                       .address_len = sizeof(address_v6),
                                       .issuer = authority};

    (void)state;
    assert_true(check_leaf(&recipe, "2001:db8::1"));
    assert_true(check_leaf(&recipe, "2001:DB8:0::0001"));
    assert_false(check_leaf(&recipe, "2001:db8::2"));
}

static void any_of_several_names_will_do(void **state)
{
    (void)state;
    assert_true(check_leaf(
        &(struct test_recipe){
            .dns = {"a.example.org", "b.example.org", "imap.example.org"},
            .issuer = authority},
        "imap.example.org"));
}

static void a_client_certificate_proves_no_server(void **state)
{
    (void)state;
    assert_false(
        check_leaf(&(struct test_recipe){.dns = {"imap.example.org"},
                                         .purpose = TEST_PURPOSE_CLIENT,
                                         .issuer = authority},
                   "imap.example.org"));
}

static void a_leaf_without_a_stated_purpose_is_good(void **state)
{
    (void)state;
    assert_true(check_leaf(&(struct test_recipe){.dns = {"imap.example.org"},
                                                 .purpose = TEST_PURPOSE_ANY,
                                                 .issuer = authority},
                           "imap.example.org"));
}

/* A leaf, two certificates above it, the upper of which is an anchor's. */
static bool check_through(bool is_authority, size_t sent_count)
{
    struct test_certificate *middle =
        test_certificate_new(&(struct test_recipe){.common_name = "middle",
                                                   .is_authority = is_authority,
                                                   .issuer = authority});
    struct test_certificate *leaf = test_certificate_new(
        &(struct test_recipe){.dns = {"imap.example.org"}, .issuer = middle});
    const struct test_certificate *sent[] = {leaf, middle, authority};
    bool is_good = check_sent(sent, sent_count, "imap.example.org");

    test_certificate_free(&leaf);
    test_certificate_free(&middle);
    return is_good;
}

static void an_intermediate_leads_to_the_anchor(void **state)
{
    (void)state;
    assert_true(check_through(true, 2));
}

static void an_anchor_that_was_sent_too_does_no_harm(void **state)
{
    (void)state;
    assert_true(check_through(true, 3));
}

static void a_missing_intermediate_is_refused(void **state)
{
    (void)state;
    assert_false(check_through(true, 1));
}

static void a_leaf_issues_nothing(void **state)
{
    (void)state;
    assert_false(check_through(false, 2));
}

static void an_empty_chain_is_refused(void **state)
{
    (void)state;
    assert_false(check_sent(NULL, 0, "imap.example.org"));
    assert_string_not_equal(why, "");
}

static void a_chain_without_end_is_refused(void **state)
{
    struct test_certificate *leaf = test_certificate_new(&(struct test_recipe){
        .dns = {"imap.example.org"}, .issuer = authority});
    const struct test_certificate *sent[PEM_CHAIN_MAX + 1];

    (void)state;
    for (size_t i = 0; i < PEM_CHAIN_MAX + 1; i++)
        sent[i] = leaf;

    assert_true(check_sent(sent, PEM_CHAIN_MAX, "imap.example.org"));
    assert_false(check_sent(sent, PEM_CHAIN_MAX + 1, "imap.example.org"));
    test_certificate_free(&leaf);
}

static void a_malformed_certificate_is_refused(void **state)
{
    STACK_OF(CRYPTO_BUFFER) *chain = sk_CRYPTO_BUFFER_new_null();
    struct server_name name;

    (void)state;
    assert_true(server_name_parse("imap.example.org", 16, &name));
    assert_true(sk_CRYPTO_BUFFER_push(
        chain, CRYPTO_BUFFER_new((const uint8_t *)"0\x03\x02\x01", 4, NULL)));

    assert_false(certificate_check(anchors, chain, &name, 0, NULL, why));
    assert_string_equal(why, "certificate 1 of the chain is malformed");
    sk_CRYPTO_BUFFER_pop_free(chain, CRYPTO_BUFFER_free);
}

static void patterns_cover_by_the_rules_of_rfc_9525(void **state)
{
    static const struct {
        const char *pattern;
        const char *host;
        bool covers;
    } rows[] = {
        {"example.org", "example.org", true},
        {"EXAMPLE.org", "example.org", true},
        {"example.org", "www.example.org", false},
        {"example.org.", "example.org", false},
        {"*.example.org", "a.example.org", true},
        {"*.EXAMPLE.org", "a.example.org", true},
        {"*.example.org", "a.b.example.org", false},
        {"*.example.org", "example.org", false},
        {"*.org", "example.org", false},
        {"*", "example", false},
        {"*", "example.org", false},
        {"*.", "example.org", false},
        {"*.*.org", "a.example.org", false},
        {"a*.example.org", "ab.example.org", false},
        {"*a.example.org", "ba.example.org", false},
        {"*example.org", "a.example.org", false},
        {"*.example.*", "a.example.org", false},
        {"a.*.org", "a.example.org", false},
        {"**.example.org", "a.example.org", false},
        {"", "example.org", false},
        {".example.org", "a.example.org", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (certificate_pattern_covers((const uint8_t *)rows[i].pattern,
                                       strlen(rows[i].pattern),
                                       rows[i].host) != rows[i].covers)
            fail_msg("%s for %s", rows[i].pattern, rows[i].host);
    }
}

static void names_are_read_strictly(void **state)
{
    static const struct {
        const char *text;
        size_t len;       /* 0: all of text */
        const char *host; /* NULL: refused */
    } rows[] = {
        {"example.org", 0, "example.org"},
        {"Example.ORG.", 0, "example.org"},
        {"localhost", 0, "localhost"},
        {"xn--bcher-kva.example", 0, "xn--bcher-kva.example"},
        {"a_b-c.example", 0, "a_b-c.example"},
        {"1.example", 0, "1.example"},
        {"", 0, NULL},
        {".", 0, NULL},
        {"..", 0, NULL},
        {"a..b", 0, NULL},
        {".a", 0, NULL},
        {"a b.example", 0, NULL},
        {"b\xc3\xbc"
         "cher.example",
         0, NULL},
        {"*.example.org", 0, NULL},
        {"example.org:993", 0, NULL},
        {"1.2.3", 0, NULL},
        {"127.1", 0, NULL},
        {"a.example\0.org", 14, NULL},
        {"1.2.3.4\0", 8, NULL},
    };
    struct server_name name;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = rows[i].len > 0 ? rows[i].len : strlen(rows[i].text);
        bool is_name = server_name_parse(rows[i].text, len, &name);

        if (is_name != (rows[i].host != NULL))
            fail_msg("row %zu: %s", i, rows[i].text);
        if (is_name) {
            assert_int_equal(name.kind, SERVER_NAME_HOST);
            assert_string_equal(name.text, rows[i].host);
        }
    }
}

static void long_names_end_at_their_limits(void **state)
{
    char text[300];
    struct server_name name;

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 64 == 63 ? '.' : 'a';

    assert_true(server_name_parse(text, 63, &name));
    assert_true(server_name_parse(text, 253, &name));
    assert_false(server_name_parse(text, 254, &name));
    assert_false(server_name_parse(text, 255, &name));
    memset(text, 'a', sizeof(text));
    assert_false(server_name_parse(text, 64, &name));
}

static void addresses_are_told_from_hosts(void **state)
{
    struct server_name name;

    (void)state;
    assert_true(server_name_parse("192.0.2.1", 9, &name));
    assert_int_equal(name.kind, SERVER_NAME_IP);
    assert_int_equal(name.address_len, 4);
    assert_true(server_name_parse("2001:db8::1", 11, &name));
    assert_int_equal(name.kind, SERVER_NAME_IP);
    assert_int_equal(name.address_len, 16);
}

static void append_name(const char *name, void *owner)
{
    char *list = owner;
    size_t len = strlen(list);

    snprintf(list + len, 200 - len, "%s ", name);
}

static void only_usable_names_are_listed(void **state)
{
    struct test_certificate *leaf = test_certificate_new(&(struct test_recipe){
        .common_name = "cn.example",
        .dns = {"Imap.Example.org", "*.Example.net", "*.com", "a b"},
        .raw_dns = "nul\0.example",
        .raw_dns_len = 12,
        .address = address_v4,
        .address_len = sizeof(address_v4)});
    char list[200] = "";

    (void)state;
    assert_int_equal(
        certificate_each_name(test_certificate_x509(leaf), append_name, list),
        2);
    assert_string_equal(list, "imap.example.org *.example.net ");
    test_certificate_free(&leaf);
}

static struct trust_anchors *read_anchors(const char *text,
                                          struct reasons *reasons)
{
    struct pem_file file = {"ca.pem", (const uint8_t *)text, strlen(text)};

    return trust_anchors_new(&file, reasons);
}

static void anchors_need_a_certificate(void **state)
{
    struct reasons *reasons = reasons_new();

    (void)state;
    assert_null(read_anchors("", reasons));
    assert_null(read_anchors("-----BEGIN CERTIFICATE-----\nMAA=\n"
                             "-----END CERTIFICATE-----\n",
                             reasons));
    assert_null(read_anchors("-----BEGIN CERTIFICATE-----\nM!!=\n"
                             "-----END CERTIFICATE-----\n",
                             reasons));
    assert_int_equal(reasons->errors, 3);
    assert_string_equal(reasons->items[0].file, "ca.pem");
    reasons_free(&reasons);
}

static void a_malformed_anchor_is_left_out_with_a_warning(void **state)
{
    static const char broken[] = "-----BEGIN CERTIFICATE-----\nMAA=\n"
                                 "-----END CERTIFICATE-----\n";
    struct pem_file good = test_anchor_file(authority, "ca.pem");
    struct reasons *reasons = reasons_new();
    char *text = malloc(sizeof(broken) + good.len);
    struct trust_anchors *read;

    (void)state;
    memcpy(text, broken, sizeof(broken) - 1);
    memcpy(text + sizeof(broken) - 1, good.bytes, good.len);
    text[sizeof(broken) - 1 + good.len] = '\0';
    read = read_anchors(text, reasons);

    assert_non_null(read);
    assert_int_equal(reasons->warnings, 1);
    assert_int_equal(reasons->errors, 0);
    trust_anchors_unref(&read);
    free(text);
    reasons_free(&reasons);
}

static void anchors_match_equal_bytes_only(void **state)
{
    struct pem_file file = test_anchor_file(authority, "other-name.pem");

    (void)state;
    assert_true(trust_anchors_match(anchors, &file));
    file.len--;
    assert_false(trust_anchors_match(anchors, &file));
}

static void the_systems_bundle_can_be_read(void **state)
{
    FILE *bundle = fopen("/etc/ssl/certs/ca-certificates.crt", "rb");
    char *text = calloc(1, BUNDLE_MAX);
    struct reasons *reasons = reasons_new();
    struct trust_anchors *read;

    (void)state;
    if (bundle == NULL) {
        free(text);
        reasons_free(&reasons);
        skip();
    }
    assert_true(fread(text, 1, BUNDLE_MAX - 1, bundle) > 0);
    fclose(bundle);
    read = read_anchors(text, reasons);

    assert_non_null(read);
    assert_int_equal(reasons->warnings, 0);
    trust_anchors_unref(&read);
    free(text);
    reasons_free(&reasons);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_leaf_proves_its_name),
        cmocka_unit_test(a_leaf_proves_no_other_host),
        cmocka_unit_test(an_expired_leaf_is_refused),
        cmocka_unit_test(a_leaf_of_the_future_is_refused),
        cmocka_unit_test(the_time_given_is_the_time_checked),
        cmocka_unit_test(a_chain_is_good_while_its_leaf_is_valid),
        cmocka_unit_test(a_chain_is_good_while_its_authority_is_valid),
        cmocka_unit_test(a_chain_is_good_while_its_anchor_is_valid),
        cmocka_unit_test(a_self_signed_leaf_is_refused),
        cmocka_unit_test(a_self_signed_leaf_that_is_an_anchor_is_good),
        cmocka_unit_test(an_anchor_need_not_be_a_root),
        cmocka_unit_test(a_leaf_that_another_issued_is_no_anchor),
        cmocka_unit_test(a_stranger_of_the_same_name_signs_nothing),
        cmocka_unit_test(the_common_name_is_never_read),
        cmocka_unit_test(a_wildcard_stands_for_one_label),
        cmocka_unit_test(a_wildcard_below_a_top_level_is_refused),
        cmocka_unit_test(a_name_with_a_nul_is_refused),
        cmocka_unit_test(case_does_not_matter),
        cmocka_unit_test(an_address_is_proved_by_an_address_only),
        cmocka_unit_test(an_address_of_version_6_is_compared_in_bytes),
        cmocka_unit_test(any_of_several_names_will_do),
        cmocka_unit_test(a_client_certificate_proves_no_server),
        cmocka_unit_test(a_leaf_without_a_stated_purpose_is_good),
        cmocka_unit_test(an_intermediate_leads_to_the_anchor),
        cmocka_unit_test(an_anchor_that_was_sent_too_does_no_harm),
        cmocka_unit_test(a_missing_intermediate_is_refused),
        cmocka_unit_test(a_leaf_issues_nothing),
        cmocka_unit_test(an_empty_chain_is_refused),
        cmocka_unit_test(a_chain_without_end_is_refused),
        cmocka_unit_test(a_malformed_certificate_is_refused),
        cmocka_unit_test(patterns_cover_by_the_rules_of_rfc_9525),
        cmocka_unit_test(names_are_read_strictly),
        cmocka_unit_test(long_names_end_at_their_limits),
        cmocka_unit_test(addresses_are_told_from_hosts),
        cmocka_unit_test(only_usable_names_are_listed),
        cmocka_unit_test(anchors_need_a_certificate),
        cmocka_unit_test(a_malformed_anchor_is_left_out_with_a_warning),
        cmocka_unit_test(anchors_match_equal_bytes_only),
        cmocka_unit_test(the_systems_bundle_can_be_read),
    };

    return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
