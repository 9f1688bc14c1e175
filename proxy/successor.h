/* The process that takes our place (an upgrade in place), as its predecessor
 * sees it: started from the program as it is on disk now, given our sockets and
 * our state, and followed in what it says from then on. On the main loop, where
 * nothing else is said. */
#ifndef PROXY_SUCCESSOR_H
#define PROXY_SUCCESSOR_H

#include "backend/backend.h"
#include "config/mem.h"
#include "config/reason.h"
#include "notify.h"
#include "session/kick.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct successor;

/* How long a successor may say nothing while it starts, until it wants our
 * state; how long it may then have all of it without serving. */
enum {
    SUCCESSOR_PATIENCE_MS = 180 * 1000,
    SUCCESSOR_SERVE_MS = 5 * 1000
};

/* Our sockets; lent. */
struct successor_sockets {
    const int *listeners;
    size_t listener_count;
    bool are_kept; /* these, by a service manager for the next process */
    const int *admin;
    size_t admin_count;
};

struct successor_verbs {
    /* It has read its config and has our sockets, and waits for our state on
     * this link, the callee's, who gives it to handover_give
     * (state/handover.h). */
    void (*give_state)(int link, void *owner);
    /* It serves, and left so many of our sockets for clients to us: what waits
     * there is to be accepted. */
    void (*serves)(uint64_t left_over, void *owner);
    /* It ended, or was ended, before it served. The reasons are lent. We are as
     * before, and successor_free may follow. */
    void (*failed)(const struct reasons *reasons, void *owner);
    /* It has ended after it served. */
    void (*gone)(void *owner);
    /* What it tells us; lent. */
    void (*kick)(const struct kick *kick, void *owner);
    void (*mode)(const char *backend, enum backend_mode mode, const char *why,
                 void *owner);
    void (*no_more_logins)(void *owner);
    void (*upgrade_drain)(uint64_t drain_ms, void *owner); /* 0: no end */
    void (*drain)(uint64_t drain_ms, void *owner);         /* 0: now */
    void (*admin)(int fd, void *owner); /* a connection, which it takes */
};

/* Who is started how. */
struct successor_plan {
    const char *program;
    const char *config_file;
    const struct notify *notify; /* whom it may tell how it goes */
    struct backend_registry *registry;
    struct successor_sockets sockets;
};

/* Starts `PROGRAM serve CONFIG`. NULL, with a sentence among the reasons, when
 * that cannot be; nothing is called then. The plan is lent. */
MUST_USE struct successor *successor_start(uv_loop_t *loop,
                                           const struct successor_plan *plan,
                                           const struct successor_verbs *verbs,
                                           void *owner,
                                           struct reasons *reasons);

/* Ends one that does not serve yet, as if it had failed for this reason. On the
 * main loop; calls verbs->failed. */
void successor_abandon(struct successor *successor, const char *why);

/* Likewise, unless it serves by now, which it may have said unheard: then
 * verbs->serves is called. */
void successor_doubt(struct successor *successor, const char *why);

/* All of our state was given to it. */
void successor_was_given(struct successor *successor);

/* Its process, which is our child's child; 0 before it has said so. */
pid_t successor_pid(const struct successor *successor);

/* Sessions there are meant, too. From any thread until successor_close. Accepts
 * NULL. */
void successor_kick(struct successor *successor, const struct kick *kick);

/* Hears nothing more, and closes its handles. Accepts NULL. */
void successor_close(struct successor *successor);

/* After the loop has closed them. Accepts NULL inside. */
void successor_free(struct successor **successor);

#endif
