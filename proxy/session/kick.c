#include "session/kick.h"

#include "base/clock.h"
#include "session/drain.h"
#include "session/registry.h"
#include "session/session.h"

#include <stdlib.h>
#include <string.h>

enum {
    STEP_MS = 100
};

struct running_kick {
    struct running_kick *next;
    struct kick *kick;
    uint64_t started_ms;
    size_t total; /* sessions that it meant when it began */
    size_t ended;
};

static void on_timer(struct wheel_timer *timer);

struct kick *kick_copy(const struct kick *kick)
{
    struct kick *copy = mem_alloc(sizeof(*copy));

    *copy = *kick;
    copy->backend = kick->backend == NULL ? NULL : mem_strdup(kick->backend);
    copy->at = kick->at == NULL ? NULL : backend_ref(kick->at);
    return copy;
}

void kick_free(struct kick **kick)
{
    struct kick *mine = *kick;

    *kick = NULL;
    if (mine == NULL)
        return;
    free(mine->backend);
    backend_unref(&mine->at);
    free(mine);
}

bool kick_matches(const struct kick *kick, const struct session *session)
{
    const struct backend *backend = session_backend(session);
    const char *user = session_user(session);

    if (session_is_ending(session) ||
        (kick->spares_seekers && session_is_seeking(session)) ||
        (kick->at != NULL && backend != kick->at))
        return false;
    if (kick->user[0] != '\0' &&
        (user == NULL || strcmp(user, kick->user) != 0))
        return false;
    if (kick->backend == NULL)
        return kick->user[0] != '\0';
    return backend != NULL &&
           strcmp(backend_name(backend), kick->backend) == 0 &&
           (!kick->while_in_maintenance ||
            backend_mode(backend) == BACKEND_MAINTENANCE);
}

static bool is_quiet(const struct session *session)
{
    return session_is_spliced(session) &&
           session_quiet_ms(session) >= DRAIN_QUIET_MS;
}

static size_t count_meant(const struct kicks *kicks, const struct kick *kick)
{
    struct registry_node *node = NULL;
    size_t count = 0;

    while ((node = registry_next(kicks->env->registry, node)) != NULL)
        count += kick_matches(kick, session_of_node(node)) ? 1 : 0;
    return count;
}

/* Oldest first; returns how many were ended. */
static size_t end_some(struct kicks *kicks, const struct kick *kick,
                       bool quiet_ones, size_t most)
{
    struct registry *registry = kicks->env->registry;
    struct registry_node *node = registry_next(registry, NULL);
    size_t ended = 0;

    while (node != NULL && ended < most) {
        struct session *session = session_of_node(node);

        node = registry_next(registry, node);
        if (!kick_matches(kick, session) || (quiet_ones && !is_quiet(session)))
            continue;
        session_end(session, kick->reason, SESSION_KICKED);
        if (kick->spares_seekers)
            session_cut_backend(session);
        ended++;
    }
    return ended;
}

static size_t due(const struct running_kick *running, uint64_t passed_ms)
{
    uint64_t spread_ms = running->kick->spread_ms;

    if (passed_ms >= spread_ms)
        return SIZE_MAX;
    return (size_t)(running->total * passed_ms / spread_ms);
}

/* False: it is done. */
static bool step(struct kicks *kicks, struct running_kick *running)
{
    uint64_t passed_ms = clock_now_ms() - running->started_ms;
    size_t wanted = due(running, passed_ms);

    if (wanted > running->ended && passed_ms < running->kick->spread_ms)
        running->ended +=
            end_some(kicks, running->kick, true, wanted - running->ended);
    if (wanted > running->ended)
        running->ended +=
            end_some(kicks, running->kick, false, wanted - running->ended);
    return passed_ms < running->kick->spread_ms;
}

static void drop(struct running_kick *running)
{
    kick_free(&running->kick);
    free(running);
}

static void step_all(struct kicks *kicks)
{
    struct running_kick **link = &kicks->first;

    while (*link != NULL) {
        struct running_kick *running = *link;

        if (step(kicks, running)) {
            link = &running->next;
            continue;
        }
        *link = running->next;
        drop(running);
    }
}

static void on_timer(struct wheel_timer *timer)
{
    struct kicks *kicks =
        (struct kicks *)(void *)((char *)timer - offsetof(struct kicks, timer));

    step_all(kicks);
    if (kicks->first != NULL)
        io_arm(&kicks->env->io, &kicks->timer, STEP_MS);
}

void kicks_init(struct kicks *kicks, struct env *env)
{
    *kicks = (struct kicks){.env = env};
    wheel_timer_init(&kicks->timer, on_timer);
}

void kicks_take(struct kicks *kicks, struct kick *kick)
{
    struct running_kick *running = mem_zalloc(sizeof(*running));

    running->kick = kick;
    running->started_ms = clock_now_ms();
    running->total = count_meant(kicks, kick);
    if (!step(kicks, running)) {
        drop(running);
        return;
    }
    running->next = kicks->first;
    kicks->first = running;
    if (!wheel_timer_is_armed(&kicks->timer))
        io_arm(&kicks->env->io, &kicks->timer, STEP_MS);
}

void kicks_deinit(struct kicks *kicks)
{
    io_disarm(&kicks->env->io, &kicks->timer);
    while (kicks->first != NULL) {
        struct running_kick *running = kicks->first;

        kicks->first = running->next;
        drop(running);
    }
}
