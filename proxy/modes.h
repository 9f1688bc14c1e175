/* Which backends take whom: puts it in force in all workers. On the main
 * loop. */
#ifndef PROXY_MODES_H
#define PROXY_MODES_H

#include "backend/backend.h"
#include "state/snapshot.h"
#include "worker.h"

#include <stdbool.h>

/* Follows what a table says that has just come in force: where it puts a
 * backend in maintenance, its sessions are ended over timeouts.drain. */
void modes_follow(const struct snapshot *snapshot, struct worker **workers,
                  unsigned count);

/* By command, likewise. False: no backend has this name. */
MUST_USE bool modes_set(const struct snapshot *snapshot,
                        struct worker **workers, unsigned count,
                        const char *name, enum backend_mode mode,
                        const char *why);

#endif
