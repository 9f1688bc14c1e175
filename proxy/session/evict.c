#include "session/evict.h"

#include "session/registry.h"

/* How many are looked at for one that may go: those of exempt networks may
 * not. */
enum {
    LOOKS = 64
};

static bool may_go(const struct session *session)
{
    return session_age_ms(session) >= EVICT_AGE_MS;
}

static void evict(struct env *env, struct session *session)
{
    counters_add(env->counters, COUNTER_EVICTED, 1);
    session_cut_short(session);
    session_end(session, "evicted",
                "[UNAVAILABLE] Too many connections, try again later.");
    /* Its place is wanted now, not when a slow peer has heard all of it. */
    session_abort(session, "evicted");
}

bool evict_for_quota(struct env *env)
{
    struct registry_node *node = registry_first_before_login(env->registry);

    for (unsigned i = 0; i < LOOKS && node != NULL; i++) {
        struct session *session = session_of_node(node);

        if (!may_go(session))
            return false;
        if (!session_is_exempt(session)) {
            evict(env, session);
            return true;
        }
        node = registry_next(env->registry, node);
    }
    return false;
}

bool evict_for_newcomer(struct env *env, const struct session *newcomer)
{
    struct registry_node *node = registry_first_before_login(env->registry);

    for (unsigned i = 0; i < LOOKS && node != NULL; i++) {
        struct session *session = session_of_node(node);

        if (session != newcomer && session_is_counted_before_login(session)) {
            if (!may_go(session))
                return false;
            evict(env, session);
            return true;
        }
        node = registry_next(env->registry, node);
    }
    return false;
}
