/* Where the bytes of files come from. The server opens none by itself: today
 * the provider in the same process reads them, one day a process of its own
 * with other rights (decision 2). */
#ifndef STATE_FILE_SOURCE_H
#define STATE_FILE_SOURCE_H

#include "config/mem.h"
#include "config/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file_bytes {
    uint8_t *bytes;
    size_t len;
    bool is_world_readable; /* everybody on the machine may read it */
    int64_t changed;        /* its bytes, at last: seconds since the epoch */
};

struct file_source {
    void *owner;
    /* Reads a whole regular file. 0 or an errno, *out untouched then: EFBIG
     * over its bound, EISDIR for a folder, EINVAL for other special files. */
    int (*read_file)(void *owner, const char *path, struct file_bytes *out);
    /* Names in a folder, sorted by their bytes, without "." and ".."; NULL
     * ends the list. 0 or an errno, *names_out untouched then. */
    int (*list_folder)(void *owner, const char *path, char ***names_out);
};

/* Wipes (a key may have been in it) and frees. */
void file_bytes_deinit(struct file_bytes *file);

/* Leaves NULL behind; accepts NULL inside. */
void file_names_free(char ***names);

/* Who names a file, for the reason why it cannot be had. */
struct file_mention {
    const char *file;     /* the config file that names it, or itself */
    const char *path;     /* JSON path there; NULL: nobody names it */
    const char *expected; /* such as "a file that can be read" */
};

/* Reads a file; false after adding an error with the mention, the path and
 * what the system says. */
MUST_USE bool file_source_read(const struct file_source *files,
                               const char *path,
                               const struct file_mention *mention,
                               struct file_bytes *out, struct reasons *reasons);

/* Adds the error that path could not be had, by its errno. */
void file_source_complain(const char *path, int error,
                          const struct file_mention *mention,
                          struct reasons *reasons);

#endif
