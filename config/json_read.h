/* Typed getters over Jansson that know where they are: each fault is added
 * with its JSON path, what was found and what was expected. A path is only
 * composed when there is a fault. */
#ifndef CONFIG_JSON_READ_H
#define CONFIG_JSON_READ_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/mem.h"
#include "config/reason.h"

/* More than a table of any size needs, and within 32-bit offsets. */
#define JSON_READ_BYTES_MAX ((size_t)1 << 30)

/* One file that is being read. */
struct json_reader {
    const char *file;
    struct reasons *reasons;
};

/* A value and the way to it. It lives on the stack of who descends, and so
 * does its parent. */
struct json_place {
    const struct json_reader *reader;
    const struct json_place *parent; /* NULL at the root */
    const char *key;                 /* NULL: an item of a list, or the root */
    size_t index;
    json_t *value; /* borrowed; NULL: a member that is missing */
};

/* Known keys of one object. */
#define JSON_MEMBERS_MAX 24

/* An object that remembers which keys were asked for: any other is unknown.
 * It stays where it is while places of its members are in use. */
struct json_members {
    struct json_place place;
    const char *known[JSON_MEMBERS_MAX];
    size_t known_count;
};

struct json_choice {
    const char *word;
    unsigned value;
};

/* Parses one JSON value. Refuses duplicate keys, NUL, trailing text, numbers
 * that do not fit and deep nesting, with line, column and path. Returns NULL
 * after adding the reason; otherwise the caller owns a reference. */
MUST_USE json_t *json_read_parse(const struct json_reader *reader,
                                 const uint8_t *bytes, size_t len);

struct json_place json_read_root(const struct json_reader *reader,
                                 json_t *value);
struct json_place json_read_member(const struct json_place *object,
                                   const char *key, json_t *value);
struct json_place json_read_item(const struct json_place *list, size_t index);

/* Adds an error (or a warning) about this place. found NULL: the value that
 * stands there. */
void json_read_fault(const struct json_place *place, const char *found,
                     const char *expected);
void json_read_warning(const struct json_place *place, const char *found,
                       const char *expected);

/* Opens an object; a value of another type is a fault and gives false. */
MUST_USE bool json_read_open(struct json_members *members,
                             const struct json_place *place);

/* Gives the member and remembers its key, a string that outlives members.
 * Returns false when it is missing. */
MUST_USE bool json_read_get(struct json_members *members, const char *key,
                            struct json_place *member_out);

/* Likewise; a missing one is a fault. */
MUST_USE bool json_read_require(struct json_members *members, const char *key,
                                const char *expected,
                                struct json_place *member_out);

/* Adds a fault for each member whose key was never asked for, and names the
 * nearest key that was. */
void json_read_close(struct json_members *members);

/* The readers below return false after adding the fault, and set their output
 * only when they return true. */

/* Text of 1 to max characters without control characters, lent by the
 * value. */
MUST_USE bool json_read_text(const struct json_place *place, size_t max,
                             const char **text_out);

/* A path, joined to the folder of the file unless it is absolute. The caller
 * owns it. */
MUST_USE bool json_read_path(const struct json_place *place, char **path_out);

/* A whole number; 3.0 is one. */
MUST_USE bool json_read_unsigned(const struct json_place *place, unsigned min,
                                 unsigned max, unsigned *number_out);

/* Seconds, of which fractions are allowed, as milliseconds. */
MUST_USE bool json_read_seconds(const struct json_place *place, uint64_t min_ms,
                                uint64_t max_ms, uint64_t *ms_out);

MUST_USE bool json_read_flag(const struct json_place *place, bool *flag_out);

/* One of count words; gives its value. */
MUST_USE bool json_read_choice(const struct json_place *place,
                               const struct json_choice *choices, size_t count,
                               unsigned *value_out);

/* A list of min to max items. */
MUST_USE bool json_read_list(const struct json_place *place, size_t min,
                             size_t max, size_t *count_out);

#endif
