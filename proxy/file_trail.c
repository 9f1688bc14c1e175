#include "file_trail.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* As the kernel's bound of one path. */
#define LINKS_MAX 40

/* A path on its way from step to step. */
struct walk {
    struct file_trail *trail;
    const char *file;
    char folder[PATH_MAX]; /* where it has come to */
    char rest[PATH_MAX];   /* where it has to go from there */
    unsigned links;
};

static int read_file(void *owner, const char *path, struct file_bytes *out);
static int list_folder(void *owner, const char *path, char ***names_out);
static bool walk_to_folder(struct walk *walk, const char *path);
static bool take_step(struct walk *walk, const char *name);
static bool follow_link(struct walk *walk, const char *name);
static bool enter(struct walk *walk, const char *name);
static const struct file_step *add_step(struct walk *walk, const char *name);
static void look(struct file_step *step);

struct file_trail *file_trail_new(const struct file_source *files)
{
    struct file_trail *trail = mem_zalloc(sizeof(*trail));

    trail->files = files;
    trail->source = (struct file_source){
        .owner = trail, .read_file = read_file, .list_folder = list_folder};
    return trail;
}

static void free_step(struct file_step *step)
{
    free(step->folder);
    free(step->name);
}

void file_trail_free(struct file_trail **trail)
{
    struct file_trail *mine = *trail;

    *trail = NULL;
    if (mine == NULL)
        return;
    for (size_t i = 0; i < mine->count; i++)
        free_step(&mine->steps[i]);
    for (size_t i = 0; i < mine->asked_count; i++)
        free(mine->asked[i]);
    free(mine->steps);
    free(mine->asked);
    free(mine);
}

static int compare_steps(const void *left, const void *right)
{
    const struct file_step *a = left;
    const struct file_step *b = right;
    int order = strcmp(a->folder, b->folder);

    return order != 0 ? order : strcmp(a->name, b->name);
}

static bool are_alike(const struct file_step *one,
                      const struct file_step *other)
{
    return one->device == other->device && one->inode == other->inode &&
           one->since.tv_sec == other->since.tv_sec &&
           one->since.tv_nsec == other->since.tv_nsec;
}

/* One that turned while the load was under way is like nothing any more. */
static void merge(struct file_step *kept, struct file_step *other)
{
    if (!are_alike(kept, other)) {
        kept->device = 0;
        kept->inode = 0;
    }
    free_step(other);
}

void file_trail_finish(struct file_trail *trail)
{
    size_t kept = 0;

    trail->is_finished = true;
    if (trail->count == 0)
        return;
    qsort(trail->steps, trail->count, sizeof(*trail->steps), compare_steps);
    for (size_t i = 1; i < trail->count; i++) {
        if (compare_steps(&trail->steps[i], &trail->steps[kept]) == 0)
            merge(&trail->steps[kept], &trail->steps[i]);
        else
            trail->steps[++kept] = trail->steps[i];
    }
    trail->count = kept + 1;
}

const struct file_step *file_trail_find(const struct file_trail *trail,
                                        const struct file_step *step)
{
    if (trail->count == 0)
        return NULL;
    return bsearch(step, trail->steps, trail->count, sizeof(*trail->steps),
                   compare_steps);
}

bool file_step_has_turned(const struct file_step *step)
{
    struct file_step now = *step;

    look(&now);
    return !are_alike(&now, step);
}

static const char *keep_name(struct file_trail *trail, const char *path)
{
    trail->asked = mem_realloc_array(trail->asked, trail->asked_count + 1,
                                     sizeof(*trail->asked));
    trail->asked[trail->asked_count] = mem_strdup(path);
    return trail->asked[trail->asked_count++];
}

static int read_file(void *owner, const char *path, struct file_bytes *out)
{
    struct file_trail *trail = owner;
    struct walk walk = {.trail = trail, .file = keep_name(trail, path)};

    (void)walk_to_folder(&walk, path);
    return trail->files->read_file(trail->files->owner, path, out);
}

static int list_folder(void *owner, const char *path, char ***names_out)
{
    struct file_trail *trail = owner;
    struct walk walk = {.trail = trail, .file = keep_name(trail, path)};

    if (walk_to_folder(&walk, path))
        (void)add_step(&walk, "");
    return trail->files->list_folder(trail->files->owner, path, names_out);
}

/* Cuts the next name off the rest; false at its end. */
static bool cut_name(struct walk *walk, char name[NAME_MAX + 1])
{
    size_t skipped = strspn(walk->rest, "/");
    size_t len = strcspn(walk->rest + skipped, "/");

    if (len == 0 || len > NAME_MAX)
        return false;
    memcpy(name, walk->rest + skipped, len);
    name[len] = '\0';
    memmove(walk->rest, walk->rest + skipped + len,
            strlen(walk->rest + skipped + len) + 1);
    return true;
}

/* Notes every step of the way; true where it ends in walk->folder. */
static bool walk_to_folder(struct walk *walk, const char *path)
{
    char name[NAME_MAX + 1];

    if (snprintf(walk->rest, sizeof(walk->rest), "%s", path) >= PATH_MAX)
        return false;
    if (path[0] == '/')
        memcpy(walk->folder, "/", sizeof("/"));
    else if (getcwd(walk->folder, sizeof(walk->folder)) == NULL)
        return false;
    while (cut_name(walk, name)) {
        if (!take_step(walk, name))
            return false;
    }
    return true;
}

/* No link is in the folder, so that the one above is what its name says. */
static void leave(struct walk *walk)
{
    char *slash = strrchr(walk->folder, '/');

    slash[slash == walk->folder ? 1 : 0] = '\0';
}

/* False where nothing lies behind it. */
static bool take_step(struct walk *walk, const char *name)
{
    if (strcmp(name, ".") == 0)
        return true;
    if (strcmp(name, "..") == 0) {
        leave(walk);
        return true;
    }
    switch (add_step(walk, name)->kind) {
    case FILE_STEP_PASSAGE:
        return enter(walk, name);
    case FILE_STEP_LINK:
        return follow_link(walk, name);
    case FILE_STEP_MISSING:
    case FILE_STEP_END:
    case FILE_STEP_NAMES:
        return false;
    }
    return false;
}

static bool join(char out[PATH_MAX], const char *folder, const char *name)
{
    const char *slash = strcmp(folder, "/") == 0 ? "" : "/";

    return snprintf(out, PATH_MAX, "%s%s%s", folder, slash, name) < PATH_MAX;
}

static bool enter(struct walk *walk, const char *name)
{
    char folder[PATH_MAX];

    if (!join(folder, walk->folder, name))
        return false;
    memcpy(walk->folder, folder, strlen(folder) + 1);
    return true;
}

static bool follow_link(struct walk *walk, const char *name)
{
    char path[PATH_MAX], target[PATH_MAX], rest[PATH_MAX];
    ssize_t len;

    if (++walk->links > LINKS_MAX || !join(path, walk->folder, name))
        return false;
    len = readlink(path, target, sizeof(target) - 1);
    if (len < 0)
        return false;
    target[len] = '\0';
    if (snprintf(rest, sizeof(rest), "%s/%s", target, walk->rest) >= PATH_MAX)
        return false;
    memcpy(walk->rest, rest, strlen(rest) + 1);
    if (target[0] == '/')
        memcpy(walk->folder, "/", sizeof("/"));
    return true;
}

static const struct file_step *add_step(struct walk *walk, const char *name)
{
    struct file_trail *trail = walk->trail;
    struct file_step *step;

    if (trail->count == trail->capacity) {
        trail->capacity = trail->capacity * 2 + 16;
        trail->steps = mem_realloc_array(trail->steps, trail->capacity,
                                         sizeof(*trail->steps));
    }
    step = &trail->steps[trail->count++];
    *step = (struct file_step){.folder = mem_strdup(walk->folder),
                               .name = mem_strdup(name),
                               .file = walk->file};
    look(step);
    return step;
}

static enum file_step_kind kind_of(const struct file_step *step,
                                   const struct statx *found)
{
    if (step->name[0] == '\0')
        return FILE_STEP_NAMES;
    if (S_ISLNK(found->stx_mode))
        return FILE_STEP_LINK;
    return S_ISDIR(found->stx_mode) ? FILE_STEP_PASSAGE : FILE_STEP_END;
}

/* What takes the place of another may be given its inode as well, as file
 * systems do at once to those that are made anew: it is told by its birth.
 * Where none is known it is 0. */
static struct timespec since_when(enum file_step_kind kind,
                                  const struct statx *found)
{
    const struct statx_timestamp *since =
        kind == FILE_STEP_NAMES ? &found->stx_mtime : &found->stx_btime;

    return (struct timespec){.tv_sec = since->tv_sec,
                             .tv_nsec = since->tv_nsec};
}

static void look(struct file_step *step)
{
    char path[PATH_MAX];
    struct statx found = {.stx_mask = 0};

    step->kind = FILE_STEP_MISSING;
    step->device = 0;
    step->inode = 0;
    step->since = (struct timespec){.tv_sec = 0};
    if (!join(path, step->folder, step->name) ||
        statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW,
              STATX_BASIC_STATS | STATX_BTIME, &found) != 0)
        return;
    step->kind = kind_of(step, &found);
    step->device = makedev(found.stx_dev_major, found.stx_dev_minor);
    step->inode = found.stx_ino;
    step->since = since_when(step->kind, &found);
}
