/* The backends of a table as links need them: each with its facts and its TLS
 * context. */
#ifndef STATE_LINK_TARGETS_H
#define STATE_LINK_TARGETS_H

#include "backend/backend.h"
#include "backend/link.h"
#include "config/mem.h"
#include "config/reason.h"
#include "net/tls_client_context.h"
#include "state/file_source.h"
#include "state/trust_store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* By whom backends are verified where "ca" is not given. */
#define LINK_TARGETS_SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

/* Targets of the load before, in which equal contexts are looked for. */
struct link_targets_former {
    const struct link_target *targets;
    size_t count;
    const struct trust_store *trust; /* may be NULL */
};

/* What targets are made with. */
struct link_targets_parts {
    const struct file_source *files;
    const char *routes_file; /* where the backends stand, for reasons */
    const struct backend_set *backends;
    struct trust_store *trust; /* gets the anchors */
    struct link_targets_former former;
    tls_verify_failed *verify_failed;
    int64_t now; /* seconds since the epoch */
};

/* Makes as many as the set has backends, in its order. Returns false after
 * any error, in which case what was made must be freed all the same. */
MUST_USE bool link_targets_load(struct link_target **targets_out,
                                const struct link_targets_parts *parts,
                                struct reasons *reasons);

/* Accepts NULL inside. */
void link_targets_free(struct link_target **targets, size_t count);

#endif
