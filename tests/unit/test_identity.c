/* The one form of a user's name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/identity.h"

static struct identity_rules rules_with(const char *separators, char master,
                                        const char *default_domain)
{
    struct identity_rules rules;

    identity_rules_init(&rules);
    free(rules.separators);
    rules.separators = mem_strdup(separators);
    rules.master_separator = master;
    rules.default_domain = mem_strdup(default_domain);
    return rules;
}

static enum identity_result normalise(const struct identity_rules *rules,
                                      const char *name,
                                      struct identity *identity)
{
    return identity_normalise(rules, (const uint8_t *)name, strlen(name),
                              identity);
}

/* Takes the rules. */
static void assert_becomes(struct identity_rules rules, const char *name,
                           const char *user, size_t local_len)
{
    struct identity identity;

    assert_int_equal(normalise(&rules, name, &identity), IDENTITY_OK);
    identity_rules_deinit(&rules);

    assert_string_equal(identity.user, user);
    assert_int_equal(identity.user_len, strlen(user));
    assert_int_equal(identity.local_len, local_len);
}

static void assert_refused(const uint8_t *name, size_t len,
                           enum identity_result expected)
{
    struct identity_rules rules = rules_with("@", '\0', NULL);
    struct identity identity = {.user_len = 77};

    assert_int_equal(identity_normalise(&rules, name, len, &identity),
                     expected);
    identity_rules_deinit(&rules);

    assert_int_equal(identity.user_len, 77);
}

static void identity_splits_user_and_domain(void **state)
{
    (void)state;
    assert_becomes(rules_with("@", '\0', NULL), "alice@example.org",
                   "alice@example.org", 5);
}

static void identity_lends_the_domain(void **state)
{
    struct identity_rules rules = rules_with("@", '\0', NULL);
    struct identity identity;
    size_t len;

    (void)state;
    assert_int_equal(normalise(&rules, "alice@example.org", &identity),
                     IDENTITY_OK);
    identity_rules_deinit(&rules);

    assert_string_equal(identity_domain(&identity, &len), "example.org");
    assert_int_equal(len, 11);
}

static void a_bare_name_has_no_domain(void **state)
{
    struct identity_rules rules = rules_with("@", '\0', NULL);
    struct identity identity;
    size_t len = 77;

    (void)state;
    assert_int_equal(normalise(&rules, "alice", &identity), IDENTITY_OK);
    identity_rules_deinit(&rules);

    assert_null(identity_domain(&identity, &len));
    assert_int_equal(len, 0);
    assert_int_equal(identity.local_len, identity.user_len);
}

static void an_empty_domain_is_a_domain(void **state)
{
    struct identity_rules rules = rules_with("@", '\0', "example.org");
    struct identity identity;
    size_t len = 77;

    (void)state;
    assert_int_equal(normalise(&rules, "alice@", &identity), IDENTITY_OK);
    identity_rules_deinit(&rules);

    assert_string_equal(identity.user, "alice@");
    assert_non_null(identity_domain(&identity, &len));
    assert_int_equal(len, 0);
}

static void identity_lowers_ascii_letters(void **state)
{
    (void)state;
    assert_becomes(rules_with("@", '\0', NULL), "ALiCe@EXAMPLE.org",
                   "alice@example.org", 5);
}

static void identity_lowers_no_letter_beyond_ascii(void **state)
{
    (void)state;
    assert_becomes(rules_with("@", '\0', NULL), "\xc3\x84@X", "\xc3\x84@x", 2);
}

static void identity_keeps_the_case_of_the_local_part_on_demand(void **state)
{
    struct identity_rules rules = rules_with("@", '\0', NULL);

    (void)state;
    rules.name_case = IDENTITY_CASE_KEEP;
    assert_becomes(rules, "ALiCe@EXAMPLE.org", "ALiCe@example.org", 5);
}

static void identity_gives_a_bare_name_the_default_domain(void **state)
{
    (void)state;
    assert_becomes(rules_with("@", '\0', "Example.ORG"), "Alice",
                   "alice@example.org", 5);
}

static void identity_leaves_another_domain_alone(void **state)
{
    (void)state;
    assert_becomes(rules_with("@", '\0', "example.org"), "alice@example.net",
                   "alice@example.net", 5);
}

static void the_last_separator_splits(void **state)
{
    (void)state;
    assert_becomes(rules_with("@", '\0', NULL), "a@b@c", "a@b@c", 3);
}

static void each_separator_is_written_as_at(void **state)
{
    (void)state;
    assert_becomes(rules_with("@%+", '\0', NULL), "a%b+c", "a@b@c", 3);
}

static void a_separator_that_is_not_configured_is_data(void **state)
{
    (void)state;
    assert_becomes(rules_with("@", '\0', NULL), "a%b+c", "a%b+c", 5);
}

static void what_follows_the_master_separator_is_cut_off(void **state)
{
    (void)state;
    assert_becomes(rules_with("@", '*', NULL), "alice@example.org*admin*x@y",
                   "alice@example.org", 5);
}

static void a_name_before_the_master_separator_gets_the_domain(void **state)
{
    (void)state;
    assert_becomes(rules_with("@", '*', "example.org"), "alice*admin@y",
                   "alice@example.org", 5);
}

static void nothing_before_the_master_separator_is_no_name(void **state)
{
    struct identity_rules rules = rules_with("@", '*', NULL);
    struct identity identity;

    (void)state;
    assert_int_equal(normalise(&rules, "*admin", &identity), IDENTITY_EMPTY);
    identity_rules_deinit(&rules);
}

/* threats.md, D2 */
static void odd_names_are_data(void **state)
{
    static const char *const names[] = {
        "*@x", "a@b@c", "@",      "@@", " u",        "u ",
        "%",   "../",   "{user}", "..", "a@../../b", "\"a\"@b",
    };
    struct identity_rules rules = rules_with("@", '\0', NULL);
    struct identity identity;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(normalise(&rules, names[i], &identity), IDENTITY_OK);
        assert_string_equal(identity.user, names[i]);
    }
    identity_rules_deinit(&rules);
}

/* threats.md, C10 */
static void bytes_that_are_not_utf8_pass_as_they_came(void **state)
{
    static const char *const names[] = {
        "\xc3",             /* cut off */
        "\xc0\xaf",         /* overlong */
        "\xff\xfe",         /* never in UTF-8 */
        "a\xef\xbc\xa0x",   /* a wide @, which does not separate */
        "e\xcc\x81@x",      /* not composed */
        "\xc3\xa9@x",       /* composed: another name */
        "\xed\xa0\x80@x",   /* a surrogate */
        "\xf4\x90\x80\x80", /* beyond Unicode */
    };
    struct identity_rules rules = rules_with("@", '\0', NULL);
    struct identity identity;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(normalise(&rules, names[i], &identity), IDENTITY_OK);
        assert_string_equal(identity.user, names[i]);
    }
    identity_rules_deinit(&rules);
}

static void identity_refuses_an_empty_name(void **state)
{
    (void)state;
    assert_refused((const uint8_t *)"", 0, IDENTITY_EMPTY);
}

static void identity_refuses_each_control_character(void **state)
{
    uint8_t name[] = "al?ce@example.org";

    (void)state;
    for (unsigned code = 0; code <= 0x7f; code++) {
        if (code >= 0x20 && code != 0x7f)
            continue;
        name[2] = (uint8_t)code;
        assert_refused(name, sizeof(name) - 1, IDENTITY_CONTROL);
    }
}

static void
identity_refuses_a_control_character_after_the_master_separator(void **state)
{
    struct identity_rules rules = rules_with("@", '*', NULL);
    struct identity identity;

    (void)state;
    assert_int_equal(normalise(&rules, "alice*x\r\ny", &identity),
                     IDENTITY_CONTROL);
    identity_rules_deinit(&rules);
}

static void identity_takes_512_bytes_but_not_513(void **state)
{
    struct identity_rules rules = rules_with("@", '\0', NULL);
    struct identity identity;
    uint8_t name[IDENTITY_MAX + 1];

    (void)state;
    memset(name, 'a', sizeof(name));

    assert_int_equal(identity_normalise(&rules, name, IDENTITY_MAX, &identity),
                     IDENTITY_OK);
    assert_int_equal(strlen(identity.user), IDENTITY_MAX);
    assert_int_equal(
        identity_normalise(&rules, name, IDENTITY_MAX + 1, &identity),
        IDENTITY_TOO_LONG);
    identity_rules_deinit(&rules);
}

static void identity_counts_the_default_domain(void **state)
{
    struct identity_rules rules = rules_with("@", '\0', "x.org");
    struct identity identity;
    uint8_t name[IDENTITY_MAX];

    (void)state;
    memset(name, 'a', sizeof(name));

    assert_int_equal(
        identity_normalise(&rules, name, IDENTITY_MAX - 6, &identity),
        IDENTITY_OK);
    assert_int_equal(
        identity_normalise(&rules, name, IDENTITY_MAX - 5, &identity),
        IDENTITY_TOO_LONG);
    identity_rules_deinit(&rules);
}

/* Over random names and all kinds of rules: threats.md, C10. */
static void normalising_twice_is_normalising_once(void **state)
{
    static const char letters[] = "aB@%*+.\xc3 /";
    static const char *const separators[] = {"@", "@%", "+@", "@%+/"};
    uint32_t random = 2463534242U;

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        struct identity_rules rules =
            rules_with(separators[round % 4], round % 3 == 0 ? '*' : '\0',
                       round % 2 == 0 ? "Ex-ample" : NULL);
        struct identity once;
        struct identity twice;
        char name[12] = "";

        rules.name_case =
            round % 5 == 0 ? IDENTITY_CASE_KEEP : IDENTITY_CASE_LOWER;
        for (size_t i = 0; i < sizeof(name) - 1; i++) {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            name[i] = random % 12 < 10 ? letters[random % 10] : '\0';
        }
        if (normalise(&rules, name, &once) == IDENTITY_OK) {
            assert_int_equal(normalise(&rules, once.user, &twice), IDENTITY_OK);
            assert_string_equal(once.user, twice.user);
            assert_int_equal(once.local_len, twice.local_len);
        }
        identity_rules_deinit(&rules);
    }
}

static void each_result_has_a_text(void **state)
{
    (void)state;
    for (int result = IDENTITY_OK; result <= IDENTITY_TOO_LONG; result++)
        assert_true(strlen(identity_result_text((enum identity_result)result)) >
                    5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity_splits_user_and_domain),
        cmocka_unit_test(identity_lends_the_domain),
        cmocka_unit_test(a_bare_name_has_no_domain),
        cmocka_unit_test(an_empty_domain_is_a_domain),
        cmocka_unit_test(identity_lowers_ascii_letters),
        cmocka_unit_test(identity_lowers_no_letter_beyond_ascii),
        cmocka_unit_test(identity_keeps_the_case_of_the_local_part_on_demand),
        cmocka_unit_test(identity_gives_a_bare_name_the_default_domain),
        cmocka_unit_test(identity_leaves_another_domain_alone),
        cmocka_unit_test(the_last_separator_splits),
        cmocka_unit_test(each_separator_is_written_as_at),
        cmocka_unit_test(a_separator_that_is_not_configured_is_data),
        cmocka_unit_test(what_follows_the_master_separator_is_cut_off),
        cmocka_unit_test(a_name_before_the_master_separator_gets_the_domain),
        cmocka_unit_test(nothing_before_the_master_separator_is_no_name),
        cmocka_unit_test(odd_names_are_data),
        cmocka_unit_test(bytes_that_are_not_utf8_pass_as_they_came),
        cmocka_unit_test(identity_refuses_an_empty_name),
        cmocka_unit_test(identity_refuses_each_control_character),
        cmocka_unit_test(
            identity_refuses_a_control_character_after_the_master_separator),
        cmocka_unit_test(identity_takes_512_bytes_but_not_513),
        cmocka_unit_test(identity_counts_the_default_domain),
        cmocka_unit_test(normalising_twice_is_normalising_once),
        cmocka_unit_test(each_result_has_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
