#include "config/json_parse.h"

#include <stdio.h>
#include <string.h>

#include "config/json_path.h"

struct sentence {
    char found[JSON_ERROR_TEXT_LENGTH + 8];
    char expected[JSON_ERROR_TEXT_LENGTH + 8];
};

static void add_fault(const struct json_reader *reader, const uint8_t *bytes,
                      size_t len, const json_error_t *error);
static void find_path(struct json_path *path, const uint8_t *bytes, size_t len,
                      const json_error_t *error);
static struct sentence describe(const json_error_t *error);
static struct sentence describe_syntax(const char *text);
static unsigned positive(int number);

json_t *json_parse(const struct json_reader *reader, const uint8_t *bytes,
                   size_t len)
{
    json_error_t error = {.line = 0};

    if (len > JSON_PARSE_BYTES_MAX) {
        reasons_add(reader->reasons, REASON_ERROR, reader->file, NULL,
                    "more than 1 GiB", "a smaller file");
        return NULL;
    }

    json_t *value =
        json_loadb((const char *)bytes, len,
                   JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);

    if (value == NULL)
        add_fault(reader, bytes, len, &error);
    return value;
}

static void add_fault(const struct json_reader *reader, const uint8_t *bytes,
                      size_t len, const json_error_t *error)
{
    struct sentence sentence = describe(error);
    struct json_path path;

    find_path(&path, bytes, len, error);
    reasons_add_syntax(reader->reasons, reader->file, path.text,
                       positive(error->line), positive(error->column),
                       sentence.found, sentence.expected);
}

/* Jansson stands behind the sign that it did not expect; the place is before
 * that sign. */
static void find_path(struct json_path *path, const uint8_t *bytes, size_t len,
                      const json_error_t *error)
{
    size_t end = positive(error->position);

    if (end > len)
        end = len;
    if (end > 0 && bytes[end - 1] != '\0' &&
        strchr("{}[],", bytes[end - 1]) != NULL)
        end--;
    json_path_find(path, bytes, end);
}

static struct sentence describe(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_premature_end_of_input:
        return (struct sentence){"the end of the file",
                                 "the rest of the JSON text"};
    case json_error_end_of_input_expected:
        return (struct sentence){"more text", "the end of the file"};
    case json_error_duplicate_key:
        return (struct sentence){"the key a second time", "each key once"};
    case json_error_numeric_overflow:
        return (struct sentence){"a number out of all ranges",
                                 "a smaller number"};
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return (struct sentence){"a NUL character", "text without it"};
    case json_error_stack_overflow:
        return (struct sentence){"too many lists or objects in each other",
                                 "fewer"};
    case json_error_out_of_memory:
        mem_exhausted();
    case json_error_unknown:
    case json_error_cannot_open_file:
    case json_error_invalid_argument:
    case json_error_invalid_utf8:
    case json_error_invalid_syntax:
    case json_error_invalid_format:
    case json_error_wrong_type:
    case json_error_null_value:
    case json_error_item_not_found:
    case json_error_index_out_of_range:
        break;
    }
    return describe_syntax(error->text);
}

/* Jansson says "EXPECTED expected near 'FOUND'" or names the fault alone. */
static struct sentence describe_syntax(const char *text)
{
    static const char between[] = " expected near ";
    struct sentence sentence;
    const char *at = strstr(text, between);

    if (at == NULL) {
        (void)snprintf(sentence.found, sizeof(sentence.found), "%s",
                       text[0] == '\0' ? "a fault" : text);
        (void)snprintf(sentence.expected, sizeof(sentence.expected), "JSON");
        return sentence;
    }
    (void)snprintf(sentence.found, sizeof(sentence.found), "%s",
                   at + sizeof(between) - 1);
    (void)snprintf(sentence.expected, sizeof(sentence.expected), "%.*s",
                   (int)(at - text), text);
    return sentence;
}

/* Jansson gives -1 where it does not know. */
static unsigned positive(int number)
{
    return number > 0 ? (unsigned)number : 0;
}
