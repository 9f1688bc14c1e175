#include "socket_call.h"

#include "worker.h"

#include <stdlib.h>

struct socket_call {
    uv_async_t bell;
    uv_mutex_t lock; /* for the next five */
    unsigned refs;   /* of the workers, and one of the main loop */
    unsigned awaited;
    bool is_closed; /* the bell */
    int error;
    struct inherited sockets;
    socket_call_handler *handler;
    void *owner;
};

static void free_call(struct socket_call *call)
{
    inherited_deinit(&call->sockets);
    uv_mutex_destroy(&call->lock);
    free(call);
}

void socket_call_unref(struct socket_call **call)
{
    struct socket_call *mine = *call;
    bool is_last;

    *call = NULL;
    if (mine == NULL)
        return;
    uv_mutex_lock(&mine->lock);
    is_last = --mine->refs == 0;
    uv_mutex_unlock(&mine->lock);
    if (is_last)
        free_call(mine);
}

static void on_closed(uv_handle_t *bell)
{
    struct socket_call *call = bell->data;

    socket_call_unref(&call);
}

void socket_call_cancel(struct socket_call **call)
{
    struct socket_call *mine = *call;

    *call = NULL;
    if (mine == NULL)
        return;
    uv_mutex_lock(&mine->lock);
    mine->is_closed = true;
    uv_mutex_unlock(&mine->lock);
    uv_close((uv_handle_t *)&mine->bell, on_closed);
}

/* Rung when nobody is awaited any more, so nobody adds anything either. */
static void on_bell(uv_async_t *bell)
{
    struct socket_call *call = bell->data;

    if (call->error != 0)
        inherited_deinit(&call->sockets);
    call->handler(call->error, &call->sockets, call->owner);
    inherited_deinit(&call->sockets);
    socket_call_cancel(&call);
}

struct socket_call *socket_call_start(uv_loop_t *loop, struct worker **workers,
                                      unsigned count,
                                      socket_call_handler *handler, void *owner)
{
    struct socket_call *call = mem_zalloc(sizeof(*call));

    call->refs = 1 + count;
    call->awaited = count;
    call->handler = handler;
    call->owner = owner;
    call->bell.data = call;
    if (uv_mutex_init(&call->lock) != 0 ||
        uv_async_init(loop, &call->bell, on_bell) != 0)
        abort();
    for (unsigned i = 0; i < count; i++)
        worker_call_sockets(workers[i], call);
    return call;
}

/* The first error is as good as any. */
void socket_call_add(struct socket_call *call, int fd_or_error)
{
    uv_mutex_lock(&call->lock);
    if (fd_or_error >= 0)
        inherited_add(&call->sockets, fd_or_error);
    else if (call->error == 0)
        call->error = fd_or_error;
    uv_mutex_unlock(&call->lock);
}

void socket_call_answer(struct socket_call **call)
{
    struct socket_call *mine = *call;

    uv_mutex_lock(&mine->lock);
    if (--mine->awaited == 0 && !mine->is_closed)
        uv_async_send(&mine->bell);
    uv_mutex_unlock(&mine->lock);
    socket_call_unref(call);
}
