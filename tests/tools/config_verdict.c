/* Tells what the loaders make of documents: one JSON text a line on standard
 * input; for each "good" or "bad", its reasons one a line, and an empty line.
 * Usage: config_verdict settings|routes */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/route_table.h"
#include "config/settings.h"

static bool load_settings(const uint8_t *bytes, size_t len,
                          struct reasons *reasons)
{
    struct settings *settings = NULL;
    bool is_good = settings_parse(bytes, len, "file", &settings, reasons);

    settings_free(&settings);
    return is_good;
}

static bool load_routes(const uint8_t *bytes, size_t len,
                        struct reasons *reasons)
{
    struct identity_rules rules;
    struct route_table *table = NULL;

    identity_rules_init(&rules);

    bool is_good =
        route_table_parse(bytes, len, "file", &rules, &table, reasons);

    route_table_free(&table);
    identity_rules_deinit(&rules);
    return is_good;
}

static void tell(const uint8_t *bytes, size_t len, bool is_routes)
{
    struct reasons *reasons = reasons_new();
    bool is_good = is_routes ? load_routes(bytes, len, reasons)
                             : load_settings(bytes, len, reasons);
    char line[2048];

    puts(is_good ? "good" : "bad");
    for (size_t i = 0; i < reasons->count; i++) {
        (void)reason_format(&reasons->items[i], line, sizeof(line));
        puts(line);
    }
    puts("");
    reasons_free(&reasons);
}

int main(int argc, char **argv)
{
    bool is_routes = argc == 2 && strcmp(argv[1], "routes") == 0;
    char *line = NULL;
    size_t size = 0;
    ssize_t len;

    if (!is_routes && (argc != 2 || strcmp(argv[1], "settings") != 0)) {
        fputs("Usage: config_verdict settings|routes\n", stderr);
        return 2;
    }
    while ((len = getline(&line, &size, stdin)) >= 0)
        tell((const uint8_t *)line, (size_t)len, is_routes);
    free(line);
    return 0;
}
