/* Listening sockets that this process did not open: those that a service
 * manager opened (sd_listen_fds(3)), and those that a predecessor gives. */
#ifndef PROXY_INHERITED_H
#define PROXY_INHERITED_H

#include "config/mem.h"
#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    INHERITED_WHY_MAX = 256
};

/* Zeroed is none. */
struct inherited {
    int *fds; /* ours; -1 where somebody took it */
    size_t count;
    bool are_kept; /* by a service manager, for the next process */
    char *names;   /* as LISTEN_FDNAMES has them, or NULL */
};

/* Takes LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES out of the environment, and
 * the descriptors that they name, unless they are meant for another process.
 * Call it before anything is opened and before there are threads. False, with a
 * sentence, where they are not what they say: descriptors that are not open, or
 * that no TCP connection can be accepted from. */
MUST_USE bool inherited_from_environment(struct inherited *inherited_out,
                                         char why[INHERITED_WHY_MAX]);

/* Takes the descriptor, whatever it is. */
void inherited_add(struct inherited *inherited, int fd);

/* Takes the first that nobody took and that listens there, by TCP; -1 if there
 * is none. */
MUST_USE int inherited_take(struct inherited *inherited,
                            const struct address *address);

/* Whether it listens on [::] for IPv4 too. */
MUST_USE bool inherited_takes_ipv4(int fd);

/* False, with a sentence that names the first one that nobody took and where
 * it listens. */
MUST_USE bool inherited_is_empty(const struct inherited *inherited,
                                 char why[INHERITED_WHY_MAX]);

/* Whether one that nobody took has this port, and one of both addresses stands
 * for all of that family: a socket that is bound there has to share. */
MUST_USE bool inherited_overlaps(const struct inherited *inherited,
                                 const struct address *address);

/* Closes those that nobody took. Who waits in the queue of one is reset only if
 * no other process has it: so do it before a predecessor hears that it may go.
 */
void inherited_deinit(struct inherited *inherited);

#endif
