#include "config/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *mem_alloc(size_t size)
{
    return mem_realloc(NULL, size);
}

void *mem_zalloc(size_t size)
{
    void *bytes = calloc(1, size == 0 ? 1 : size);

    if (bytes == NULL)
        mem_exhausted();
    return bytes;
}

void *mem_realloc(void *bytes, size_t size)
{
    void *moved = realloc(bytes, size == 0 ? 1 : size);

    if (moved == NULL)
        mem_exhausted();
    return moved;
}

void *mem_realloc_array(void *items, size_t count, size_t item_size)
{
    if (item_size != 0 && count > SIZE_MAX / item_size)
        mem_exhausted();
    return mem_realloc(items, count * item_size);
}

char *mem_strdup(const char *text)
{
    return text == NULL ? NULL : mem_strndup(text, strlen(text));
}

char *mem_strndup(const char *bytes, size_t len)
{
    if (len == SIZE_MAX)
        mem_exhausted();

    char *copy = mem_alloc(len + 1);

    if (len > 0)
        memcpy(copy, bytes, len);
    copy[len] = '\0';
    return copy;
}

void mem_exhausted(void)
{
    static const char line[] = "gatepost: out of memory\n";

    /* Nothing is left to be done about a line that cannot be written. */
    if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
        abort();
    abort();
}
