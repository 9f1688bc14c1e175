/* The end of a connection to a backend that has seen a user's credentials, and
 * may have let them in or still do so, when nobody is there any more to be let
 * in. */
#ifndef SESSION_PARTING_H
#define SESSION_PARTING_H

#include "net/stream.h"
#include "state/homes.h"

/* How long a backend that is left may take to be sent what is queued, and to
 * close: nobody waits for longer to be let in elsewhere. */
enum {
    PARTING_FLUSH_MS = 5000,
    PARTING_MAX_MS = PARTING_FLUSH_MS + STREAM_DISCARD_MS
};

/* Takes the stream, and the claim, which has arrived. The user's home is left
 * once the backend has closed the connection, or has not within PARTING_MAX_MS:
 * until then it may hold the user's mailbox open. */
void parting_take(struct homes *homes, struct home_claim *home,
                  struct stream *stream);

#endif
