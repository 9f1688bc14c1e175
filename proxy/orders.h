/* Which backends take whom by an operator's command, rather than by the
 * routing table: kept in a file, so that a restart forgets nothing. On the main
 * loop. */
#ifndef PROXY_ORDERS_H
#define PROXY_ORDERS_H

#include "backend/backend.h"
#include "config/mem.h"
#include "config/reason.h"

#include <stdbool.h>
#include <stddef.h>

struct order {
    char *backend;
    enum backend_mode mode; /* never BACKEND_READY: that is no order */
};

/* All zero, with a path, is an empty one. */
struct orders {
    const char *path;        /* borrowed */
    const char *former_path; /* likewise; NULL: the file was nowhere else */
    struct order *items;
    size_t count;
    bool is_unwritten; /* there are some that the file does not hold */
};

/* Reads the file, or where there is none the former one; one that is missing
 * holds no orders. False after an error: to go on without would send users to a
 * backend that was taken out. */
MUST_USE bool orders_read(struct orders *orders, struct reasons *reasons);

/* Keeps an order, or takes it back with BACKEND_READY, and writes the file
 * first. 0 or an errno; then nothing has changed. */
MUST_USE int orders_set(struct orders *orders, const char *backend,
                        enum backend_mode mode);

/* Keeps an order that the file does not hold yet, of a backend that has none.
 */
void orders_inherit(struct orders *orders, const char *backend,
                    enum backend_mode mode);

/* Writes what the file does not hold yet. 0 or an errno. */
MUST_USE int orders_write(struct orders *orders);

void orders_deinit(struct orders *orders);

#endif
