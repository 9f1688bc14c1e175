#include "state/link_targets.h"

#include "config/json_path.h"

#include <stdlib.h>
#include <string.h>

/* One load. */
struct loading {
    const struct link_targets_parts *parts;
    struct reasons *reasons;
    size_t likely; /* where the next former target probably is */
};

/* The files of our own certificate towards one backend. */
struct own_certificate {
    struct file_bytes chain;
    struct file_bytes key;
};

static bool load_target(struct loading *loading, struct link_target *target);
static struct trust_anchors *get_anchors(const struct loading *loading,
                                         const struct backend_config *config);
static void report_member(const struct loading *loading, enum reason_kind kind,
                          const struct backend_config *config,
                          const char *member, const char *found,
                          const char *expected);
static bool read_certificate(const struct loading *loading,
                             const struct backend_config *config,
                             struct own_certificate *own);
static struct tls_client_context *
get_context(struct loading *loading, const struct backend_config *config,
            struct trust_anchors *anchors, const struct own_certificate *own);

bool link_targets_load(struct link_target **targets_out,
                       const struct link_targets_parts *parts,
                       struct reasons *reasons)
{
    size_t count = backend_set_count(parts->backends);
    struct link_target *targets = mem_zalloc(count * sizeof(*targets));
    struct loading loading = {parts, reasons, 0};
    bool is_good = true;

    for (size_t i = 0; i < count; i++) {
        targets[i].facts =
            backend_set_at(parts->backends, i, &targets[i].config);
        is_good &= load_target(&loading, &targets[i]);
    }
    *targets_out = targets;
    return is_good;
}

void link_targets_free(struct link_target **targets, size_t count)
{
    struct link_target *mine = *targets;

    *targets = NULL;
    if (mine == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        tls_client_context_unref(&mine[i].tls);
    free(mine);
}

static void compose_path(const struct backend_config *config,
                         const char *member, struct json_path *path)
{
    json_path_init(path);
    json_path_add_key(path, "backends", strlen("backends"));
    json_path_add_key(path, config->name, strlen(config->name));
    json_path_add_key(path, member, strlen(member));
}

static bool load_target(struct loading *loading, struct link_target *target)
{
    const struct backend_config *config = target->config;
    struct own_certificate own = {.chain = {.bytes = NULL}};
    struct trust_anchors *anchors = NULL;
    bool is_good;

    if (config->tls == BACKEND_TLS_NONE)
        return true;
    if (config->verify)
        anchors = get_anchors(loading, config);
    else
        report_member(loading, REASON_WARNING, config, "verify", "\"none\"",
                      "a backend that proves who it is before it is given "
                      "passwords");
    is_good = read_certificate(loading, config, &own);
    target->tls = get_context(loading, config, anchors, &own);
    file_bytes_deinit(&own.chain);
    file_bytes_deinit(&own.key);
    /* One made without its anchors served to find further faults, and must
     * not be dialled with. */
    if (config->verify && anchors == NULL)
        tls_client_context_unref(&target->tls);
    return is_good && target->tls != NULL;
}

static struct trust_anchors *get_anchors(const struct loading *loading,
                                         const struct backend_config *config)
{
    const struct link_targets_parts *parts = loading->parts;
    struct json_path path;
    const struct file_mention mention = {
        parts->routes_file, path.text,
        config->ca != NULL ? "a file that can be read"
                           : "a file of the authorities that backends are "
                             "verified by; without \"ca\" it is the system's"};

    compose_path(config, "ca", &path);
    return trust_store_get(parts->trust, parts->former.trust, parts->files,
                           config->ca != NULL ? config->ca
                                              : LINK_TARGETS_SYSTEM_CA,
                           &mention, loading->reasons);
}

static void report_member(const struct loading *loading, enum reason_kind kind,
                          const struct backend_config *config,
                          const char *member, const char *found,
                          const char *expected)
{
    struct json_path path;

    compose_path(config, member, &path);
    reasons_add(loading->reasons, kind, loading->parts->routes_file, path.text,
                found, expected);
}

static bool read_member(const struct loading *loading,
                        const struct backend_config *config, const char *member,
                        const char *name, struct file_bytes *out)
{
    struct json_path path;
    const struct file_mention mention = {loading->parts->routes_file, path.text,
                                         "a file that can be read"};

    compose_path(config, member, &path);
    if (!file_source_read(loading->parts->files, name, &mention, out,
                          loading->reasons))
        return false;
    /* No bytes at all would mean to go without a certificate. */
    if (out->len == 0)
        report_member(loading, REASON_ERROR, config, member, "an empty file",
                      "one in PEM");
    return out->len > 0;
}

static bool read_certificate(const struct loading *loading,
                             const struct backend_config *config,
                             struct own_certificate *own)
{
    bool has_chain;
    bool has_key;

    if (config->certificate == NULL)
        return true;
    has_chain = read_member(loading, config, "certificate", config->certificate,
                            &own->chain);
    has_key = read_member(loading, config, "key", config->key, &own->key);
    if (has_key && own->key.is_world_readable)
        report_member(loading, REASON_WARNING, config, "key",
                      "a file that everybody may read",
                      "a key that only its user and group may read");
    if (has_chain && has_key)
        return true;
    file_bytes_deinit(&own->chain);
    file_bytes_deinit(&own->key);
    return false;
}

/* Targets mostly keep their order, so that the search mostly ends at once. */
static const struct link_target *find_former(struct loading *loading,
                                             const char *name)
{
    const struct link_targets_former *former = &loading->parts->former;

    for (size_t i = 0; i < former->count; i++) {
        size_t index = (loading->likely + i) % former->count;

        if (strcmp(former->targets[index].config->name, name) == 0) {
            loading->likely = index + 1;
            return &former->targets[index];
        }
    }
    return NULL;
}

static struct pem_file pem_file(const char *name, const struct file_bytes *file)
{
    return (struct pem_file){name, file->bytes, file->len};
}

static struct tls_client_context *
get_context(struct loading *loading, const struct backend_config *config,
            struct trust_anchors *anchors, const struct own_certificate *own)
{
    const struct link_target *former = find_former(loading, config->name);
    bool is_host = strcmp(config->tls_name, config->host) == 0;
    struct json_path path;
    const struct tls_client_config tls = {
        .name = config->tls_name,
        .file = loading->parts->routes_file,
        .path = path.text,
        .anchors = anchors,
        .verify = anchors != NULL,
        .certificate = pem_file(config->certificate, &own->chain),
        .key = pem_file(config->key, &own->key),
        .verify_failed = loading->parts->verify_failed,
        .now = loading->parts->now,
    };

    compose_path(config, is_host ? "host" : "tls_name", &path);
    if (former != NULL && former->tls != NULL &&
        tls_client_context_matches(former->tls, &tls))
        return tls_client_context_ref(former->tls);
    return tls_client_context_new(&tls, loading->reasons);
}
