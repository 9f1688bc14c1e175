#include "backend/backend.h"
#include "backend/rendezvous.h"

#include <assert.h>
#include <stdlib.h>

struct member {
    struct backend *backend;
    uint64_t seed;
};

struct backend_set {
    const struct backend_config *configs; /* the table's, in its order */
    size_t count;
    struct member members[];
};

struct backend_set *backend_set_new(struct backend_registry *registry,
                                    const struct backend_config *configs,
                                    size_t count)
{
    struct backend_set *set =
        mem_alloc(sizeof(*set) + count * sizeof(*set->members));

    set->configs = configs;
    set->count = count;
    for (size_t i = 0; i < count; i++) {
        const struct backend_config *config = &configs[i];

        set->members[i].backend = backend_registry_get(
            registry, config->name, config->host, config->port);
        set->members[i].seed = rendezvous_seed(config->name);
    }
    return set;
}

void backend_set_free(struct backend_set **set)
{
    struct backend_set *mine = *set;

    *set = NULL;
    if (mine == NULL)
        return;
    for (size_t i = 0; i < mine->count; i++)
        backend_unref(&mine->members[i].backend);
    free(mine);
}

/* The table's backends are one array, so a place in it is an index here. */
static const struct member *find_member(const struct backend_set *set,
                                        const struct backend_config *config)
{
    size_t index = (size_t)(config - set->configs);

    assert(index < set->count);
    return &set->members[index];
}

struct backend *backend_set_find(const struct backend_set *set,
                                 const struct backend_config *config)
{
    return find_member(set, config)->backend;
}

uint64_t backend_set_seed(const struct backend_set *set,
                          const struct backend_config *config)
{
    return find_member(set, config)->seed;
}

size_t backend_set_count(const struct backend_set *set)
{
    return set->count;
}

struct backend *backend_set_at(const struct backend_set *set, size_t index,
                               const struct backend_config **config_out)
{
    assert(index < set->count);
    *config_out = &set->configs[index];
    return set->members[index].backend;
}
