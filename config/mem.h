/* Allocation that cannot fail: running out of memory aborts (decision 18),
 * since load is refused earlier, by limits. Everything is freed by free(). */
#ifndef CONFIG_MEM_H
#define CONFIG_MEM_H

#include <stddef.h>

#define MUST_USE __attribute__((warn_unused_result))

/* Returns at least one byte, also for a size of 0. */
MUST_USE void *mem_alloc(size_t size);

/* Like mem_alloc, but every byte is 0. */
MUST_USE void *mem_zalloc(size_t size);

/* Like realloc: bytes may be NULL. The old block is not wiped. */
MUST_USE void *mem_realloc(void *bytes, size_t size);

/* Room for count items of item_size bytes each; a product that does not fit
 * into size_t aborts like exhausted memory. items may be NULL. */
MUST_USE void *mem_realloc_array(void *items, size_t count, size_t item_size);

/* Copies a C string; NULL gives NULL. */
MUST_USE char *mem_strdup(const char *text);

/* Copies len bytes (NUL or not) and ends them with NUL. */
MUST_USE char *mem_strndup(const char *bytes, size_t len);

/* Writes one line to standard error and aborts. */
_Noreturn void mem_exhausted(void);

#endif
