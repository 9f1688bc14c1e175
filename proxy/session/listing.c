#include "session/listing.h"

#include "session/session_private.h"

#include <stdlib.h>

/* The lowest numbers so far, in order. */
struct lowest {
    const struct session **sessions;
    size_t count;
    size_t limit;
};

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

/* The registry's order is nearly that of the numbers, so that most go to the
 * end, or nowhere once it is full. */
static void insert(struct lowest *lowest, const struct session *session)
{
    uint64_t number = session->facts.number;
    size_t at = lowest->count;

    while (at > 0 && lowest->sessions[at - 1]->facts.number > number)
        at--;
    if (at == lowest->limit)
        return;
    if (lowest->count < lowest->limit)
        lowest->count++;
    for (size_t i = lowest->count - 1; i > at; i--)
        lowest->sessions[i] = lowest->sessions[i - 1];
    lowest->sessions[at] = session;
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

static void describe_all(struct listing *listing, const struct lowest *lowest)
{
    listing->rows = mem_alloc(lowest->count * sizeof(*listing->rows));
    listing->count = lowest->count;
    for (size_t i = 0; i < lowest->count; i++)
        describe(lowest->sessions[i], &listing->rows[i]);
}

void listing_fill(struct listing *listing, struct env *env)
{
    struct registry_node *node = NULL;
    struct lowest lowest = {.limit = listing->limit};

    lowest.sessions = mem_alloc(listing->limit * sizeof(struct session *));
    while ((node = registry_next(env->registry, node)) != NULL) {
        const struct session *session = session_of_node(node);

        if (!is_meant(listing, session))
            continue;
        listing->matches++;
        insert(&lowest, session);
    }
    describe_all(listing, &lowest);
    free(lowest.sessions);
}

void listing_deinit(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        free(listing->rows[i].user);
        free(listing->rows[i].backend);
    }
    free(listing->rows);
    free(listing->whom.backend);
    *listing = (struct listing){.count = 0};
}
