/* A stranger's bytes where others read them: in the log, in what the
 * administration answers, in metrics. None of them ends what it stands in. */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_escape.h"
#include "ops/text.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static bool is_control(char byte)
{
    return (uint8_t)byte < 0x20 || byte == 0x7f;
}

static void check_string(const char *text, size_t len)
{
    json_t *read =
        json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

    assert(json_is_string(read));
    json_decref(read);
    for (size_t i = 0; i < len; i++)
        assert(!is_control(text[i]));
}

/* Quoted, with nothing inside that would end it. */
static void check_label(const struct text *label)
{
    assert(label->len >= 2 && label->bytes[0] == '"' &&
           label->bytes[label->len - 1] == '"');
    for (size_t i = 1; i < label->len - 1; i++) {
        assert(!is_control(label->bytes[i]) && label->bytes[i] != '"');
        if (label->bytes[i] == '\\')
            assert(strchr("\\\"n", label->bytes[++i]) != NULL);
    }
}

static void check_served(const char *value)
{
    struct text text = {.bytes = NULL};
    struct text label = {.bytes = NULL};

    text_add_json(&text, value);
    check_string(text.bytes, text.len);
    text_add_label(&label, value);
    check_label(&label);
    text_deinit(&text);
    text_deinit(&label);
}

static void check_logged(const uint8_t *bytes, size_t len)
{
    char out[LOG_ESCAPED_MAX + 2];
    size_t written = log_escape(LOG_JSON, bytes, len, out + 1);

    assert(written <= LOG_ESCAPED_MAX);
    out[0] = '"';
    out[written + 1] = '"';
    check_string(out, written + 2);
    written = log_escape(LOG_TEXT, bytes, len, out);
    assert(written <= LOG_ESCAPED_MAX);
    for (size_t i = 0; i < written; i++)
        assert(out[i] >= 0x20 && out[i] < 0x7f);
    if (log_escape_is_bare(bytes, len))
        assert(written >= len || written >= LOG_VALUE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char *value = strndup((const char *)bytes, len);
    uint8_t *copy = malloc(len);

    if (len > 0)
        memcpy(copy, bytes, len);
    check_served(value);
    check_logged(copy, len);
    free(copy);
    free(value);
    return 0;
}
