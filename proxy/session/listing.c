#include "session/listing.h"

#include "session/session_private.h"

#include <stdlib.h>
#include <string.h>

static bool is_meant(const struct listing *listing,
                     const struct session *session)
{
    bool means_all =
        listing->whom.user[0] == '\0' && listing->whom.backend == NULL;

    if (session->facts.number <= listing->after)
        return false;
    return means_all ? !session_is_ending(session)
                     : kick_matches(&listing->whom, session);
}

static const char *state_text(enum session_state state)
{
    switch (state) {
    case SESSION_ACCEPTED:
        return "accepted";
    case SESSION_HANDSHAKE:
        return "handshake";
    case SESSION_COMMAND:
        return "command";
    case SESSION_ATTEMPT:
        return "login";
    case SESSION_SPLICE:
        return "spliced";
    case SESSION_ENDING:
        return "ending";
    }
    return "";
}

static void describe(const struct session *session, struct session_row *row)
{
    const struct backend *backend = session_backend(session);
    const char *user = session_user(session);
    bool is_spliced = session_is_spliced(session);

    *row = (struct session_row){
        .number = session->facts.number,
        .worker = session->env->worker,
        .state = state_text(session->state),
        .user = user == NULL || *user == '\0' ? NULL : mem_strdup(user),
        .backend = backend == NULL ? NULL : mem_strdup(backend_name(backend)),
        .peer = session->facts.peer,
        .is_secure = session->facts.tls_version != 0,
        .age_ms = session_age_ms(session),
        .quiet_ms = is_spliced ? session_quiet_ms(session) : 0,
        .to_client = session->splice.to_client,
        .to_backend = session->splice.to_backend,
    };
}

static void free_row(struct session_row *row)
{
    free(row->user);
    free(row->backend);
}

/* Where a row of this number belongs, or is already: who logs in meanwhile may
 * be met twice. The sweep's order is nearly that of the numbers, so that most
 * go to the end, or nowhere once it is full. */
static size_t place_of(const struct listing *listing, uint64_t number)
{
    size_t at = listing->count;

    while (at > 0 && listing->rows[at - 1].number >= number)
        at--;
    return at;
}

static void make_room(struct listing *listing, size_t at)
{
    struct session_row *rows = listing->rows;

    if (listing->count == listing->limit)
        free_row(&rows[--listing->count]);
    memmove(&rows[at + 1], &rows[at],
            (listing->count - at) * sizeof(struct session_row));
    listing->count++;
}

static void insert(struct listing *listing, const struct session *session)
{
    uint64_t number = session->facts.number;
    size_t at = place_of(listing, number);

    if (at < listing->count && listing->rows[at].number == number) {
        free_row(&listing->rows[at]);
        describe(session, &listing->rows[at]);
        return;
    }
    listing->matches++;
    if (at == listing->limit)
        return;
    make_room(listing, at);
    describe(session, &listing->rows[at]);
}

static struct listing *listing_of_sweep(struct sweep *sweep)
{
    return (struct listing *)(void *)((char *)sweep -
                                      offsetof(struct listing, sweep));
}

static bool on_session(struct sweep *sweep, struct session *session)
{
    struct listing *listing = listing_of_sweep(sweep);

    if (is_meant(listing, session))
        insert(listing, session);
    return true;
}

static void on_swept(struct sweep *sweep, bool is_whole)
{
    struct listing *listing = listing_of_sweep(sweep);

    listing->done(listing, is_whole, listing->owner);
}

void listing_fill(struct listing *listing, struct env *env, listing_done *done,
                  void *owner)
{
    listing->rows = mem_alloc(listing->limit * sizeof(*listing->rows));
    listing->sweep = (struct sweep){.visit = on_session, .end = on_swept};
    listing->done = done;
    listing->owner = owner;
    sweeps_add(env->sweeps, &listing->sweep);
}

void listing_deinit(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        free_row(&listing->rows[i]);
    free(listing->rows);
    free(listing->whom.backend);
    *listing = (struct listing){.count = 0};
}
