/* What other threads tell a worker: an unordered crowd of writers puts letters
 * in by one atomic exchange, the worker's loop takes all at once. */
#ifndef PROXY_MAILBOX_H
#define PROXY_MAILBOX_H

#include "config/mem.h"
#include "question.h"
#include "session/kick.h"
#include "socket_call.h"
#include "state/arrival.h"
#include "state/snapshot.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum letter_kind {
    LETTER_SNAPSHOT,   /* serve by this one from now on */
    LETTER_LISTEN,     /* accept from one more socket */
    LETTER_KICK,       /* end the sessions that it means */
    LETTER_CONNECTION, /* serve whom another worker accepted */
    LETTER_SOCKETS,    /* give the listening sockets to a successor, too */
    LETTER_LIST,       /* say which sessions there are */
    LETTER_RETIRE,     /* accept no more: a successor does */
    LETTER_NO_LOGINS,  /* who is not logged in shall go there, too */
    LETTER_DRAIN,      /* accept no more, end what lives within drain_ms */
    LETTER_STOP        /* end everything now */
};

struct letter {
    struct letter *next;
    enum letter_kind kind;
    struct snapshot *snapshot; /* LETTER_SNAPSHOT: the reader's reference */
    int fd;                    /* LETTER_LISTEN: the reader's own */
    unsigned listener;         /* likewise: index in the snapshot's settings */
    struct kick *kick;         /* LETTER_KICK: the reader's own */
    struct question *question; /* LETTER_LIST: the reader's reference */
    struct arrival arrival;    /* LETTER_CONNECTION: the reader's own, and the
                                  reader's reference */
    struct socket_call *call;  /* LETTER_SOCKETS: the reader's reference */
    bool has_left_over;        /* LETTER_RETIRE: some accept only here */
    uint64_t drain_ms;         /* LETTER_DRAIN */
};

struct mailbox;

/* Takes the letter, whose memory the mailbox frees afterwards. In the order in
 * which they were put in. */
typedef void mailbox_reader(const struct letter *letter, void *owner);

struct mailbox {
    _Atomic(struct letter *) letters; /* latest first */
    uv_async_t bell;
    uv_mutex_t bell_lock; /* letters are rare; a closed bell must not be rung */
    bool is_closed;
    atomic_bool is_knocked; /* and has not been heard yet */
    mailbox_reader *reader;
    void *owner;
};

/* 0 or UV_E*. */
MUST_USE int mailbox_open(struct mailbox *mailbox, uv_loop_t *loop,
                          mailbox_reader *reader, void *owner);

/* From any thread, until mailbox_deinit. Copies the letter. Where the mailbox
 * is closed it is dropped, and a question answered by nobody's session. */
void mailbox_put(struct mailbox *mailbox, const struct letter *letter);

/* The same while the mailbox is open. False: it is closed, and what the letter
 * carries stays the caller's. */
MUST_USE bool mailbox_offer(struct mailbox *mailbox,
                            const struct letter *letter);

/* Asks the loop for a sign of life, without a letter; says whether the one
 * asked for before has come. A closed mailbox has nobody left to answer, and
 * counts as heard. From any thread, until mailbox_deinit. */
MUST_USE bool mailbox_knock(struct mailbox *mailbox);

/* On the worker's loop: no letter is read any more; those that nobody read are
 * dropped. */
void mailbox_close(struct mailbox *mailbox);

/* Drops the letters that were put in since. */
void mailbox_deinit(struct mailbox *mailbox);

#endif
