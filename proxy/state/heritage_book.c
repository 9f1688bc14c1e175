#include "state/heritage_private.h"

#include "backend/backend_memory.h"
#include "base/clock.h"
#include "state/tally.h"

#include <openssl/mem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PLACES_MAX = 1000 * 1000,
    RATE_LATER_MS = 60 * 1000
};

/* A backend by the predecessor's number. */
struct place {
    uint32_t number;
    struct backend *backend;
};

struct inherited_sessions {
    struct backend *backend;
    uint32_t count;
};

struct heritage_book {
    struct handover_parts parts;
    bool is_greeted;
    bool has_keys; /* which what else is given is good for */
    bool is_complete;
    struct place *places; /* from the highest number down */
    size_t place_count;
    struct inherited_sessions *sessions;
    size_t session_places;
    struct tally homes;  /* arrived; seeking */
    struct tally counts; /* of limits */
};

struct heritage_book *heritage_book_new(const struct handover_parts *parts)
{
    struct heritage_book *book = mem_zalloc(sizeof(*book));

    book->parts = *parts;
    return book;
}

static void give_homes_back(struct heritage_book *book)
{
    struct tally_entry entry;
    size_t cursor = 0;

    while (tally_next(&book->homes, &cursor, &entry))
        homes_drop(book->parts.homes, entry.key, entry.ones, entry.others);
    tally_deinit(&book->homes);
}

static void give_counts_back(struct heritage_book *book)
{
    struct tally_entry entry;
    size_t cursor = 0;

    while (tally_next(&book->counts, &cursor, &entry))
        limits_drop(book->parts.limits, entry.key, entry.ones);
    tally_deinit(&book->counts);
}

static void give_sessions_back(struct heritage_book *book)
{
    for (size_t i = 0; i < book->session_places; i++) {
        backend_drop_sessions(book->sessions[i].backend,
                              book->sessions[i].count);
        backend_unref(&book->sessions[i].backend);
    }
    free(book->sessions);
}

void heritage_book_free(struct heritage_book **book)
{
    struct heritage_book *mine = *book;

    *book = NULL;
    if (mine == NULL)
        return;
    give_homes_back(mine);
    give_counts_back(mine);
    give_sessions_back(mine);
    for (size_t i = 0; i < mine->place_count; i++)
        backend_unref(&mine->places[i].backend);
    free(mine->places);
    free(mine);
}

size_t heritage_book_held(const struct heritage_book *book)
{
    return book->homes.used + book->counts.used;
}

/* --- what is given --- */

static bool take_hello(struct heritage_book *book, struct wire_reader *reader,
                       char *why)
{
    uint32_t version = wire_get_u32(reader);

    book->is_greeted = !reader->is_bad && version == WIRE_VERSION;
    if (!book->is_greeted)
        snprintf(why, HANDOVER_WHY_MAX,
                 "the running process hands over by version %u, expected %d",
                 version, WIRE_VERSION);
    return book->is_greeted;
}

/* A bucket that is full later than this would refuse everybody for long. */
static bool is_possible(const struct limits_basis *basis)
{
    return basis->rate_full_at_us / 1000 <= clock_now_ms() + RATE_LATER_MS;
}

static bool take_keys(struct heritage_book *book, struct wire_reader *reader)
{
    struct limits_basis basis;
    uint64_t homes_key[2];
    uint64_t penalties_key[2];

    wire_get(reader, homes_key, sizeof(homes_key));
    wire_get(reader, basis.key, sizeof(basis.key));
    basis.rate_full_at_us = wire_get_u64(reader);
    wire_get(reader, penalties_key, sizeof(penalties_key));
    book->has_keys = wire_is_whole(reader) && is_possible(&basis);
    if (book->has_keys) {
        homes_set_key(book->parts.homes, homes_key);
        limits_set_basis(book->parts.limits, &basis);
        penalties_set_key(book->parts.penalties, penalties_key);
    }
    OPENSSL_cleanse(homes_key, sizeof(homes_key));
    OPENSSL_cleanse(&basis, sizeof(basis));
    OPENSSL_cleanse(penalties_key, sizeof(penalties_key));
    return book->has_keys;
}

static bool take_tickets(struct heritage_book *book, struct wire_reader *reader)
{
    struct ticket_keys_copy copy;
    bool is_good;

    wire_get(reader, copy.keys, sizeof(copy.keys));
    copy.rotated_ms = wire_get_u64(reader);
    is_good = wire_is_whole(reader) && copy.rotated_ms <= clock_now_ms();
    if (is_good)
        ticket_keys_replace(book->parts.tickets, &copy);
    OPENSSL_cleanse(&copy, sizeof(copy));
    return is_good;
}

static enum backend_mode read_mode(struct wire_reader *reader)
{
    switch (wire_get_u8(reader)) {
    case BACKEND_READY:
        return BACKEND_READY;
    case BACKEND_DRAINING:
        return BACKEND_DRAINING;
    case BACKEND_MAINTENANCE:
        return BACKEND_MAINTENANCE;
    default: /* a byte of the wire, no enum yet */
        reader->is_bad = true;
        return BACKEND_READY;
    }
}

static void read_addresses(struct wire_reader *reader,
                           struct backend_memory *out)
{
    out->address_count = wire_get_u8(reader);
    if (out->address_count > BACKEND_ADDRESSES_MAX) {
        reader->is_bad = true;
        out->address_count = 0;
    }
    for (size_t i = 0; i < out->address_count; i++) {
        out->addresses[i].is_ipv6 = wire_get_bool(reader);
        wire_get(reader, out->addresses[i].ip, sizeof(out->addresses[i].ip));
    }
}

static void read_memory(struct wire_reader *reader, struct backend_memory *out)
{
    out->is_failing = wire_get_bool(reader);
    out->failures = wire_get_count(reader);
    out->failed_dials = wire_get_count(reader);
    out->successes = wire_get_count(reader);
    out->retry_at_ms = wire_get_u64(reader);
    out->last_failure_ms = wire_get_u64(reader);
    out->state_since_ms = wire_get_u64(reader);
    wire_get_text(reader, out->state_why, sizeof(out->state_why));
    out->mode = read_mode(reader);
    out->configured_mode = read_mode(reader);
    out->mode_since_ms = wire_get_u64(reader);
    wire_get_text(reader, out->mode_why, sizeof(out->mode_why));
    out->notes = wire_get_u32(reader);
    if (out->notes >= 1u << BACKEND_NOTE_COUNT)
        reader->is_bad = true;
    read_addresses(reader, out);
}

static bool may_follow(const struct heritage_book *book, uint32_t number)
{
    return book->place_count < PLACES_MAX &&
           (book->place_count == 0 ||
            number < book->places[book->place_count - 1].number);
}

static bool take_backend(struct heritage_book *book, struct wire_reader *reader)
{
    struct backend_memory memory = {.is_failing = false};
    uint32_t number = wire_get_u32(reader);
    struct backend *backend = wire_get_place(reader, book->parts.registry);

    read_memory(reader, &memory);
    if (!wire_is_whole(reader) || backend == NULL ||
        !may_follow(book, number)) {
        backend_unref(&backend);
        return false;
    }
    backend_recall(backend, &memory);
    book->places = mem_realloc_array(book->places, book->place_count + 1,
                                     sizeof(*book->places));
    book->places[book->place_count++] = (struct place){number, backend};
    return true;
}

/* NULL: there is none of that number. */
static struct backend *find_place(const struct heritage_book *book,
                                  uint32_t number)
{
    size_t from = 0;
    size_t to = book->place_count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (book->places[middle].number == number)
            return book->places[middle].backend;
        if (book->places[middle].number > number)
            from = middle + 1;
        else
            to = middle;
    }
    return NULL;
}

static bool take_home(struct heritage_book *book, struct wire_reader *reader)
{
    uint64_t key = wire_get_u64(reader);
    struct backend *at = find_place(book, wire_get_u32(reader));
    uint32_t claims = wire_get_count(reader);
    uint32_t seekers = wire_get_count(reader);

    if (reader->is_bad || at == NULL || claims == 0 || seekers > claims ||
        !tally_add(&book->homes, key, claims - seekers, seekers))
        return false;
    if (homes_take(book->parts.homes, key, at, claims, seekers))
        return true;
    (void)!tally_take(&book->homes, key, claims - seekers, seekers);
    return false;
}

static bool take_count(struct heritage_book *book, struct wire_reader *reader)
{
    uint64_t hash = wire_get_u64(reader);
    uint32_t count = wire_get_count(reader);

    if (reader->is_bad || count == 0 ||
        !tally_add(&book->counts, hash, count, 0))
        return false;
    limits_add(book->parts.limits, hash, count);
    return true;
}

static bool take_failing(struct heritage_book *book, struct wire_reader *reader,
                         enum penalties_table table)
{
    struct failing_record record = {.hash = wire_get_u64(reader)};

    record.penalty.since_ms = wire_get_u64(reader);
    record.penalty.turn_ms = wire_get_u64(reader);
    wire_get(reader, record.penalty.secrets, sizeof(record.penalty.secrets));
    record.penalty.failures = wire_get_u8(reader);
    record.penalty.next_secret = wire_get_u8(reader);
    return !reader->is_bad &&
           penalties_add_failing(book->parts.penalties, table, &record,
                                 clock_now_ms());
}

static bool take_failing_address(struct heritage_book *book,
                                 struct wire_reader *reader)
{
    return take_failing(book, reader, PENALTIES_ADDRESSES);
}

static bool take_failing_user(struct heritage_book *book,
                              struct wire_reader *reader)
{
    return take_failing(book, reader, PENALTIES_USERS);
}

static bool take_known(struct heritage_book *book, struct wire_reader *reader)
{
    struct known_record record = {.hash = wire_get_u64(reader)};

    record.seen_s = wire_get_u32(reader);
    record.turn_ms = wire_get_u32(reader);
    return !reader->is_bad &&
           penalties_add_known(book->parts.penalties, &record, clock_now_ms());
}

/* --- what is told --- */

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

static bool take_sessions(struct heritage_book *book,
                          struct wire_reader *reader)
{
    struct backend *backend = wire_get_place(reader, book->parts.registry);
    uint32_t count = wire_get_count(reader);
    struct inherited_sessions *sessions;

    if (!wire_is_whole(reader) || backend == NULL ||
        book->session_places == PLACES_MAX) {
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

static bool take_news(struct heritage_book *book, struct wire_reader *reader)
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

/* --- what is asked --- */

struct question {
    uint32_t sequence;
    uint8_t verb;
    uint64_t key;
    uint32_t max;
    struct backend *at;
    struct backend *wanted;
};

static bool answer_enter(struct heritage_book *book, struct question *question,
                         enum heir_answer *answer_out)
{
    struct home_claim claim = {.at = NULL};

    backend_unref(&question->at);
    *answer_out = HEIR_NO;
    if (!homes_enter_key(book->parts.homes, question->key, question->wanted,
                         &claim))
        return true;
    *answer_out = HEIR_YES;
    if (!tally_add(&book->homes, question->key, 0, 1)) {
        homes_leave(book->parts.homes, &claim);
        return false;
    }
    question->at = claim.at;
    return true;
}

/* The predecessor's, as long as this one borrows it from the question. */
static bool borrow_claim(struct heritage_book *book, struct question *question,
                         struct home_claim *claim)
{
    if (question->at == NULL || !tally_take(&book->homes, question->key, 0, 1))
        return false;
    *claim = (struct home_claim){
        .at = question->at, .key = question->key, .is_seeking = true};
    return true;
}

static bool answer_move(struct heritage_book *book, struct question *question,
                        enum heir_answer *answer_out)
{
    struct home_claim claim;

    if (question->wanted == NULL || !borrow_claim(book, question, &claim))
        return false;
    switch (homes_move(book->parts.homes, &claim, question->wanted)) {
    case HOMES_MOVED:
        *answer_out = HEIR_YES;
        break;
    case HOMES_ELSEWHERE:
        *answer_out = HEIR_NO;
        break;
    case HOMES_WAIT:
        *answer_out = HEIR_WAIT;
        break;
    }
    question->at = claim.at;
    return tally_add(&book->homes, question->key, 0, 1);
}

static bool answer_arrive(struct heritage_book *book, struct question *question,
                          enum heir_answer *answer_out)
{
    struct home_claim claim;
    bool has_arrived;

    if (!borrow_claim(book, question, &claim))
        return false;
    has_arrived = homes_arrive(book->parts.homes, &claim);
    question->at = claim.at;
    *answer_out = has_arrived ? HEIR_YES : HEIR_NO;
    if (claim.at != NULL)
        return tally_add(&book->homes, question->key, has_arrived,
                         !has_arrived);
    *answer_out = HEIR_WAIT; /* our own successor could not be asked */
    return true;
}

static bool answer_count(struct heritage_book *book,
                         const struct question *question,
                         enum heir_answer *answer_out)
{
    bool is_counted =
        limits_count(book->parts.limits, question->key, question->max);

    *answer_out = is_counted ? HEIR_YES : HEIR_NO;
    if (!is_counted || tally_add(&book->counts, question->key, 1, 0))
        return true;
    limits_drop(book->parts.limits, question->key, 1);
    return false;
}

static bool answer_verb(struct heritage_book *book, struct question *question,
                        enum heir_answer *answer_out)
{
    switch (question->verb) {
    case HEIR_ENTER:
        return answer_enter(book, question, answer_out);
    case HEIR_MOVE:
        return answer_move(book, question, answer_out);
    case HEIR_ARRIVE:
        return answer_arrive(book, question, answer_out);
    case HEIR_COUNT:
        return answer_count(book, question, answer_out);
    default: /* a byte of the wire, no enum yet */
        return false;
    }
}

static bool answer(struct heritage_book *book, struct wire_reader *reader,
                   struct wire_writer *out)
{
    struct question question = {.sequence = wire_get_u32(reader)};
    enum heir_answer answer = HEIR_NO;
    bool is_good;

    question.verb = wire_get_u8(reader);
    question.key = wire_get_u64(reader);
    question.max = wire_get_u32(reader);
    question.at = wire_get_place(reader, book->parts.registry);
    question.wanted = wire_get_place(reader, book->parts.registry);
    is_good = wire_is_whole(reader) && answer_verb(book, &question, &answer);
    wire_start(out, WIRE_ANSWER);
    wire_put_u32(out, question.sequence);
    wire_put_u8(out, (uint8_t)answer);
    wire_put_place(out, question.at);
    backend_unref(&question.at);
    backend_unref(&question.wanted);
    return is_good;
}

/* --- each packet --- */

typedef bool take_one(struct heritage_book *book, struct wire_reader *reader);

static bool take_each(struct heritage_book *book, struct wire_reader *reader,
                      take_one *take)
{
    while (wire_has_more(reader)) {
        if (!take(book, reader))
            return false;
    }
    return wire_is_whole(reader);
}

static bool take_gift(struct heritage_book *book, uint8_t kind,
                      struct wire_reader *reader)
{
    switch (kind) {
    case WIRE_TICKETS:
        return take_tickets(book, reader);
    case WIRE_BACKEND:
        return take_backend(book, reader);
    case WIRE_FAILING_ADDRESSES:
        return take_each(book, reader, take_failing_address);
    case WIRE_FAILING_USERS:
        return take_each(book, reader, take_failing_user);
    case WIRE_KNOWN:
        return take_each(book, reader, take_known);
    case WIRE_COUNTS:
        return take_each(book, reader, take_count);
    case WIRE_HOMES:
        return take_each(book, reader, take_home);
    case WIRE_END:
        book->is_complete = wire_is_whole(reader);
        return book->is_complete;
    default: /* a byte of the wire, no enum yet */
        return false;
    }
}

static bool take_packet(struct heritage_book *book, uint8_t kind,
                        struct wire_reader *reader, struct wire_writer *out)
{
    if (!book->has_keys)
        return kind == WIRE_KEYS && take_keys(book, reader);
    switch (kind) {
    case WIRE_NEWS:
        return take_each(book, reader, take_news);
    case WIRE_QUESTION:
        return answer(book, reader, out);
    case WIRE_SESSIONS:
        return take_sessions(book, reader);
    default: /* likewise */
        return !book->is_complete && take_gift(book, kind, reader);
    }
}

static enum heritage_result result_of(uint8_t kind)
{
    if (kind == WIRE_END)
        return HERITAGE_COMPLETE;
    return kind == WIRE_QUESTION ? HERITAGE_ANSWERS : HERITAGE_GOES_ON;
}

enum heritage_result heritage_book_feed(struct heritage_book *book,
                                        const uint8_t *bytes, size_t len,
                                        struct wire_writer *answer,
                                        char why[HANDOVER_WHY_MAX])
{
    struct wire_reader reader;
    uint8_t kind = wire_open(&reader, bytes, len);

    snprintf(why, HANDOVER_WHY_MAX,
             "the running process sent a record of kind %u and %zu bytes that "
             "is unknown or not as expected",
             kind, len);
    if (!book->is_greeted)
        return kind == WIRE_HELLO && take_hello(book, &reader, why) &&
                       wire_is_whole(&reader)
                   ? HERITAGE_GOES_ON
                   : HERITAGE_BAD;
    return take_packet(book, kind, &reader, answer) ? result_of(kind)
                                                    : HERITAGE_BAD;
}
