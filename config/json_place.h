/* A JSON value together with the way to it, so that each fault can say where
 * it is. A path is only composed when there is a fault. */
#ifndef CONFIG_JSON_PLACE_H
#define CONFIG_JSON_PLACE_H

#include <jansson.h>
#include <stddef.h>

#include "config/reason.h"

/* One file that is being read. */
struct json_reader {
    const char *file;
    struct reasons *reasons;
};

/* A place lives on the stack of who descends, and so does its parent. */
struct json_place {
    const struct json_reader *reader;
    const struct json_place *parent; /* NULL at the root */
    const char *key;                 /* NULL: an item of a list, or the root */
    size_t index;
    json_t *value; /* borrowed; NULL: a member that is missing */
};

struct json_place json_place_root(const struct json_reader *reader,
                                  json_t *value);
struct json_place json_place_member(const struct json_place *object,
                                    const char *key, json_t *value);
struct json_place json_place_item(const struct json_place *list, size_t index);

/* The path of this place, such as $.users["a@b.org"].pool; the caller owns
 * it. */
MUST_USE char *json_place_path(const struct json_place *place);

/* Adds an error (or a warning) about this place. found NULL: the value that
 * stands there. */
void json_place_fault(const struct json_place *place, const char *found,
                      const char *expected);
void json_place_warning(const struct json_place *place, const char *found,
                        const char *expected);

#endif
