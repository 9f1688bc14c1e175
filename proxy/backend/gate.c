#include "backend/gate.h"

#include "base/clock.h"

#include <assert.h>
#include <stdlib.h>

/* Exists while someone waits for this backend. */
struct gate_queue {
    struct gate_queue *next;
    struct backend *backend;
    struct gate_pass *first;
    struct gate_pass *last;
    unsigned logins_max; /* as the last one who came had it */
};

struct gate {
    struct io *io;
    struct gate_queue *queues;
    struct wheel_timer timer;
};

static void on_timer(struct wheel_timer *timer);

struct gate *gate_new(struct io *io)
{
    struct gate *gate = mem_zalloc(sizeof(*gate));

    gate->io = io;
    wheel_timer_init(&gate->timer, on_timer);
    return gate;
}

void gate_free(struct gate **gate)
{
    struct gate *mine = *gate;

    *gate = NULL;
    if (mine == NULL)
        return;
    assert(mine->queues == NULL);
    free(mine);
}

static struct gate_queue *find_queue(const struct gate *gate,
                                     const struct backend *backend)
{
    struct gate_queue *queue = gate->queues;

    while (queue != NULL && queue->backend != backend)
        queue = queue->next;
    return queue;
}

static struct gate_queue *get_queue(struct gate *gate, struct backend *backend)
{
    struct gate_queue *queue = find_queue(gate, backend);

    if (queue != NULL)
        return queue;
    queue = mem_zalloc(sizeof(*queue));
    queue->backend = backend; /* its passes hold it */
    queue->next = gate->queues;
    if (gate->queues == NULL)
        io_arm(gate->io, &gate->timer, GATE_LOOK_MS);
    gate->queues = queue;
    return queue;
}

static void drop_queue(struct gate *gate, struct gate_queue *queue)
{
    struct gate_queue **link = &gate->queues;

    while (*link != queue)
        link = &(*link)->next;
    *link = queue->next;
    free(queue);
    if (gate->queues == NULL)
        io_disarm(gate->io, &gate->timer);
}

static void append(struct gate_queue *queue, struct gate_pass *pass)
{
    pass->next = NULL;
    if (queue->last == NULL)
        queue->first = pass;
    else
        queue->last->next = pass;
    queue->last = pass;
}

/* Queues are short: backend_queue of all workers at most. */
static void remove_from(struct gate_queue *queue, struct gate_pass *pass)
{
    struct gate_pass *before = NULL;
    struct gate_pass **link = &queue->first;

    while (*link != pass) {
        before = *link;
        link = &before->next;
    }
    *link = pass->next;
    if (queue->last == pass)
        queue->last = before;
}

static void leave_queue(struct gate_pass *pass)
{
    struct gate_queue *queue = find_queue(pass->gate, pass->backend);

    assert(queue != NULL);
    remove_from(queue, pass);
    backend_login_unqueue(pass->backend);
    if (queue->first == NULL)
        drop_queue(pass->gate, queue);
}

enum gate_answer gate_enter(struct gate *gate, struct gate_pass *pass,
                            struct backend *backend, unsigned logins_max,
                            unsigned queue_max, gate_handler *handler,
                            void *owner)
{
    struct gate_queue *queue;

    assert(pass->place == GATE_OUT);
    *pass =
        (struct gate_pass){.gate = gate, .handler = handler, .owner = owner};
    if (logins_max == 0) {
        pass->place = GATE_UNCOUNTED;
        return GATE_ENTERED;
    }
    /* Nobody overtakes who waits here already. */
    if (find_queue(gate, backend) == NULL &&
        backend_login_begin(backend, logins_max)) {
        pass->place = GATE_IN;
        pass->backend = backend_ref(backend);
        return GATE_ENTERED;
    }
    if (!backend_login_queue(backend, queue_max))
        return GATE_FULL;
    pass->place = GATE_QUEUED;
    pass->backend = backend_ref(backend);
    pass->until_ms = clock_now_ms() + GATE_WAIT_MS;
    queue = get_queue(gate, backend);
    queue->logins_max = logins_max;
    append(queue, pass);
    return GATE_WAITS;
}

/* Who waits here is called from the loop: nobody expects to be called when
 * someone else leaves. */
static void look_soon(struct gate *gate, const struct backend *backend)
{
    if (find_queue(gate, backend) != NULL)
        io_arm(gate->io, &gate->timer, 0);
}

void gate_leave(struct gate_pass *pass)
{
    switch (pass->place) {
    case GATE_OUT:
        return;
    case GATE_QUEUED:
        leave_queue(pass);
        break;
    case GATE_IN:
        backend_login_end(pass->backend);
        look_soon(pass->gate, pass->backend);
        break;
    case GATE_UNCOUNTED:
        break;
    }
    pass->place = GATE_OUT;
    backend_unref(&pass->backend);
}

/* The first of the queue, if its turn or its end has come; NULL otherwise.
 * It has left the queue then, which may be gone. */
static struct gate_pass *take_due(struct gate_queue *queue, uint64_t now_ms)
{
    struct gate_pass *pass = queue->first;
    bool is_in = backend_login_begin(pass->backend, queue->logins_max);

    if (!is_in && pass->until_ms > now_ms)
        return NULL;
    leave_queue(pass);
    pass->place = is_in ? GATE_IN : GATE_OUT;
    if (!is_in)
        backend_unref(&pass->backend);
    return pass;
}

/* Any pass may come and go in a handler, and with it any queue: so the list
 * is looked at anew after each. */
static struct gate_pass *take_next(struct gate *gate, uint64_t now_ms)
{
    for (struct gate_queue *queue = gate->queues; queue != NULL;) {
        struct gate_queue *next = queue->next;
        struct gate_pass *pass = take_due(queue, now_ms);

        if (pass != NULL)
            return pass;
        queue = next;
    }
    return NULL;
}

static void on_timer(struct wheel_timer *timer)
{
    struct gate *gate =
        (struct gate *)(void *)((char *)timer - offsetof(struct gate, timer));
    uint64_t now_ms = clock_now_ms();
    struct gate_pass *pass;

    while ((pass = take_next(gate, now_ms)) != NULL)
        pass->handler(pass, pass->place == GATE_IN, pass->owner);
    if (gate->queues != NULL)
        io_arm(gate->io, &gate->timer, GATE_LOOK_MS);
}
