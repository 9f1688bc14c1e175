/* Typed getters over Jansson. Each fault is added with its JSON path, what was
 * found and what was expected; a key that nobody asked for is a fault. */
#ifndef CONFIG_JSON_READ_H
#define CONFIG_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/json_place.h"
#include "config/mem.h"

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

/* Lets "$schema" name a schema, for editors. */
void json_read_schema(struct json_members *members);

/* Adds a fault for each member whose key was never asked for, and names the
 * nearest key that was. */
void json_read_close(struct json_members *members);

/* The readers below return false after adding the fault, and set their output
 * only when they return true. */

/* Text of 1 to max characters without control characters, lent by the
 * value. */
MUST_USE bool json_read_text(const struct json_place *place, size_t max,
                             const char **text_out);

/* The member's own key: 1 to max characters without control characters. */
MUST_USE bool json_read_key(const struct json_place *member, size_t max);

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

/* Members that may be missing: these leave their output, the default, as it
 * is when the member is missing or, after a fault, wrong. A path that is set
 * replaces nothing: its output was NULL. One that is required but missing is a
 * fault. */
void json_read_optional_path(struct json_members *members, const char *key,
                             char **path_out);
void json_read_required_path(struct json_members *members, const char *key,
                             const char *expected, char **path_out);
void json_read_optional_unsigned(struct json_members *members, const char *key,
                                 unsigned min, unsigned max,
                                 unsigned *number_out);
void json_read_optional_seconds(struct json_members *members, const char *key,
                                uint64_t min_ms, uint64_t max_ms,
                                uint64_t *ms_out);
/* Likewise, where 0 is off and anything below least_s a fault. */
void json_read_optional_seconds_or_off(struct json_members *members,
                                       const char *key, double least_s,
                                       uint64_t max_ms, const char *expected,
                                       uint64_t *ms_out);
void json_read_optional_flag(struct json_members *members, const char *key,
                             bool *flag_out);
void json_read_optional_choice(struct json_members *members, const char *key,
                               const struct json_choice *choices, size_t count,
                               unsigned *value_out);

#endif
