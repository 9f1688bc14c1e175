/* What the processes are whose places were taken before ours, the nearest
 * first. Each is asked by its successor alone, so the answer comes through all
 * of them. On the main loop. */
#ifndef PROXY_SERVER_PREDECESSORS_H
#define PROXY_SERVER_PREDECESSORS_H

#include "ask.h"
#include "config/mem.h"
#include "ops/admin.h"
#include "ops/text.h"
#include "predecessor.h"

#include <uv.h>

/* All zero, with a loop, is one that nobody has asked yet. */
struct server_predecessors {
    uv_loop_t *loop;
    struct inquiry *first;
};

/* The answer is to be made: the list holds the members of a JSON list, one
 * object for each process; lent, and empty where there is none. */
typedef void predecessors_handler(struct admin_request *request,
                                  const struct text *list, void *owner);

/* At once where there is none. One that does not answer is told as such. */
void server_predecessors_ask(struct server_predecessors *predecessors,
                             struct predecessor *predecessor,
                             struct admin_request *request,
                             predecessors_handler *handler, void *owner);

/* Requests that wait are answered by somebody else from here on. */
void server_predecessors_stop(struct server_predecessors *predecessors);

/* Asks the predecessor; "wait", in milliseconds, is added to the target, which
 * is lent: less than the request itself said, so that each process of a long
 * row has its answer before it is not waited for. NULL where there is none, or
 * none that can be asked. */
MUST_USE struct ask *
server_predecessors_put(uv_loop_t *loop, struct predecessor *predecessor,
                        struct admin_request *request, const char *method,
                        struct text *target, ask_handler *handler, void *owner);

#endif
