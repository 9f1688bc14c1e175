#include "config/json_read.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/nearest.h"

/* A path that the kernel takes, without its NUL. */
#define PATH_MAX_LEN 4095

static void remember(struct json_members *members, const char *key);
static bool is_known(const struct json_members *members, const char *key);
static void fault_unknown_key(const struct json_members *members,
                              const char *key, json_t *value);
static const char *known_at(const void *known, size_t index);
static size_t append_word(char *out, size_t size, size_t len,
                          const char *before, const char *word);
static bool has_control(const char *text, size_t len);
static size_t count_characters(const char *text, size_t len);
static void fault_choice(const struct json_place *place,
                         const struct json_choice *choices, size_t count);

bool json_read_open(struct json_members *members,
                    const struct json_place *place)
{
    if (!json_is_object(place->value)) {
        json_place_fault(place, NULL, "an object");
        return false;
    }
    members->place = *place;
    members->known_count = 0;
    return true;
}

bool json_read_get(struct json_members *members, const char *key,
                   struct json_place *member_out)
{
    json_t *value = json_object_get(members->place.value, key);

    remember(members, key);
    *member_out = json_place_member(&members->place, key, value);
    return value != NULL;
}

bool json_read_require(struct json_members *members, const char *key,
                       const char *expected, struct json_place *member_out)
{
    if (json_read_get(members, key, member_out))
        return true;
    json_place_fault(member_out, NULL, expected);
    return false;
}

void json_read_schema(struct json_members *members)
{
    struct json_place schema;

    if (json_read_get(members, "$schema", &schema) &&
        !json_is_string(schema.value))
        json_place_fault(&schema, NULL, "text");
}

void json_read_close(struct json_members *members)
{
    const char *key;
    json_t *value;

    json_object_foreach(members->place.value, key, value)
    {
        if (!is_known(members, key))
            fault_unknown_key(members, key, value);
    }
}

bool json_read_text(const struct json_place *place, size_t max,
                    const char **text_out)
{
    const char *text = json_string_value(place->value);
    char expected[64];

    if (text == NULL) {
        json_place_fault(place, NULL, "text");
        return false;
    }

    size_t len = json_string_length(place->value);

    if (len == 0 || count_characters(text, len) > max) {
        (void)snprintf(expected, sizeof(expected),
                       "text of 1 to %zu characters", max);
        json_place_fault(place, NULL, expected);
        return false;
    }
    if (has_control(text, len)) {
        json_place_fault(place, NULL, "text without control characters");
        return false;
    }
    *text_out = text;
    return true;
}

bool json_read_key(const struct json_place *member, size_t max)
{
    size_t len = strlen(member->key);
    char found[64];
    char expected[96];

    if (len > 0 && count_characters(member->key, len) <= max &&
        !has_control(member->key, len))
        return true;
    (void)snprintf(found, sizeof(found), "a name of %zu bytes", len);
    (void)snprintf(expected, sizeof(expected),
                   "1 to %zu characters, none of them a control character",
                   max);
    json_place_fault(member, found, expected);
    return false;
}

bool json_read_path(const struct json_place *place, char **path_out)
{
    const char *file = place->reader->file;
    const char *slash = strrchr(file, '/');
    const char *text;

    if (!json_read_text(place, PATH_MAX_LEN, &text))
        return false;
    if (text[0] == '/' || slash == NULL) {
        *path_out = mem_strdup(text);
        return true;
    }

    size_t folder_len = (size_t)(slash - file) + 1;
    size_t text_len = strlen(text);
    char *path = mem_alloc(folder_len + text_len + 1);

    memcpy(path, file, folder_len);
    memcpy(path + folder_len, text, text_len + 1);
    *path_out = path;
    return true;
}

bool json_read_unsigned(const struct json_place *place, unsigned min,
                        unsigned max, unsigned *number_out)
{
    double number = json_number_value(place->value);
    char expected[64];

    if (!json_is_number(place->value) || number < (double)min ||
        number > (double)max || number != (double)(unsigned)number) {
        (void)snprintf(expected, sizeof(expected),
                       "a whole number from %u to %u", min, max);
        json_place_fault(place, NULL, expected);
        return false;
    }
    *number_out = (unsigned)number;
    return true;
}

bool json_read_seconds(const struct json_place *place, uint64_t min_ms,
                       uint64_t max_ms, uint64_t *ms_out)
{
    double min = (double)min_ms / 1000.0;
    double max = (double)max_ms / 1000.0;
    double seconds = json_number_value(place->value);
    char expected[64];

    if (!json_is_number(place->value) || seconds < min || seconds > max) {
        (void)snprintf(expected, sizeof(expected), "seconds from %g to %g", min,
                       max);
        json_place_fault(place, NULL, expected);
        return false;
    }
    *ms_out = (uint64_t)(seconds * 1000.0 + 0.5);
    return true;
}

bool json_read_flag(const struct json_place *place, bool *flag_out)
{
    if (!json_is_boolean(place->value)) {
        json_place_fault(place, NULL, "true or false");
        return false;
    }
    *flag_out = json_is_true(place->value);
    return true;
}

bool json_read_choice(const struct json_place *place,
                      const struct json_choice *choices, size_t count,
                      unsigned *value_out)
{
    const char *word = json_string_value(place->value);

    for (size_t i = 0; word != NULL && i < count; i++) {
        if (strcmp(word, choices[i].word) == 0) {
            *value_out = choices[i].value;
            return true;
        }
    }
    fault_choice(place, choices, count);
    return false;
}

bool json_read_list(const struct json_place *place, size_t min, size_t max,
                    size_t *count_out)
{
    size_t count = json_array_size(place->value);
    char expected[64];

    if (!json_is_array(place->value) || count < min || count > max) {
        (void)snprintf(expected, sizeof(expected), "a list of %zu to %zu items",
                       min, max);
        json_place_fault(place, NULL, expected);
        return false;
    }
    *count_out = count;
    return true;
}

void json_read_optional_path(struct json_members *members, const char *key,
                             char **path_out)
{
    struct json_place place;
    char *path;

    if (json_read_get(members, key, &place) && json_read_path(&place, &path))
        *path_out = path;
}

void json_read_required_path(struct json_members *members, const char *key,
                             const char *expected, char **path_out)
{
    struct json_place place;
    char *path;

    if (json_read_require(members, key, expected, &place) &&
        json_read_path(&place, &path))
        *path_out = path;
}

void json_read_optional_unsigned(struct json_members *members, const char *key,
                                 unsigned min, unsigned max,
                                 unsigned *number_out)
{
    struct json_place place;
    unsigned number;

    if (json_read_get(members, key, &place) &&
        json_read_unsigned(&place, min, max, &number))
        *number_out = number;
}

void json_read_optional_seconds(struct json_members *members, const char *key,
                                uint64_t min_ms, uint64_t max_ms,
                                uint64_t *ms_out)
{
    struct json_place place;
    uint64_t ms;

    if (json_read_get(members, key, &place) &&
        json_read_seconds(&place, min_ms, max_ms, &ms))
        *ms_out = ms;
}

void json_read_optional_seconds_or_off(struct json_members *members,
                                       const char *key, double least_s,
                                       uint64_t max_ms, const char *expected,
                                       uint64_t *ms_out)
{
    struct json_place place;
    double seconds;
    uint64_t ms;

    if (!json_read_get(members, key, &place) ||
        !json_read_seconds(&place, 0, max_ms, &ms))
        return;
    seconds = json_number_value(place.value);
    if (seconds > 0.0 && seconds < least_s)
        json_place_fault(&place, NULL, expected);
    else
        *ms_out = ms;
}

void json_read_optional_flag(struct json_members *members, const char *key,
                             bool *flag_out)
{
    struct json_place place;
    bool flag;

    if (json_read_get(members, key, &place) && json_read_flag(&place, &flag))
        *flag_out = flag;
}

void json_read_optional_choice(struct json_members *members, const char *key,
                               const struct json_choice *choices, size_t count,
                               unsigned *value_out)
{
    struct json_place place;
    unsigned value;

    if (json_read_get(members, key, &place) &&
        json_read_choice(&place, choices, count, &value))
        *value_out = value;
}

static void remember(struct json_members *members, const char *key)
{
    if (is_known(members, key))
        return;
    assert(members->known_count < JSON_MEMBERS_MAX);
    members->known[members->known_count++] = key;
}

static bool is_known(const struct json_members *members, const char *key)
{
    for (size_t i = 0; i < members->known_count; i++) {
        if (strcmp(members->known[i], key) == 0)
            return true;
    }
    return false;
}

static void fault_unknown_key(const struct json_members *members,
                              const char *key, json_t *value)
{
    struct json_place place = json_place_member(&members->place, key, value);
    const char *nearest =
        nearest_of(key, known_at, members->known, members->known_count);
    char expected[384];
    size_t len = 0;

    if (nearest != NULL) {
        (void)append_word(expected, sizeof(expected), 0, "", nearest);
        json_place_fault(&place, "an unknown key", expected);
        return;
    }
    for (size_t i = 0; i < members->known_count; i++)
        len = append_word(expected, sizeof(expected), len,
                          i == 0 ? "one of " : ", ", members->known[i]);
    json_place_fault(&place, "an unknown key", expected);
}

static const char *known_at(const void *known, size_t index)
{
    const char *const *words = known;

    return words[index];
}

/* Appends `before` and the word in quotes; returns the new length, at most
 * size - 1. */
static size_t append_word(char *out, size_t size, size_t len,
                          const char *before, const char *word)
{
    int added = snprintf(out + len, size - len, "%s\"%s\"", before, word);

    if (added < 0)
        return len;
    return (size_t)added < size - len ? len + (size_t)added : size - 1;
}

static bool has_control(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return true;
    }
    return false;
}

/* Characters of UTF-8, which Jansson has checked, as JSON Schema counts. */
static size_t count_characters(const char *text, size_t len)
{
    size_t count = 0;

    for (size_t i = 0; i < len; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            count++;
    }
    return count;
}

static void fault_choice(const struct json_place *place,
                         const struct json_choice *choices, size_t count)
{
    char expected[384];
    size_t len = 0;

    for (size_t i = 0; i < count; i++)
        len = append_word(expected, sizeof(expected), len,
                          i == 0           ? ""
                          : i + 1 == count ? " or "
                                           : ", ",
                          choices[i].word);
    json_place_fault(place, NULL, expected);
}
