#include "state/heritage_book_parts.h"

#include "backend/backend_memory.h"
#include "base/clock.h"

#include <openssl/mem.h>

enum {
    RATE_LATER_MS = 60 * 1000
};

/* A bucket that is full later than this would refuse everybody for long. */
static bool is_possible(const struct limits_basis *basis)
{
    return basis->rate_full_at_us / 1000 <= clock_now_ms() + RATE_LATER_MS;
}

bool heritage_take_keys(struct heritage_book *book, struct wire_reader *reader)
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
    return book->place_count < HERITAGE_PLACES_MAX &&
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

bool heritage_take_gift(struct heritage_book *book, uint8_t kind,
                        struct wire_reader *reader)
{
    switch (kind) {
    case WIRE_TICKETS:
        return take_tickets(book, reader);
    case WIRE_BACKEND:
        return take_backend(book, reader);
    case WIRE_FAILING_ADDRESSES:
        return heritage_take_each(book, reader, take_failing_address);
    case WIRE_FAILING_USERS:
        return heritage_take_each(book, reader, take_failing_user);
    case WIRE_KNOWN:
        return heritage_take_each(book, reader, take_known);
    case WIRE_COUNTS:
        return heritage_take_each(book, reader, take_count);
    case WIRE_HOMES:
        return heritage_take_each(book, reader, take_home);
    case WIRE_END:
        book->is_complete = wire_is_whole(reader);
        return book->is_complete;
    default: /* a byte of the wire, no enum yet */
        return false;
    }
}
