/* Which sessions live in a worker: a list that they enter and leave by
 * themselves. Those before login stand behind the others, the oldest of them
 * first, so that it is found at once when its place is needed. */
#ifndef SESSION_REGISTRY_H
#define SESSION_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

/* Embedded in a session. */
struct registry_node {
    struct registry_node *next;
    struct registry_node *previous;
};

struct registry {
    struct registry_node head;     /* of a ring */
    struct registry_node *settled; /* the last one that is; or the head */
    size_t count;
    struct registry_node *walk; /* who is met next; NULL: nobody of this part */
    bool walks_settled;         /* the second part */
};

void registry_init(struct registry *registry);
void registry_add(struct registry *registry, struct registry_node *node);

/* Of one before login, once: it has logged in, or is ending. */
void registry_settle(struct registry *registry, struct registry_node *node);

void registry_remove(struct registry *registry, struct registry_node *node);

/* For walking: the first, or the one after node; NULL at the end. A walker
 * that removes a node takes the next one before. */
struct registry_node *registry_next(struct registry *registry,
                                    const struct registry_node *node);

/* A walk that may rest between two steps while nodes come, settle and go. It
 * meets whoever was there at its beginning and still is: those before login
 * first, since they go to the end of the others when they settle, and whoever
 * settles meanwhile perhaps twice. One at a time: a second one begins anew. */
void registry_begin_walk(struct registry *registry);

/* NULL at the end. */
struct registry_node *registry_walk(struct registry *registry);

/* The oldest one before login, NULL when there is none. */
struct registry_node *registry_first_before_login(struct registry *registry);

#endif
