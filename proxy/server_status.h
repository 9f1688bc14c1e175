/* The server as it is, as JSON for `gatepost status`. */
#ifndef PROXY_SERVER_STATUS_H
#define PROXY_SERVER_STATUS_H

#include "config/reason.h"
#include "ops/text.h"
#include "server_admin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the last reload went. */
struct last_reload {
    uint64_t at_ms; /* on base/clock's scale; 0: there was none */
    bool was_taken;
    struct text reasons; /* the members of a JSON list of lines */
};

/* Keeps what is told of it; the reasons are copied. */
void last_reload_set(struct last_reload *last, bool was_taken,
                     const struct reasons *reasons);
void last_reload_deinit(struct last_reload *last);

/* The members of a JSON list of lines, not all where there are very many. */
void server_status_add_reasons(struct text *out, const struct reasons *reasons);

/* {"taken": ..., "seconds": ..., "reasons": [...]}, or null. */
void server_status_add_reload(struct text *out, const struct last_reload *last);

/* One JSON object. Neither users nor addresses of clients are in it. The
 * predecessors are the members of a list. */
void server_status_write(struct text *out, const struct server_view *view,
                         const struct last_reload *last,
                         const struct text *predecessors);

/* What a process among several is, as one JSON object. */
void server_status_add_process(struct text *out,
                               const struct server_view *view);

#endif
