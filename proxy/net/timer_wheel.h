/* Many timers for the price of two pointers each. The wheel knows no clock
 * and no loop: time is passed in. One per worker; not for several threads.
 *
 * A timer never fires early, and at most TIMER_WHEEL_GRAIN_MS late if the
 * wheel is advanced when timer_wheel_next asks for it. */
#ifndef NET_TIMER_WHEEL_H
#define NET_TIMER_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TIMER_WHEEL_GRAIN_MS = 16,
    TIMER_WHEEL_SLOTS = 64, /* one bit each of an uint64_t */
    TIMER_WHEEL_LEVELS = 6  /* 64^6 grains are 34 years */
};

/* No timer is armed. */
#define TIMER_WHEEL_NEVER UINT64_MAX

struct wheel_timer;

/* May arm or cancel any timer of the wheel, the fired one and others that are
 * due at the same moment too, and may free the fired one. It must not call
 * timer_wheel_advance. */
typedef void wheel_timer_callback(struct wheel_timer *timer);

/* Embedded in whatever it times; 32 bytes. */
struct wheel_timer {
    struct wheel_timer *next;
    struct wheel_timer **link; /* what points at this one; NULL: not armed */
    uint64_t deadline_ms;
    wheel_timer_callback *callback;
};

struct timer_wheel {
    uint64_t now_grain;
    uint64_t occupied[TIMER_WHEEL_LEVELS]; /* a bit for each slot in use */
    struct wheel_timer *slots[TIMER_WHEEL_LEVELS][TIMER_WHEEL_SLOTS];
    struct wheel_timer *due; /* collected by an advance, not yet fired */
    bool is_advancing;
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms);

/* Makes a timer ready to be armed. */
void wheel_timer_init(struct wheel_timer *timer,
                      wheel_timer_callback *callback);

bool wheel_timer_is_armed(const struct wheel_timer *timer);

/* Arms a timer, or moves an armed one. A deadline that has passed fires at
 * the next advance, never inside the one that is running. */
void timer_wheel_arm(struct timer_wheel *wheel, struct wheel_timer *timer,
                     uint64_t deadline_ms);

/* Does nothing to a timer that is not armed. */
void timer_wheel_cancel(struct timer_wheel *wheel, struct wheel_timer *timer);

/* Moves time on and fires what is due, the earlier grains first. A time that
 * lies in the past changes nothing. */
void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ms);

/* When to call timer_wheel_advance next: at or before the nearest deadline's
 * grain, or TIMER_WHEEL_NEVER. A far timer asks for a few calls on its way
 * (one per level) in which nothing fires. Cheap: looks at six words. */
uint64_t timer_wheel_next(const struct timer_wheel *wheel);

#endif
