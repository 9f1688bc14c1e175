/* The running server from within: for the files server*.c that it is parted
 * into, and nobody else. All of it belongs to the main thread but for what says
 * otherwise. */
#ifndef PROXY_SERVER_PRIVATE_H
#define PROXY_SERVER_PRIVATE_H

#include "base/counters.h"
#include "certificate_watch.h"
#include "file_watch.h"
#include "inherited.h"
#include "openings.h"
#include "post.h"
#include "predecessor.h"
#include "reload.h"
#include "server_admin.h"
#include "server_notify.h"
#include "server_upgrade.h"
#include "state/burst.h"
#include "state/handover.h"
#include "worker.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct server {
    const char *config_file;
    uv_loop_t loop;
    uv_signal_t hangup;
    uv_signal_t terminate;
    uv_signal_t interrupt;
    uv_signal_t user1;
    uv_timer_t chores_timer;
    struct burst burst;
    uv_async_t idle_bell; /* a worker has ended */
    uv_timer_t farewell;
    uv_timer_t overtime; /* of one that has retired */

    struct snapshot_parts parts;
    struct snapshot *snapshot; /* the one in force */
    struct reload *reload;
    struct file_watch *watch;
    struct file_trail *trail; /* of the first load, until it is watched */
    struct certificate_watch certificates;
    struct resolver *resolver;
    struct limits *limits;
    struct penalties *penalties;
    struct homes *homes;
    struct heir *heir;
    struct handover_parts state; /* all of it that outlives us */
    struct heritage *heritage;   /* what our predecessor holds of it */
    struct quota quota;
    struct counters_set *counters;
    struct inherited inherited;              /* until the listeners are open */
    char inherited_fault[INHERITED_WHY_MAX]; /* of the service manager's */
    struct openings openings;                /* until the workers have them */
    struct server_admin *admin;
    struct server_notify notify;
    struct predecessor *predecessor; /* NULL: none */
    struct server_upgrade upgrade;
    uint64_t retired_ms;  /* on base/clock's scale; 0: not yet */
    uint64_t overtime_ms; /* from then on; 0: no end */
    uint64_t started_ms;  /* on base/clock's scale */
    struct worker **workers;
    struct post post;
    unsigned worker_count;
    unsigned started;
    atomic_uint idle; /* how many have ended */
    bool is_draining;
    bool is_reload_due; /* when the upgrade is over */
};

/* Of the main thread; the workers' stand before them. */
static inline struct counters *server_counters(struct server *server)
{
    return counters_set_at(server->counters, server->worker_count);
}

#endif
