/* A backend's capability list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "imap/capability.h"

static struct imap_capabilities parse(const char *list)
{
    struct imap_capabilities known;

    imap_capabilities_parse((const uint8_t *)list, strlen(list), &known);
    return known;
}

static bool lists(const char *list, enum imap_capability capability)
{
    struct imap_capabilities known = parse(list);

    return imap_capabilities_has(&known, capability);
}

static void assert_filtered(const char *list, const char *expected)
{
    struct imap_capabilities parsed = parse(list);
    struct imap_capabilities seen;
    struct wiped_buffer out = {0};

    imap_capabilities_filter((const uint8_t *)list, strlen(list), &out, &seen);
    wiped_buffer_append(&out, "", 1);

    assert_string_equal(out.bytes, expected);
    assert_int_equal(seen.bits, parsed.bits);
    wiped_buffer_deinit(&out);
}

static void capability_names_have_no_case_and_no_order(void **state)
{
    static const char list[] =
        " auth=plain  Starttls X-FOO LITERAL+ sasl-ir AUTH=PLAINX ID\"";
    struct imap_capabilities known;

    (void)state;

    imap_capabilities_parse((const uint8_t *)list, sizeof(list) - 1, &known);

    assert_true(imap_capabilities_has(&known, IMAP_CAPABILITY_AUTH_PLAIN));
    assert_true(imap_capabilities_has(&known, IMAP_CAPABILITY_STARTTLS));
    assert_true(imap_capabilities_has(&known, IMAP_CAPABILITY_LITERAL_PLUS));
    assert_true(imap_capabilities_has(&known, IMAP_CAPABILITY_SASL_IR));
    assert_false(imap_capabilities_has(&known, IMAP_CAPABILITY_LITERAL_MINUS));
    assert_false(imap_capabilities_has(&known, IMAP_CAPABILITY_LOGINDISABLED));
    assert_false(imap_capabilities_has(&known, IMAP_CAPABILITY_AUTH_LOGIN));
    assert_false(imap_capabilities_has(&known, IMAP_CAPABILITY_ID));
}

static void a_new_list_forgets_the_old_one(void **state)
{
    struct imap_capabilities known = parse("STARTTLS");

    (void)state;

    imap_capabilities_parse((const uint8_t *)"ID", 2, &known);

    assert_false(imap_capabilities_has(&known, IMAP_CAPABILITY_STARTTLS));
    assert_true(imap_capabilities_has(&known, IMAP_CAPABILITY_ID));
}

static void each_name_stands_for_itself_alone(void **state)
{
    static const struct {
        const char *list;
        enum imap_capability capability;
    } cases[] = {
        {"IMAP4rev1", IMAP_CAPABILITY_IMAP4REV1},
        {"IMAP4rev2", IMAP_CAPABILITY_IMAP4REV2},
        {"SASL-IR", IMAP_CAPABILITY_SASL_IR},
        {"LITERAL+", IMAP_CAPABILITY_LITERAL_PLUS},
        {"LITERAL-", IMAP_CAPABILITY_LITERAL_MINUS},
        {"STARTTLS", IMAP_CAPABILITY_STARTTLS},
        {"LOGINDISABLED", IMAP_CAPABILITY_LOGINDISABLED},
        {"ID", IMAP_CAPABILITY_ID},
        {"AUTH=PLAIN", IMAP_CAPABILITY_AUTH_PLAIN},
        {"AUTH=LOGIN", IMAP_CAPABILITY_AUTH_LOGIN},
        {"auth=XOAuth2", IMAP_CAPABILITY_AUTH_XOAUTH2},
        {"AUTH=OAUTHBEARER", IMAP_CAPABILITY_AUTH_OAUTHBEARER},
        {"AUTH=SCRAM-SHA-1", IMAP_CAPABILITY_AUTH_SCRAM_SHA_1},
        {"AUTH=SCRAM-SHA-256", IMAP_CAPABILITY_AUTH_SCRAM_SHA_256},
        {"AUTH=SCRAM-SHA-1-PLUS", IMAP_CAPABILITY_SCRAM_PLUS},
        {"AUTH=SCRAM-SHA-256-plus", IMAP_CAPABILITY_SCRAM_PLUS},
        {"unauthenticate", IMAP_CAPABILITY_UNAUTHENTICATE},
        {"LOGIN-REFERRALS", IMAP_CAPABILITY_REFERRALS},
        {"MAILBOX-REFERRALS", IMAP_CAPABILITY_REFERRALS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct imap_capabilities known = parse(cases[i].list);

        assert_int_equal(known.bits, UINT32_C(1) << cases[i].capability);
    }
}

static void what_only_resembles_a_name_is_unknown(void **state)
{
    (void)state;

    assert_int_equal(parse("AUTH= AUTH XAUTH=PLAIN AUTH=PLAINX AUTH=PLAI "
                           "LITERAL IDX -PLUS X-PLUS AUTH=SCRAM-SHA-512 "
                           "UNAUTHENTICATED LOGIN-REFERRAL")
                         .bits,
                     0);
    assert_false(lists("AUTH=SCRAM-SHA-1", IMAP_CAPABILITY_SCRAM_PLUS));
    assert_false(
        lists("AUTH=SCRAM-SHA-1-PLUS", IMAP_CAPABILITY_AUTH_SCRAM_SHA_1));
}

static void clients_see_only_what_still_holds(void **state)
{
    (void)state;

    assert_filtered("IMAP4rev1 STARTTLS LOGINDISABLED auth=PLAIN AUTH=X "
                    "SASL-IR IDLE UNAUTHENTICATE LOGIN-REFERRALS "
                    "MAILBOX-REFERRALS  UNSELECT ID",
                    "IMAP4rev1 IDLE UNSELECT ID");
    assert_filtered("starttls LoginDisabled unauthenticate login-referrals "
                    "Mailbox-Referrals sasl-ir AUTH=SCRAM-SHA-256-PLUS",
                    "");
}

static void clients_see_all_else_as_the_backend_writes_it(void **state)
{
    static const char list[] =
        "IMAP4rev1 IMAP4rev2 LITERAL+ LITERAL- ENABLE IDLE NAMESPACE QUOTA "
        "RIGHTS=kxten APPENDLIMIT=52428800 COMPRESS=DEFLATE UTF8=ACCEPT "
        "I18NLEVEL=1 THREAD=REFS XLIST X-GM-EXT-1 idX Authx";

    (void)state;

    assert_filtered(list, list);
}

static void a_name_with_an_odd_byte_is_no_name(void **state)
{
    (void)state;

    assert_filtered("A \x01X B\x1b[2J C\xff \"D\" E ST\x01ARTTLS", "A E");
    assert_false(lists("STARTTLS\x01", IMAP_CAPABILITY_STARTTLS));
}

static void a_mechanism_is_offered_by_its_whole_name_alone(void **state)
{
    struct imap_capabilities known =
        parse("AUTH=PLAIN AUTH=XOAUTH2 AUTH=SCRAM-SHA-1-PLUS AUTH=EXTERNAL");

    (void)state;

    assert_true(imap_capabilities_offer(&known, SASL_PLAIN));
    assert_true(imap_capabilities_offer(&known, SASL_XOAUTH2));
    assert_false(imap_capabilities_offer(&known, SASL_LOGIN));
    assert_false(imap_capabilities_offer(&known, SASL_OAUTHBEARER));
    assert_false(imap_capabilities_offer(&known, SASL_SCRAM_SHA_1));
    assert_false(imap_capabilities_offer(&known, SASL_SCRAM_SHA_256));
    /* It is never passed on, so nobody asks. */
    assert_false(imap_capabilities_offer(&known, SASL_EXTERNAL));
    assert_false(imap_capabilities_offer(&known, SASL_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capability_names_have_no_case_and_no_order),
        cmocka_unit_test(a_new_list_forgets_the_old_one),
        cmocka_unit_test(each_name_stands_for_itself_alone),
        cmocka_unit_test(what_only_resembles_a_name_is_unknown),
        cmocka_unit_test(clients_see_only_what_still_holds),
        cmocka_unit_test(clients_see_all_else_as_the_backend_writes_it),
        cmocka_unit_test(a_name_with_an_odd_byte_is_no_name),
        cmocka_unit_test(a_mechanism_is_offered_by_its_whole_name_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
