#include "server_notify.h"

#include "server_log.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    RETRY_MS = 1000,
    US_PER_MS = 1000
};

/* Signs of life in the watchdog's time: one may be late and one more lost. */
enum {
    BEATS = 3
};

/* What may come after a drain: streams that end, threads that are joined, a
 * table that is freed, the last lines of the log. */
enum {
    LAST_MOMENTS_MS = 30 * 1000
};

static void on_retry(uv_timer_t *timer);

static void tell_state(struct server_notify *notify)
{
    if (notify_send(&notify->line, notify->state) == UV_EAGAIN)
        uv_timer_start(&notify->retry, on_retry, RETRY_MS, 0);
    else
        uv_timer_stop(&notify->retry);
}

static void on_retry(uv_timer_t *timer)
{
    tell_state(timer->data);
}

static void on_watchdog(uv_timer_t *timer)
{
    struct server_notify *notify = timer->data;

    if (notify->is_alive(notify->owner))
        (void)notify_send(&notify->line, "WATCHDOG=1");
}

void server_notify_open(struct server_notify *notify)
{
    notify->fault = notify_open(&notify->line);
}

void server_notify_join(struct server_notify *notify, uv_loop_t *loop,
                        bool (*is_alive)(void *owner), void *owner)
{
    if (notify->fault != NULL)
        server_log_error("notify-failed", "reason", notify->fault);
    notify->is_alive = is_alive;
    notify->owner = owner;
    notify->watchdog.data = notify;
    notify->retry.data = notify;
    uv_timer_init(loop, &notify->watchdog);
    uv_timer_init(loop, &notify->retry);
}

static void start_watchdog(struct server_notify *notify)
{
    uint64_t beat_ms = notify->line.watchdog_us / BEATS / US_PER_MS;

    if (notify->line.watchdog_us == 0 ||
        uv_is_active((uv_handle_t *)&notify->watchdog))
        return;
    if (beat_ms == 0)
        beat_ms = 1;
    uv_timer_start(&notify->watchdog, on_watchdog, beat_ms, beat_ms);
}

void server_notify_ready(struct server_notify *notify, const char *status)
{
    snprintf(notify->state, sizeof(notify->state), "READY=1\nSTATUS=%s",
             status);
    tell_state(notify);
    start_watchdog(notify);
}

/* The time lets the manager tell this reload's READY from a former one's; it
 * is CLOCK_MONOTONIC, which uv_hrtime reads. */
void server_notify_reloading(struct server_notify *notify)
{
    snprintf(notify->state, sizeof(notify->state),
             "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Reloading",
             uv_hrtime() / 1000);
    tell_state(notify);
}

void server_notify_stopping(struct server_notify *notify, uint64_t drain_ms)
{
    if (notify->is_over)
        return;
    snprintf(notify->state, sizeof(notify->state),
             "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64
             "\nSTATUS=Draining for at most %" PRIu64 " s",
             (drain_ms + LAST_MOMENTS_MS) * US_PER_MS, (drain_ms + 999) / 1000);
    tell_state(notify);
}

void server_notify_hand_over(struct server_notify *notify, pid_t successor)
{
    uv_timer_stop(&notify->watchdog);
    snprintf(notify->state, sizeof(notify->state), "MAINPID=%ld",
             (long)successor);
    tell_state(notify);
    notify->is_over = true;
}

void server_notify_stop(struct server_notify *notify)
{
    uv_close((uv_handle_t *)&notify->watchdog, NULL);
    uv_close((uv_handle_t *)&notify->retry, NULL);
}

void server_notify_close(struct server_notify *notify)
{
    notify_close(&notify->line);
}
