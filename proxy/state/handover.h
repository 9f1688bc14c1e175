/* What a process gives to the one that takes its place, and what both keep
 * telling each other while the old one still has sessions. The predecessor is
 * the old process, the successor the new one; the state link between them is
 * one socketpair of SOCK_SEQPACKET. Either may be the other of a third process:
 * what a predecessor tells is told on.
 *
 * Given are: ticket keys, the keys of our hashes, penalties, counts of limits,
 * facts about backends (state, mode, addresses, sessions), users' homes.
 * Sessions that have not logged in are not counted for limits.before_login: the
 * successor could turn none of them out to make room.
 *
 * At the start of each process, before its workers:
 *   heir_new and handover_prepare, once.
 *
 * Predecessor:
 *   1. handover_give, on a thread of the caller's own, when the successor has
 *      said that it is prepared. Logins and sessions go on meanwhile. From then
 *      on logins ask the successor (for 250 ms at most), and ends are told to
 *      it, by a thread of this module. Whoever is not answered is refused: so
 *      a successor that does not serve yet and is silent for a second is ended
 *      (heir_is_silent).
 *   2. handover_end, on the main thread when that thread was joined: as soon as
 *      handover_give failed or the successor is gone, so that all is as if it
 *      had never been, and one may try again; and at the end of the process,
 *      after the workers were joined and before homes and limits are freed.
 *      Until it is called nothing is wrong: who finds the link broken goes by
 *      our own books, which were kept all along.
 *   3. heir_free, after those.
 *
 * Successor:
 *   1. handover_take, on the main thread: when the first snapshot is loaded and
 *      its names were resolved; before modes_follow and the admin's orders
 *      (which find the modes in force and change none of them, nor since when),
 *      before any worker is started, and before the successor says that it
 *      serves. It returns when everything is there. Claims of the predecessor's
 *      logins are answered from then on, and before, by a thread of its own.
 *   2. heritage_stop, after the workers were joined and after handover_end (a
 *      third process may still hear of what is given back), before homes and
 *      limits are freed. The predecessor should be gone by then. If it is not,
 *      it goes by its own books from then on. */
#ifndef STATE_HANDOVER_H
#define STATE_HANDOVER_H

#include "backend/backend.h"
#include "config/mem.h"
#include "net/ticket_keys.h"
#include "state/heir.h"
#include "state/heritage.h"
#include "state/homes.h"
#include "state/limits.h"
#include "state/penalties.h"

#include <stdbool.h>
#include <stddef.h>

/* A sentence of why it did not work, with its NUL. */
enum {
    HANDOVER_WHY_MAX = 256
};

/* What is given, or taken; lent. They outlive everything here. */
struct handover_parts {
    struct heir *heir; /* this process's own: heir_new */
    struct homes *homes;
    struct limits *limits;
    struct penalties *penalties;
    struct ticket_keys *tickets;
    struct backend_registry *registry;
};

/* Lets homes, limits and penalties know of the heir, who is nobody as yet. */
void handover_prepare(const struct handover_parts *parts);

/* Gives everything to the successor, which takes the descriptor. Slow, and may
 * wait for the successor, up to ten seconds for each of its steps, or half a
 * second for those during which logins wait: never on a loop. False: why tells;
 * handover_end has to follow. */
MUST_USE bool handover_give(int fd, const struct handover_parts *parts,
                            char why[HANDOVER_WHY_MAX]);

/* Nobody is asked or told any more. Ends the thread; takes milliseconds. No
 * handover_give may be under way. Nothing happens where nothing was given. */
void handover_end(const struct handover_parts *parts);

/* Takes what the predecessor gives, and the descriptor. NULL: why tells, and
 * what was taken was given back; this process should end. Waits thirty seconds
 * at most for each step of the predecessor's. */
MUST_USE struct heritage *handover_take(int fd,
                                        const struct handover_parts *parts,
                                        char why[HANDOVER_WHY_MAX]);

#endif
