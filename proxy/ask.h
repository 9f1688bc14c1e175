/* One question to another process of this Gatepost, asked over HTTP on a
 * connection that it serves (admin_take), without the loop waiting for it. */
#ifndef PROXY_ASK_H
#define PROXY_ASK_H

#include "config/mem.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct ask;

struct ask_question {
    const char *method;
    const char *target; /* a path with its query, encoded */
    uint64_t wait_ms;
    size_t answer_max; /* bytes, the head included; more is no answer */
};

/* Once for each question, from the loop, unless it was dropped: the answer is
 * over then. The JSON is lent; NULL: there was no answer in time, or none that
 * is whole, or it was a refusal. */
typedef void ask_handler(const json_t *answer, void *owner);

/* Takes the descriptor, a connected stream; copies the question. NULL where the
 * loop has no room. */
MUST_USE struct ask *ask_start(uv_loop_t *loop, int fd,
                               const struct ask_question *question,
                               ask_handler *handler, void *owner);

/* Nobody wants to hear it any more. Accepts NULL inside. */
void ask_drop(struct ask **ask);

#endif
