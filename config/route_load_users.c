/* The "users" of routes.json: an object of them, or a file of their own. */
#include "config/route_load.h"

#include <stdlib.h>
#include <string.h>

#include "config/json_parse.h"
#include "config/json_read.h"

enum users_format {
    USERS_JSON,
    USERS_TSV,
    USERS_SQLITE
};

static bool is_reference(const json_t *value);
static void load_file(struct route_loader *loader,
                      const struct json_place *place);
static bool read_format(struct json_members *members,
                        const struct json_place *file,
                        enum users_format *format_out);
static bool format_of_name(const char *name, enum users_format *format_out);
static bool ends_in(const char *text, const char *ending);
static void load_bytes(struct route_loader *loader, enum users_format format,
                       struct reasons *reasons);
static void load_json(struct route_loader *loader, const uint8_t *bytes,
                      size_t len, struct reasons *reasons);

void route_load_users(struct route_loader *loader,
                      const struct json_place *place)
{
    if (is_reference(place->value))
        load_file(loader, place);
    else
        route_load_user_rules(loader, place);
}

/* A user may be called "file", too; alone, or beside "format" only, such a one
 * needs a rule that is an object. */
static bool is_reference(const json_t *value)
{
    size_t known = json_object_get(value, "format") == NULL ? 1 : 2;

    return json_is_string(json_object_get(value, "file")) &&
           json_object_size(value) == known;
}

static void load_file(struct route_loader *loader,
                      const struct json_place *place)
{
    enum users_format format = USERS_JSON;
    struct json_members members;
    struct json_place file;

    if (!json_read_open(&members, place))
        return;

    bool has_file =
        json_read_require(&members, "file", "a file of users", &file) &&
        json_read_path(&file, &loader->table->users_file);
    bool has_format = read_format(&members, &file, &format);

    json_read_close(&members);
    loader->table->has_user_database = format == USERS_SQLITE;
    if (format == USERS_SQLITE) {
        /* Which pools its rows name is not known here. */
        route_names_use_all(&loader->pools);
        return;
    }
    if (has_file && has_format && loader->files != NULL)
        load_bytes(loader, format, place->reader->reasons);
}

static bool read_format(struct json_members *members,
                        const struct json_place *file,
                        enum users_format *format_out)
{
    static const struct json_choice formats[] = {
        {"json", USERS_JSON},
        {"tsv", USERS_TSV},
        {"sqlite", USERS_SQLITE},
    };
    struct json_place place;
    unsigned value;

    if (json_read_get(members, "format", &place)) {
        if (!json_read_choice(&place, formats, 3, &value))
            return false;
        *format_out = (enum users_format)value;
        return true;
    }
    if (format_of_name(json_string_value(file->value), format_out))
        return true;
    json_place_fault(file, NULL,
                     "a name that ends in .json, .tsv or .sqlite, or "
                     "\"format\" beside it");
    return false;
}

static bool format_of_name(const char *name, enum users_format *format_out)
{
    if (ends_in(name, ".tsv"))
        *format_out = USERS_TSV;
    else if (ends_in(name, ".sqlite"))
        *format_out = USERS_SQLITE;
    else
        *format_out = USERS_JSON;
    return *format_out != USERS_JSON || ends_in(name, ".json");
}

static bool ends_in(const char *text, const char *ending)
{
    size_t text_len = strlen(text);
    size_t len = strlen(ending);

    return text_len >= len && strcmp(text + text_len - len, ending) == 0;
}

static void load_bytes(struct route_loader *loader, enum users_format format,
                       struct reasons *reasons)
{
    const struct route_files *files = loader->files;
    const char *path = loader->table->users_file;
    const uint8_t *bytes;
    size_t len;

    if (!files->read(files->owner, path, "$.users.file", reasons, &bytes, &len))
        return;
    /* Names are seldom longer than their file, and growing copies them all. */
    text_blob_reserve(&loader->table->texts, len);
    switch (format) {
    case USERS_JSON:
        load_json(loader, bytes, len, reasons);
        break;
    case USERS_TSV:
        route_load_user_lines(loader, path, bytes, len, reasons);
        break;
    case USERS_SQLITE:
        break; /* its bytes are not read */
    }
}

static void load_json(struct route_loader *loader, const uint8_t *bytes,
                      size_t len, struct reasons *reasons)
{
    struct json_reader reader = {.file = loader->table->users_file,
                                 .reasons = reasons};
    json_t *value = json_parse(&reader, bytes, len);

    if (value == NULL)
        return;

    struct json_place root = json_place_root(&reader, value);

    route_load_user_rules(loader, &root);
    json_decref(value);
}
