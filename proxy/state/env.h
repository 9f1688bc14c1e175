/* What a worker lends to its sessions. Belongs to the worker's thread. */
#ifndef STATE_ENV_H
#define STATE_ENV_H

#include "backend/gate.h"
#include "backend/warm.h"
#include "base/counters.h"
#include "net/io.h"
#include "state/arrival.h"
#include "state/failure_times.h"
#include "state/homes.h"
#include "state/limits.h"
#include "state/penalties.h"
#include "state/quota.h"
#include "state/snapshot.h"

#include <stdbool.h>
#include <stdint.h>

struct kick;
struct registry;
struct sweeps;

struct env {
    struct io io;
    struct snapshot *snapshot; /* the current one; the worker's reference */
    struct counters *counters;
    struct limits *limits;
    struct penalties *penalties;
    struct homes *homes; /* which backend each user is at */
    /* Tells every worker; the kick is copied. */
    void (*kick)(const struct kick *kick, void *owner);
    void *kick_owner;
    arrival_giver *deal; /* to another worker */
    void *deal_owner;
    struct quota *quota;
    struct registry *registry; /* the sessions that live here */
    struct sweeps *sweeps;     /* what looks at all of them */
    struct warm *warm;         /* connections to backends for their logins */
    struct gate *gate;         /* how many log in at a backend at a time */
    struct failure_times failure_times;
    unsigned worker; /* its index, for session ids */
    uint64_t sessions_made;
    bool is_draining;
    /* A successor goes by another table by now: whoever is not logged in shall
     * do it there. */
    bool takes_no_logins;
};

#endif
