/* The listening sockets that are to be opened: all of a start, and those of a
 * reload whose settings name an address that nobody listens on yet. */
#ifndef PROXY_OPENINGS_H
#define PROXY_OPENINGS_H

#include "config/mem.h"
#include "config/settings.h"
#include "inherited.h"
#include "provider.h"
#include "session/listener.h"

#include <stddef.h>

struct opening {
    unsigned listener;                 /* index in the list of the settings */
    struct provider_sockets sockets;   /* one of each address for each worker */
    struct inherited adopted;          /* of its other addresses; any number */
    struct provider_addresses missing; /* those that none was adopted of */
    bool is_shared;                    /* a socket of ours is in the way */
    struct listener_sharing sharing;   /* of the adopted */
};

struct openings {
    struct opening *list;
    size_t count;
    size_t workers;
};

/* How long an address may be taken that a reload or an upgrade wants: one that
 * was given up by a reload before is still being accepted empty. An upgrade
 * waits for as long as that can take, since nothing of it asks again. */
enum {
    OPENINGS_PATIENCE_MS = 2000,
    OPENINGS_UPGRADE_PATIENCE_MS = LISTENER_STOP_MAX_MS + 500
};

/* Opens what wanted has and in_force has not (NULL: everything), with a socket
 * for each worker: probes and binds all of them, then listens on all. Where
 * some listen on an address already, which are taken out of inherited (NULL:
 * there are none), it is these and no more, since in a group that another
 * process opened ours may not be let in, and would lose who waits if we failed.
 * False, with a sentence and the listener's index, when one cannot be had; then
 * none is open, and those of inherited may have been closed. Takes up to
 * patience_ms: not on a loop. */
MUST_USE bool openings_make(struct openings *openings_out,
                            const struct settings *in_force,
                            const struct settings *wanted,
                            struct inherited *inherited,
                            const struct io_keepalive *keepalive,
                            size_t workers, uint64_t patience_ms,
                            size_t *failed_out, char why[PROVIDER_WHY_MAX]);

/* Takes the next socket that is this worker's, -1 when none is left. (A
 * reload's are shared with nobody.) */
MUST_USE int openings_take(struct openings *openings, size_t worker,
                           unsigned *listener_out,
                           struct listener_sharing *sharing_out);

/* Closes what nobody took. */
void openings_deinit(struct openings *openings);

#endif
