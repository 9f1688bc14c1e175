#include "state/certificate_files.h"

#include "config/json_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 300

/* One entry of the settings being read. */
struct reading {
    struct certificate_files *files;
    const struct file_source *source;
    const char *settings_file;
    size_t index; /* of the entry */
    struct reasons *reasons;
};

/* A folder's names, sorted. */
struct names {
    char **list;
    size_t count;
};

enum presence {
    PRESENT,
    ABSENT,
    FAILED
};

static bool read_client_ca(const struct reading *reading, const char *name);
static bool read_entry(const struct reading *reading,
                       const struct certificate_config *entry);
static bool read_pair(const struct reading *reading, const char *chain,
                      const char *key);
static bool read_folder(const struct reading *reading, const char *folder);

bool certificate_files_read(struct certificate_files *files,
                            const struct file_source *source,
                            const struct settings *settings,
                            struct reasons *reasons)
{
    struct reading reading = {files, source, settings->file, 0, reasons};
    bool is_good = true;

    *files = (struct certificate_files){.count = 0};
    for (; reading.index < settings->tls.certificate_count; reading.index++)
        is_good &=
            read_entry(&reading, &settings->tls.certificates[reading.index]);
    if (settings->tls.client_ca != NULL)
        is_good &= read_client_ca(&reading, settings->tls.client_ca);
    return is_good;
}

void certificate_files_deinit(struct certificate_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        file_bytes_deinit(&files->pairs[i].chain);
        file_bytes_deinit(&files->pairs[i].key);
        free(files->pairs[i].chain_name);
        free(files->pairs[i].key_name);
    }
    free(files->pairs);
    free(files->certificates);
    file_bytes_deinit(&files->client_ca_bytes);
    free(files->client_ca_name);
    *files = (struct certificate_files){.count = 0};
}

static bool read_client_ca(const struct reading *reading, const char *name)
{
    const struct file_mention mention = {reading->settings_file,
                                         "$.tls.client_certificates.ca",
                                         "a file that can be read"};
    struct certificate_files *files = reading->files;

    if (!file_source_read(reading->source, name, &mention,
                          &files->client_ca_bytes, reading->reasons))
        return false;
    files->client_ca_name = mem_strdup(name);
    files->client_ca =
        (struct pem_file){files->client_ca_name, files->client_ca_bytes.bytes,
                          files->client_ca_bytes.len};
    return true;
}

static bool read_entry(const struct reading *reading,
                       const struct certificate_config *entry)
{
    if (entry->directory != NULL)
        return read_folder(reading, entry->directory);
    if (entry->chain == NULL || entry->key == NULL)
        return false; /* salvaged settings, and somebody told already */
    return read_pair(reading, entry->chain, entry->key);
}

static void compose_path(const struct reading *reading, const char *member,
                         struct json_path *path)
{
    json_path_init(path);
    json_path_add_key(path, "tls", strlen("tls"));
    json_path_add_key(path, "certificates", strlen("certificates"));
    json_path_add_index(path, reading->index);
    json_path_add_key(path, member, strlen(member));
}

static void warn(const struct reading *reading, const char *member,
                 const char *file, const char *what, const char *expected)
{
    struct json_path path;
    char found[SHOWN_MAX + 64];

    compose_path(reading, member, &path);
    snprintf(found, sizeof(found), "\"%.*s\", %s", SHOWN_MAX, file, what);
    reasons_add(reading->reasons, REASON_WARNING, reading->settings_file,
                path.text, found, expected);
}

static bool read_member(const struct reading *reading, const char *member,
                        const char *name, struct file_bytes *out)
{
    struct json_path path;
    const struct file_mention mention = {reading->settings_file, path.text,
                                         "a file that can be read"};

    compose_path(reading, member, &path);
    return file_source_read(reading->source, name, &mention, out,
                            reading->reasons);
}

/* Takes over the pair. */
static void give_pair(const struct reading *reading, const char *member,
                      const struct certificate_pair *pair)
{
    struct certificate_files *files = reading->files;
    size_t index = files->count++;

    if (pair->key.is_world_readable)
        warn(reading, member, pair->key_name, "which everybody may read",
             "a key that only its user and group may read");
    files->pairs =
        mem_realloc_array(files->pairs, files->count, sizeof(*files->pairs));
    files->pairs[index] = *pair;
    files->certificates = mem_realloc_array(files->certificates, files->count,
                                            sizeof(*files->certificates));
    files->certificates[index] = (struct tls_server_certificate){
        .chain = {pair->chain_name, pair->chain.bytes, pair->chain.len},
        .key = {pair->key_name, pair->key.bytes, pair->key.len}};
}

static bool read_pair(const struct reading *reading, const char *chain,
                      const char *key)
{
    struct certificate_pair pair = {.chain_name = NULL};
    bool has_chain = read_member(reading, "chain", chain, &pair.chain);
    bool has_key = read_member(reading, "key", key, &pair.key);

    if (!has_chain || !has_key) {
        file_bytes_deinit(&pair.chain);
        file_bytes_deinit(&pair.key);
        return false;
    }
    pair.chain_name = mem_strdup(chain);
    pair.key_name = mem_strdup(key);
    give_pair(reading, "key", &pair);
    return true;
}

/* Folders. */

static char *join(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = mem_alloc(size);

    snprintf(path, size, "%s/%s", folder, name);
    return path;
}

/* What is missing may be meant so; what is there must be readable. */
static enum presence try_file(const struct reading *reading, const char *name,
                              struct file_bytes *out)
{
    struct json_path path;
    const struct file_mention mention = {reading->settings_file, path.text,
                                         "a folder of files that can be read"};
    int error = reading->source->read_file(reading->source->owner, name, out);

    if (error == 0)
        return PRESENT;
    if (error == ENOENT || error == ENOTDIR)
        return ABSENT;
    compose_path(reading, "directory", &path);
    file_source_complain(name, error, &mention, reading->reasons);
    return FAILED;
}

static void warn_of_half(const struct reading *reading, const char *name)
{
    warn(reading, "directory", name, "which is left out",
         "a certificate chain beside its key");
}

/* Takes over both names. */
static bool try_pair(const struct reading *reading, char *chain_name,
                     char *key_name)
{
    struct certificate_pair pair = {.chain_name = chain_name,
                                    .key_name = key_name};
    enum presence chain = try_file(reading, chain_name, &pair.chain);
    enum presence key = try_file(reading, key_name, &pair.key);

    if (chain == PRESENT && key == PRESENT) {
        give_pair(reading, "directory", &pair);
        return true;
    }
    if (chain == PRESENT && key == ABSENT)
        warn_of_half(reading, chain_name);
    if (chain == ABSENT && key == PRESENT)
        warn_of_half(reading, key_name);
    file_bytes_deinit(&pair.chain);
    file_bytes_deinit(&pair.key);
    free(chain_name);
    free(key_name);
    return chain != FAILED && key != FAILED;
}

static bool read_subfolder(const struct reading *reading, const char *folder)
{
    return try_pair(reading, join(folder, "fullchain.pem"),
                    join(folder, "privkey.pem"));
}

static size_t stem_len(const char *name, const char *suffix)
{
    size_t len = strlen(name);
    size_t suffix_len = strlen(suffix);

    return len > suffix_len && strcmp(name + len - suffix_len, suffix) == 0
               ? len - suffix_len
               : 0;
}

static int compare_names(const void *left, const void *right)
{
    const char *const *a = left;
    const char *const *b = right;

    return strcmp(*a, *b);
}

static bool has_name(const struct names *names, const char *stem, size_t len,
                     const char *suffix)
{
    size_t size = len + strlen(suffix) + 1;
    char *wanted = mem_alloc(size);
    bool has;

    snprintf(wanted, size, "%.*s%s", (int)len, stem, suffix);
    has = names->count > 0 && bsearch(&wanted, names->list, names->count,
                                      sizeof(*names->list), compare_names);
    free(wanted);
    return has;
}

static char *replace_suffix(const char *folder, const char *name, size_t len)
{
    size_t size = strlen(folder) + len + sizeof("/.key");
    char *path = mem_alloc(size);

    snprintf(path, size, "%s/%.*s.key", folder, (int)len, name);
    return path;
}

/* One name of a folder. A key is read with its chain, NAME.crt before
 * NAME.pem. */
static bool read_name(const struct reading *reading, const char *folder,
                      const struct names *names, const char *name)
{
    size_t crt = stem_len(name, ".crt");
    size_t pem = stem_len(name, ".pem");
    size_t key = stem_len(name, ".key");
    char *path = join(folder, name);
    bool is_good = true;

    if (crt > 0 && has_name(names, name, crt, ".key"))
        return try_pair(reading, path, replace_suffix(folder, name, crt));
    if (pem > 0 && has_name(names, name, pem, ".key") &&
        !has_name(names, name, pem, ".crt"))
        return try_pair(reading, path, replace_suffix(folder, name, pem));
    if (crt > 0 || pem > 0 ||
        (key > 0 && !has_name(names, name, key, ".crt") &&
         !has_name(names, name, key, ".pem")))
        warn_of_half(reading, path);
    else if (key == 0)
        is_good = read_subfolder(reading, path);
    free(path);
    return is_good;
}

static bool read_names(const struct reading *reading, const char *folder,
                       const struct names *names)
{
    bool is_good = true;

    for (size_t i = 0; i < names->count; i++) {
        /* Hidden, or of those who swap folders by symbolic links. */
        if (names->list[i][0] == '.')
            continue;
        is_good &= read_name(reading, folder, names, names->list[i]);
    }
    return is_good;
}

static void report_empty(const struct reading *reading, const char *folder)
{
    struct json_path path;
    char found[SHOWN_MAX + 64];

    compose_path(reading, "directory", &path);
    snprintf(found, sizeof(found), "\"%.*s\", which holds no certificate",
             SHOWN_MAX, folder);
    reasons_add(reading->reasons, REASON_ERROR, reading->settings_file,
                path.text, found,
                "NAME/fullchain.pem with NAME/privkey.pem, or NAME.crt or "
                "NAME.pem with NAME.key");
}

static bool list_folder(const struct reading *reading, const char *folder,
                        struct names *out)
{
    struct json_path path;
    const struct file_mention mention = {reading->settings_file, path.text,
                                         "a folder that can be read"};
    int error = reading->source->list_folder(reading->source->owner, folder,
                                             &out->list);

    if (error != 0) {
        compose_path(reading, "directory", &path);
        file_source_complain(folder, error, &mention, reading->reasons);
        return false;
    }
    while (out->list[out->count] != NULL)
        out->count++;
    return true;
}

static bool read_folder(const struct reading *reading, const char *folder)
{
    size_t before = reading->files->count;
    struct names names = {.count = 0};
    bool is_good;

    if (!list_folder(reading, folder, &names))
        return false;
    is_good = read_names(reading, folder, &names);
    file_names_free(&names.list);
    if (is_good && reading->files->count == before) {
        report_empty(reading, folder);
        return false;
    }
    return is_good;
}
