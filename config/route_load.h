/* How routes.json becomes a table; each part is read by a file of its own. */
#ifndef CONFIG_ROUTE_LOAD_H
#define CONFIG_ROUTE_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "config/json_place.h"
#include "config/json_read.h"
#include "config/mem.h"
#include "config/route_table_private.h"

#define ROUTE_NAME_MAX 128

/* The names of backends, or of pools, in file order. */
struct route_names {
    struct key_table table; /* each to its index */
    const char **texts;     /* lent by the JSON tree */
    bool *is_used;          /* some pool, or some rule, names it */
    size_t count;
};

struct route_loader {
    struct route_table *table;
    const struct identity_rules *identity_rules;
    struct key_seed seed;
    struct route_names backends;
    struct route_names pools;
};

/* Enters every name of an object, so that what refers to one can be told from
 * what refers to none, even where the named thing itself has a fault. Returns
 * false after a fault of the object. */
MUST_USE bool route_names_read(struct route_loader *loader,
                               struct route_names *names,
                               const struct json_place *place);
void route_names_deinit(struct route_names *names);

/* Gives the index of the name that stands at the place, and marks it as used.
 * Returns false after a fault, which says the nearest name; kind is "backend"
 * or "pool". */
MUST_USE bool route_names_find(struct route_loader *loader,
                               struct route_names *names, const char *kind,
                               const struct json_place *place,
                               uint32_t *index_out);

/* Reads the optional "master" of a backend or a pool. */
void route_load_master(struct json_members *members,
                       struct master_config *master);

/* Why this backend must not be given a master user's secret, or NULL. */
const char *route_load_master_danger(const struct backend_config *backend);

void route_load_backends(struct route_loader *loader,
                         const struct json_place *place);
void route_load_pools(struct route_loader *loader,
                      const struct json_place *place);
void route_load_users(struct route_loader *loader,
                      const struct json_place *place);
void route_load_domains(struct route_loader *loader,
                        const struct json_place *place);
void route_load_default(struct route_loader *loader,
                        const struct json_place *place);

#endif
