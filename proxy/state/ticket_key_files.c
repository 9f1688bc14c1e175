#include "state/ticket_key_files.h"

#include <inttypes.h>
#include <openssl/mem.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_MAX 300

enum {
    PATH_TEXT_MAX = 40,
    /* What nginx takes as well, for AES-128. */
    SHORT_KEY_SIZE = 48,
    /* A key should be changed each week at the latest (RFC 9325, 3.4), and may
     * have been there for as long before it sealed. */
    OLD_DAYS = 15,
    DAY_S = 24 * 60 * 60
};

/* One entry of the settings being read. */
struct reading {
    struct ticket_key_files *files;
    const char *name; /* the file's */
    const char *settings_file;
    char path[PATH_TEXT_MAX]; /* in the settings */
    struct reasons *reasons;
};

static bool read_entry(struct reading *reading,
                       const struct file_source *source);

bool ticket_key_files_read(struct ticket_key_files *files,
                           const struct file_source *source,
                           const struct settings *settings,
                           struct reasons *reasons)
{
    struct reading reading = {
        .files = files, .settings_file = settings->file, .reasons = reasons};
    bool is_good = true;

    files->count = 0;
    files->made = 0;
    for (size_t i = 0; i < settings->tls.ticket_key_count; i++) {
        reading.name = settings->tls.ticket_keys[i];
        (void)snprintf(reading.path, sizeof(reading.path),
                       "$.tls.ticket_keys[%zu]", i);
        is_good &= read_entry(&reading, source);
    }
    return is_good;
}

void ticket_key_files_deinit(struct ticket_key_files *files)
{
    OPENSSL_cleanse(files, sizeof(*files));
}

void ticket_key_files_warn(const struct settings *settings, int64_t made,
                           int64_t now, struct reasons *reasons)
{
    char found[SHOWN_MAX + 64];

    if (settings->tls.ticket_key_count == 0 ||
        now - made < (int64_t)OLD_DAYS * DAY_S)
        return;
    (void)snprintf(found, sizeof(found),
                   "\"%.*s\", a key of %" PRId64 " days ago", SHOWN_MAX,
                   settings->tls.ticket_keys[0], (now - made) / DAY_S);
    reasons_add(reasons, REASON_WARNING, settings->file, "$.tls.ticket_keys[0]",
                found, "a new one each day, or each week at least");
}

static bool refuse(const struct reading *reading, const char *what)
{
    char found[2 * SHOWN_MAX + 128];

    (void)snprintf(found, sizeof(found), "\"%.*s\", %s", SHOWN_MAX,
                   reading->name, what);
    reasons_add(reading->reasons, REASON_ERROR, reading->settings_file,
                reading->path, found,
                "a key of its own: 80 random bytes (openssl rand 80) that only "
                "their user and group may read");
    return false;
}

static bool refuse_len(const struct reading *reading, size_t len)
{
    char what[64];

    (void)snprintf(what, sizeof(what), "which has %zu bytes%s", len,
                   len == SHORT_KEY_SIZE ? ", a key of AES-128" : "");
    return refuse(reading, what);
}

static bool refuse_twin(const struct reading *reading, const char *other)
{
    char what[SHOWN_MAX + 64];

    (void)snprintf(what, sizeof(what),
                   "which begins with the same 16 bytes, its name, as "
                   "\"%.*s\"",
                   SHOWN_MAX, other);
    return refuse(reading, what);
}

static bool add_key(const struct reading *reading, const uint8_t *bytes)
{
    struct ticket_key_files *files = reading->files;

    for (size_t i = 0; i < files->count; i++) {
        if (ticket_key_is_named(files->keys[i].name, bytes))
            return refuse_twin(reading, files->names[i]);
    }
    memcpy(&files->keys[files->count], bytes, SHARED_TICKET_KEY_SIZE);
    files->names[files->count++] = reading->name;
    return true;
}

static bool take(const struct reading *reading, const struct file_bytes *file)
{
    if (file->is_world_readable)
        return refuse(reading, "which everybody may read");
    if (file->len != SHARED_TICKET_KEY_SIZE)
        return refuse_len(reading, file->len);
    if (reading->files->count == 0 && file->changed > 0)
        reading->files->made = file->changed;
    return add_key(reading, file->bytes);
}

static bool read_entry(struct reading *reading,
                       const struct file_source *source)
{
    const struct file_mention mention = {reading->settings_file, reading->path,
                                         "a file that can be read"};
    struct file_bytes file;
    bool is_good;

    if (reading->name == NULL)
        return false; /* salvaged settings, and somebody told already */
    if (!file_source_read(source, reading->name, &mention, &file,
                          reading->reasons))
        return false;
    is_good = take(reading, &file);
    file_bytes_deinit(&file);
    return is_good;
}
