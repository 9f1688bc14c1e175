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
    const struct route_files *files; /* NULL: none are read */
    struct key_seed seed;
    struct route_names backends;
    struct route_names pools;
    unsigned searches; /* for the first of two equal keys, of all keys */
};

/* Each goes through a million keys, at worst. */
enum {
    ROUTE_SEARCHES_MAX = 16
};

/* What became of a user. */
enum route_user {
    ROUTE_USER_ADDED,
    ROUTE_USER_KNOWN, /* the name was there before */
    ROUTE_USER_TOO_MANY
};

/* Room for the words "the pool ..." in a reason. */
#define ROUTE_EXPECTED_MAX (ROUTE_NAME_MAX * 4 + 64)

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

/* Likewise for bytes that are no JSON; false without a fault. */
MUST_USE bool route_names_look_up(struct route_loader *loader,
                                  struct route_names *names, const char *name,
                                  size_t len, uint32_t *index_out);

/* What was expected where that failed: the nearest name. An empty one is near
 * to none, and costs no search. */
void route_names_expected(const struct route_names *names, const char *kind,
                          const char *name, size_t len,
                          char expected[ROUTE_EXPECTED_MAX]);

/* For names that are used where nobody looks. */
void route_names_use_all(struct route_names *names);

/* Reads the optional "master" of a backend or a pool. */
void route_load_master(struct json_members *members,
                       struct master_config *master);

/* Reads the optional "probe" of a backend. */
void route_load_probe(struct json_members *members, struct probe_config *probe);

/* Why this backend must not be given a master user's secret, or NULL. */
const char *route_load_master_danger(const struct backend_config *backend);

void route_load_backends(struct route_loader *loader,
                         const struct json_place *place);
void route_load_pools(struct route_loader *loader,
                      const struct json_place *place);

/* "users": an object of rules, or the file of one. */
void route_load_users(struct route_loader *loader,
                      const struct json_place *place);

/* An object of users and their rules. */
void route_load_user_rules(struct route_loader *loader,
                           const struct json_place *place);

/* Users as lines of text, from the file of this name. */
void route_load_user_lines(struct route_loader *loader, const char *file,
                           const uint8_t *bytes, size_t len,
                           struct reasons *reasons);

/* A user's name in the form of the table. False where no login could ever be
 * of this name. */
MUST_USE bool route_load_normalise(const struct route_loader *loader,
                                   const char *name, size_t len,
                                   struct identity *identity_out);

/* Enters a user; there is room in the table of keys. */
MUST_USE enum route_user route_load_add_user(struct route_loader *loader,
                                             const struct identity *identity,
                                             uint32_t rule);

/* The index of the pool's own rule, of the last one again, or of a new one. */
uint32_t route_load_rule(struct route_loader *loader, struct rule rule);

/* Whether one more search for the first of two equal keys may be made. */
MUST_USE bool route_load_may_search(struct route_loader *loader,
                                    const struct reasons *reasons);
void route_load_domains(struct route_loader *loader,
                        const struct json_place *place);
void route_load_default(struct route_loader *loader,
                        const struct json_place *place);

#endif
