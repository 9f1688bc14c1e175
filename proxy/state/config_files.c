#include "state/config_files.h"

/* The file of users, beside routes.json. */
struct users_source {
    const struct file_source *files;
    const char *routes;
    struct file_bytes file;
};

static bool read_users(void *owner, const char *path, const char *mention,
                       struct reasons *reasons, const uint8_t **bytes_out,
                       size_t *len_out);

bool config_files_settings(const struct file_source *files,
                           const char *config_file,
                           struct settings **settings_out,
                           struct reasons *reasons)
{
    const struct file_mention mention = {config_file, NULL,
                                         "a file that can be read"};
    struct file_bytes file;
    bool is_good;

    *settings_out = NULL;
    if (!file_source_read(files, config_file, &mention, &file, reasons))
        return false;
    is_good = settings_parse(file.bytes, file.len, config_file, settings_out,
                             reasons);
    if (!is_good)
        *settings_out = settings_salvage(file.bytes, file.len, config_file);
    file_bytes_deinit(&file);
    return is_good;
}

bool config_files_table(const struct file_source *files,
                        const struct settings *settings,
                        struct route_table **table_out, struct reasons *reasons)
{
    const struct file_mention mention = {settings->file, "$.routes",
                                         "a file that can be read"};
    struct users_source users = {.files = files, .routes = settings->routes};
    const struct route_files others = {.owner = &users, .read = read_users};
    struct file_bytes file;
    bool is_good;

    if (settings->routes == NULL)
        return false; /* salvaged settings, and somebody told already */
    if (!file_source_read(files, settings->routes, &mention, &file, reasons))
        return false;
    is_good = route_table_parse_with(file.bytes, file.len, settings->routes,
                                     &settings->auth.identity, &others,
                                     table_out, reasons);
    file_bytes_deinit(&users.file);
    file_bytes_deinit(&file);
    return is_good;
}

static bool read_users(void *owner, const char *path, const char *mention,
                       struct reasons *reasons, const uint8_t **bytes_out,
                       size_t *len_out)
{
    struct users_source *users = owner;
    const struct file_mention where = {users->routes, mention,
                                       "a file that can be read"};

    if (!file_source_read(users->files, path, &where, &users->file, reasons))
        return false;
    *bytes_out = users->file.bytes;
    *len_out = users->file.len;
    return true;
}
