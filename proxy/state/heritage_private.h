/* The parts of an heritage: what the link holds here, and packet by packet what
 * is done with it. Private to state/. */
#ifndef STATE_HERITAGE_PRIVATE_H
#define STATE_HERITAGE_PRIVATE_H

#include "state/handover.h"
#include "state/handover_wire.h"
#include "state/heritage.h"

#include <pthread.h>
#include <stdatomic.h>

enum heritage_stage {
    HERITAGE_NEW,    /* no packet was seen */
    HERITAGE_TAKING, /* until WIRE_END */
    HERITAGE_WHOLE,
    HERITAGE_OVER /* nothing is held any more */
};

struct heritage {
    struct handover_parts parts;
    int fd; /* -1: packets are fed by whoever made it */
    pthread_t thread;
    atomic_size_t held;

    pthread_mutex_t lock; /* of these two */
    enum heritage_stage stage;
    char why[HANDOVER_WHY_MAX]; /* it is over, if it did not end well */
    pthread_cond_t stage_rang;

    /* The thread's. */
    struct heritage_book *book;
    struct wire_writer answer;
};

/* What the predecessor holds. */
struct heritage_book;

struct heritage_book *heritage_book_new(const struct handover_parts *parts);
/* Gives everything back. Accepts NULL inside. */
void heritage_book_free(struct heritage_book **book);
size_t heritage_book_held(const struct heritage_book *book);

enum heritage_result {
    HERITAGE_GOES_ON,
    HERITAGE_ANSWERS,  /* *answer is to be sent */
    HERITAGE_COMPLETE, /* that was all that is given */
    HERITAGE_BAD       /* why tells */
};

/* One packet, as it came. */
MUST_USE enum heritage_result
heritage_book_feed(struct heritage_book *book, const uint8_t *bytes, size_t len,
                   struct wire_writer *answer, char why[HANDOVER_WHY_MAX]);

#endif
