/* Everything that a reload changes, in one immutable bundle: settings, table,
 * TLS contexts. Built off the loops, swapped whole, counted. A session holds a
 * reference until its splice starts. */
#ifndef STATE_SNAPSHOT_H
#define STATE_SNAPSHOT_H

#include "backend/backend.h"
#include "backend/link.h"
#include "config/mem.h"
#include "config/reason.h"
#include "config/route_table.h"
#include "config/settings.h"
#include "net/own_addresses.h"
#include "net/ticket_keys.h"
#include "net/tls_server_context.h"
#include "state/file_source.h"
#include "state/master_logins.h"
#include "state/reaper.h"
#include "state/secret_file.h"
#include "state/user_database.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trust_store;

struct snapshot {
    atomic_uint refs;
    struct reaper *reaper; /* NULL: the last unref frees at once */
    struct snapshot *next; /* the reaper's */

    struct settings *settings;
    struct route_table *table;
    struct user_database *users; /* NULL: the table has them all */
    struct master_logins *masters;
    struct secret_file admin_token; /* all zero: none */
    struct backend_set *backends;
    struct link_target *targets; /* as many and in order as backends */
    size_t target_count;
    struct trust_store *trust; /* the next load's, to share what is equal */
    struct tls_server_context *tls;
    int64_t ticket_key_made; /* the first of files; since the epoch */
    size_t certificate_count;
    char **certificate_files; /* each one's name */
    struct io_keepalive keepalive;
    struct source_addresses sources;
    struct own_addresses own;
    bool tells_clients; /* some backend is told who the client is */
};

/* What a snapshot is made with, beside the files. */
struct snapshot_parts {
    const struct file_source *files;
    struct backend_registry *registry;
    struct ticket_keys *tickets;
    struct reaper *reaper;
    tls_alpn_refused *alpn_refused;
    tls_verify_failed *verify_failed;
    const struct snapshot *former; /* whose TLS contexts are carried over where
                                      their inputs are equal, and whose table
                                      must not shrink; may be NULL */
    bool may_shrink;               /* whatever settings->max_shrink says */
};

/* Reads config_file and every file that it names. All or nothing: on failure
 * NULL, with every problem found in reasons; warnings may come beside a
 * snapshot too. One reference. Slow: never on a loop. */
MUST_USE struct snapshot *snapshot_load(const char *config_file,
                                        const struct snapshot_parts *parts,
                                        struct reasons *reasons);

struct snapshot *snapshot_ref(struct snapshot *snapshot);

/* The last reference goes to the reaper: a million users take longer to free
 * than a loop may pause. Accepts NULL inside. */
void snapshot_unref(struct snapshot **snapshot);

/* Frees one that nobody refers to: the reaper's. Accepts NULL inside. */
void snapshot_free(struct snapshot **snapshot);

/* How many users have a rule of their own. */
size_t snapshot_user_count(const struct snapshot *snapshot);

/* Where the table sends this user, and by which rule. False: no rule. Where
 * snapshot->users is not NULL, these are asked first (user_lookup_start). */
MUST_USE bool snapshot_find_route(const struct snapshot *snapshot,
                                  const struct identity *identity,
                                  struct route *route_out);

/* What links go by; lent by the snapshot. */
struct link_rules snapshot_link_rules(const struct snapshot *snapshot);

/* The target of a backend of this snapshot's table. */
const struct link_target *snapshot_target(const struct snapshot *snapshot,
                                          const struct backend_config *config);

/* As whom, and by which secret, users of this pool are logged in at this
 * backend where Gatepost itself verified who they are; NULL: not at all. Lent
 * by the snapshot. */
const struct master_login *
snapshot_master(const struct snapshot *snapshot, const struct pool *pool,
                const struct backend_config *backend);

/* As whom, and by which secret, this backend is probed; NULL: by nobody's
 * login. Lent by the snapshot. */
const struct master_login *
snapshot_probe_login(const struct snapshot *snapshot,
                     const struct backend_config *backend);

#endif
