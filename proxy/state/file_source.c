#include "state/file_source.h"

#include "config/pace.h"

#include <errno.h>
#include <openssl/mem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A longer path would push the reason off the end of the line. */
#define PATH_SHOWN_MAX 300

/* Of a file of a million users, too. */
enum {
    WIPED_AT_ONCE = 64 * 1024
};

void file_bytes_deinit(struct file_bytes *file)
{
    for (size_t done = 0; done < file->len; done += WIPED_AT_ONCE) {
        size_t rest = file->len - done;

        OPENSSL_cleanse(file->bytes + done,
                        rest < WIPED_AT_ONCE ? rest : WIPED_AT_ONCE);
        pace();
    }
    free(file->bytes);
    *file = (struct file_bytes){.bytes = NULL};
}

void file_names_free(char ***names)
{
    char **mine = *names;

    *names = NULL;
    if (mine == NULL)
        return;
    for (size_t i = 0; mine[i] != NULL; i++)
        free(mine[i]);
    free(mine);
}

bool file_source_read(const struct file_source *files, const char *path,
                      const struct file_mention *mention,
                      struct file_bytes *out, struct reasons *reasons)
{
    int error = files->read_file(files->owner, path, out);

    if (error == 0)
        return true;
    file_source_complain(path, error, mention, reasons);
    return false;
}

static const char *error_text(int error)
{
    if (error == EFBIG)
        return "larger than Gatepost reads";
    if (error == EINVAL)
        return "not a regular file";
    return strerror(error); /* thread-safe for known errors */
}

void file_source_complain(const char *path, int error,
                          const struct file_mention *mention,
                          struct reasons *reasons)
{
    char found[PATH_SHOWN_MAX + 128];

    if (mention->path == NULL)
        snprintf(found, sizeof(found), "%s", error_text(error));
    else
        snprintf(found, sizeof(found), "\"%.*s\" (%s)", PATH_SHOWN_MAX, path,
                 error_text(error));
    reasons_add(reasons, REASON_ERROR, mention->file, mention->path, found,
                mention->expected);
}
