/* From the bytes of routes.json to a table: the order of its parts. */
#include "config/route_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/json_parse.h"
#include "config/json_read.h"
#include "config/nearest.h"

static void read_root(struct route_loader *loader,
                      const struct json_place *root);
static void read_rules(struct route_loader *loader,
                       struct json_members *members);
static void trim(struct route_table *table);
static void warn_unused(const struct route_names *names,
                        const struct json_place *place, const char *found);
static void enter_name(struct route_loader *loader, struct route_names *names,
                       const char *name);
static void fault_unknown_name(const struct route_names *names,
                               const char *kind,
                               const struct json_place *place);
static const char *name_at(const void *names, size_t index);

bool route_table_parse(const uint8_t *bytes, size_t len, const char *file,
                       const struct identity_rules *rules,
                       struct route_table **table_out, struct reasons *reasons)
{
    return route_table_parse_with(bytes, len, file, rules, NULL, table_out,
                                  reasons);
}

bool route_table_parse_with(const uint8_t *bytes, size_t len, const char *file,
                            const struct identity_rules *rules,
                            const struct route_files *files,
                            struct route_table **table_out,
                            struct reasons *reasons)
{
    struct json_reader reader = {.file = file, .reasons = reasons};
    struct route_loader loader = {
        .identity_rules = rules, .files = files, .seed = key_seed_random()};
    size_t errors_before = reasons->errors;
    json_t *value = json_parse(&reader, bytes, len);

    if (value == NULL)
        return false;

    struct json_place root = json_place_root(&reader, value);

    loader.table = mem_zalloc(sizeof(*loader.table));
    text_blob_init(&loader.table->texts);
    read_root(&loader, &root);
    route_names_deinit(&loader.backends);
    route_names_deinit(&loader.pools);
    json_decref(value);
    trim(loader.table);
    if (reasons->errors > errors_before) {
        route_table_free(&loader.table);
        return false;
    }
    *table_out = loader.table;
    return true;
}

bool route_names_read(struct route_loader *loader, struct route_names *names,
                      const struct json_place *place)
{
    size_t count = json_object_size(place->value);
    const char *name;
    json_t *value;

    if (count == 0) {
        json_place_fault(
            place, json_is_object(place->value) ? "an empty object" : NULL,
            "an object with at least one entry");
        return false;
    }
    key_table_init(&names->table, count, &loader->seed);
    names->texts = mem_realloc_array(NULL, count, sizeof(*names->texts));
    names->is_used = mem_zalloc(count * sizeof(*names->is_used));
    json_object_foreach(place->value, name, value)
    {
        struct json_place member = json_place_member(place, name, value);

        /* A name that was refused is known all the same, so that who refers
         * to it is not blamed, too. */
        if (json_read_key(&member, ROUTE_NAME_MAX) ||
            strlen(name) <= KEY_TABLE_TEXT_MAX)
            enter_name(loader, names, name);
        names->texts[names->count++] = name;
    }
    return true;
}

void route_names_deinit(struct route_names *names)
{
    key_table_deinit(&names->table);
    free(names->texts);
    free(names->is_used);
    *names = (struct route_names){.texts = NULL};
}

bool route_names_find(struct route_loader *loader, struct route_names *names,
                      const char *kind, const struct json_place *place,
                      uint32_t *index_out)
{
    const char *name = json_string_value(place->value);

    if (name != NULL &&
        route_names_look_up(loader, names, name, strlen(name), index_out))
        return true;
    fault_unknown_name(names, kind, place);
    return false;
}

bool route_names_look_up(struct route_loader *loader, struct route_names *names,
                         const char *name, size_t len, uint32_t *index_out)
{
    const struct key_entry *entry =
        key_table_find(&names->table, &loader->table->texts, name, len);

    if (entry == NULL)
        return false;
    names->is_used[entry->value] = true;
    *index_out = entry->value;
    return true;
}

void route_names_expected(const struct route_names *names, const char *kind,
                          const char *name, size_t len,
                          char expected[ROUTE_EXPECTED_MAX])
{
    char text[ROUTE_NAME_MAX + 1] = "";

    if (len > 0 && len <= ROUTE_NAME_MAX)
        memcpy(text, name, len);

    const char *nearest =
        len == 0 ? NULL : nearest_of(text, name_at, names, names->count);

    if (nearest != NULL)
        (void)snprintf(expected, ROUTE_EXPECTED_MAX, "the %s \"%s\"", kind,
                       nearest);
    else
        (void)snprintf(expected, ROUTE_EXPECTED_MAX, "the name of a %s", kind);
}

void route_names_use_all(struct route_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        names->is_used[i] = true;
}

bool route_load_may_search(struct route_loader *loader,
                           const struct reasons *reasons)
{
    return !reasons_is_full(reasons, REASON_ERROR) &&
           loader->searches++ < ROUTE_SEARCHES_MAX;
}

static void read_root(struct route_loader *loader,
                      const struct json_place *root)
{
    struct json_members members;
    struct json_place backends;
    struct json_place pools;
    const struct reasons *reasons = root->reader->reasons;
    size_t errors_before = reasons->errors;

    if (!json_read_open(&members, root))
        return;
    json_read_schema(&members);
    if (json_read_require(&members, "backends", "an object of backends",
                          &backends) &&
        route_names_read(loader, &loader->backends, &backends))
        route_load_backends(loader, &backends);
    if (json_read_require(&members, "pools", "an object of pools", &pools) &&
        route_names_read(loader, &loader->pools, &pools))
        route_load_pools(loader, &pools);
    read_rules(loader, &members);
    json_read_close(&members);
    if (reasons->errors > errors_before)
        return; /* what seems unused may only be misspelt */
    warn_unused(&loader->backends, &backends, "no pool that names it");
    warn_unused(&loader->pools, &pools, "no rule that names it");
}

static void read_rules(struct route_loader *loader,
                       struct json_members *members)
{
    struct json_place users;
    struct json_place domains;
    struct json_place fallback;
    bool has_users = json_read_get(members, "users", &users);
    bool has_domains = json_read_get(members, "domains", &domains);
    bool has_default = json_read_get(members, "default", &fallback);

    if (has_users)
        route_load_users(loader, &users);
    if (has_domains)
        route_load_domains(loader, &domains);
    if (has_default)
        route_load_default(loader, &fallback);
    if (!has_users && !has_domains && !has_default)
        json_place_warning(&members->place,
                           "neither users, domains nor default",
                           "a rule: every login is refused");
}

/* Gives back what growing took too much. */
static void trim(struct route_table *table)
{
    text_blob_trim(&table->texts);
    table->rule_capacity = table->rule_count;
    table->rules = mem_realloc_array(table->rules, table->rule_count,
                                     sizeof(*table->rules));
}

static void enter_name(struct route_loader *loader, struct route_names *names,
                       const char *name)
{
    struct text_blob *texts = &loader->table->texts;
    size_t len = strlen(name);
    uint32_t at = text_blob_add(texts, name, len);

    if (at != 0)
        key_table_add(&names->table, texts, at, len, (uint32_t)names->count);
}

static void fault_unknown_name(const struct route_names *names,
                               const char *kind, const struct json_place *place)
{
    const char *name = json_string_value(place->value);
    size_t len = json_string_length(place->value);
    char expected[ROUTE_EXPECTED_MAX];

    /* Where the names themselves were refused, all would seem unknown. */
    if (name != NULL && names->count == 0)
        return;
    if (reasons_is_full(place->reader->reasons, REASON_ERROR))
        len = 0; /* nobody will read it */
    route_names_expected(names, kind, name, len, expected);
    json_place_fault(place, NULL, expected);
}

static const char *name_at(const void *names, size_t index)
{
    const struct route_names *mine = names;

    return mine->texts[index];
}

static void warn_unused(const struct route_names *names,
                        const struct json_place *place, const char *found)
{
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->texts[i];
        struct json_place member =
            json_place_member(place, name, json_object_get(place->value, name));

        if (!names->is_used[i])
            json_place_warning(&member, found, "one");
    }
}
