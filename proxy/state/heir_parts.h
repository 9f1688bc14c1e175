/* What an heir is made of, for the files that it is written in: heir.c has its
 * life and its thread, heir_link.c the packets, heir_question.c what logins
 * ask, heir_news.c and heir_sessions.c what is told. Nobody else's. */
#ifndef STATE_HEIR_PARTS_H
#define STATE_HEIR_PARTS_H

#include "state/heir_private.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

/* Asked, and not answered in time. */
struct unanswered {
    bool is_set;
    uint32_t sequence;
    enum heir_verb verb;
    uint64_t key;
};

/* What the successor knows of a backend's sessions; never 0. */
struct told_sessions {
    struct backend *backend;
    uint32_t count;
};

struct heir {
    struct backend_registry *registry;
    atomic_bool is_open;
    atomic_uint_fast64_t silent_since_ms; /* by heir_now_ms; 0: it is not */
    atomic_uint_fast64_t unsent_since_ms; /* likewise: the link was full */
    atomic_uint waiting;                  /* for the lock */

    pthread_mutex_t lock; /* of questions */
    int fd;
    uint32_t sequence;
    struct unanswered unanswered;
    struct wire_writer question;

    pthread_mutex_t news_lock;
    uint8_t *news;
    size_t news_len;
    size_t news_size;

    int bell; /* there are news, or the thread is to end */
    pthread_t thread;
    bool has_thread;
    bool is_patient; /* all was given: whoever is slow is waited for */
    atomic_bool is_ending;
    struct told_sessions *told;
    size_t told_count;
    struct wire_writer packet; /* the thread's */
};

/* Whether there is a successor, as far as is known. From any thread. */
bool heir_is_open(const struct heir *heir);

/* The link is of no use any more. The other side shall see it, too: two who
 * both decide would be worse. From any thread. */
void heir_break(struct heir *heir);

enum transfer {
    TRANSFER_DONE,
    TRANSFER_LATE,
    TRANSFER_BROKEN
};

/* One packet: nothing of it is sent, or all. Waits until a moment on
 * CLOCK_MONOTONIC, or until the heir is closed. */
MUST_USE enum transfer heir_transfer(struct heir *heir,
                                     const struct wire_writer *packet,
                                     const struct timespec *until);

/* Real time, whatever base/clock's scale; never 0. */
uint64_t heir_now_ms(void);

/* How much of that moment's time is left, not below 0. */
int heir_left_ms(const struct timespec *until);

/* There are news, or the thread is to end: it looks. From any thread. */
void heir_ring(struct heir *heir);

/* Takes the answer that came late, if one is owed and there by now, and undoes
 * what it grants. Wants the lock. False: it is still owed, or the link is
 * broken. */
bool heir_catch_up(struct heir *heir);

/* When the link is over: what it was not told, and what it was. */
void heir_forget_news(struct heir *heir);
void heir_forget_sessions(struct heir *heir);

#endif
