/* The trail of a load: which files it asked for, and every name in every folder
 * by which the kernel found them. Unless one of these comes to mean something
 * else, another load finds nothing else. */
#ifndef PROXY_FILE_TRAIL_H
#define PROXY_FILE_TRAIL_H

#include "config/mem.h"
#include "state/file_source.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

enum file_step_kind {
    FILE_STEP_MISSING,
    FILE_STEP_PASSAGE, /* a folder */
    FILE_STEP_LINK,    /* a symbolic one, that was followed */
    FILE_STEP_END,     /* what was asked for */
    FILE_STEP_NAMES    /* of the whole folder, which was listed */
};

struct file_step {
    char *folder; /* absolute, and no link is in it */
    char *name;   /* what was looked up there; empty: FILE_STEP_NAMES */
    enum file_step_kind kind;
    const char *file; /* who asked: a path as the configuration has it */
    dev_t device;     /* these three: what was found, or 0 */
    ino_t inode;
    struct timespec since; /* its birth; a list of names: its last change */
    int watch;             /* file_watch's; negative: none */
};

struct file_trail {
    struct file_source source; /* reads as `files` does, and leaves a trail */
    const struct file_source *files;
    char **asked;
    size_t asked_count;
    struct file_step *steps;
    size_t count;
    size_t capacity;
    bool is_finished;
};

/* What is read by its source is looked for before it is read. files is
 * borrowed. */
struct file_trail *file_trail_new(const struct file_source *files);

/* Accepts NULL inside. */
void file_trail_free(struct file_trail **trail);

/* Sorts the steps by folder and name, and keeps one of those that are equal.
 * Nothing may be read by the source any more. */
void file_trail_finish(struct file_trail *trail);

/* The same step in another trail that is finished, or NULL. */
const struct file_step *file_trail_find(const struct file_trail *trail,
                                        const struct file_step *step);

/* Whether the step leads elsewhere by now. What is written in place has not
 * turned. */
MUST_USE bool file_step_has_turned(const struct file_step *step);

#endif
