/* Loads a snapshot on a thread of its own, and hands it to the main loop. A
 * request that comes while one is under way makes one more follow, so that the
 * files as they are last are never missed. */
#ifndef PROXY_RELOAD_H
#define PROXY_RELOAD_H

#include "backend/resolver.h"
#include "config/mem.h"
#include "config/reason.h"
#include "file_trail.h"
#include "openings.h"
#include "state/snapshot.h"

#include <stdbool.h>
#include <uv.h>

struct reload;

/* On the loop. Takes the snapshot, which is NULL where loading failed; reasons
 * and openings are lent, and what is not taken of the latter is closed. Returns
 * the one that is in force now, or NULL when no more are wanted. */
typedef struct snapshot *reload_handler(struct snapshot *snapshot,
                                        struct openings *openings,
                                        struct reasons *reasons, void *owner);

/* How long names that are new may take to resolve before what names them is
 * put in force all the same; until they do, their backends are down. */
enum {
    RELOAD_RESOLVE_MS = 2000
};

/* parts, resolver and config_file are borrowed until reload_free. */
struct reload *reload_new(uv_loop_t *loop, const char *config_file,
                          const struct snapshot_parts *parts,
                          struct resolver *resolver, unsigned worker_count,
                          reload_handler *handler, void *owner);

/* Starts to load, in comparison to what is in force now. One that is forced
 * takes a table that lost more than max_shrink allows, too. */
void reload_request(struct reload *reload, struct snapshot *in_force,
                    bool is_forced);

/* Asked in the handler: the finished trail of the load that has ended, to be
 * taken, or NULL where none began. */
struct file_trail *reload_take_trail(struct reload *reload);

/* A request would wait for the one under way to end. */
bool reload_is_running(const struct reload *reload);

/* Asked in the handler: one more was asked for while this one was under way,
 * and begins next. */
bool reload_follows(const struct reload *reload);

/* Closes its handle; a load under way is dropped. */
void reload_stop(struct reload *reload);

/* After the loop has ended. Accepts NULL inside. */
void reload_free(struct reload **reload);

#endif
