/* Whether a request's Host is one that we go by. */
#ifndef OPS_ADMIN_HOST_H
#define OPS_ADMIN_HOST_H

#include "config/mem.h"
#include "ops/admin.h"

#include <stdbool.h>

/* An address, "localhost" or a name of the access, each with or without a port
 * (RFC 9110, 7.2); NULL is none. A page in a browser can have its own name
 * point here and then ask under that name (DNS rebinding). Under an address it
 * cannot.
 */
MUST_USE bool admin_host_is_ours(const struct admin_access *access,
                                 const char *host);

#endif
