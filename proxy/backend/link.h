/* From a dial to a stream that is connected, secured as the table says, whose
 * greeting was read and whose capabilities are known. Used by whoever needs a
 * backend: logins, the pool of warm connections, probes.
 *
 * No byte of any credential passes here, so a link that fails may be followed
 * by another one, to another backend (design.md, section 2, Failover). */
#ifndef BACKEND_LINK_H
#define BACKEND_LINK_H

#include "backend/backend.h"
#include "config/mem.h"
#include "config/route_table.h"
#include "config/settings.h"
#include "imap/capability.h"
#include "net/io.h"
#include "net/own_addresses.h"
#include "net/proxy_header.h"
#include "net/source_address.h"
#include "net/stream.h"
#include "net/tls_client_context.h"

#include <stdbool.h>

/* One backend as the current table has it. Borrowed by the link: whoever
 * opens one keeps the snapshot. */
struct link_target {
    const struct backend_config *config;
    struct backend *facts;
    struct tls_client_context *tls; /* NULL for BACKEND_TLS_NONE */
};

/* Whether links to both are the same: to one place, by the same TLS. */
bool link_target_is_same(const struct link_target *one,
                         const struct link_target *other);

/* Borrowed until the link is over. */
struct link_rules {
    const struct timeouts_settings *timeouts;
    const struct source_addresses *sources;
    const struct own_addresses *own; /* never dialled; NULL: none */
    /* Told to backends that want it by the PROXY protocol; NULL: nobody's, the
     * link is for ourselves. */
    const struct proxy_client *client;
    /* Asks CAPABILITY whatever the greeting said, and tells the backend's facts
     * nothing: whoever probes does. */
    bool is_probe;
};

struct link;

/* Called once, never from link_open. With is_ready link_take gives the stream;
 * otherwise link_failure says why. The link is to be freed in the callback or
 * at any time before it. */
typedef void link_handler(struct link *link, bool is_ready, void *owner);

/* Starts; the link belongs to the caller. Each of the backend's addresses is
 * tried in turn until one is connected, from the source address whose turn it
 * is or, where that has no port left, from the next. */
struct link *link_open(struct io *io, const struct link_target *target,
                       const struct link_rules *rules, link_handler *handler,
                       void *owner);

/* Gives the stream away, with a handler that must be replaced at once by
 * stream_set_owner. After is_ready only, once. */
struct stream *link_take(struct link *link);

/* What the backend announced, after TLS where there is any. */
const struct imap_capabilities *link_capabilities(const struct link *link);

/* Words for the log, without a byte of the backend's. */
const char *link_failure(const struct link *link);

/* Whether it failed for what is our own shortage or fault, and says nothing of
 * the backend. */
bool link_is_our_fault(const struct link *link);

/* Ends whatever is under way; accepts NULL inside. */
void link_free(struct link **link);

#endif
