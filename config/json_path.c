#include "config/json_path.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A key of which more would only hide the rest of the path. */
#define KEY_MAX 120

/* No file of ours nests deeper; what does is shown up to here. */
#define DEPTH_MAX 32

/* One object or list that is open where the scan stands. */
struct level {
    bool is_object;
    bool wants_key;
    const char *key; /* raw, as between the quotes; NULL: none yet */
    size_t key_len;
    size_t index;
};

struct scan {
    struct level levels[DEPTH_MAX];
    size_t depth; /* may exceed DEPTH_MAX */
};

static bool is_plain(const char *key, size_t len);
static void add_text(struct json_path *path, const char *text, size_t len);
static void scan_bytes(struct scan *scan, const char *bytes, size_t len);
static void scan_sign(struct scan *scan, char sign);
static size_t scan_string(struct scan *scan, const char *bytes, size_t len);
static struct level *innermost(struct scan *scan);

void json_path_init(struct json_path *path)
{
    path->text[0] = '\0';
    path->len = 0;
    add_text(path, "$", 1);
}

void json_path_add_key(struct json_path *path, const char *key, size_t len)
{
    size_t shown = len > KEY_MAX ? KEY_MAX : len;

    if (is_plain(key, len)) {
        add_text(path, ".", 1);
        add_text(path, key, len);
        return;
    }
    while (shown < len && shown > 0 &&
           ((unsigned char)key[shown] & 0xc0) == 0x80)
        shown--; /* never half a character of UTF-8 */
    add_text(path, "[\"", 2);
    for (size_t i = 0; i < shown; i++) {
        if (key[i] == '"')
            add_text(path, "\\", 1);
        add_text(path, key + i, 1);
    }
    if (shown < len)
        add_text(path, "...", 3);
    add_text(path, "\"]", 2);
}

void json_path_add_index(struct json_path *path, size_t index)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "[%zu]", index);

    if (len > 0)
        add_text(path, text, (size_t)len);
}

void json_path_find(struct json_path *path, const uint8_t *bytes, size_t len)
{
    struct scan scan = {.depth = 0};

    json_path_init(path);
    scan_bytes(&scan, (const char *)bytes, len);
    for (size_t i = 0; i < scan.depth && i < DEPTH_MAX; i++) {
        const struct level *level = &scan.levels[i];

        if (!level->is_object)
            json_path_add_index(path, level->index);
        else if (level->key != NULL)
            json_path_add_key(path, level->key, level->key_len);
    }
}

static bool is_plain(const char *key, size_t len)
{
    if (len == 0 || len > KEY_MAX || (key[0] >= '0' && key[0] <= '9'))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (key[i] != '_' && key[i] != '$' &&
            !(key[i] >= '0' && key[i] <= '9') &&
            !(key[i] >= 'a' && key[i] <= 'z') &&
            !(key[i] >= 'A' && key[i] <= 'Z'))
            return false;
    }
    return true;
}

static void add_text(struct json_path *path, const char *text, size_t len)
{
    size_t room = JSON_PATH_MAX - path->len;

    if (len > room)
        len = room;
    memcpy(path->text + path->len, text, len);
    path->len += len;
    path->text[path->len] = '\0';
}

static void scan_bytes(struct scan *scan, const char *bytes, size_t len)
{
    size_t at = 0;

    while (at < len) {
        if (bytes[at] == '"') {
            at += scan_string(scan, bytes + at, len - at);
        } else {
            scan_sign(scan, bytes[at]);
            at++;
        }
    }
}

static void scan_sign(struct scan *scan, char sign)
{
    struct level *level = innermost(scan);

    if (sign == '{' || sign == '[') {
        scan->depth++;
        level = innermost(scan);
        if (level != NULL)
            *level = (struct level){.is_object = sign == '{',
                                    .wants_key = sign == '{'};
        return;
    }
    if (sign == '}' || sign == ']') {
        if (scan->depth > DEPTH_MAX ||
            (level != NULL && level->is_object == (sign == '}')))
            scan->depth--;
        return;
    }
    if (level == NULL)
        return;
    if (sign == ':') {
        level->wants_key = false;
    } else if (sign == ',') {
        level->wants_key = level->is_object;
        level->key = NULL;
        level->index++;
    }
}

/* Returns how many bytes the string takes, with its quotes. */
static size_t scan_string(struct scan *scan, const char *bytes, size_t len)
{
    struct level *level = innermost(scan);
    size_t end = 1;

    while (end < len && bytes[end] != '"')
        end += bytes[end] == '\\' ? 2 : 1;
    if (end > len)
        end = len;
    if (level != NULL && level->wants_key) {
        level->key = bytes + 1;
        level->key_len = end - 1;
    }
    return end < len ? end + 1 : len;
}

/* NULL at the root, and where the nesting is too deep to be shown. */
static struct level *innermost(struct scan *scan)
{
    if (scan->depth == 0 || scan->depth > DEPTH_MAX)
        return NULL;
    return &scan->levels[scan->depth - 1];
}
