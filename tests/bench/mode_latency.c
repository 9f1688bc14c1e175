/* Mode latency: connections that are logged in say NOOP, one after the other
 * on each, and the time to each answer is kept. */
#include "crowd.h"
#include "mode.h"
#include "percentiles.h"

#include <inttypes.h>

struct latency {
    struct crowd crowd;
    struct percentiles percentiles;
    unsigned asked; /* NOOPs of this batch */
    unsigned done;
};

static void begin(void *owner);
static bool ask(void *owner, struct member *member);
static void take(void *owner, struct member *member);
static void report(void *owner, double seconds);

static const struct crowd_verbs verbs = {begin, ask, take, report};

int mode_latency_run(const struct load_options *options)
{
    static struct latency latency;

    percentiles_init(&latency.percentiles, options->count);
    return crowd_run(&latency.crowd, options, &verbs, &latency);
}

static void begin(void *owner)
{
    struct latency *latency = owner;

    latency->asked = latency->done = 0;
    percentiles_clear(&latency->percentiles);
}

static bool ask(void *owner, struct member *member)
{
    struct latency *latency = owner;

    if (latency->asked == latency->crowd.batch.options->count)
        return false;
    latency->asked++;
    client_command(member->client, "NOOP");
    return true;
}

static void take(void *owner, struct member *member)
{
    struct latency *latency = owner;

    latency->done++;
    percentiles_add(&latency->percentiles, uv_hrtime() - member->asked_ns);
}

static void report(void *owner, double seconds)
{
    struct latency *latency = owner;
    const struct percentiles *percentiles = &latency->percentiles;

    (void)seconds;
    percentiles_sort(&latency->percentiles);
    control_say(
        "done %u failed %u p50 %" PRIu64 " p99 %" PRIu64 " max %" PRIu64,
        latency->done, latency->crowd.batch.options->count - latency->done,
        percentiles_at_us(percentiles, 50), percentiles_at_us(percentiles, 99),
        percentiles_at_us(percentiles, 100));
}
