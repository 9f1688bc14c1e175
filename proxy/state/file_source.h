/* Where the bytes of files come from. The server opens none by itself: today
 * the provider in the same process reads them, one day a process of its own
 * with other rights (decision 2). */
#ifndef STATE_FILE_SOURCE_H
#define STATE_FILE_SOURCE_H

#include "config/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file_bytes {
    uint8_t *bytes;
    size_t len;
};

struct file_source {
    void *owner;
    /* Reads a whole file. 0 or an errno; EFBIG over its bound. */
    int (*read_file)(void *owner, const char *path, struct file_bytes *out);
    /* Names in a folder, sorted, without "." and ".."; NULL ends the list.
     * 0 or an errno. */
    int (*list_folder)(void *owner, const char *path, char ***names_out);
};

/* Wipes (a key may have been in it) and frees. */
void file_bytes_deinit(struct file_bytes *file);
void file_names_free(char ***names);

#endif
