#include "imap/wiped_buffer.h"

#include <openssl/mem.h>
#include <stdlib.h>
#include <string.h>

#include "config/mem.h"

#define FIRST_CAPACITY 256
#define KEPT_CAPACITY 512 /* so that a quiet session holds next to nothing */

void wiped_buffer_deinit(struct wiped_buffer *buffer)
{
    wiped_buffer_cut(buffer, 0);
    free(buffer->bytes);
    *buffer = (struct wiped_buffer){0};
}

void wiped_buffer_clear(struct wiped_buffer *buffer)
{
    if (buffer->capacity > KEPT_CAPACITY)
        wiped_buffer_deinit(buffer);
    else
        wiped_buffer_cut(buffer, 0);
}

/* Not realloc: it would leave the old bytes behind. */
static void grow(struct wiped_buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity;
    uint8_t *bytes;

    if (capacity == 0)
        capacity = FIRST_CAPACITY;
    while (capacity < needed)
        capacity *= 2;
    bytes = mem_alloc(capacity);
    if (buffer->len > 0) {
        memcpy(bytes, buffer->bytes, buffer->len);
        OPENSSL_cleanse(buffer->bytes, buffer->len);
    }
    free(buffer->bytes);
    buffer->bytes = bytes;
    buffer->capacity = capacity;
}

void wiped_buffer_append(struct wiped_buffer *buffer, const void *bytes,
                         size_t len)
{
    if (len == 0)
        return;
    if (len > buffer->capacity - buffer->len)
        grow(buffer, buffer->len + len);
    memcpy(buffer->bytes + buffer->len, bytes, len);
    buffer->len += len;
}

void wiped_buffer_append_text(struct wiped_buffer *buffer, const char *text)
{
    wiped_buffer_append(buffer, text, strlen(text));
}

void wiped_buffer_append_number(struct wiped_buffer *buffer, size_t number)
{
    char digits[24];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    wiped_buffer_append(buffer, digits + at, sizeof(digits) - at);
}

void wiped_buffer_cut(struct wiped_buffer *buffer, size_t len)
{
    if (len >= buffer->len)
        return;
    OPENSSL_cleanse(buffer->bytes + len, buffer->len - len);
    buffer->len = len;
}
