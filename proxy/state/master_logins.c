#include "state/master_logins.h"

#include "config/json_path.h"
#include "state/secret_file.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct master_login login; /* user NULL: none */
    struct secret_file secret;
};

struct master_logins {
    const struct backend_config *backends;
    const struct pool *pools;
    struct entry *of_backends; /* as many as backends; NULL: none has one */
    struct entry *of_pools;    /* likewise */
    struct entry *of_probes;   /* as many as backends; NULL: none has one */
    size_t backend_count;
    size_t pool_count;
};

/* One load, and whose master it is at just now. */
struct loading {
    const struct file_source *files;
    const char *routes_file;
    struct reasons *reasons;
    struct json_path path;
    bool is_good;
};

static void load_backends(struct loading *loading,
                          struct master_logins *logins);
static void load_pools(struct loading *loading, struct master_logins *logins);
static void load_probes(struct loading *loading, struct master_logins *logins);
static void load_entry(struct loading *loading, const char *user,
                       const char *file, struct entry *entry);
static void name_member(struct loading *loading, const char *section,
                        const char *name, const char *member);
static void free_entries(struct entry **entries, size_t count);

struct master_logins *master_logins_load(const struct file_source *files,
                                         const char *routes_file,
                                         const struct route_table *table,
                                         struct reasons *reasons)
{
    struct loading loading = {.files = files,
                              .routes_file = routes_file,
                              .reasons = reasons,
                              .is_good = true};
    struct master_logins *logins = mem_zalloc(sizeof(*logins));

    logins->backends = route_table_backends(table, &logins->backend_count);
    logins->pools = route_table_pools(table, &logins->pool_count);
    load_backends(&loading, logins);
    load_pools(&loading, logins);
    load_probes(&loading, logins);
    if (!loading.is_good)
        master_logins_free(&logins);
    return logins;
}

void master_logins_free(struct master_logins **logins)
{
    struct master_logins *mine = *logins;

    *logins = NULL;
    if (mine == NULL)
        return;
    free_entries(&mine->of_backends, mine->backend_count);
    free_entries(&mine->of_pools, mine->pool_count);
    free_entries(&mine->of_probes, mine->backend_count);
    free(mine);
}

const struct master_login *
master_logins_find(const struct master_logins *logins, const struct pool *pool,
                   const struct backend_config *backend)
{
    size_t of_backend = (size_t)(backend - logins->backends);
    size_t of_pool = (size_t)(pool - logins->pools);

    assert(of_backend < logins->backend_count && of_pool < logins->pool_count);
    if (backend->master.user != NULL)
        return &logins->of_backends[of_backend].login;
    if (pool->master.user != NULL)
        return &logins->of_pools[of_pool].login;
    return NULL;
}

const struct master_login *
master_logins_probe(const struct master_logins *logins,
                    const struct backend_config *backend)
{
    size_t index = (size_t)(backend - logins->backends);

    assert(index < logins->backend_count);
    return backend->probe.user == NULL ? NULL : &logins->of_probes[index].login;
}

static void load_backends(struct loading *loading, struct master_logins *logins)
{
    for (size_t i = 0; i < logins->backend_count; i++) {
        const struct backend_config *backend = &logins->backends[i];

        if (backend->master.user == NULL)
            continue;
        if (logins->of_backends == NULL)
            logins->of_backends =
                mem_zalloc(logins->backend_count * sizeof(struct entry));
        name_member(loading, "backends", backend->name, "master");
        load_entry(loading, backend->master.user, backend->master.secret_file,
                   &logins->of_backends[i]);
    }
}

static void load_pools(struct loading *loading, struct master_logins *logins)
{
    for (size_t i = 0; i < logins->pool_count; i++) {
        const struct pool *pool = &logins->pools[i];

        if (pool->master.user == NULL)
            continue;
        if (logins->of_pools == NULL)
            logins->of_pools =
                mem_zalloc(logins->pool_count * sizeof(struct entry));
        name_member(loading, "pools", pool->name, "master");
        load_entry(loading, pool->master.user, pool->master.secret_file,
                   &logins->of_pools[i]);
    }
}

static void load_probes(struct loading *loading, struct master_logins *logins)
{
    for (size_t i = 0; i < logins->backend_count; i++) {
        const struct backend_config *backend = &logins->backends[i];

        if (backend->probe.user == NULL)
            continue;
        if (logins->of_probes == NULL)
            logins->of_probes =
                mem_zalloc(logins->backend_count * sizeof(struct entry));
        name_member(loading, "backends", backend->name, "probe");
        load_entry(loading, backend->probe.user, backend->probe.secret_file,
                   &logins->of_probes[i]);
    }
}

static void name_member(struct loading *loading, const char *section,
                        const char *name, const char *member)
{
    json_path_init(&loading->path);
    json_path_add_key(&loading->path, section, strlen(section));
    json_path_add_key(&loading->path, name, strlen(name));
    json_path_add_key(&loading->path, member, strlen(member));
    json_path_add_key(&loading->path, "secret", strlen("secret"));
}

static void load_entry(struct loading *loading, const char *user,
                       const char *file, struct entry *entry)
{
    const struct file_mention mention = {
        loading->routes_file, loading->path.text, "a file that can be read"};

    if (secret_file_read(loading->files, file, &mention, &entry->secret,
                         loading->reasons))
        entry->login = (struct master_login){user, entry->secret.file.bytes,
                                             entry->secret.len};
    else
        loading->is_good = false;
}

static void free_entries(struct entry **entries, size_t count)
{
    struct entry *mine = *entries;

    *entries = NULL;
    if (mine == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        secret_file_deinit(&mine[i].secret);
    free(mine);
}
