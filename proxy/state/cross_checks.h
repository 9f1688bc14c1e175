/* What the process config and the routing table ask of each other, beyond what
 * either can tell of itself. */
#ifndef STATE_CROSS_CHECKS_H
#define STATE_CROSS_CHECKS_H

#include "config/mem.h"
#include "config/reason.h"
#include "config/route_table.h"
#include "config/settings.h"
#include "net/own_addresses.h"

#include <stdbool.h>

/* Both were taken by their loaders. Returns false after adding an error; a
 * backend that is found at an address of our own is a warning, since the name
 * of a host may mean another one later, and where it is dialled it is refused
 * by then. */
MUST_USE bool cross_checks_pass(const struct settings *settings,
                                const struct route_table *table,
                                const struct own_addresses *own,
                                struct reasons *reasons);

#endif
