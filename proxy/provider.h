/* What the server is given from outside: the bytes of files and listening
 * sockets. The server asks for both here only, so that a process of its own
 * may provide them one day (decision 2). */
#ifndef PROXY_PROVIDER_H
#define PROXY_PROVIDER_H

#include "config/mem.h"
#include "config/settings.h"
#include "net/address.h"
#include "net/io.h"
#include "state/file_source.h"

#include <stddef.h>

/* The largest file that is read: as much as a routing table may have. */
#define PROVIDER_FILE_MAX ((size_t)1 << 30)

/* The most names that one folder may hold. */
enum {
    PROVIDER_NAMES_MAX = 100000
};

enum {
    PROVIDER_WHY_MAX = 192
};

/* The files of this machine; needs no ending. */
const struct file_source *provider_files(void);

/* Puts a file in place, whole or not at all, for its owner's eyes. 0 or an
 * errno. */
MUST_USE int provider_write_file(const char *path, const char *bytes,
                                 size_t len);

enum {
    PROVIDER_FAMILIES_MAX = 2
};

/* Addresses that a listener stands for: two where it is "*". */
struct provider_addresses {
    struct address list[PROVIDER_FAMILIES_MAX];
    size_t count;
};

void provider_list_addresses(const struct listener_config *config,
                             struct provider_addresses *out);

/* What a machine says that has switched a family off, or built it out. */
MUST_USE bool provider_lacks_family(int error);

/* The sockets of one listener: per_family of them for each address, since
 * "*" stands for two. */
struct provider_sockets {
    struct address addresses[PROVIDER_FAMILIES_MAX];
    size_t family_count;
    size_t per_family;
    int *fds; /* the i-th of family f is fds[f * per_family + i] */
};

/* Opens and binds per_family sockets (one for each worker, at least 1) for
 * each address of the listener. They are non-blocking, closed on exec, and have
 *   - SO_REUSEPORT, by which the kernel spreads connections over them; all
 *     sockets of an address must be of one uid;
 *   - SO_REUSEADDR, for a start while old connections linger;
 *   - IPV6_V6ONLY whatever the system's setting; "*" opens IPv4 and IPv6, and
 *     passes over the one that the system does not have;
 *   - the options of io_set_listener, which accepted sockets inherit;
 *   - TCP_DEFER_ACCEPT where TLS is implicit: there the client speaks first,
 *     and who says nothing costs no descriptor (decision 7).
 * 0, or UV_E* with a sentence for the log in why. */
MUST_USE int provider_bind_listener(const struct listener_config *config,
                                    const struct io_keepalive *keepalive,
                                    size_t per_family,
                                    struct provider_sockets *sockets_out,
                                    char why[PROVIDER_WHY_MAX]);

/* The same for these of its addresses. */
MUST_USE int provider_bind_addresses(const struct provider_addresses *addresses,
                                     const struct listener_config *config,
                                     const struct io_keepalive *keepalive,
                                     size_t per_family,
                                     struct provider_sockets *sockets_out,
                                     char why[PROVIDER_WHY_MAX]);

/* Lets connections in, once all sockets that are wanted are bound, so that a
 * failure resets nobody's. The backlog is 4096, which the kernel cuts to
 * net.core.somaxconn. 0, or UV_E* with a sentence. */
MUST_USE int provider_listen(const struct provider_sockets *sockets,
                             char why[PROVIDER_WHY_MAX]);

/* Whether the listener's addresses are free. SO_REUSEPORT lets a second
 * Gatepost of the same user in, and the kernel would deal clients out to
 * both; so ask at start, for all listeners, before the first is opened. 0, or
 * UV_E* with a sentence. */
MUST_USE int provider_probe_listener(const struct listener_config *config,
                                     char why[PROVIDER_WHY_MAX]);

/* The same for these addresses. */
MUST_USE int
provider_probe_addresses(const struct provider_addresses *addresses,
                         char why[PROVIDER_WHY_MAX]);

/* Closes the sockets that are not -1 and frees the list. Whoever gives one to
 * a worker writes -1 over it. Connections waiting in a closed socket's queue
 * are reset (decision 3). */
void provider_sockets_deinit(struct provider_sockets *sockets);

#endif
