/* Looks after backends by probing them at an interval, so that no login has to
 * find out that one is down, or is back. What a probe does is told from
 * outside; here stands when it is done and what comes of it.
 *
 * A backend is one worker's to probe, whose share is told by the hash of its
 * name: so a thousand of them burden no loop alone, and a reload moves none to
 * another worker. Everything belongs to the worker's thread. */
#ifndef BACKEND_HEALTH_H
#define BACKEND_HEALTH_H

#include "backend/link.h"
#include "config/mem.h"
#include "config/settings.h"
#include "net/io.h"

#include <stddef.h>
#include <stdint.h>

/* What a probe found. */
enum health_finding {
    HEALTH_GOOD,
    HEALTH_BAD,
    HEALTH_UNKNOWN /* we were not able to ask: counts for nothing */
};

struct health;
struct health_watch;
struct probe;

/* How a probe is made. */
struct health_verbs {
    /* Begins one; health_found is called once for this watch, not from within,
     * unless it is closed before. The target is of the table last followed,
     * and must be kept by the probe for as long as it is used. */
    struct probe *(*open)(void *owner, const struct link_target *target,
                          uint64_t timeout_ms, struct health_watch *watch);
    /* Ends it, whether or not it has found anything. */
    void (*close)(struct probe **probe);
};

/* part of parts: this worker's share of the backends. Probes nothing before
 * health_follow. verbs are borrowed. */
struct health *health_new(struct io *io, unsigned part, unsigned parts,
                          const struct health_verbs *verbs, void *owner);

/* Goes by this table from now on, and tells the backends of its own share
 * which rules hold. Borrows targets until the next health_follow or
 * health_stop. Those which are there already keep their turn, others get one
 * by chance within an interval. Not from within an event of a link or a
 * stream. */
void health_follow(struct health *health, const struct link_target *targets,
                   size_t count, const struct health_settings *settings);

/* The words are for the log, and for whoever asks why a backend is down. May
 * close the probe that calls it, and does. */
void health_found(struct health_watch *watch, enum health_finding finding,
                  const char *why);

/* Ends all probes; from now on logins find out again. */
void health_stop(struct health *health);

/* Accepts NULL inside. Stops it, if it was not. */
void health_free(struct health **health);

/* The longest pause between two probes of a backend in this state: a down one
 * is looked at as often as logins used to try it. */
uint64_t health_pause_max(const struct health_settings *settings,
                          enum backend_state state);

#endif
