/* A secret of one line in a file of its own. */
#ifndef STATE_SECRET_FILE_H
#define STATE_SECRET_FILE_H

#include "config/mem.h"
#include "config/reason.h"
#include "state/file_source.h"

#include <stdbool.h>
#include <stddef.h>

/* All zero is none. */
struct secret_file {
    struct file_bytes file;
    size_t len; /* of the secret, at its beginning: no NUL, no line end */
};

/* Reads it. A file is refused that everybody may read, that is empty, too long,
 * of several lines or holds a NUL; one line end behind the secret is cut. False
 * after adding an error with the mention, which never says any of it. */
MUST_USE bool secret_file_read(const struct file_source *files,
                               const char *path,
                               const struct file_mention *mention,
                               struct secret_file *out,
                               struct reasons *reasons);

/* Wipes. */
void secret_file_deinit(struct secret_file *secret);

#endif
