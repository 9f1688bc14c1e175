#include "config/text_blob.h"

#include <stdlib.h>
#include <string.h>

void text_blob_init(struct text_blob *blob)
{
    *blob = (struct text_blob){.len = 1, .capacity = 64};
    blob->bytes = mem_zalloc(blob->capacity);
}

void text_blob_deinit(struct text_blob *blob)
{
    free(blob->bytes);
    *blob = (struct text_blob){.bytes = NULL};
}

void text_blob_reserve(struct text_blob *blob, size_t len)
{
    if (len > UINT32_MAX || len <= blob->capacity - blob->len)
        return; /* text_blob_add says what is too much */
    blob->capacity = blob->len + len;
    blob->bytes = mem_realloc(blob->bytes, blob->capacity);
}

uint32_t text_blob_add(struct text_blob *blob, const char *text, size_t len)
{
    if (len >= UINT32_MAX - blob->len)
        return 0;
    if (len + 1 > blob->capacity - blob->len) {
        blob->capacity = blob->capacity * 2 + len;
        blob->bytes = mem_realloc(blob->bytes, blob->capacity);
    }

    uint32_t at = (uint32_t)blob->len;

    memcpy(blob->bytes + at, text, len);
    blob->bytes[at + len] = '\0';
    blob->len += len + 1;
    return at;
}

void text_blob_trim(struct text_blob *blob)
{
    blob->bytes = mem_realloc(blob->bytes, blob->len);
    blob->capacity = blob->len;
}
