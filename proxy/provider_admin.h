/* The Unix socket on which operators reach the server. Part of what comes from
 * outside (provider.h). */
#ifndef PROXY_PROVIDER_ADMIN_H
#define PROXY_PROVIDER_ADMIN_H

#include "config/mem.h"
#include "provider.h"

#include <sys/types.h>

/* A socket in the file system, and by what it is known again. */
struct provider_admin {
    int fd; /* listening, non-blocking, closed on exec; -1 once it was taken */
    dev_t device;
    ino_t inode;
};

/* Makes the socket, which its owner alone may open (0600). One that nobody
 * listens on is replaced; one that somebody does, and whatever is no socket,
 * is left alone. 0, or UV_E* with a sentence. */
MUST_USE int provider_open_admin(const char *path,
                                 struct provider_admin *admin_out,
                                 char why[PROVIDER_WHY_MAX]);

/* What stands under this name is ours: made by a process before us. */
void provider_know_admin(const char *path, struct provider_admin *admin);

/* Takes it out of the file system, unless another one stands there by now, and
 * closes what was not taken. */
void provider_close_admin(const char *path, struct provider_admin *admin);

#endif
