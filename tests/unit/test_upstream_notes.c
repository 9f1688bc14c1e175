/* What logins show of backends, told once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/sasl_server.h"
#include "log_capture.h"
#include "session/upstream_notes.h"

#define PASSWORDS (SASL_PLAIN | SASL_LOGIN)
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static struct backend_registry *registry;
static struct backend *backend;
static struct log_capture capture;

static int set_up(void **state)
{
    (void)state;
    registry = backend_registry_new();
    backend = backend_registry_get(registry, "imap-1", "mail.example.org", 993);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    backend_unref(&backend);
    backend_registry_free(&registry);
    return 0;
}

static struct imap_capabilities parse(const char *list)
{
    struct imap_capabilities known;

    imap_capabilities_parse((const uint8_t *)list, strlen(list), &known);
    return known;
}

/* What is logged at a login. */
static const char *before(const char *list, unsigned mechanisms)
{
    struct imap_capabilities known = parse(list);

    log_capture_start(&capture);
    upstream_notes_before(backend, &known, mechanisms);
    return log_capture_take(&capture);
}

static const char *after(const char *list)
{
    struct imap_capabilities known = parse(list);

    log_capture_start(&capture);
    upstream_notes_after(backend, &known);
    return log_capture_take(&capture);
}

static size_t count(const char *text, const char *word)
{
    size_t found = 0;

    while ((text = strstr(text, word)) != NULL) {
        found++;
        text++;
    }
    return found;
}

static void a_common_backend_is_not_talked_about(void **state)
{
    (void)state;

    assert_string_equal(before("IMAP4rev1 SASL-IR AUTH=PLAIN ID", PASSWORDS),
                        "");
    assert_string_equal(before("IMAP4rev1", PASSWORDS), "");
    assert_string_equal(before("LOGINDISABLED AUTH=LOGIN", PASSWORDS), "");
    assert_string_equal(
        before("AUTH=PLAIN AUTH=SCRAM-SHA-1-PLUS", PASSWORDS | SASL_EXTERNAL),
        "");
    assert_string_equal(after("IMAP4rev1 IDLE"), "");
    assert_int_equal(backend_notes(backend), 0);
}

static void a_mechanism_offered_in_vain_is_told_by_its_name(void **state)
{
    static const struct {
        const char *list;
        unsigned mechanisms;
        const char *name;
    } cases[] = {
        {"AUTH=PLAIN", PASSWORDS | SASL_XOAUTH2, "mechanism=XOAUTH2"},
        {"AUTH=PLAIN", SASL_OAUTHBEARER, "mechanism=OAUTHBEARER"},
        {"AUTH=SCRAM-SHA-256", SASL_SCRAM_SHA_1, "mechanism=SCRAM-SHA-1"},
        {"AUTH=SCRAM-SHA-1", SASL_SCRAM_SHA_256, "mechanism=SCRAM-SHA-256"},
        {"AUTH=LOGIN", SASL_EXTERNAL, "mechanism=EXTERNAL"},
        {"LOGINDISABLED", SASL_PLAIN, "mechanism=PLAIN"},
        {"LOGINDISABLED", SASL_LOGIN, "mechanism=LOGIN"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *text;

        tear_down(state);
        set_up(state);
        text = before(cases[i].list, cases[i].mechanisms);
        assert_non_null(strstr(text, "backend-note"));
        assert_non_null(strstr(text, "backend=imap-1"));
        assert_non_null(strstr(text, "note=lacks-mechanism"));
        assert_non_null(strstr(text, cases[i].name));
        assert_non_null(strstr(text, "hint="));
    }
}

static void all_mechanisms_offered_in_vain_are_told_in_one_line(void **state)
{
    const char *text =
        before("AUTH=PLAIN", PASSWORDS | SASL_XOAUTH2 | SASL_OAUTHBEARER |
                                 SASL_SCRAM_SHA_1 | SASL_SCRAM_SHA_256);

    (void)state;
    assert_int_equal(count(text, "backend-note"), 1);
    assert_non_null(strstr(
        text, "mechanism=XOAUTH2,OAUTHBEARER,SCRAM-SHA-1,SCRAM-SHA-256 hint="));
}

static void each_thing_is_told_once(void **state)
{
    static const char list[] =
        "LOGINDISABLED AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256-PLUS "
        "LOGIN-REFERRALS UNAUTHENTICATE";
    const char *text;

    (void)state;

    text = before(list, SASL_SCRAM_SHA_1 | SASL_SCRAM_SHA_256 | SASL_PLAIN);
    assert_int_equal(count(text, "backend-note"), 4);
    assert_int_equal(count(text, "note=lacks-mechanism"), 1);
    assert_int_equal(count(text, "note=offers-plus"), 1);
    assert_int_equal(count(text, "note=offers-unauthenticate"), 1);
    assert_int_equal(count(text, "note=offers-referrals"), 1);
    assert_int_equal(backend_notes(backend), 15);

    assert_string_equal(before(list, SASL_SCRAM_SHA_1), "");
    assert_string_equal(after(list), "");
}

static void what_shows_after_the_login_is_told_too(void **state)
{
    (void)state;

    assert_int_equal(count(after("IDLE UNAUTHENTICATE"), "note="), 1);
    assert_int_equal(count(after("IDLE MAILBOX-REFERRALS"), "note="), 1);
    assert_int_equal(backend_notes(backend),
                     1u << BACKEND_NOTE_OFFERS_UNAUTHENTICATE |
                         1u << BACKEND_NOTE_OFFERS_REFERRALS);
}

static void a_refused_probe_is_told_once(void **state)
{
    (void)state;
    log_capture_start(&capture);
    upstream_notes_probe(backend);
    upstream_notes_probe(backend);

    assert_int_equal(count(log_capture_take(&capture), "note=refuses-probe"),
                     1);
    assert_int_equal(backend_notes(backend), 1u << BACKEND_NOTE_REFUSES_PROBE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_common_backend_is_not_talked_about),
        CLAIM(a_mechanism_offered_in_vain_is_told_by_its_name),
        CLAIM(all_mechanisms_offered_in_vain_are_told_in_one_line),
        CLAIM(each_thing_is_told_once),
        CLAIM(what_shows_after_the_login_is_told_too),
        CLAIM(a_refused_probe_is_told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
