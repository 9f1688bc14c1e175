/* What our predecessor still holds here (state/handover.h): homes and counts of
 * its sessions. A thread answers what its logins ask and does what it tells,
 * until it is gone; then all that it held is given back. */
#ifndef STATE_HERITAGE_H
#define STATE_HERITAGE_H

#include "config/mem.h"

#include <stdbool.h>
#include <stddef.h>

struct heritage;

/* Whether the predecessor is gone, and nothing is held any more. */
bool heritage_is_over(struct heritage *heritage);

/* Homes and counts that are held, for tests and for those who look on. */
size_t heritage_held(struct heritage *heritage);

/* Ends the link and its thread; gives back what is held. Accepts NULL inside.
 * See state/handover.h for when. */
void heritage_stop(struct heritage **heritage);

#endif
