/* From bytes to Jansson's tree. */
#ifndef CONFIG_JSON_PARSE_H
#define CONFIG_JSON_PARSE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "config/json_place.h"
#include "config/mem.h"

/* More than a table of any size needs, and within 32-bit offsets. */
#define JSON_PARSE_BYTES_MAX ((size_t)1 << 30)

/* Parses one JSON value. Refuses duplicate keys, NUL, trailing text, numbers
 * that do not fit and deep nesting, with line, column and path. Returns NULL
 * after adding the reason; otherwise the caller owns a reference. */
MUST_USE json_t *json_parse(const struct json_reader *reader,
                            const uint8_t *bytes, size_t len);

#endif
