/* Whether a table that a reload found may take the place of the one in force:
 * one that lost too much of it was most likely made from half of its source,
 * and would send users to the wrong place. */
#ifndef STATE_SHRINK_H
#define STATE_SHRINK_H

#include "config/mem.h"
#include "config/reason.h"
#include "config/route_table.h"
#include "config/settings.h"

#include <stdbool.h>

/* Compares how many users, domains and backends there are. False when any of
 * them shrank by more than settings->max_shrink percent; each that did adds
 * its reason. */
MUST_USE bool shrink_is_small(const struct settings *settings,
                              const struct route_table *former,
                              const struct route_table *table,
                              struct reasons *reasons);

#endif
