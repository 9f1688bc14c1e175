#include "own_folder.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    DESCRIPTORS = 8
};

bool own_folder_enter(struct own_folder *folder)
{
    snprintf(folder->path, sizeof(folder->path), "/tmp/gp-own.XXXXXX");
    return getcwd(folder->home, sizeof(folder->home)) != NULL &&
           mkdtemp(folder->path) != NULL && chdir(folder->path) == 0;
}

static int remove_one(const char *path, const struct stat *about, int kind,
                      struct FTW *place)
{
    (void)about;
    (void)kind;
    (void)place;
    return remove(path);
}

void own_folder_leave(struct own_folder *folder)
{
    assert_int_equal(chdir(folder->home), 0);
    assert_int_equal(
        nftw(folder->path, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS), 0);
}

void own_folder_write(const char *name)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    fclose(file);
}

void own_folder_replace(const char *name)
{
    char beside[64];

    snprintf(beside, sizeof(beside), "%s.new", name);
    own_folder_write(beside);
    assert_int_equal(rename(beside, name), 0);
}
