/* What a client's certificate says about its owner. */
#include "net/client_certificate.h"

#include "certificates.h"

#include <openssl/asn1.h>
#include <openssl/nid.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* With room for a byte too many. */
static char user[CLIENT_CERTIFICATE_USER_MAX + 2];

static int tear_down_group(void **state)
{
    (void)state;
    test_keys_free();
    return 0;
}

/* Makes the certificate, and reads it as it comes off the wire. */
static X509 *issue(const struct test_recipe *recipe)
{
    struct test_certificate *made = test_certificate_new(recipe);
    const struct test_certificate *sent[] = {made};
    STACK_OF(CRYPTO_BUFFER) *chain = test_sent_chain(sent, 1);
    X509 *certificate =
        X509_parse_from_buffer(sk_CRYPTO_BUFFER_value(chain, 0));

    assert_non_null(certificate);
    sk_CRYPTO_BUFFER_pop_free(chain, CRYPTO_BUFFER_free);
    test_certificate_free(&made);
    return certificate;
}

static bool has_name(const struct test_recipe *recipe,
                     enum certificate_user kind)
{
    X509 *certificate = issue(recipe);
    bool is_found;

    snprintf(user, sizeof(user), "somebody else");
    is_found = client_certificate_name(certificate, kind, user, sizeof(user));
    X509_free(certificate);
    if (!is_found)
        assert_string_equal(user, "");
    return is_found;
}

static bool has_email(const struct test_recipe *recipe)
{
    return has_name(recipe, CERTIFICATE_USER_EMAIL);
}

static bool has_common_name(int type, const char *text, size_t len)
{
    return has_name(
        &(struct test_recipe){.subject = {{NID_commonName, type, text, len}}},
        CERTIFICATE_USER_COMMON_NAME);
}

/* rfc822Name. */

static void the_mail_address_is_the_user(void **state)
{
    (void)state;
    assert_true(has_email(&(struct test_recipe){
        .emails = {"Alice.Smith@example.org"}, .dns = {"alice.example.org"}}));
    assert_string_equal(user, "Alice.Smith@example.org");
}

static void two_mail_addresses_are_none(void **state)
{
    (void)state;
    assert_false(has_email(&(struct test_recipe){
        .emails = {"alice@example.org", "bob@example.org"}}));
    assert_false(has_email(&(struct test_recipe){
        .emails = {"alice@example.org", "alice@example.org"}}));
}

static void a_common_name_is_no_mail_address(void **state)
{
    (void)state;
    assert_false(has_email(&(struct test_recipe){
        .common_name = "alice@example.org", .dns = {"alice.example.org"}}));
    assert_false(
        has_email(&(struct test_recipe){.common_name = "alice@example.org"}));
}

/* The older place, which RFC 5280, 4.1.2.6 calls deprecated: a second name
 * that somebody may sign without looking. */
static void a_mail_address_in_the_subject_is_not_read(void **state)
{
    (void)state;
    assert_false(has_email(&(struct test_recipe){
        .subject = {{NID_pkcs9_emailAddress, V_ASN1_IA5STRING,
                     "alice@example.org", 0}}}));
}

static void a_mail_address_with_a_nul_is_none(void **state)
{
    static const char bytes[] = "alice@example.org\0.example.net";

    (void)state;
    assert_false(has_email(&(struct test_recipe){
        .raw_email = bytes, .raw_email_len = sizeof(bytes) - 1}));
}

static void a_mail_address_with_a_control_character_is_none(void **state)
{
    static const char *const texts[] = {"alice\r\n@example.org",
                                        "\talice@example.org",
                                        "alice@example.org\x7f", "\x01"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(has_email(&(struct test_recipe){.emails = {texts[i]}}));
}

static void a_mail_address_outside_ascii_is_none(void **state)
{
    (void)state;
    assert_false(has_email(
        &(struct test_recipe){.emails = {"j\xc3\xb6rg@example.org"}}));
    assert_false(
        has_email(&(struct test_recipe){.emails = {"j\xf6rg@example.org"}}));
}

static void an_empty_mail_address_is_none(void **state)
{
    (void)state;
    assert_false(
        has_email(&(struct test_recipe){.raw_email = "", .raw_email_len = 0}));
}

static void a_mail_address_may_be_as_long_as_an_identity(void **state)
{
    char text[CLIENT_CERTIFICATE_USER_MAX + 1];

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_true(has_email(&(struct test_recipe){
        .raw_email = text, .raw_email_len = CLIENT_CERTIFICATE_USER_MAX}));
    assert_int_equal(strlen(user), CLIENT_CERTIFICATE_USER_MAX);
    assert_false(has_email(&(struct test_recipe){
        .raw_email = text, .raw_email_len = CLIENT_CERTIFICATE_USER_MAX + 1}));
}

static void a_name_is_never_cut_to_fit(void **state)
{
    X509 *certificate =
        issue(&(struct test_recipe){.emails = {"alice@example.org"}});
    char small[sizeof("alice@example.org")];

    (void)state;
    assert_true(client_certificate_name(certificate, CERTIFICATE_USER_EMAIL,
                                        small, sizeof(small)));
    assert_string_equal(small, "alice@example.org");
    assert_false(client_certificate_name(certificate, CERTIFICATE_USER_EMAIL,
                                         small, sizeof(small) - 1));
    assert_string_equal(small, "");
    X509_free(certificate);
}

/* A certificate with an alternative name in twice the extension. */
static X509 *issue_doubled(void)
{
    struct test_certificate *made = test_certificate_new(
        &(struct test_recipe){.emails = {"alice@example.org"}});
    X509 *certificate = X509_dup(test_certificate_x509(made));
    X509_EXTENSION *names = X509_get_ext(
        certificate,
        X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1));

    assert_true(X509_add_ext(certificate, names, -1));
    test_certificate_free(&made);
    return certificate;
}

static void doubled_alternative_names_are_none(void **state)
{
    X509 *certificate = issue_doubled();

    (void)state;
    assert_false(client_certificate_name(certificate, CERTIFICATE_USER_EMAIL,
                                         user, sizeof(user)));
    X509_free(certificate);
}

static void broken_alternative_names_are_none(void **state)
{
    struct test_certificate *made = test_certificate_new(
        &(struct test_recipe){.emails = {"alice@example.org"}});
    X509 *certificate = test_certificate_x509(made);
    ASN1_OCTET_STRING *bytes = X509_EXTENSION_get_data(X509_get_ext(
        certificate,
        X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1)));

    (void)state;
    assert_true(ASN1_STRING_set(bytes, ASN1_STRING_get0_data(bytes),
                                ASN1_STRING_length(bytes) - 1));
    assert_false(client_certificate_name(certificate, CERTIFICATE_USER_EMAIL,
                                         user, sizeof(user)));
    test_certificate_free(&made);
}

/* commonName. */

static void the_common_name_is_the_user(void **state)
{
    (void)state;
    assert_true(has_name(
        &(struct test_recipe){
            .subject = {{NID_organizationName, V_ASN1_UTF8STRING, "Example", 0},
                        {NID_commonName, V_ASN1_UTF8STRING, "alice", 0},
                        {NID_userId, V_ASN1_UTF8STRING, "bob", 0}},
            .emails = {"carol@example.org"}},
        CERTIFICATE_USER_COMMON_NAME));
    assert_string_equal(user, "alice");
}

static void a_common_name_may_be_of_three_types(void **state)
{
    static const int types[] = {V_ASN1_UTF8STRING, V_ASN1_PRINTABLESTRING,
                                V_ASN1_IA5STRING};

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        assert_true(has_common_name(types[i], "alice", 0));
        assert_string_equal(user, "alice");
    }
}

static void a_common_name_of_another_type_is_none(void **state)
{
    (void)state;
    assert_false(has_common_name(V_ASN1_T61STRING, "alice", 0));
    assert_false(has_common_name(V_ASN1_BMPSTRING, "\0a\0l", 4));
    assert_false(has_common_name(V_ASN1_UNIVERSALSTRING, "\0\0\0a\0\0\0l", 8));
}

static void a_common_name_in_utf_8_is_kept(void **state)
{
    (void)state;
    assert_true(has_common_name(V_ASN1_UTF8STRING, "j\xc3\xb6rg", 0));
    assert_string_equal(user, "j\xc3\xb6rg");
}

static void a_common_name_outside_its_type_is_none(void **state)
{
    (void)state;
    assert_false(has_common_name(V_ASN1_IA5STRING, "j\xf6rg", 0));
    assert_false(has_common_name(V_ASN1_PRINTABLESTRING, "j\xf6rg", 0));
}

static void two_common_names_are_none(void **state)
{
    const struct test_recipe apart = {
        .subject = {{NID_commonName, V_ASN1_UTF8STRING, "alice", 0},
                    {NID_commonName, V_ASN1_UTF8STRING, "bob", 0}}};
    const struct test_recipe joined = {
        .subject = {{NID_commonName, V_ASN1_UTF8STRING, "alice", 0},
                    {NID_commonName, V_ASN1_UTF8STRING, "bob", 0, true}}};

    (void)state;
    assert_false(has_name(&apart, CERTIFICATE_USER_COMMON_NAME));
    assert_false(has_name(&joined, CERTIFICATE_USER_COMMON_NAME));
}

static void a_common_name_with_a_control_character_is_none(void **state)
{
    (void)state;
    assert_false(has_common_name(V_ASN1_UTF8STRING, "alice\0bob", 9));
    assert_false(has_common_name(V_ASN1_UTF8STRING, "alice\n", 0));
    assert_false(has_common_name(V_ASN1_PRINTABLESTRING, "alice\r", 0));
    assert_false(has_common_name(V_ASN1_UTF8STRING, "alice\xc2\x85", 0));
    assert_true(has_common_name(V_ASN1_UTF8STRING, "alice\xc2\xa0", 0));
}

static void a_mail_address_is_no_common_name(void **state)
{
    (void)state;
    assert_false(has_name(
        &(struct test_recipe){
            .subject = {{NID_organizationName, V_ASN1_UTF8STRING, "alice", 0}},
            .emails = {"alice@example.org"}},
        CERTIFICATE_USER_COMMON_NAME));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mail_address_is_the_user),
        cmocka_unit_test(two_mail_addresses_are_none),
        cmocka_unit_test(a_common_name_is_no_mail_address),
        cmocka_unit_test(a_mail_address_in_the_subject_is_not_read),
        cmocka_unit_test(a_mail_address_with_a_nul_is_none),
        cmocka_unit_test(a_mail_address_with_a_control_character_is_none),
        cmocka_unit_test(a_mail_address_outside_ascii_is_none),
        cmocka_unit_test(an_empty_mail_address_is_none),
        cmocka_unit_test(a_mail_address_may_be_as_long_as_an_identity),
        cmocka_unit_test(a_name_is_never_cut_to_fit),
        cmocka_unit_test(doubled_alternative_names_are_none),
        cmocka_unit_test(broken_alternative_names_are_none),
        cmocka_unit_test(the_common_name_is_the_user),
        cmocka_unit_test(a_common_name_may_be_of_three_types),
        cmocka_unit_test(a_common_name_of_another_type_is_none),
        cmocka_unit_test(a_common_name_in_utf_8_is_kept),
        cmocka_unit_test(a_common_name_outside_its_type_is_none),
        cmocka_unit_test(two_common_names_are_none),
        cmocka_unit_test(a_common_name_with_a_control_character_is_none),
        cmocka_unit_test(a_mail_address_is_no_common_name),
    };

    return cmocka_run_group_tests(tests, NULL, tear_down_group);
}
