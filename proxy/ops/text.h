/* A text that grows as it is written, for what is served whole. */
#ifndef OPS_TEXT_H
#define OPS_TEXT_H

#include "config/mem.h"

#include <stddef.h>

/* All zero is an empty one. */
struct text {
    char *bytes; /* ended by NUL once anything was added */
    size_t len;
    size_t size;
};

void text_deinit(struct text *text);

__attribute__((format(printf, 2, 3))) void text_add(struct text *text,
                                                    const char *format, ...);

/* Whatever they are: a NUL counts, too. */
void text_add_bytes(struct text *text, const char *bytes, size_t len);

/* A JSON string with its quotes (RFC 8259, 7). What is no UTF-8 becomes
 * U+FFFD, since these may be a stranger's bytes. */
void text_add_json(struct text *text, const char *value);

/* The same, or null. */
void text_add_json_or_null(struct text *text, const char *value);

/* The value of a label with its quotes, as Prometheus reads it. */
void text_add_label(struct text *text, const char *value);

#endif
