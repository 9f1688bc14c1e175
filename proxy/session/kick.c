#include "session/kick.h"

#include "base/clock.h"
#include "session/session.h"

#include <stdlib.h>
#include <string.h>

enum {
    STEP_MS = 100
};

/* What a running kick does in a sweep. */
enum part {
    PART_NONE, /* it is ahead of its time, or came while the sweep ran */
    PART_COUNT,
    PART_QUIET, /* ends quiet ones, as many as are due */
    PART_ANY
};

struct running_kick {
    struct running_kick *next;
    struct kick *kick;
    uint64_t started_ms;
    uint64_t newest; /* number of a session when it began */
    size_t total;    /* sessions that it meant then */
    size_t ended;
    size_t due; /* of all, in this sweep */
    enum part part;
    bool is_counted;
    bool wants_any; /* too few were quiet */
    bool is_last;
};

static void on_timer(struct wheel_timer *timer);
static bool on_session(struct sweep *sweep, struct session *session);
static void on_swept(struct sweep *sweep, bool is_whole);

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

static size_t due(const struct running_kick *running, uint64_t passed_ms)
{
    uint64_t spread_ms = running->kick->spread_ms;

    if (passed_ms >= spread_ms)
        return SIZE_MAX;
    return (size_t)(running->total * passed_ms / spread_ms);
}

static enum part choose_part(const struct running_kick *running)
{
    if (running->is_last)
        return PART_ANY;
    if (!running->is_counted)
        return PART_COUNT;
    if (running->due <= running->ended)
        return PART_NONE;
    return running->wants_any ? PART_ANY : PART_QUIET;
}

static void join_sweep(struct kicks *kicks, struct running_kick *running)
{
    uint64_t passed_ms = clock_now_ms() - running->started_ms;

    running->is_last = passed_ms >= running->kick->spread_ms;
    running->due = due(running, passed_ms);
    running->part = choose_part(running);
    if (running->part == PART_COUNT)
        running->due = SIZE_MAX;
    kicks->at_work += running->part == PART_NONE ? 0 : 1;
}

/* One sweep serves all that have something to do. */
static void begin_sweep(struct kicks *kicks)
{
    struct running_kick *running;

    if (kicks->is_sweeping)
        return;
    kicks->at_work = 0;
    for (running = kicks->first; running != NULL; running = running->next)
        join_sweep(kicks, running);
    kicks->is_sweeping = kicks->at_work > 0;
    if (kicks->is_sweeping)
        sweeps_add(kicks->env->sweeps, &kicks->sweep);
    else if (kicks->first != NULL)
        io_arm(&kicks->env->io, &kicks->timer, STEP_MS);
}

static void end_one(struct kicks *kicks, struct running_kick *running,
                    struct session *session)
{
    session_end(session, running->kick->reason, SESSION_KICKED);
    if (running->kick->spares_seekers)
        session_cut_backend(session);
    if (++running->ended == running->due)
        kicks->at_work--;
}

/* Who comes afterwards is spared, but where nobody may come. */
static bool means(const struct running_kick *running,
                  const struct session *session)
{
    return (running->kick->while_in_maintenance ||
            session_number(session) <= running->newest) &&
           kick_matches(running->kick, session);
}

/* A failed login is worse than a short session: who is logging in has the whole
 * time for it. */
static bool may_end(const struct running_kick *running,
                    const struct session *session)
{
    if (running->part == PART_QUIET)
        return session_is_quiet(session);
    return running->is_last || session_is_spliced(session);
}

static void look(struct kicks *kicks, struct running_kick *running,
                 struct session *session)
{
    if (running->part == PART_NONE || running->ended >= running->due ||
        !means(running, session))
        return;
    if (running->part == PART_COUNT)
        running->total++;
    else if (may_end(running, session))
        end_one(kicks, running, session);
}

static struct kicks *kicks_of_sweep(struct sweep *sweep)
{
    return (struct kicks *)(void *)((char *)sweep -
                                    offsetof(struct kicks, sweep));
}

static bool on_session(struct sweep *sweep, struct session *session)
{
    struct kicks *kicks = kicks_of_sweep(sweep);
    struct running_kick *running;

    for (running = kicks->first; running != NULL; running = running->next)
        look(kicks, running, session);
    return kicks->at_work > 0;
}

static void drop(struct running_kick *running)
{
    kick_free(&running->kick);
    free(running);
}

/* False: it is done. */
static bool leave_sweep(struct running_kick *running)
{
    enum part part = running->part;

    running->part = PART_NONE;
    running->is_counted |= part == PART_COUNT;
    running->wants_any = part == PART_QUIET && running->ended < running->due;
    return part == PART_NONE || !running->is_last;
}

static bool all_leave_sweep(struct kicks *kicks)
{
    struct running_kick **link = &kicks->first;
    bool goes_on = false;

    while (*link != NULL) {
        struct running_kick *running = *link;

        if (leave_sweep(running)) {
            goes_on |= running->wants_any || !running->is_counted;
            link = &running->next;
            continue;
        }
        *link = running->next;
        drop(running);
    }
    return goes_on;
}

static void on_swept(struct sweep *sweep, bool is_whole)
{
    struct kicks *kicks = kicks_of_sweep(sweep);

    kicks->is_sweeping = false;
    if (!is_whole)
        return;
    if (all_leave_sweep(kicks))
        begin_sweep(kicks);
    else if (kicks->first != NULL)
        io_arm(&kicks->env->io, &kicks->timer, STEP_MS);
}

static void on_timer(struct wheel_timer *timer)
{
    begin_sweep((struct kicks *)(void *)((char *)timer -
                                         offsetof(struct kicks, timer)));
}

void kicks_init(struct kicks *kicks, struct env *env)
{
    *kicks = (struct kicks){.env = env,
                            .sweep = {.visit = on_session, .end = on_swept}};
    wheel_timer_init(&kicks->timer, on_timer);
}

void kicks_take(struct kicks *kicks, struct kick *kick)
{
    struct running_kick *running = mem_zalloc(sizeof(*running));

    running->kick = kick;
    running->started_ms = clock_now_ms();
    running->newest = kicks->env->sessions_made;
    running->next = kicks->first;
    kicks->first = running;
    begin_sweep(kicks);
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
