/* A question of the main loop to a worker, and the way of its answer back.
 * Belongs to both until it is answered or nobody reads it any more. */
#ifndef PROXY_QUESTION_H
#define PROXY_QUESTION_H

#include "config/mem.h"
#include "session/listing.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

struct questions;

struct question {
    atomic_uint refs;
    struct questions *box;
    struct question *next; /* in the box */
    struct listing listing;
    void *asker;
};

/* On the main loop; lent. */
typedef void question_handler(struct question *question);

/* Where answers arrive. Outlives the workers. */
struct questions {
    uv_async_t bell;
    uv_mutex_t lock; /* for what follows */
    struct question *answered;
    bool is_closed;
    question_handler *handler;
};

/* 0 or UV_E*. */
MUST_USE int questions_open(struct questions *box, uv_loop_t *loop,
                            question_handler *handler);

/* On the main loop: no answer is told any more. */
void questions_close(struct questions *box);

/* After the workers have ended. */
void questions_deinit(struct questions *box);

/* One reference, the asker's. */
MUST_USE struct question *question_new(struct questions *box, void *asker);
struct question *question_ref(struct question *question);
/* Accepts NULL inside. */
void question_unref(struct question **question);

/* On the worker's thread: hands its reference back with the answer. */
void question_answer(struct question *question);

#endif
