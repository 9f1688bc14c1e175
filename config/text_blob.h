/* Many small texts in one block, known by 32-bit offsets. */
#ifndef CONFIG_TEXT_BLOB_H
#define CONFIG_TEXT_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "config/mem.h"

struct text_blob {
    char *bytes; /* moves when texts are added */
    size_t len;
    size_t capacity;
};

void text_blob_init(struct text_blob *blob);
void text_blob_deinit(struct text_blob *blob);

/* Makes room for so many bytes more, NULs included, in which nothing moves.
 * What is never used of it costs no memory. */
void text_blob_reserve(struct text_blob *blob, size_t len);

/* Copies len bytes and a NUL. Returns where they begin, or 0, which is no
 * text's place, when 32 bits cannot tell it. */
MUST_USE uint32_t text_blob_add(struct text_blob *blob, const char *text,
                                size_t len);

/* Gives unused room back. */
void text_blob_trim(struct text_blob *blob);

#endif
