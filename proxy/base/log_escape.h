/* A stranger's bytes made fit for a log line: no control, quote or backslash
 * stands for itself, and nothing can end the value or move the terminal. */
#ifndef BASE_LOG_ESCAPE_H
#define BASE_LOG_ESCAPE_H

#include "base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What log_escape may write: a cut value and its mark. */
enum {
    LOG_ESCAPED_MAX = LOG_VALUE_MAX + 3
};

/* Writes the value without quotes around it; returns its length. Cut at the
 * last whole byte or character that fits LOG_VALUE_MAX. */
size_t log_escape(enum log_format format, const uint8_t *bytes, size_t len,
                  char out[LOG_ESCAPED_MAX]);

/* A value that is not empty and has neither blank, equals sign nor anything
 * that is escaped: in text it needs no quotes. */
bool log_escape_is_bare(const uint8_t *bytes, size_t len);

#endif
