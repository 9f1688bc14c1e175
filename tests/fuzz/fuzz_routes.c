/* Any bytes as routes.json; where they make a table, pieces of them are looked
 * up in it. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "config/route_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_pools(const struct route_table *table)
{
    size_t count;
    const struct pool *pools = route_table_pools(table, &count);

    assert(count > 0);
    for (size_t i = 0; i < count; i++) {
        assert(pools[i].backend_count > 0);
        for (size_t k = 0; k < pools[i].backend_count; k++) {
            assert(pools[i].backends[k]->host != NULL);
            assert(pools[i].backends[k]->port != 0);
        }
    }
}

static void look_up(const struct route_table *table,
                    const struct identity_rules *rules, const uint8_t *name,
                    size_t len)
{
    struct identity identity;
    struct route route;
    char login_as[64];

    if (identity_normalise(rules, name, len, &identity) != IDENTITY_OK ||
        !route_table_find(table, &identity, &route))
        return;
    assert(route.pool != NULL && route.key[0] != '\0');
    if (route_login_as(&route, &identity, login_as, sizeof(login_as)))
        assert(login_as[0] != '\0' && strlen(login_as) < sizeof(login_as));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct identity_rules rules;
    struct reasons *reasons = reasons_new();
    struct route_table *table = NULL;

    identity_rules_init(&rules);

    bool is_taken =
        route_table_parse(bytes, len, "routes.json", &rules, &table, reasons);

    assert(is_taken == !reasons_has_errors(reasons));
    if (is_taken) {
        check_pools(table);
        for (size_t i = 0; i + 1 < len && i < 512; i += 7)
            look_up(table, &rules, bytes + i, len - i > 17 ? 17 : len - i);
    }
    route_table_free(&table);
    reasons_free(&reasons);
    identity_rules_deinit(&rules);
    return 0;
}
