#include "session/registry.h"

void registry_init(struct registry *registry)
{
    registry->head.next = &registry->head;
    registry->head.previous = &registry->head;
    registry->settled = &registry->head;
    registry->count = 0;
    registry->walk = NULL;
    registry->walks_settled = true;
}

static void insert_behind(struct registry_node *place,
                          struct registry_node *node)
{
    node->previous = place;
    node->next = place->next;
    place->next->previous = node;
    place->next = node;
}

static void unlink_node(struct registry_node *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
}

/* The one that a walk meets behind this one. */
static struct registry_node *walk_past(const struct registry *registry,
                                       const struct registry_node *node)
{
    const struct registry_node *last =
        registry->walks_settled ? registry->settled : registry->head.previous;

    return node == last ? NULL : node->next;
}

void registry_add(struct registry *registry, struct registry_node *node)
{
    insert_behind(registry->head.previous, node);
    registry->count++;
}

void registry_settle(struct registry *registry, struct registry_node *node)
{
    if (registry->walk == node)
        registry->walk = walk_past(registry, node);
    unlink_node(node);
    insert_behind(registry->settled, node);
    registry->settled = node;
}

void registry_remove(struct registry *registry, struct registry_node *node)
{
    if (registry->walk == node)
        registry->walk = walk_past(registry, node);
    if (registry->settled == node)
        registry->settled = node->previous;
    unlink_node(node);
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

void registry_begin_walk(struct registry *registry)
{
    registry->walks_settled = false;
    registry->walk = registry_first_before_login(registry);
}

struct registry_node *registry_walk(struct registry *registry)
{
    struct registry_node *met = registry->walk;

    if (met == NULL && !registry->walks_settled) {
        registry->walks_settled = true;
        if (registry->settled != &registry->head)
            met = registry->head.next;
    }
    registry->walk = met == NULL ? NULL : walk_past(registry, met);
    return met;
}

struct registry_node *registry_first_before_login(struct registry *registry)
{
    return registry_next(registry, registry->settled);
}
