/* Sessions for operators: listed by pages, and ended. */
#ifndef PROXY_SERVER_SESSIONS_H
#define PROXY_SERVER_SESSIONS_H

#include "config/mem.h"
#include "ops/admin.h"
#include "server_admin.h"

#include <uv.h>

struct server_sessions;

/* NULL where the loop has no room for it. */
MUST_USE struct server_sessions *server_sessions_new(uv_loop_t *loop);

/* GET /sessions: "user", "backend" choose; "after" is the "next" of the page
 * before; "limit" says how many at most. Answers when the workers have, and
 * those of the predecessors behind them. */
void server_sessions_list(struct server_sessions *sessions,
                          struct admin_request *request,
                          const struct server_view *view);

/* POST /kick: ends those that "user", "backend" or both choose, here and in the
 * predecessors, over so many seconds ("over"); answers with how many there
 * are. */
void server_sessions_kick(struct server_sessions *sessions,
                          struct admin_request *request,
                          const struct server_view *view);

/* Requests that wait are answered by somebody else from here on. */
void server_sessions_stop(struct server_sessions *sessions);

/* After the workers have ended. Accepts NULL inside. */
void server_sessions_free(struct server_sessions **sessions);

#endif
