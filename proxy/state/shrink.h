/* Whether a table that a reload found may take the place of the one in force:
 * one that lost too much of it was most likely made from half of its source,
 * and would send users to the wrong place. */
#ifndef STATE_SHRINK_H
#define STATE_SHRINK_H

#include "config/mem.h"
#include "config/reason.h"

#include <stdbool.h>

struct snapshot;

/* Compares how many users, domains and backends there are. False when any of
 * them shrank by more than the max_shrink percent of the new settings; each
 * that did adds its reason. Users of one and the same database are in force
 * on both sides, however many were removed from it. */
MUST_USE bool shrink_is_small(const struct snapshot *former,
                              const struct snapshot *snapshot,
                              struct reasons *reasons);

#endif
