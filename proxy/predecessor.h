/* The process whose place this one takes (an upgrade in place), as its
 * successor sees it: what it hands over at the start, and what it is told from
 * then on, until its last session has ended. Each function accepts NULL, which
 * is a process that took over from nobody. */
#ifndef PROXY_PREDECESSOR_H
#define PROXY_PREDECESSOR_H

#include "backend/backend.h"
#include "config/mem.h"
#include "config/reason.h"
#include "session/kick.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct inherited;
struct predecessor;

/* What is wrong with a predecessor, as a sentence with its NUL. */
enum {
    PREDECESSOR_WHY_MAX = 192
};

/* What happens to it once the server serves; on the main loop. */
struct predecessor_verbs {
    /* A session there wants sessions of its user closed here, too; lent. */
    void (*kick)(const struct kick *kick, void *owner);
    /* It has ended, or cannot be spoken to any more. */
    void (*gone)(void *owner);
};

/* Takes GATEPOST_PREDECESSOR out of the environment and goes apart from the
 * process that started us, so that the service manager is our parent and hears
 * of our end; so call it before there are threads. NULL where nobody is named,
 * or, with a sentence, where what is named cannot be. */
MUST_USE struct predecessor *predecessor_open(char why[PREDECESSOR_WHY_MAX]);

/* Waits for its sockets, seconds at most. False, with a sentence, when they do
 * not come whole. */
MUST_USE bool predecessor_receive(struct predecessor *predecessor,
                                  char why[PREDECESSOR_WHY_MAX]);

/* What it listened on, for clients and for its administration; lent, and
 * whoever takes a descriptor writes -1 over it. What nobody took is closed by
 * predecessor_serving: the predecessor goes on to accept from its own
 * descriptor until the queue is empty. NULL for NULL. */
struct inherited *predecessor_listeners(struct predecessor *predecessor);
struct inherited *predecessor_admin(struct predecessor *predecessor);

/* The start has failed: the reasons go to who asked for the upgrade. */
void predecessor_refuse(struct predecessor *predecessor,
                        const struct reasons *reasons);
void predecessor_refuse_plainly(struct predecessor *predecessor,
                                const char *file, const char *why);

/* Our config is read and our sockets are there: it gives its state on the link
 * that is returned, the caller's from then on, to be given to handover_take
 * (state/handover.h). */
MUST_USE int predecessor_prepared(struct predecessor *predecessor);

/* Hears it on the loop from now on. 0 or UV_E*. */
MUST_USE int predecessor_join(struct predecessor *predecessor, uv_loop_t *loop,
                              struct backend_registry *registry,
                              const struct predecessor_verbs *verbs,
                              void *owner);

/* We serve; it retires. */
void predecessor_serving(struct predecessor *predecessor);

/* Its process; 0: there is none, or it has ended. On the main loop. */
pid_t predecessor_pid(const struct predecessor *predecessor);

/* A connection to its administration, which speaks HTTP as its Unix socket
 * does; the caller's. UV_E* when there is none. On the main loop. */
MUST_USE int predecessor_connect(struct predecessor *predecessor);

/* What it is told arrives in the order of the calls. From any thread until
 * predecessor_close; copies what it is given, and passes over one that is
 * gone. It tells its own predecessor. */
void predecessor_kick(struct predecessor *predecessor, const struct kick *kick);
void predecessor_mode(struct predecessor *predecessor, const char *backend,
                      enum backend_mode mode, const char *why);
/* Who is not logged in yet shall come to us: after each reload that was taken,
 * since it goes by what held before. */
void predecessor_no_more_logins(struct predecessor *predecessor);
/* How long it keeps its sessions, from when we served; 0: until each ends. What
 * its own settings say holds where it is of a release that cannot be told. */
void predecessor_upgrade_drain(struct predecessor *predecessor,
                               uint64_t drain_ms);
/* Ends its sessions within drain_ms; 0 ends them now. */
void predecessor_drain(struct predecessor *predecessor, uint64_t drain_ms);

/* On the main loop: it is as one that has ended. */
void predecessor_forget(struct predecessor *predecessor);

/* On the main loop: hears nothing more, and closes its handles. */
void predecessor_close(struct predecessor *predecessor);

/* After the loop has ended, or without one. Accepts NULL inside. */
void predecessor_free(struct predecessor **predecessor);

#endif
