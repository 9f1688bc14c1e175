/* A connection between its accept and its session. */
#ifndef STATE_ARRIVAL_H
#define STATE_ARRIVAL_H

#include "config/settings.h"
#include "net/address.h"
#include "state/snapshot.h"

#include <stdbool.h>

struct quota;

/* Its place in the quota has been taken. */
struct arrival {
    int fd;
    struct address peer;
    struct quota *quota;       /* for who drops it; NULL in one that is empty */
    struct snapshot *snapshot; /* which the next line is lent by */
    const struct listener_config *listener; /* that it came through */
};

/* Gives an arrival to the worker whose turn it is, counting from any number;
 * with it go the descriptor and the place in the quota, and the snapshot gets a
 * reference of its own. False: that is the worker own itself, or one that takes
 * none any more; nothing was given. */
typedef bool arrival_giver(const struct arrival *arrival, unsigned turn,
                           unsigned own, void *owner);

#endif
