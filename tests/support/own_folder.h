/* A folder of a test's own, in which it is. */
#ifndef SUPPORT_OWN_FOLDER_H
#define SUPPORT_OWN_FOLDER_H

#include "config/mem.h"

#include <limits.h>
#include <stdbool.h>

struct own_folder {
    char path[32];
    char home[PATH_MAX]; /* where the test came from */
};

/* Makes it below /tmp, empty, and goes there. */
MUST_USE bool own_folder_enter(struct own_folder *folder);

/* Goes back, and removes it with all that is in it. */
void own_folder_leave(struct own_folder *folder);

/* Empty files; the second is put in place by a rename. */
void own_folder_write(const char *name);
void own_folder_replace(const char *name);

#endif
