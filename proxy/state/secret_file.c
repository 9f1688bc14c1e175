#include "state/secret_file.h"

#include <string.h>

/* Far above any password that is typed, far below what a login may carry. */
#define SECRET_MAX 1024

static const char *fault_of(const struct file_bytes *file, size_t len);
static size_t without_line_end(const struct file_bytes *file);

bool secret_file_read(const struct file_source *files, const char *path,
                      const struct file_mention *mention,
                      struct secret_file *out, struct reasons *reasons)
{
    const char *fault;

    if (!file_source_read(files, path, mention, &out->file, reasons))
        return false;
    out->len = without_line_end(&out->file);
    fault = fault_of(&out->file, out->len);
    if (fault == NULL)
        return true;
    reasons_add(reasons, REASON_ERROR, mention->file, mention->path, fault,
                "a file of one line, the secret, that only its user and group "
                "may read");
    return false;
}

void secret_file_deinit(struct secret_file *secret)
{
    file_bytes_deinit(&secret->file);
    *secret = (struct secret_file){.len = 0};
}

/* What is wrong with a secret of len bytes, or NULL. Never says any of it. */
static const char *fault_of(const struct file_bytes *file, size_t len)
{
    if (file->is_world_readable)
        return "a file that everybody may read";
    if (len == 0)
        return "an empty file";
    if (len > SECRET_MAX)
        return "more than 1024 bytes";
    if (memchr(file->bytes, '\0', len) != NULL)
        return "a NUL byte";
    if (memchr(file->bytes, '\n', len) != NULL ||
        memchr(file->bytes, '\r', len) != NULL)
        return "more than one line";
    return NULL;
}

static size_t without_line_end(const struct file_bytes *file)
{
    size_t len = file->len;

    if (len > 0 && file->bytes[len - 1] == '\n')
        len--;
    if (len > 0 && len < file->len && file->bytes[len - 1] == '\r')
        len--;
    return len;
}
