/* Tells when a file that the last load asked for was renamed into place, or a
 * symbolic link on the way to it was. Nothing else counts: a file that is still
 * being written where it stands could be read by halves. */
#ifndef PROXY_FILE_WATCH_H
#define PROXY_FILE_WATCH_H

#include "config/mem.h"
#include "file_trail.h"

#include <stdbool.h>
#include <uv.h>

struct file_watch;

/* On the loop. */
typedef void file_watch_handler(void *owner);

/* When it is told: after as long without another change, since certificate and
 * key are two files; but no later than so long after the first, since there may
 * always be another one. */
enum {
    FILE_WATCH_CALM_MS = 200,
    FILE_WATCH_LATEST_MS = 1000
};

/* Watches nothing yet. */
struct file_watch *file_watch_new(uv_loop_t *loop, file_watch_handler *handler,
                                  void *owner);

/* Takes the finished trail of a load, good or refused, and watches what is on
 * it, or nothing where no watch is wanted. What changed since it was read
 * counts, too. A folder that cannot be watched is logged, with a file that is
 * found by it. Without a trail, all stays as it is. */
void file_watch_follow(struct file_watch *watch, bool is_wanted,
                       struct file_trail *trail);

/* Closes its handles. Accepts NULL. */
void file_watch_stop(struct file_watch *watch);

/* After the loop has ended. Accepts NULL inside. */
void file_watch_free(struct file_watch **watch);

#endif
