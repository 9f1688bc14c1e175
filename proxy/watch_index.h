/* Which steps of a trail each of the kernel's watches hears of. */
#ifndef PROXY_WATCH_INDEX_H
#define PROXY_WATCH_INDEX_H

#include "config/mem.h"
#include "file_trail.h"

#include <stdbool.h>
#include <stddef.h>

/* Steps that stand side by side: mostly those of one folder. */
struct watch_run {
    int number; /* the kernel's, of their watch */
    size_t first;
    size_t count;
};

/* Starts out zeroed. */
struct watch_index {
    struct watch_run *runs; /* by number */
    size_t count;
};

/* Takes the place of what was known of another trail; steps that are not
 * watched are left out. */
void watch_index_fill(struct watch_index *index,
                      const struct file_trail *trail);

/* The runs of a number, side by side, and how many they are: more than one
 * where two folders are the same. */
const struct watch_run *watch_index_find(const struct watch_index *index,
                                         int number, size_t *count_out);

/* Nothing is watched any more. */
void watch_index_clear(struct watch_index *index);

#endif
