/* The secrets of master users, one for each backend or pool that names one,
 * and of probe users: read with a snapshot, wiped with it. */
#ifndef STATE_MASTER_LOGINS_H
#define STATE_MASTER_LOGINS_H

#include "config/mem.h"
#include "config/reason.h"
#include "config/route_table.h"
#include "state/file_source.h"

#include <stddef.h>
#include <stdint.h>

/* Lent by the snapshot. */
struct master_login {
    const char *user;
    const uint8_t *secret; /* no NUL in it, and none behind it */
    size_t secret_len;     /* never 0 */
};

struct master_logins;

/* Reads every secret that the table names. A file is refused that everybody
 * may read, that is empty, too long, of several lines or holds a NUL; one line
 * end behind the secret is cut. Returns NULL after any error. routes_file is
 * where the names stand, for reasons. */
MUST_USE struct master_logins *
master_logins_load(const struct file_source *files, const char *routes_file,
                   const struct route_table *table, struct reasons *reasons);

/* Wipes; accepts NULL inside. Goes before the table. */
void master_logins_free(struct master_logins **logins);

/* Who probes this backend, or NULL. */
const struct master_login *
master_logins_probe(const struct master_logins *logins,
                    const struct backend_config *backend);

/* The backend's own, else the pool's, else NULL. Both are of the table that
 * the logins were loaded for. */
const struct master_login *
master_logins_find(const struct master_logins *logins, const struct pool *pool,
                   const struct backend_config *backend);

#endif
