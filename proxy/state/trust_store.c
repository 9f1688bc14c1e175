#include "state/trust_store.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    char *path;
    struct trust_anchors *anchors; /* NULL: the file was refused */
};

struct trust_store {
    struct entry *entries;
    size_t count;
};

struct trust_store *trust_store_new(void)
{
    return mem_zalloc(sizeof(struct trust_store));
}

void trust_store_free(struct trust_store **store)
{
    struct trust_store *mine = *store;

    *store = NULL;
    if (mine == NULL)
        return;
    for (size_t i = 0; i < mine->count; i++) {
        trust_anchors_unref(&mine->entries[i].anchors);
        free(mine->entries[i].path);
    }
    free(mine->entries);
    free(mine);
}

static const struct entry *find(const struct trust_store *store,
                                const char *path)
{
    if (store == NULL)
        return NULL;
    for (size_t i = 0; i < store->count; i++) {
        if (strcmp(store->entries[i].path, path) == 0)
            return &store->entries[i];
    }
    return NULL;
}

static struct trust_anchors *make_anchors(const struct trust_store *former,
                                          const struct pem_file *file,
                                          struct reasons *reasons)
{
    const struct entry *old = find(former, file->name);

    if (old != NULL && old->anchors != NULL &&
        trust_anchors_match(old->anchors, file))
        return trust_anchors_ref(old->anchors);
    return trust_anchors_new(file, reasons);
}

static struct trust_anchors *load(const struct trust_store *former,
                                  const struct file_source *files,
                                  const char *path,
                                  const struct file_mention *mention,
                                  struct reasons *reasons)
{
    struct trust_anchors *anchors;
    struct file_bytes file;

    if (!file_source_read(files, path, mention, &file, reasons))
        return NULL;
    anchors = make_anchors(
        former, &(struct pem_file){path, file.bytes, file.len}, reasons);
    file_bytes_deinit(&file);
    return anchors;
}

struct trust_anchors *
trust_store_get(struct trust_store *store, const struct trust_store *former,
                const struct file_source *files, const char *path,
                const struct file_mention *mention, struct reasons *reasons)
{
    const struct entry *known = find(store, path);
    struct trust_anchors *anchors;

    if (known != NULL)
        return known->anchors;
    anchors = load(former, files, path, mention, reasons);
    store->entries = mem_realloc_array(store->entries, store->count + 1,
                                       sizeof(*store->entries));
    store->entries[store->count++] =
        (struct entry){.path = mem_strdup(path), .anchors = anchors};
    return anchors;
}
