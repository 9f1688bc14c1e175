/* Certificates that run out while they are served. */
#include "certificate_watch.h"

#include "certificates.h"
#include "reasons_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum {
    DAY_S = 24 * 60 * 60
};

struct fixture {
    struct snapshot snapshot;
    struct settings settings;
    struct certificate_watch watch;
    struct counters_set *counters;
    struct ticket_keys *keys;
    struct test_certificate *leaf;
    char *files[1];
    char file[16];
    int64_t now_s;
};

/* One certificate that ends in 90 days. */
static int set_up(void **state)
{
    struct fixture *fixture = mem_zalloc(sizeof(*fixture));
    struct tls_server_certificate certificate;
    struct tls_server_config config = {.certificates = &certificate,
                                       .certificate_count = 1};
    struct reasons *reasons = reasons_new();

    fixture->now_s = (int64_t)time(NULL);
    config.now = fixture->now_s;
    fixture->leaf = test_certificate_new(
        &(struct test_recipe){.dns = {"imap.example.org"}});
    certificate.chain = test_chain_file(fixture->leaf, "tls.pem");
    certificate.key = test_key_file(fixture->leaf, "tls.key");
    fixture->keys = ticket_keys_new(0);
    fixture->snapshot.tls =
        tls_server_context_new(&config, fixture->keys, reasons);
    assert_non_null(fixture->snapshot.tls);
    snprintf(fixture->file, sizeof(fixture->file), "tls.pem");
    fixture->files[0] = fixture->file;
    fixture->snapshot.certificate_files = fixture->files;
    fixture->snapshot.settings = &fixture->settings;
    fixture->snapshot.certificate_count = 1;
    fixture->counters = counters_set_new(1);
    reasons_free(&reasons);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    tls_server_context_unref(&fixture->snapshot.tls);
    ticket_keys_unref(&fixture->keys);
    counters_set_free(&fixture->counters);
    test_certificate_free(&fixture->leaf);
    free(fixture);
    return 0;
}

/* What is said so many days later. */
static void look(struct fixture *fixture, int days, const char *expected)
{
    struct reasons *reasons = reasons_new();
    char *text;

    certificate_watch_look(&fixture->watch, &fixture->snapshot,
                           counters_set_at(fixture->counters, 0),
                           fixture->now_s + (int64_t)days * DAY_S, reasons);
    text = reasons_text(reasons);
    assert_string_equal(text, expected);
    free(text);
    reasons_free(&reasons);
}

static uint64_t counted(const struct fixture *fixture, enum counter counter)
{
    return counters_set_sum(fixture->counters, counter);
}

static void one_that_runs_out_is_told_of_each_day(void **state)
{
    static const char ending[] =
        "tls.pem: warning: found a certificate that expires within 14 days, "
        "expected one that is valid for longer\n";
    static const char ended[] = "tls.pem: warning: found an expired "
                                "certificate, expected one that is valid now\n";
    struct fixture *fixture = *state;

    certificate_watch_follow(&fixture->watch, &fixture->snapshot,
                             counters_set_at(fixture->counters, 0),
                             fixture->now_s);
    look(fixture, 75, "");
    assert_int_equal(counted(fixture, COUNTER_CERTIFICATES_EXPIRING), 0);
    look(fixture, 77, ending);
    look(fixture, 77, "");
    assert_int_equal(counted(fixture, COUNTER_CERTIFICATES_EXPIRING), 1);
    look(fixture, 78, ending);
    look(fixture, 91, ended);
    assert_int_equal(counted(fixture, COUNTER_CERTIFICATES_EXPIRING), 0);
    assert_int_equal(counted(fixture, COUNTER_CERTIFICATES_EXPIRED), 1);
}

static void an_old_ticket_key_is_told_of_each_day(void **state)
{
    static char config[] = "gatepost.json";
    static char key[] = "ticket.key";
    static char *keys[] = {key};
    struct fixture *fixture = *state;

    fixture->settings = (struct settings){
        .file = config, .tls = {.ticket_keys = keys, .ticket_key_count = 1}};
    fixture->snapshot.ticket_key_made = fixture->now_s;
    certificate_watch_follow(&fixture->watch, &fixture->snapshot,
                             counters_set_at(fixture->counters, 0),
                             fixture->now_s);
    look(fixture, 14, "");
    look(fixture, 16,
         "gatepost.json: warning: $.tls.ticket_keys[0]: found \"ticket.key\", "
         "a key of 16 days ago, expected a new one each day, or each week at "
         "least\n");
    look(fixture, 16, "");
}

static void a_reload_has_warned_and_counts_anew(void **state)
{
    struct fixture *fixture = *state;
    struct snapshot none = {.certificate_count = 0};
    int64_t later_s = fixture->now_s + (int64_t)91 * DAY_S;

    certificate_watch_follow(&fixture->watch, &fixture->snapshot,
                             counters_set_at(fixture->counters, 0), later_s);
    assert_int_equal(counted(fixture, COUNTER_CERTIFICATES_EXPIRED), 1);
    look(fixture, 91, "");

    certificate_watch_follow(&fixture->watch, &none,
                             counters_set_at(fixture->counters, 0), later_s);
    assert_int_equal(counted(fixture, COUNTER_CERTIFICATES_EXPIRED), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_that_runs_out_is_told_of_each_day,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_old_ticket_key_is_told_of_each_day,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reload_has_warned_and_counts_anew,
                                        set_up, tear_down),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    test_keys_free();
    return failed;
}
