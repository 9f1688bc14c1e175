#include "state/heritage_book_parts.h"

#include "backend/backend_memory.h"
#include "base/clock.h"

static struct inherited_sessions *sessions_of(struct heritage_book *book,
                                              struct backend *backend)
{
    for (size_t i = 0; i < book->session_places; i++) {
        if (book->sessions[i].backend == backend)
            return &book->sessions[i];
    }
    book->sessions = mem_realloc_array(book->sessions, book->session_places + 1,
                                       sizeof(*book->sessions));
    book->sessions[book->session_places] =
        (struct inherited_sessions){.backend = backend_ref(backend)};
    return &book->sessions[book->session_places++];
}

static void drop_sessions(struct heritage_book *book,
                          struct inherited_sessions *sessions)
{
    backend_unref(&sessions->backend);
    *sessions = book->sessions[--book->session_places];
}

bool heritage_take_sessions(struct heritage_book *book,
                            struct wire_reader *reader)
{
    struct backend *backend = wire_get_place(reader, book->parts.registry);
    uint32_t count = wire_get_count(reader);
    struct inherited_sessions *sessions;

    if (!wire_is_whole(reader) || backend == NULL ||
        book->session_places == HERITAGE_PLACES_MAX) {
        backend_unref(&backend);
        return false;
    }
    sessions = sessions_of(book, backend);
    backend_add_sessions(backend, count);
    backend_drop_sessions(backend, sessions->count);
    sessions->count = count;
    if (count == 0)
        drop_sessions(book, sessions);
    backend_unref(&backend);
    return true;
}

static bool leave_home(struct heritage_book *book, uint64_t key,
                       uint32_t arrived, uint32_t seekers)
{
    if (!tally_take(&book->homes, key, arrived, seekers))
        return false;
    homes_drop(book->parts.homes, key, arrived, seekers);
    return true;
}

static bool add_count(struct heritage_book *book, uint64_t hash)
{
    if (!tally_add(&book->counts, hash, 1, 0))
        return false;
    limits_add(book->parts.limits, hash, 1);
    return true;
}

static bool drop_count(struct heritage_book *book, uint64_t hash)
{
    if (!tally_take(&book->counts, hash, 1, 0))
        return false;
    limits_drop(book->parts.limits, hash, 1);
    return true;
}

bool heritage_take_news(struct heritage_book *book, struct wire_reader *reader)
{
    uint8_t news = wire_get_u8(reader);
    uint64_t key = wire_get_u64(reader);
    uint64_t user = wire_get_u64(reader);
    uint32_t secret = wire_get_u32(reader);

    if (reader->is_bad)
        return false;
    switch (news) {
    case HEIR_LEFT:
        return leave_home(book, key, 1, 0);
    case HEIR_LEFT_EARLY:
        return leave_home(book, key, 0, 1);
    case HEIR_COUNTED:
        return add_count(book, key);
    case HEIR_UNCOUNTED:
        return drop_count(book, key);
    case HEIR_LOGIN_FAILED:
        penalties_hear(book->parts.penalties, key, user, secret,
                       clock_now_ms());
        return true;
    default: /* a byte of the wire, no enum yet */
        return false;
    }
}
