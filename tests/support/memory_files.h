/* A file_source whose files a test writes down: no disk, and every error that
 * a test asks for. */
#ifndef SUPPORT_MEMORY_FILES_H
#define SUPPORT_MEMORY_FILES_H

#include "net/pem.h"
#include "state/file_source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory_files;

struct memory_files *memory_files_new(void);
void memory_files_free(struct memory_files **files);

/* Lends what snapshot_load wants. A path's folders exist by themselves. */
const struct file_source *memory_files_source(struct memory_files *files);

/* Writes a file, in the place of what was there. */
void memory_files_put(struct memory_files *files, const char *path,
                      const char *text);
void memory_files_put_pem(struct memory_files *files, const char *path,
                          struct pem_file pem);

/* Reading it gives this errno; 0 heals it. */
void memory_files_break(struct memory_files *files, const char *path,
                        int error);
void memory_files_expose(struct memory_files *files, const char *path);
void memory_files_date(struct memory_files *files, const char *path,
                       int64_t changed);
void memory_files_remove(struct memory_files *files, const char *path);

/* How often the file was read. */
unsigned memory_files_reads(const struct memory_files *files, const char *path);

/* The index-th path, in the order of writing; NULL past the last. */
const char *memory_files_path(const struct memory_files *files, size_t index);

#endif
