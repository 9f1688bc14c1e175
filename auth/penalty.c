#include "auth/penalty.h"

unsigned penalty_failures(const struct penalty *penalty, uint64_t now_ms)
{
    uint64_t passed_ms =
        now_ms > penalty->since_ms ? now_ms - penalty->since_ms : 0;
    uint64_t forgiven = passed_ms / PENALTY_FORGIVEN_AFTER_MS;

    return forgiven >= penalty->failures
               ? 0
               : penalty->failures - (unsigned)forgiven;
}

uint64_t penalty_delay_ms(unsigned failures, uint64_t max_ms)
{
    static const uint16_t delays_ms[] = {0, 2000, 4000, 8000,
                                         PENALTY_DELAY_MAX_MS};
    enum {
        LAST = sizeof(delays_ms) / sizeof(*delays_ms) - 1
    };
    uint64_t delay_ms = delays_ms[failures < LAST ? failures : LAST];

    return delay_ms < max_ms ? delay_ms : max_ms;
}

uint64_t penalty_next_turn(uint64_t last_ms, unsigned failures, uint64_t max_ms,
                           uint64_t now_ms)
{
    uint64_t from_ms = last_ms > now_ms ? last_ms : now_ms;
    uint64_t turn_ms = from_ms + penalty_delay_ms(failures, max_ms);

    return turn_ms - now_ms > max_ms ? PENALTY_NEVER : turn_ms;
}

uint64_t penalty_take_turn(struct penalty *penalty, unsigned ahead,
                           uint64_t max_ms, uint64_t now_ms)
{
    unsigned failures = penalty_failures(penalty, now_ms);
    uint64_t turn_ms;

    if (failures == 0)
        return now_ms;
    turn_ms =
        penalty_next_turn(penalty->turn_ms, failures + ahead, max_ms, now_ms);
    if (turn_ms != PENALTY_NEVER)
        penalty->turn_ms = turn_ms;
    return turn_ms;
}

static bool is_known(const struct penalty *penalty, uint32_t secret)
{
    for (unsigned i = 0; i < PENALTY_SECRETS; i++) {
        if (penalty->secrets[i] == secret)
            return true;
    }
    return false;
}

/* The minute that has begun since the last one was forgiven goes on. */
static void forgive(struct penalty *penalty, uint64_t now_ms)
{
    unsigned left = penalty_failures(penalty, now_ms);

    if (left == 0)
        penalty->since_ms = now_ms;
    else
        penalty->since_ms +=
            (uint64_t)(penalty->failures - left) * PENALTY_FORGIVEN_AFTER_MS;
    penalty->failures = (uint8_t)left;
}

static void remember(struct penalty *penalty, uint32_t secret)
{
    penalty->secrets[penalty->next_secret] = secret;
    penalty->next_secret =
        (uint8_t)((penalty->next_secret + 1u) % PENALTY_SECRETS);
}

bool penalty_fail(struct penalty *penalty, uint32_t secret, uint64_t now_ms)
{
    if (secret != 0 && is_known(penalty, secret))
        return false;
    if (secret != 0)
        remember(penalty, secret);
    forgive(penalty, now_ms);
    if (penalty->failures < PENALTY_FAILURES_MAX)
        penalty->failures++;
    return true;
}

bool penalty_is_blank(const struct penalty *penalty, uint64_t now_ms)
{
    return penalty_failures(penalty, now_ms) == 0 && penalty->secrets[0] == 0;
}
