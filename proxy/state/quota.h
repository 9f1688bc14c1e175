/* How many sessions one process may hold: counted, since running out of
 * descriptors instead would make accepting spin and dials fail. */
#ifndef STATE_QUOTA_H
#define STATE_QUOTA_H

#include "config/mem.h"

#include <stdatomic.h>
#include <stdbool.h>

/* Shared by all workers; touched when a session comes and goes. */
struct quota {
    atomic_uint open;
    atomic_uint max;
};

/* What each session holds at most: the client's socket and the backend's. */
enum {
    QUOTA_DESCRIPTORS_PER_SESSION = 2
};

/* Raises the soft descriptor limit to the hard one and returns how many
 * sessions fit into it, less a reserve for listeners, files and loops; wanted
 * (0: as many as fit) is taken where it is less. */
unsigned quota_from_descriptors(unsigned wanted, unsigned long reserve,
                                unsigned long *descriptors_out);

void quota_init(struct quota *quota, unsigned max);

/* Sessions over a lowered max stay; only new ones wait. */
void quota_set_max(struct quota *quota, unsigned max);

MUST_USE bool quota_take(struct quota *quota);
void quota_give(struct quota *quota);

/* For those who look on. */
unsigned quota_max(const struct quota *quota);
bool quota_is_full(const struct quota *quota);

#endif
