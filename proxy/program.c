#include "program.h"

#include "config/mem.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char running[] = "/proc/self/exe";

static bool is_running(const char *path)
{
    struct stat one, other;

    return stat(path, &one) == 0 && stat(running, &other) == 0 &&
           one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* folder/name, where that is the running program. */
static char *in_folder(const char *folder, size_t folder_len, const char *name)
{
    size_t size = folder_len + 1 + strlen(name) + 1;
    char *path = mem_alloc(size);

    snprintf(path, size, "%.*s/%s", (int)folder_len, folder, name);
    if (folder_len > 0 && folder[0] == '/' && is_running(path))
        return path;
    free(path);
    return NULL;
}

static char *in_working_folder(const char *name)
{
    char folder[PATH_MAX];

    return getcwd(folder, sizeof(folder)) == NULL
               ? NULL
               : in_folder(folder, strlen(folder), name);
}

static char *in_search_path(const char *name)
{
    const char *at = getenv("PATH");
    char *path = NULL;

    while (at != NULL && path == NULL) {
        size_t len = strcspn(at, ":");

        path = in_folder(at, len, name);
        at = at[len] == '\0' ? NULL : at + len + 1;
    }
    return path;
}

static char *by_name(const char *name)
{
    if (name[0] == '/')
        return is_running(name) ? mem_strdup(name) : NULL;
    return strchr(name, '/') != NULL ? in_working_folder(name)
                                     : in_search_path(name);
}

/* What was removed since has these words behind its name. */
static char *by_kernel(void)
{
    static const char removed[] = " (deleted)";
    char path[PATH_MAX];
    ssize_t len = readlink(running, path, sizeof(path) - 1);
    size_t end = sizeof(removed) - 1;

    if (len <= 0)
        return NULL;
    path[len] = '\0';
    if ((size_t)len > end && strcmp(path + len - end, removed) == 0)
        path[(size_t)len - end] = '\0';
    return mem_strdup(path);
}

char *program_path(void)
{
    char *path = by_name(program_invocation_name);

    return path == NULL ? by_kernel() : path;
}
