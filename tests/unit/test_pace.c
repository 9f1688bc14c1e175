/* Work that naps: seen by how often the kernel was told to wait, which no other
 * program on the machine changes. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

#include "config/json_parse.h"
#include "config/pace.h"
#include "config/route_table.h"

enum {
    USERS = 20000,
    NAPS_WANTED = 5,
    WORK_MS = 5
};

static char *bytes; /* of a file of that many users */
static size_t len;

/* Of this thread, which waits for nothing else. */
static long naps(void)
{
    struct rusage usage;

    assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_nvcsw;
}

static uint64_t worked_ms(void)
{
    struct timespec moment;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &moment);
    return (uint64_t)moment.tv_sec * 1000 + (uint64_t)moment.tv_nsec / 1000000;
}

static long naps_in_work(void)
{
    uint64_t until_ms = worked_ms() + WORK_MS;
    long before = naps();

    while (worked_ms() < until_ms)
        pace();
    return naps() - before;
}

static void write_lines(void)
{
    FILE *file = open_memstream(&bytes, &len);

    for (unsigned i = 0; i < USERS; i++)
        (void)fprintf(file, "user%u@example.org\tall\n", i);
    (void)fprintf(file, "# end %u\n", (unsigned)USERS);
    assert_int_equal(fclose(file), 0);
}

static void write_object(void)
{
    FILE *file = open_memstream(&bytes, &len);

    for (unsigned i = 0; i < USERS; i++)
        (void)fprintf(file, "%c\"user%u@example.org\": \"all\"",
                      i == 0 ? '{' : ',', i);
    (void)fputs("}", file);
    assert_int_equal(fclose(file), 0);
}

static int tear_down(void **state)
{
    (void)state;
    pace_end();
    free(bytes);
    bytes = NULL;
    return 0;
}

static void work_naps_after_each_stretch(void **state)
{
    (void)state;
    pace_begin();

    assert_in_range(naps_in_work(), WORK_MS * 1000 / PACE_STRETCH_US / 2,
                    WORK_MS * 1000 / PACE_STRETCH_US + 1);
}

static void work_does_not_nap_unless_it_begun(void **state)
{
    (void)state;

    assert_int_equal(naps_in_work(), 0);
}

static void work_does_not_nap_when_that_is_over(void **state)
{
    (void)state;
    pace_begin();
    pace_end();

    assert_int_equal(naps_in_work(), 0);
}

static void *work_beside(void *argument)
{
    *(long *)argument = naps_in_work();
    return NULL;
}

static void another_thread_does_not_nap(void **state)
{
    pthread_t thread;
    long others = -1;

    (void)state;
    pace_begin();
    assert_int_equal(pthread_create(&thread, NULL, work_beside, &others), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);

    assert_int_equal(others, 0);
}

static json_t *parse_users(void)
{
    struct json_reader reader = {.file = "users.json",
                                 .reasons = reasons_new()};
    json_t *users = json_parse(&reader, (const uint8_t *)bytes, len);

    assert_non_null(users);
    reasons_free(&reader.reasons);
    return users;
}

static void json_naps_while_it_is_parsed_and_freed(void **state)
{
    long begun, parsed;
    json_t *users;

    (void)state;
    write_object();
    pace_begin();
    begun = naps();
    users = parse_users();
    parsed = naps();
    json_decref(users);

    assert_true(parsed - begun >= NAPS_WANTED);
    assert_true(naps() - parsed >= NAPS_WANTED);
}

static bool lend_users(void *owner, const char *path, const char *mention,
                       struct reasons *reasons, const uint8_t **bytes_out,
                       size_t *len_out)
{
    (void)owner;
    (void)path;
    (void)mention;
    (void)reasons;
    *bytes_out = (const uint8_t *)bytes;
    *len_out = len;
    return true;
}

static void users_as_lines_nap_while_they_are_loaded(void **state)
{
    static const char routes[] =
        "{\"backends\": {\"b\": {\"host\": \"::1\", \"port\": 1, \"tls\": "
        "\"none\"}},"
        " \"pools\": {\"all\": {\"backends\": [\"b\"]}},"
        " \"users\": {\"file\": \"u.tsv\"}}";
    const struct route_files files = {.read = lend_users};
    struct reasons *reasons = reasons_new();
    struct route_table *table = NULL;
    struct identity_rules rules;
    long begun;

    (void)state;
    write_lines();
    identity_rules_init(&rules);
    pace_begin();
    begun = naps();
    assert_true(route_table_parse_with((const uint8_t *)routes, strlen(routes),
                                       "routes.json", &rules, &files, &table,
                                       reasons));

    assert_true(naps() - begun >= NAPS_WANTED);
    route_table_free(&table);
    identity_rules_deinit(&rules);
    reasons_free(&reasons);
}

#define CLAIM(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(work_naps_after_each_stretch),
        CLAIM(work_does_not_nap_unless_it_begun),
        CLAIM(work_does_not_nap_when_that_is_over),
        CLAIM(another_thread_does_not_nap),
        CLAIM(json_naps_while_it_is_parsed_and_freed),
        CLAIM(users_as_lines_nap_while_they_are_loaded),
    };

    pace_jansson();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
