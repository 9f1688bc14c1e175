/* The way to a value as text: $.listeners[0].port, $.users["a@b.org"]. */
#ifndef CONFIG_JSON_PATH_H
#define CONFIG_JSON_PATH_H

#include <stddef.h>
#include <stdint.h>

#define JSON_PATH_MAX 500

struct json_path {
    char text[JSON_PATH_MAX + 1]; /* always ended by NUL */
    size_t len;
};

/* Starts at the root. */
void json_path_init(struct json_path *path);

/* What has no room is cut. */
void json_path_add_key(struct json_path *path, const char *key, size_t len);
void json_path_add_index(struct json_path *path, size_t index);

/* Where in the document the bytes end: the place of a syntax error. They are
 * the begin of a JSON text, which need not be right. */
void json_path_find(struct json_path *path, const uint8_t *bytes, size_t len);

#endif
