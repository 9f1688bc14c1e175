/* Tells when the config file, the routing table or its file of users was
 * renamed into place. Only a rename counts: a file that is still being written
 * where it stands could be read by halves. */
#ifndef PROXY_FILE_WATCH_H
#define PROXY_FILE_WATCH_H

#include "config/mem.h"
#include "state/snapshot.h"

#include <uv.h>

struct file_watch;

/* On the loop; once for all that is renamed within FILE_WATCH_CALM_MS. */
typedef void file_watch_handler(void *owner);

enum {
    FILE_WATCH_CALM_MS = 200
};

/* Watches nothing yet. config_file is borrowed. */
struct file_watch *file_watch_new(uv_loop_t *loop, const char *config_file,
                                  file_watch_handler *handler, void *owner);

/* Watches the files of this snapshot, if its settings say so, or none. A
 * folder that cannot be watched is logged. */
void file_watch_follow(struct file_watch *watch,
                       const struct snapshot *snapshot);

/* Closes its handles. Accepts NULL. */
void file_watch_stop(struct file_watch *watch);

/* After the loop has ended. Accepts NULL inside. */
void file_watch_free(struct file_watch **watch);

#endif
