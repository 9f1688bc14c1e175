#include "session/registry.h"

void registry_init(struct registry *registry)
{
    registry->head.next = &registry->head;
    registry->head.previous = &registry->head;
    registry->count = 0;
}

void registry_add(struct registry *registry, struct registry_node *node)
{
    node->previous = registry->head.previous;
    node->next = &registry->head;
    registry->head.previous->next = node;
    registry->head.previous = node;
    registry->count++;
}

void registry_remove(struct registry *registry, struct registry_node *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    node->next = NULL;
    node->previous = NULL;
    registry->count--;
}

struct registry_node *registry_next(struct registry *registry,
                                    const struct registry_node *node)
{
    struct registry_node *next =
        node == NULL ? registry->head.next : node->next;

    return next == &registry->head ? NULL : next;
}
