/* Connections that are held logged in from one batch to the next, each with
 * one request under way at a time. */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include "batch.h"

struct crowd;

struct member {
    struct crowd *crowd;
    struct client *client; /* NULL: it never logged in, or its session ended */
    unsigned number;
    bool is_ready; /* logged in */
    bool is_busy;  /* a request is under way */
    uint64_t asked_ns;
};

/* What a mode does with its crowd. */
struct crowd_verbs {
    void (*begin)(void *owner); /* a batch starts: reset the sums */

    /* Sends the member's next request; false when the batch has none for it. */
    bool (*ask)(void *owner, struct member *member);

    void (*take)(void *owner, struct member *member); /* its answer is here */
    void (*report)(void *owner, double seconds);
};

struct crowd {
    struct batch batch;
    const struct crowd_verbs *verbs;
    void *owner;
    struct member *members;
    unsigned count;
    unsigned started; /* members that began to log in */
    unsigned opening;
    unsigned alive; /* members that are logged in */
    unsigned busy;
};

/* Logs in as many as the options' `parallel`, runs batches as it is told, and
 * returns the program's exit status. */
int crowd_run(struct crowd *crowd, const struct load_options *options,
              const struct crowd_verbs *verbs, void *owner);

#endif
