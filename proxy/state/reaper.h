/* A thread for what takes longer than a loop may pause: freeing snapshots, and
 * giving the kernel back what a burst left behind. */
#ifndef STATE_REAPER_H
#define STATE_REAPER_H

#include "config/mem.h"

struct reaper;
struct snapshot;

/* NULL when no thread can be had; snapshots are then freed by whoever drops
 * them last. */
MUST_USE struct reaper *reaper_new(void);

/* Takes over a snapshot without references. From any thread; waits for
 * nobody. Only snapshot_unref has a reason to call it. */
void reaper_take(struct reaper *reaper, struct snapshot *snapshot);

/* Gives the kernel the free pages that malloc holds, soon. What a burst of
 * logins or of slow readers needed stays in malloc otherwise, since some small
 * block that lives on always lies behind it. malloc's locks are held meanwhile:
 * only for when a burst is over (state/burst.h). From any thread; waits for
 * nobody. */
void reaper_trim(struct reaper *reaper);

/* Waits until all that was taken is freed, then ends the thread. Every
 * snapshot made with this reaper must have been dropped. Accepts NULL
 * inside. */
void reaper_free(struct reaper **reaper);

#endif
