#include "certificate_watch.h"

#include "state/ticket_key_files.h"

enum {
    DAY_S = 24 * 60 * 60
};

/* A gauge is a sum of steps, up or down. */
static void set(struct counters *counters, enum counter counter, unsigned was,
                unsigned now)
{
    counters_add(counters, counter, (uint64_t)now - was);
}

static void count(struct certificate_watch *watch,
                  const struct snapshot *snapshot, struct counters *counters,
                  int64_t now_s)
{
    const struct certificate_tally was = watch->counted;
    const struct certificate_tally now =
        certificate_dates_tally(snapshot, now_s);

    set(counters, COUNTER_CERTIFICATES_EXPIRED, was.expired, now.expired);
    set(counters, COUNTER_CERTIFICATES_EXPIRING, was.expiring, now.expiring);
    set(counters, COUNTER_CERTIFICATES_NAMELESS, was.nameless, now.nameless);
    watch->counted = now;
}

void certificate_watch_follow(struct certificate_watch *watch,
                              const struct snapshot *snapshot,
                              struct counters *counters, int64_t now_s)
{
    count(watch, snapshot, counters, now_s);
    watch->warned_s = now_s;
}

void certificate_watch_look(struct certificate_watch *watch,
                            const struct snapshot *snapshot,
                            struct counters *counters, int64_t now_s,
                            struct reasons *reasons)
{
    count(watch, snapshot, counters, now_s);
    if (now_s - watch->warned_s < DAY_S)
        return;
    certificate_dates_warn(snapshot, now_s, reasons);
    ticket_key_files_warn(snapshot->settings, snapshot->ticket_key_made, now_s,
                          reasons);
    watch->warned_s = now_s;
}
