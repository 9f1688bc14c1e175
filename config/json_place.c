#include "config/json_place.h"

#include <stdio.h>
#include <string.h>

#include "config/json_path.h"

/* How much of a text value a reason shows. */
#define SHOWN_MAX 100
#define DESCRIPTION_MAX (2 * SHOWN_MAX + 8)

static void add(const struct json_place *place, enum reason_kind kind,
                const char *found, const char *expected);
static void compose_path(const struct json_place *place,
                         struct json_path *path);
static void describe(const json_t *value, char out[DESCRIPTION_MAX]);
static void quote(const json_t *text, char out[DESCRIPTION_MAX]);

struct json_place json_place_root(const struct json_reader *reader,
                                  json_t *value)
{
    return (struct json_place){.reader = reader, .value = value};
}

struct json_place json_place_member(const struct json_place *object,
                                    const char *key, json_t *value)
{
    return (struct json_place){
        .reader = object->reader, .parent = object, .key = key, .value = value};
}

struct json_place json_place_item(const struct json_place *list, size_t index)
{
    return (struct json_place){.reader = list->reader,
                               .parent = list,
                               .index = index,
                               .value = json_array_get(list->value, index)};
}

char *json_place_path(const struct json_place *place)
{
    struct json_path path;

    compose_path(place, &path);
    return mem_strdup(path.text);
}

void json_place_fault(const struct json_place *place, const char *found,
                      const char *expected)
{
    add(place, REASON_ERROR, found, expected);
}

void json_place_warning(const struct json_place *place, const char *found,
                        const char *expected)
{
    add(place, REASON_WARNING, found, expected);
}

static void add(const struct json_place *place, enum reason_kind kind,
                const char *found, const char *expected)
{
    const struct json_reader *reader = place->reader;

    if (reasons_is_full(reader->reasons, kind)) {
        reasons_add(reader->reasons, kind, "", NULL, "", ""); /* counts */
        return;
    }

    char description[DESCRIPTION_MAX];
    struct json_path path;

    describe(place->value, description);
    compose_path(place, &path);
    reasons_add(reader->reasons, kind, reader->file, path.text,
                found == NULL ? description : found, expected);
}

/* Recursion is as deep as our own descent, not as the document. */
static void compose_path(const struct json_place *place, struct json_path *path)
{
    if (place->parent == NULL) {
        json_path_init(path);
        return;
    }
    compose_path(place->parent, path);
    if (place->key != NULL)
        json_path_add_key(path, place->key, strlen(place->key));
    else
        json_path_add_index(path, place->index);
}

static void describe(const json_t *value, char out[DESCRIPTION_MAX])
{
    const char *word = "nothing";

    if (json_is_string(value)) {
        quote(value, out);
        return;
    }
    if (json_is_number(value)) {
        size_t len = json_dumpb(value, out, DESCRIPTION_MAX - 1,
                                JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

        out[len < DESCRIPTION_MAX ? len : DESCRIPTION_MAX - 1] = '\0';
        return;
    }
    if (json_is_object(value))
        word = "an object";
    else if (json_is_array(value))
        word = json_array_size(value) == 0 ? "an empty list" : "a list";
    else if (json_is_boolean(value))
        word = json_is_true(value) ? "true" : "false";
    else if (json_is_null(value))
        word = "null";
    (void)snprintf(out, DESCRIPTION_MAX, "%s", word);
}

static void quote(const json_t *text, char out[DESCRIPTION_MAX])
{
    const char *bytes = json_string_value(text);
    size_t len = json_string_length(text);
    size_t shown = len;
    size_t at = 0;

    if (len > SHOWN_MAX) {
        shown = SHOWN_MAX;
        while (shown > 0 && ((unsigned char)bytes[shown] & 0xc0) == 0x80)
            shown--; /* never half a character of UTF-8 */
    }
    out[at++] = '"';
    for (size_t i = 0; i < shown; i++) {
        if (bytes[i] == '"' || bytes[i] == '\\')
            out[at++] = '\\';
        out[at++] = bytes[i];
    }
    (void)snprintf(out + at, DESCRIPTION_MAX - at, "%s",
                   shown < len ? "...\"" : "\"");
}
