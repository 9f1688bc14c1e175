/* Users in an SQLite database: looked up on a thread of its own, since a disk
 * may take any time, and answered on the loop of whoever asked. What cannot be
 * read is no unknown user. */
#ifndef STATE_USER_DATABASE_H
#define STATE_USER_DATABASE_H

#include "config/identity.h"
#include "config/mem.h"
#include "config/reason.h"
#include "config/route_table.h"

#include <stddef.h>
#include <uv.h>

struct snapshot;
struct user_database;
struct user_lookup;

enum user_answer {
    USER_FOUND,
    USER_UNKNOWN,
    /* Busy, broken, replaced by another file, too many ask, or the row's pool
     * or hold is none. */
    USER_UNAVAILABLE
};

enum {
    /* Who comes when so many wait is answered at once. */
    USER_LOOKUPS_MAX = 1024,
    /* How long the database may be locked by who writes to it. */
    USER_BUSY_MS = 250,
    /* Who waited so long for others is not looked up any more. */
    USER_WAIT_MAX_MS = 2000
};

typedef void user_lookup_handler(struct user_lookup *lookup, void *owner);

/* Opens the database that the table names, and sees to it that a user can be
 * found in it without reading all of it. The table outlives it. NULL after
 * adding the reason, by the name of the routes file. Slow: not on a loop. */
MUST_USE struct user_database *
user_database_open(const struct route_table *table, const char *routes_file,
                   struct reasons *reasons);

/* Nobody's lookup may be under way. Accepts NULL inside. */
void user_database_free(struct user_database **database);

/* How many users there were when it was opened. */
size_t user_database_count(const struct user_database *database);

/* Whether both have the same file open, and thus always the same users. */
bool user_database_is_same(const struct user_database *one,
                           const struct user_database *other);

/* Looks up a user here and now: for a program without loops. The route is set
 * where one is found; its key is not. Where the path has come to name another
 * file, or none, all are unavailable until that one is opened: it was not
 * judged yet, and the open one is out of date. */
MUST_USE enum user_answer user_database_ask(struct user_database *database,
                                            const struct identity *identity,
                                            struct route *route_out);

/* Asks for a user of this snapshot's database, and keeps the snapshot
 * meanwhile. The handler is called on the loop, never before this returns.
 * NULL when too many wait. */
MUST_USE struct user_lookup *user_lookup_start(struct snapshot *snapshot,
                                               uv_loop_t *loop,
                                               const struct identity *identity,
                                               user_lookup_handler *handler,
                                               void *owner);

/* What came out; in the handler. As user_database_ask. */
MUST_USE enum user_answer user_lookup_answer(const struct user_lookup *lookup,
                                             struct route *route_out);

/* The handler is not called any more. On the loop; leaves NULL behind and
 * accepts NULL inside. */
void user_lookup_drop(struct user_lookup **lookup);

#endif
