/* All listening sockets of all workers, for a successor: each worker dups its
 * own, and the main loop gets them together. Those that a reload has given up,
 * which are just being accepted empty, are left out. */
#ifndef PROXY_SOCKET_CALL_H
#define PROXY_SOCKET_CALL_H

#include "config/mem.h"
#include "inherited.h"

#include <uv.h>

struct socket_call;
struct worker;

/* On the main loop, once; then the call is gone. The sockets are lent: whoever
 * keeps a descriptor writes -1 over it, and the others are closed. With an
 * error (UV_E*: most likely no more descriptors can be had) there are none. */
typedef void socket_call_handler(int error, struct inherited *sockets,
                                 void *owner);

/* Asks so many workers, at least one. One that has ended does not answer, and
 * one that hangs does so late: have a deadline, at which to cancel. */
MUST_USE struct socket_call *
socket_call_start(uv_loop_t *loop, struct worker **workers, unsigned count,
                  socket_call_handler *handler, void *owner);

/* On the main loop: the handler is not called any more; what workers give is
 * closed. The loop is to turn once again. Accepts NULL inside. */
void socket_call_cancel(struct socket_call **call);

/* On a worker's thread: a descriptor that the call takes, or UV_E* instead. */
void socket_call_add(struct socket_call *call, int fd_or_error);

/* Likewise: this worker has no more. Hands its reference back. */
void socket_call_answer(struct socket_call **call);

/* Drops a worker's reference without an answer. Accepts NULL inside. */
void socket_call_unref(struct socket_call **call);

#endif
