/* One user, one backend: which of them an attempt goes to. */
#include "base/clock.h"
#include "session/attempt_private.h"
#include "session/kick.h"
#include "session/parting.h"

#include <string.h>

/* How long a user's other sessions may take to go before one elsewhere begins,
 * which is a little longer than any that is ending takes; and how often we look
 * whether they have. */
enum {
    MOVE_MAX_MS = PARTING_MAX_MS + 1000,
    MOVE_LOOK_MS = 20
};

static bool has_home(const struct attempt *attempt)
{
    return attempt->route.pool->one_backend_per_user &&
           attempt->identity.user_len > 0;
}

/* Of the pool that the user has now; NULL: the home is none of its. */
static const struct backend_config *find_home(const struct attempt *attempt)
{
    const struct pool *pool = attempt->route.pool;

    for (size_t i = 0; i < pool->backend_count; i++) {
        if (backend_set_find(attempt->snapshot->backends, pool->backends[i]) ==
            attempt->home.at)
            return pool->backends[i];
    }
    return NULL;
}

/* No password was checked yet: a stranger who knows a name shall not end its
 * sessions, nor one whose table is of yesterday. But where the operator has
 * ended them already, by moving the user or by maintenance, nobody is harmed;
 * and who is at home at the address is the user, as far as one can know. */
static bool may_close_others(const struct attempt *attempt,
                             const struct backend_config *home)
{
    if (attempt->snapshot != attempt->env->snapshot)
        return false;
    return home == NULL ||
           backend_mode(attempt->home.at) == BACKEND_MAINTENANCE ||
           (attempt_is_by_the_user(attempt) &&
            penalties_is_at_home(attempt->env->penalties, &attempt->claim,
                                 clock_now_ms()));
}

/* Whether the user has to go elsewhere, even if sessions must be closed for
 * that. What is only full, or failed once, is no reason. */
static bool must_leave(const struct attempt *attempt,
                       const struct backend_config *home)
{
    if (home == NULL || backend_mode(attempt->home.at) == BACKEND_MAINTENANCE)
        return true;
    /* One that only drains to its end can take a session more. */
    if (home->weight == 0)
        return may_close_others(attempt, home);
    return attempt->route.pool->when_down == POOL_NEXT &&
           backend_state(attempt->home.at) == BACKEND_DOWN;
}

/* Whether a password is enough for what a name is not: where the backend is
 * down nobody can show it there, and its sessions may be dead for hours to
 * come. It is shown at the new place, of which nothing is asked until the
 * others are closed. */
static bool may_prove_first(const struct attempt *attempt,
                            const struct backend_config *home)
{
    return home != NULL && home->weight > 0 &&
           attempt->snapshot == attempt->env->snapshot &&
           attempt_is_by_the_user(attempt) &&
           backend_state(attempt->home.at) == BACKEND_DOWN;
}

static void go_to(struct attempt *attempt, const struct backend_config *config)
{
    attempt->target = snapshot_target(attempt->snapshot, config);
}

/* What was picked before is free to be picked again. */
static void stay_at(struct attempt *attempt, const struct backend_config *home)
{
    pick_start(&attempt->pick, attempt->route.pool, attempt->snapshot->backends,
               (const uint8_t *)attempt->identity.user,
               attempt->identity.user_len);
    pick_pass(&attempt->pick, home);
    attempt->is_at_home = true;
    go_to(attempt, home);
}

/* Those logging in there are meant as well, but not who has sent no
 * credentials. */
static void close_others(struct attempt *attempt)
{
    struct kick kick = {
        .at = attempt->home.at, .reason = "moved", .spares_seekers = true};

    memcpy(kick.user, attempt->identity.user, attempt->identity.user_len + 1);
    attempt->has_kicked = true;
    attempt->env->kick(&kick, attempt->env->kick_owner);
}

static enum home_answer look_again(struct attempt *attempt)
{
    attempt->stage = ATTEMPT_MOVE;
    io_arm(&attempt->env->io, &attempt->timer, MOVE_LOOK_MS);
    return HOME_WAIT;
}

static enum home_answer wait_for_others(struct attempt *attempt)
{
    const struct backend_config *home = find_home(attempt);

    if (attempt->has_kicked || !must_leave(attempt, home))
        return look_again(attempt);
    if (may_close_others(attempt, home)) {
        close_others(attempt);
    } else if (may_prove_first(attempt, home)) {
        attempt->proves_first = true;
        attempt->is_at_home = false;
        go_to(attempt, attempt->wanted);
        return HOME_THERE;
    }
    return look_again(attempt);
}

static enum home_answer follow(struct attempt *attempt)
{
    const struct backend_config *home = find_home(attempt);

    if (home == NULL || must_leave(attempt, home))
        return HOME_NONE;
    stay_at(attempt, home);
    return HOME_THERE;
}

static enum home_answer move(struct attempt *attempt)
{
    const struct link_target *to =
        snapshot_target(attempt->snapshot, attempt->wanted);

    switch (homes_move(attempt->env->homes, &attempt->home, to->facts)) {
    case HOMES_MOVED:
        attempt->is_at_home = false;
        attempt->target = to;
        return HOME_THERE;
    case HOMES_ELSEWHERE:
        return follow(attempt);
    case HOMES_WAIT:
        break;
    }
    return wait_for_others(attempt);
}

static enum home_answer begin_move(struct attempt *attempt,
                                   const struct backend_config *wanted)
{
    if (wanted == NULL)
        return HOME_NONE;
    attempt->wanted = wanted;
    attempt->has_kicked = false;
    attempt->move_until_ms = clock_now_ms() + MOVE_MAX_MS;
    return move(attempt);
}

static enum home_answer enter(struct attempt *attempt,
                              const struct backend_config *wanted)
{
    struct backend *facts =
        wanted == NULL ? NULL
                       : snapshot_target(attempt->snapshot, wanted)->facts;
    const struct backend_config *home;

    if (!homes_enter(attempt->env->homes,
                     (const uint8_t *)attempt->identity.user,
                     attempt->identity.user_len, facts, &attempt->home))
        return HOME_NONE;
    if (attempt->home.at == facts) {
        go_to(attempt, wanted);
        return HOME_THERE;
    }
    home = find_home(attempt);
    if (must_leave(attempt, home))
        return begin_move(attempt, wanted);
    stay_at(attempt, home);
    return HOME_THERE;
}

bool attempt_arrive(struct attempt *attempt)
{
    if (attempt->proves_first)
        return true;
    attempt->is_astray = attempt->home.at != NULL &&
                         !homes_arrive(attempt->env->homes, &attempt->home);
    return !attempt->is_astray;
}

enum home_answer attempt_go_home(struct attempt *attempt,
                                 const struct backend_config *wanted)
{
    bool is_astray = attempt->is_astray;

    attempt->is_astray = false;
    attempt->proves_first = false;
    if (is_astray)
        return follow(attempt);
    if (has_home(attempt))
        return attempt->home.at == NULL ? enter(attempt, wanted)
                                        : begin_move(attempt, wanted);
    if (wanted == NULL)
        return HOME_NONE;
    go_to(attempt, wanted);
    return HOME_THERE;
}

enum home_answer attempt_move_on(struct attempt *attempt)
{
    enum home_answer answer;

    if (clock_now_ms() >= attempt->move_until_ms)
        return HOME_NONE;
    answer = move(attempt);
    if (answer == HOME_THERE)
        attempt->stage = ATTEMPT_ASK;
    return answer;
}

/* The home may have moved meanwhile, by another login of the same user. */
enum home_answer attempt_move_in(struct attempt *attempt)
{
    struct backend *here = attempt->target->facts;

    if (!attempt->has_kicked) {
        attempt->move_until_ms = clock_now_ms() + MOVE_MAX_MS;
        close_others(attempt);
    }
    switch (homes_move(attempt->env->homes, &attempt->home, here)) {
    case HOMES_MOVED:
    case HOMES_ELSEWHERE:
        break;
    case HOMES_WAIT:
        return clock_now_ms() < attempt->move_until_ms ? look_again(attempt)
                                                       : HOME_NONE;
    }
    return attempt->home.at == here &&
                   homes_arrive(attempt->env->homes, &attempt->home)
               ? HOME_THERE
               : HOME_NONE;
}
