/* The way of control messages: a socket that keeps packets whole, between a
 * process and the one that takes its place. Reading blocks only where its name
 * says so; sending never does. */
#ifndef PROXY_CONTROL_LINK_H
#define PROXY_CONTROL_LINK_H

#include "config/mem.h"
#include "control_message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* Descriptors that come with one message; SCM_MAX_FD is 253. */
enum {
    CONTROL_FDS_MAX = 250
};

/* Who is told faster than it reads is given up. */
enum {
    CONTROL_QUEUE_MAX = 100 * 1000
};

struct control_parcel;

/* On the loop. Everything is lent; who takes a descriptor writes -1 over it. */
typedef void control_handler(const struct control_message *message, int *fds,
                             size_t fd_count, void *owner);

/* On the loop, once: the other side has ended, or makes no sense. Nothing comes
 * and goes from then on. */
typedef void control_ended(void *owner);

struct control_link {
    int fd;         /* -1: none */
    uv_poll_t poll; /* on the loop, from control_link_join on */
    uv_async_t bell;
    uv_mutex_t lock; /* for the next four */
    struct control_parcel *first;
    struct control_parcel **last;
    size_t count;
    bool is_closed; /* nobody reads any more */
    bool is_joined;
    control_handler *handler;
    control_ended *ended;
    void *owner;
};

/* Takes the descriptor, and makes it non-blocking. */
void control_link_init(struct control_link *link, int fd);

/* For one that has not joined a loop: waits for a message, until a moment on
 * base/clock's scale. The texts are lent by the bytes. False, with a lasting
 * word for it, when none comes. */
MUST_USE bool control_link_wait(struct control_link *link, uint64_t until_ms,
                                uint8_t bytes[CONTROL_MESSAGE_MAX],
                                struct control_message *message_out,
                                int fds[CONTROL_FDS_MAX], size_t *fd_count_out,
                                const char **why_out);

/* 0 or UV_E*. */
MUST_USE int control_link_join(struct control_link *link, uv_loop_t *loop,
                               control_handler *handler, control_ended *ended,
                               void *owner);

/* Sends, or queues behind what was queued; descriptors are copied. From any
 * thread until control_link_deinit. */
void control_link_send(struct control_link *link,
                       const struct control_message *message, const int *fds,
                       size_t fd_count);

/* A message of no more than its kind and a number. */
void control_link_send_number(struct control_link *link, enum control_kind kind,
                              uint64_t number);

/* On the loop: hears what has come by now. May end the link. */
void control_link_hear(struct control_link *link);

/* Of one that has joined a loop: sends and hears nothing more, and closes its
 * handles; the other side hears the end. */
void control_link_close(struct control_link *link);

/* After the loop has closed them, or of one that never joined. */
void control_link_deinit(struct control_link *link);

#endif
