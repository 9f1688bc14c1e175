/* Any bytes as a file of users, as lines or, by its first byte, as JSON. What
 * makes a table is looked up in it; of lines, no part from the front makes
 * one, but for what only lacks blank lines at the end. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "config/route_table.h"

#define ROUTES(file)                                                           \
    "{\"backends\": {\"b\": {\"host\": \"::1\", \"port\": 1, "                 \
    "\"tls\": \"none\"}}, \"pools\": {\"p\": {\"backends\": [\"b\"]}, "        \
    "\"q\": {\"backends\": [\"b\"]}}, "                                        \
    "\"users\": {\"file\": \"" file "\"}}"

struct users {
    const uint8_t *bytes;
    size_t len;
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static bool read_users(void *owner, const char *path, const char *mention,
                       struct reasons *reasons, const uint8_t **bytes_out,
                       size_t *len_out)
{
    const struct users *users = owner;

    (void)path;
    (void)mention;
    (void)reasons;
    *bytes_out = users->bytes;
    *len_out = users->len;
    return true;
}

/* NULL when it was refused. */
static struct route_table *parse(const char *routes, const uint8_t *bytes,
                                 size_t len, const struct identity_rules *rules)
{
    struct users users = {bytes, len};
    const struct route_files files = {&users, read_users};
    struct reasons *reasons = reasons_new();
    struct route_table *table = NULL;
    bool is_taken =
        route_table_parse_with((const uint8_t *)routes, strlen(routes), "r",
                               rules, &files, &table, reasons);

    assert(is_taken == !reasons_has_errors(reasons));
    assert(is_taken == (table != NULL));
    reasons_free(&reasons);
    return table;
}

static void look_up(const struct route_table *table,
                    const struct identity_rules *rules, const uint8_t *name,
                    size_t len)
{
    struct identity identity;
    struct route route;

    if (identity_normalise(rules, name, len, &identity) != IDENTITY_OK ||
        !route_table_find(table, &identity, &route))
        return;
    assert(route.kind == ROUTE_USER && route.pool != NULL);
    assert(strcmp(route.key, identity.user) == 0);
}

/* Each line's begin is looked up as far as its tab. */
static void look_up_lines(const struct route_table *table,
                          const struct identity_rules *rules,
                          const uint8_t *bytes, size_t len)
{
    size_t begin = 0;

    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\t')
            look_up(table, rules, bytes + begin, i - begin);
        if (bytes[i] == '\n')
            begin = i + 1;
    }
}

static size_t without_blank_lines(const uint8_t *bytes, size_t len)
{
    while (len > 0 && (bytes[len - 1] == '\n' || bytes[len - 1] == '\r'))
        len--;
    return len;
}

static void check_cuts(const uint8_t *bytes, size_t len,
                       const struct identity_rules *rules)
{
    size_t least = without_blank_lines(bytes, len);
    size_t first = least > 64 ? least - 64 : 0;

    for (size_t cut = first; cut < least; cut++) {
        struct route_table *table = parse(ROUTES("u.tsv"), bytes, cut, rules);

        assert(table == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    bool is_json = len > 0 && bytes[0] == '{';
    struct identity_rules rules;

    identity_rules_init(&rules);

    struct route_table *table =
        parse(is_json ? ROUTES("u.json") : ROUTES("u.tsv"), bytes, len, &rules);

    if (table != NULL) {
        look_up_lines(table, &rules, bytes, len);
        if (!is_json && len < 4096)
            check_cuts(bytes, len, &rules);
    }
    route_table_free(&table);
    identity_rules_deinit(&rules);
    return 0;
}
