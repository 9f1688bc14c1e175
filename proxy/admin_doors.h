/* The listening sockets of the administration: opened, or taken over from a
 * predecessor. */
#ifndef PROXY_ADMIN_DOORS_H
#define PROXY_ADMIN_DOORS_H

#include "config/mem.h"
#include "config/settings.h"
#include "net/io.h"
#include "ops/admin.h"
#include "provider.h"
#include "provider_admin.h"

#include <stdbool.h>
#include <stddef.h>

struct admin_doors {
    struct provider_admin local; /* its descriptor was moved to fds[0] */
    char *path;                  /* of the local one */
    char *left_path; /* of a predecessor's that is not wanted; or NULL */
    int fds[ADMIN_SOCKETS_MAX]; /* listening; -1 once taken; [0] is local */
    size_t count;
};

/* What the settings name; of the given descriptors those are taken, and -1 is
 * written over them, that listen where one is wanted, and the local one of
 * another name. 0, or UV_E* with a sentence; then nothing is held. */
MUST_USE int admin_doors_open(struct admin_doors *doors,
                              const struct settings *settings,
                              const struct io_keepalive *keepalive, int *given,
                              size_t given_count, char why[PROVIDER_WHY_MAX]);

/* What was the predecessor's is ours from here on: the name that was taken over
 * goes at the end, one that is not wanted at once. */
void admin_doors_own(struct admin_doors *doors);

/* The name of the local socket belongs to somebody else from here on. */
void admin_doors_leave(struct admin_doors *doors);

/* Closes what was not taken and takes the local one's name away. All zero is
 * fine. */
void admin_doors_close(struct admin_doors *doors);

#endif
