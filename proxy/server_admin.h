/* What the server tells its operators, and does for them, over ops/admin.h. On
 * the main loop. */
#ifndef PROXY_SERVER_ADMIN_H
#define PROXY_SERVER_ADMIN_H

#include "base/counters.h"
#include "config/mem.h"
#include "config/reason.h"
#include "ops/admin.h"
#include "state/homes.h"
#include "state/quota.h"
#include "state/snapshot.h"
#include "worker.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

/* The server as it is at the moment of looking; all lent by it. */
struct server_view {
    struct snapshot *snapshot; /* the one in force */
    const struct counters_set *counters;
    const struct quota *quota;
    struct homes *homes;
    struct worker **worker_list;
    unsigned workers;
    uint64_t started_ms;             /* on base/clock's scale */
    struct predecessor *predecessor; /* NULL: none */
    uint64_t retired_ms; /* since when a successor serves; 0: none does */
    bool is_reloading;
    bool is_upgrading; /* a successor starts */
    bool is_draining;
};

/* What it lets be done. */
struct server_verbs {
    void (*look)(void *server, struct server_view *out);
    /* Its end is told by server_admin_reloaded; where one is under way, by the
     * second call. */
    void (*reload)(void *server, bool is_forced);
    /* Not while one of either is under way. Its end is told by
     * server_admin_upgraded, perhaps at once. */
    void (*upgrade)(void *server);
    /* Why the server cannot start; lent. */
    void (*refuse)(void *server, const char *why);
};

struct server_admin;

/* Opens the sockets of the settings that are in force, where it has any, and
 * reads what was ordered. Those that a predecessor gave (fds, count) are taken
 * instead of opened, and -1 is written over them. They accept nobody yet. NULL,
 * after verbs->refuse, when one cannot be had. */
MUST_USE struct server_admin *
server_admin_start(uv_loop_t *loop, const struct server_verbs *verbs,
                   void *server, int *fds, size_t count);

/* Serves from here on. False, after verbs->refuse, when the library cannot. */
MUST_USE bool server_admin_serve(struct server_admin *admin);

/* The server has started, and a predecessor has been told: the names of the
 * sockets are ours from here on, and it is told which backends take whom. */
void server_admin_succeed(struct server_admin *admin);

/* The listening sockets, lent, for a successor; the first is the local one.
 * Returns how many. */
size_t server_admin_sockets(const struct server_admin *admin,
                            int fds_out[ADMIN_SOCKETS_MAX]);

/* A successor has them: gives them up, and leaves their names. Who was accepted
 * is still answered, and whom the successor hands in. Accepts NULL. */
void server_admin_retire(struct server_admin *admin);

/* A connection of the successor's, which it takes over; closes it where it
 * cannot be served. */
void server_admin_take(struct server_admin *admin, int fd);

/* Another table has come in force, or, before the first login, the first one:
 * what was ordered by command holds for it too, and a predecessor that has
 * retired is told which backends take whom. Accepts NULL. */
void server_admin_follow(struct server_admin *admin);

/* A reload has ended; the reasons are lent. Accepts NULL. */
void server_admin_reloaded(struct server_admin *admin, bool was_taken,
                           const struct reasons *reasons);

/* An upgrade has ended: the successor's process, or 0 and the reasons, which
 * are lent. Accepts NULL. */
void server_admin_upgraded(struct server_admin *admin, pid_t successor,
                           const struct reasons *reasons);

/* No more is served, the socket is gone. Accepts NULL. */
void server_admin_stop(struct server_admin *admin);

/* After the loop has ended. Accepts NULL inside. */
void server_admin_free(struct server_admin **admin);

#endif
