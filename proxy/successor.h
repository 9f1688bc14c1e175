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

/* How long a successor may say nothing while it starts, each time. */
enum {
    SUCCESSOR_PATIENCE_MS = 180 * 1000
};

/* Our sockets; lent. */
struct successor_sockets {
    const int *listeners;
    size_t listener_count;
    const int *admin_tcp;
    size_t admin_tcp_count;
    int admin_socket; /* -1: none */
};

struct successor_verbs {
    /* It has read its config and has our sockets, and waits for our state on
     * this link, which is lent until successor_free. successor_state_given
     * follows, from any thread. */
    void (*give_state)(int link, void *owner);
    /* It serves: what we do is to end our sessions. */
    void (*serves)(void *owner);
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
    void (*drain)(uint64_t drain_ms, void *owner); /* 0: now */
    void (*admin)(int fd, void *owner); /* a connection, which it takes */
};

/* Starts `PROGRAM serve CONFIG`. NULL, with a sentence among the reasons, when
 * that cannot be; nothing is called then. notify is whom the successor may
 * tell how it goes. */
MUST_USE struct successor *successor_start(
    uv_loop_t *loop, const char *program, const char *config_file,
    const struct notify *notify, const struct successor_sockets *sockets,
    const struct successor_verbs *verbs, void *owner, struct reasons *reasons);

/* The state is on the link; or why it is not, which ends the successor. */
void successor_state_given(struct successor *successor, const char *fault);

/* Ends one that does not serve yet, as if it had failed for this reason. */
void successor_abandon(struct successor *successor, const char *why);

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
