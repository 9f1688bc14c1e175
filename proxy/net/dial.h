/* A socket that begins to connect. */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include "config/mem.h"
#include "net/address.h"

/* Opens a non-blocking TCP socket with TCP_NODELAY, from an address of ours
 * (NULL: the kernel chooses), and begins to connect it. 0 and the descriptor,
 * or UV_E*. It may be read and written at once: what it is given before the
 * connection is there it refuses for now, and where there will be none it says
 * so. */
MUST_USE int dial_begin(const struct address *to, const struct address *from,
                        int *fd_out);

#endif
