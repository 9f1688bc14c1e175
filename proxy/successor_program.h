/* The process that an upgrade in place starts: with which arguments, which
 * environment and which descriptors. */
#ifndef PROXY_SUCCESSOR_PROGRAM_H
#define PROXY_SUCCESSOR_PROGRAM_H

#include "successor.h"

#include <sys/types.h>

/* Starts the plan's program as `serve` of its config file. The two links, of
 * control and of the state, stay open over its exec and are named in its
 * environment; whatever there is for this process alone it does not get. SIGHUP
 * is held back from it until it can reload. Returns 0, or an errno with a child
 * of -1. */
MUST_USE int successor_program_start(const struct successor_plan *plan,
                                     const int links[2], pid_t *child);

#endif
