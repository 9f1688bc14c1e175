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
    const char *path; /* borrowed */
    struct order *items;
    size_t count;
};

/* Reads the file; one that is missing holds no orders. False after an error:
 * to go on without would send users to a backend that was taken out. */
MUST_USE bool orders_read(struct orders *orders, struct reasons *reasons);

/* Keeps an order, or takes it back with BACKEND_READY, and writes the file
 * first. 0 or an errno; then nothing has changed. */
MUST_USE int orders_set(struct orders *orders, const char *backend,
                        enum backend_mode mode);

void orders_deinit(struct orders *orders);

#endif
