/* An upgrade in place, from the side of the process that is replaced: our
 * sockets are collected, a successor is started with them, our state is given
 * to it. On the main loop. */
#ifndef PROXY_SERVER_UPGRADE_H
#define PROXY_SERVER_UPGRADE_H

#include "config/mem.h"
#include "notify.h"
#include "ops/admin.h"
#include "state/handover.h"
#include "successor.h"
#include "worker.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct socket_call;

/* What stays the same; lent. */
struct server_upgrade_parts {
    uv_loop_t *loop;
    const char *config_file;
    const struct notify *notify;
    const struct handover_parts *state;
    /* Whose owner the server is. Its first three answer by the functions of
     * the same names below, before they do anything else. */
    const struct successor_verbs *verbs;
    void *server;
};

/* What it is now; lent. */
struct server_upgrade_view {
    struct worker **workers;
    unsigned worker_count;
    bool are_kept; /* its sockets, by a service manager */
    int admin[ADMIN_SOCKETS_MAX];
    size_t admin_count;
};

struct server_upgrade {
    struct server_upgrade_parts parts;
    char *program; /* found at the start; NULL: unknown */
    struct socket_call *call;
    uv_timer_t patience; /* with the workers' answers to it */
    struct server_upgrade_view view;
    struct successor *starting;
    int state_link;    /* of the giver */
    uv_thread_t giver; /* gives our state, which may take seconds */
    uv_async_t given;  /* it has ended */
    uv_timer_t look;   /* at whether the successor answers, until it serves */
    bool is_giving;
    bool was_given;
    char why[HANDOVER_WHY_MAX]; /* where it was not */
    struct successor *former;   /* failed; freed when the next begins */
    _Atomic(struct successor *) serving; /* whom workers may tell */
    bool is_running;
};

/* Before there are threads: keeps by which name the program was started. */
void server_upgrade_init(struct server_upgrade *upgrade);
void server_upgrade_join(struct server_upgrade *upgrade,
                         const struct server_upgrade_parts *parts);

/* Begins; verbs->serves or verbs->failed follows, perhaps at once. None may be
 * under way. */
void server_upgrade_begin(struct server_upgrade *upgrade,
                          const struct server_upgrade_view *view);

bool server_upgrade_is_running(const struct server_upgrade *upgrade);

/* Ends one that is under way, if there is one: verbs->failed follows at once.
 */
void server_upgrade_abandon(struct server_upgrade *upgrade, const char *why);

void server_upgrade_give_state(struct server_upgrade *upgrade, int link);
void server_upgrade_serves(struct server_upgrade *upgrade);
void server_upgrade_failed(struct server_upgrade *upgrade);

/* The one that served is gone: our own books hold again. */
void server_upgrade_gone(struct server_upgrade *upgrade);

/* The one that serves; NULL: none. From any thread, until
 * server_upgrade_deinit. */
struct successor *server_upgrade_successor(struct server_upgrade *upgrade);

/* Closes its handles. */
void server_upgrade_stop(struct server_upgrade *upgrade);

/* After the loop and the workers have ended; before what the state is in. */
void server_upgrade_deinit(struct server_upgrade *upgrade);

#endif
