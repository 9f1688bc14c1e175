/* Which sessions live in a worker: a list that they enter and leave by
 * themselves. */
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
    struct registry_node head; /* of a ring; oldest first */
    size_t count;
};

void registry_init(struct registry *registry);
void registry_add(struct registry *registry, struct registry_node *node);
void registry_remove(struct registry *registry, struct registry_node *node);

/* For walking: the first, or the one after node; NULL at the end. A walker
 * that removes a node takes the next one before. */
struct registry_node *registry_next(struct registry *registry,
                                    const struct registry_node *node);

#endif
