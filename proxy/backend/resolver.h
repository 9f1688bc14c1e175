/* Turns the backends' host names into addresses, on a thread of its own (dead
 * name servers must not stall libuv's pool): when backends are given, and
 * again at every interval. IP literals never wait. A failed lookup keeps the
 * last good answer; a backend that never had one is down. */
#ifndef BACKEND_RESOLVER_H
#define BACKEND_RESOLVER_H

#include "backend/backend.h"
#include "config/mem.h"
#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct resolver;

/* More addresses of one name than these are not looked at. */
enum {
    RESOLVER_ANSWER_MAX = 64
};

/* Looks one host up, blocking: fills *out and *count_out, or returns false
 * with a constant string that says why. Ports are ignored. */
typedef bool resolver_lookup(const char *host,
                             struct address out[RESOLVER_ANSWER_MAX],
                             size_t *count_out, const char **why_out);

/* Starts the thread, with nothing to do. lookup NULL asks the system
 * (getaddrinfo); tests bring their own. */
struct resolver *resolver_new(uint64_t interval_ms, resolver_lookup *lookup);

/* Does not wait for a lookup that is under way; its answer is thrown away. */
void resolver_free(struct resolver **resolver);

/* Replaces what is looked up by the backends of the set and starts a round.
 * Literals have their addresses on return, unchanged places keep theirs, and
 * a backend that the set has elsewhere is not touched. Names without an address
 * are looked up first. Call it before the
 * set's snapshot takes effect, and once that cannot fail any more. The set may
 * go afterwards. */
void resolver_update(struct resolver *resolver, const struct backend_set *set,
                     uint64_t interval_ms);

/* Waits until every name of the last update was tried once, at most wait_ms
 * of real time. Returns true if they were. */
bool resolver_wait(struct resolver *resolver, uint64_t wait_ms);

#endif
