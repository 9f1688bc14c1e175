#include "memory_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *path;
    char *bytes;
    size_t len;
    int error;
    unsigned reads;
    bool is_world_readable;
    int64_t changed;
};

struct memory_files {
    struct file_source source;
    struct entry *entries;
    size_t count;
};

static int read_file(void *owner, const char *path, struct file_bytes *out);
static int list_folder(void *owner, const char *path, char ***names_out);

struct memory_files *memory_files_new(void)
{
    struct memory_files *files = mem_zalloc(sizeof(*files));

    files->source = (struct file_source){files, read_file, list_folder};
    return files;
}

static void free_entry(struct entry *entry)
{
    free(entry->path);
    free(entry->bytes);
}

void memory_files_free(struct memory_files **files)
{
    struct memory_files *mine = *files;

    *files = NULL;
    if (mine == NULL)
        return;
    for (size_t i = 0; i < mine->count; i++)
        free_entry(&mine->entries[i]);
    free(mine->entries);
    free(mine);
}

const struct file_source *memory_files_source(struct memory_files *files)
{
    return &files->source;
}

static struct entry *find(const struct memory_files *files, const char *path)
{
    for (size_t i = 0; i < files->count; i++) {
        if (strcmp(files->entries[i].path, path) == 0)
            return &files->entries[i];
    }
    return NULL;
}

static struct entry *find_or_add(struct memory_files *files, const char *path)
{
    struct entry *entry = find(files, path);

    if (entry != NULL)
        return entry;
    files->entries = mem_realloc_array(files->entries, files->count + 1,
                                       sizeof(*files->entries));
    entry = &files->entries[files->count++];
    *entry = (struct entry){.path = mem_strdup(path)};
    return entry;
}

static void put(struct memory_files *files, const char *path, const void *bytes,
                size_t len)
{
    struct entry *entry = find_or_add(files, path);

    free(entry->bytes);
    entry->bytes = mem_alloc(len);
    if (len > 0)
        memcpy(entry->bytes, bytes, len);
    entry->len = len;
}

void memory_files_put(struct memory_files *files, const char *path,
                      const char *text)
{
    put(files, path, text, strlen(text));
}

void memory_files_put_pem(struct memory_files *files, const char *path,
                          struct pem_file pem)
{
    put(files, path, pem.bytes, pem.len);
}

void memory_files_break(struct memory_files *files, const char *path, int error)
{
    find_or_add(files, path)->error = error;
}

void memory_files_expose(struct memory_files *files, const char *path)
{
    find_or_add(files, path)->is_world_readable = true;
}

void memory_files_date(struct memory_files *files, const char *path,
                       int64_t changed)
{
    find_or_add(files, path)->changed = changed;
}

void memory_files_remove(struct memory_files *files, const char *path)
{
    struct entry *entry = find(files, path);

    if (entry == NULL)
        return;
    free_entry(entry);
    *entry = files->entries[--files->count];
}

unsigned memory_files_reads(const struct memory_files *files, const char *path)
{
    const struct entry *entry = find(files, path);

    return entry == NULL ? 0 : entry->reads;
}

const char *memory_files_path(const struct memory_files *files, size_t index)
{
    return index < files->count ? files->entries[index].path : NULL;
}

/* Whether a folder on the way to path is a file. */
static bool goes_through_a_file(const struct memory_files *files,
                                const char *path)
{
    for (size_t i = 0; i < files->count; i++) {
        size_t len = strlen(files->entries[i].path);

        if (strncmp(path, files->entries[i].path, len) == 0 && path[len] == '/')
            return true;
    }
    return false;
}

static int read_file(void *owner, const char *path, struct file_bytes *out)
{
    struct entry *entry = find(owner, path);

    if (entry == NULL)
        return goes_through_a_file(owner, path) ? ENOTDIR : ENOENT;
    entry->reads++;
    if (entry->error != 0 || entry->bytes == NULL)
        return entry->error != 0 ? entry->error : ENOENT;
    out->bytes = mem_alloc(entry->len);
    memcpy(out->bytes, entry->bytes, entry->len);
    out->len = entry->len;
    out->is_world_readable = entry->is_world_readable;
    out->changed = entry->changed;
    return 0;
}

/* The first component of path below the folder, or NULL. */
static char *name_below(const char *folder, const char *path)
{
    size_t len = strlen(folder);

    if (strncmp(path, folder, len) != 0 || path[len] != '/')
        return NULL;
    return mem_strndup(path + len + 1, strcspn(path + len + 1, "/"));
}

/* Keeps the names sorted and each once; takes the name. */
static void insert(char **names, size_t *count, char *name)
{
    size_t at = 0;

    while (at < *count && strcmp(names[at], name) < 0)
        at++;
    if (at < *count && strcmp(names[at], name) == 0) {
        free(name);
        return;
    }
    memmove(names + at + 1, names + at, (*count - at) * sizeof(*names));
    names[at] = name;
    (*count)++;
}

static int list_folder(void *owner, const char *path, char ***names_out)
{
    const struct memory_files *files = owner;
    const struct entry *itself = find(files, path);
    char **names = mem_zalloc((files->count + 1) * sizeof(*names));
    size_t count = 0;

    if (itself != NULL) {
        free(names);
        return itself->error != 0 ? itself->error : ENOTDIR;
    }
    for (size_t i = 0; i < files->count; i++) {
        char *name = name_below(path, files->entries[i].path);

        if (name != NULL)
            insert(names, &count, name);
    }
    *names_out = names;
    return 0;
}
