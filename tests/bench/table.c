/* Loads the routing table of a gatepost.json as Gatepost does, and says how
 * long that took, what it holds in memory, and how fast users are found in it.
 * Usage: bench_table CONFIG COUNT, where the table's users are
 * user0@example.org and so on, COUNT of them. */
#include "config/route_table.h"
#include "config/settings.h"
#include "provider.h"
#include "state/config_files.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Coprime to any COUNT that ends in zeros: each user once, in no order that
 * memory has. */
#define STRIDE 7919

/* The processor's time, system calls included: the files are in the page
 * cache, and a busy machine does not count. */
static double now(void)
{
    struct timespec moment;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &moment);
    return (double)moment.tv_sec + (double)moment.tv_nsec / 1e9;
}

/* What malloc has given out, also by mapping. */
static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void name_user(const struct settings *settings, size_t index,
                      struct identity *identity)
{
    char name[64];
    int len = snprintf(name, sizeof(name), "user%zu@example.org", index);

    if (identity_normalise(&settings->auth.identity, (const uint8_t *)name,
                           (size_t)len, identity) != IDENTITY_OK)
        abort();
}

static size_t names_len(const struct settings *settings, size_t count)
{
    struct identity identity;
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        name_user(settings, i, &identity);
        len += identity.user_len;
    }
    return len;
}

/* Normalised before, as a session has done by then. */
static double seconds_to_find(const struct settings *settings,
                              const struct route_table *table, size_t count)
{
    enum {
        BATCH = 1000
    };
    static struct identity batch[BATCH];
    double seconds = 0;

    for (size_t done = 0; done < count; done += BATCH) {
        struct route route;
        double start;

        for (size_t i = 0; i < BATCH; i++)
            name_user(settings, (done + i) * STRIDE % count, &batch[i]);
        start = now();
        for (size_t i = 0; i < BATCH; i++) {
            if (!route_table_find(table, &batch[i], &route) ||
                route.kind != ROUTE_USER)
                abort();
        }
        seconds += now() - start;
    }
    return seconds;
}

static void report(const struct settings *settings,
                   const struct route_table *table, double load_seconds,
                   size_t heap)
{
    size_t count = route_table_user_count(table);
    size_t names = names_len(settings, count);
    double find_seconds = seconds_to_find(settings, table, count);

    printf("users %zu load_ms %.0f table %zu heap %zu names %zu lookups %.0f\n",
           count, load_seconds * 1e3, route_table_memory(table), heap, names,
           (double)count / find_seconds);
}

static int run(const char *config_file, size_t count, struct reasons *reasons)
{
    struct settings *settings = NULL;
    struct route_table *table = NULL;
    int status = EXIT_FAILURE;
    size_t heap;
    double start;

    if (!config_files_settings(provider_files(), config_file, &settings,
                               reasons)) {
        settings_free(&settings);
        return status;
    }
    heap = heap_bytes();
    start = now();
    if (config_files_table(provider_files(), settings, &table, reasons) &&
        route_table_user_count(table) == count) {
        report(settings, table, now() - start, heap_bytes() - heap);
        status = EXIT_SUCCESS;
    }
    route_table_free(&table);
    settings_free(&settings);
    return status;
}

int main(int argc, char **argv)
{
    struct reasons *reasons = reasons_new();
    char line[2048];
    int status;

    if (argc != 3) {
        fprintf(stderr, "Usage: bench_table CONFIG COUNT\n");
        return 2;
    }
    status = run(argv[1], strtoul(argv[2], NULL, 10), reasons);
    for (size_t i = 0; i < reasons->count; i++) {
        (void)reason_format(&reasons->items[i], line, sizeof(line));
        fprintf(stderr, "%s\n", line);
    }
    reasons_free(&reasons);
    return status;
}
