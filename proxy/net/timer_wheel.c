#include "net/timer_wheel.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* A timer lies at the level of the highest digit (to the base of 64) in which
 * its grain differs from now, in the slot of that digit. So no slot of a level
 * lies in the past, and whatever lies at a lower level comes first. When time
 * reaches a slot of a higher level, its timers move down. */

enum {
    DIGIT_BITS = 6
};
_Static_assert(1 << DIGIT_BITS == TIMER_WHEEL_SLOTS, "a digit is a slot");

static const uint64_t last_grain =
    (UINT64_C(1) << (DIGIT_BITS * TIMER_WHEEL_LEVELS)) - 1;

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms)
{
    memset(wheel, 0, sizeof(*wheel));
    wheel->now_grain = now_ms / TIMER_WHEEL_GRAIN_MS;
    assert(wheel->now_grain < last_grain);
}

void wheel_timer_init(struct wheel_timer *timer, wheel_timer_callback *callback)
{
    *timer = (struct wheel_timer){.callback = callback};
}

bool wheel_timer_is_armed(const struct wheel_timer *timer)
{
    return timer->link != NULL;
}

static void link_timer(struct wheel_timer **list, struct wheel_timer *timer)
{
    timer->next = *list;
    timer->link = list;
    if (timer->next != NULL)
        timer->next->link = &timer->next;
    *list = timer;
}

static void unlink_timer(struct wheel_timer *timer)
{
    *timer->link = timer->next;
    if (timer->next != NULL)
        timer->next->link = timer->link;
    timer->next = NULL;
    timer->link = NULL;
}

static unsigned digit_at(uint64_t grain, unsigned level)
{
    return grain >> (DIGIT_BITS * level) & (TIMER_WHEEL_SLOTS - 1);
}

static unsigned level_of(const struct timer_wheel *wheel, uint64_t grain)
{
    uint64_t difference = wheel->now_grain ^ grain;

    if (difference < TIMER_WHEEL_SLOTS)
        return 0;
    return (63 - (unsigned)__builtin_clzll(difference)) / DIGIT_BITS;
}

/* Rounded up: never early. */
static uint64_t grain_of(uint64_t deadline_ms)
{
    uint64_t grain = deadline_ms / TIMER_WHEEL_GRAIN_MS +
                     (deadline_ms % TIMER_WHEEL_GRAIN_MS != 0);

    return grain < last_grain ? grain : last_grain;
}

static void insert_timer(struct timer_wheel *wheel, struct wheel_timer *timer,
                         uint64_t grain)
{
    unsigned level = level_of(wheel, grain);
    unsigned slot = digit_at(grain, level);

    link_timer(&wheel->slots[level][slot], timer);
    wheel->occupied[level] |= UINT64_C(1) << slot;
}

void timer_wheel_arm(struct timer_wheel *wheel, struct wheel_timer *timer,
                     uint64_t deadline_ms)
{
    uint64_t grain = grain_of(deadline_ms);

    timer_wheel_cancel(wheel, timer);
    timer->deadline_ms = deadline_ms;
    /* The present grain was already fired. */
    if (grain <= wheel->now_grain)
        grain = wheel->now_grain + 1;
    insert_timer(wheel, timer, grain);
}

/* Clears the bit of a slot that a removal left empty. A link that lies in no
 * slot belongs to another timer or to the list of those due. */
static void note_removal(struct timer_wheel *wheel, struct wheel_timer **link)
{
    struct wheel_timer **first = wheel->slots[0];
    size_t index;

    if (*link != NULL ||
        (uintptr_t)link - (uintptr_t)first >= sizeof(wheel->slots))
        return;
    index = (size_t)(link - first);
    wheel->occupied[index / TIMER_WHEEL_SLOTS] &=
        ~(UINT64_C(1) << index % TIMER_WHEEL_SLOTS);
}

void timer_wheel_cancel(struct timer_wheel *wheel, struct wheel_timer *timer)
{
    struct wheel_timer **link = timer->link;

    if (link == NULL)
        return;
    unlink_timer(timer);
    note_removal(wheel, link);
}

/* The slot that time reaches first. */
struct nearest_slot {
    unsigned level; /* TIMER_WHEEL_LEVELS: there is none */
    unsigned slot;
    uint64_t grain; /* where it begins */
};

static struct nearest_slot find_nearest(const struct timer_wheel *wheel)
{
    struct nearest_slot nearest = {.grain = UINT64_MAX};
    unsigned shift;

    while (nearest.level < TIMER_WHEEL_LEVELS &&
           wheel->occupied[nearest.level] == 0)
        nearest.level++;
    if (nearest.level == TIMER_WHEEL_LEVELS)
        return nearest;
    shift = DIGIT_BITS * nearest.level;
    nearest.slot = (unsigned)__builtin_ctzll(wheel->occupied[nearest.level]);
    nearest.grain = wheel->now_grain >> (shift + DIGIT_BITS)
                                            << (shift + DIGIT_BITS) |
                    (uint64_t)nearest.slot << shift;
    return nearest;
}

static struct wheel_timer *empty_slot(struct timer_wheel *wheel,
                                      struct nearest_slot from)
{
    struct wheel_timer *list = wheel->slots[from.level][from.slot];

    wheel->slots[from.level][from.slot] = NULL;
    wheel->occupied[from.level] &= ~(UINT64_C(1) << from.slot);
    return list;
}

static void move_down(struct timer_wheel *wheel, struct wheel_timer *list)
{
    while (list != NULL) {
        struct wheel_timer *timer = list;
        uint64_t grain = grain_of(timer->deadline_ms);

        list = timer->next;
        /* One that was late when it was armed has waited for this grain. */
        if (grain < wheel->now_grain)
            grain = wheel->now_grain;
        insert_timer(wheel, timer, grain);
    }
}

/* Appends a list; returns where the next one goes. */
static struct wheel_timer **append(struct wheel_timer **tail,
                                   struct wheel_timer *list)
{
    *tail = list;
    list->link = tail;
    while (*tail != NULL)
        tail = &(*tail)->next;
    return tail;
}

/* Everything that is due is collected before anything is fired: callbacks
 * then see a wheel at rest, whose time is the new one. */
static void collect_due(struct timer_wheel *wheel, uint64_t target)
{
    struct wheel_timer **tail = &wheel->due;

    for (;;) {
        struct nearest_slot nearest = find_nearest(wheel);

        if (nearest.grain > target)
            break;
        wheel->now_grain = nearest.grain;
        if (nearest.level == 0)
            tail = append(tail, empty_slot(wheel, nearest));
        else
            move_down(wheel, empty_slot(wheel, nearest));
    }
    wheel->now_grain = target;
}

void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ms)
{
    uint64_t target = now_ms / TIMER_WHEEL_GRAIN_MS;

    assert(!wheel->is_advancing && target < last_grain);
    if (target <= wheel->now_grain)
        return;
    wheel->is_advancing = true;
    collect_due(wheel, target);
    while (wheel->due != NULL) {
        struct wheel_timer *timer = wheel->due;

        unlink_timer(timer);
        timer->callback(timer); /* may free it */
    }
    wheel->is_advancing = false;
}

uint64_t timer_wheel_next(const struct timer_wheel *wheel)
{
    struct nearest_slot nearest = find_nearest(wheel);

    if (nearest.level == TIMER_WHEEL_LEVELS)
        return TIMER_WHEEL_NEVER;
    return nearest.grain * TIMER_WHEEL_GRAIN_MS;
}
