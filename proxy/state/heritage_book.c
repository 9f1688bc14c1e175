#include "state/heritage_private.h"

#include "backend/backend_memory.h"
#include "state/heritage_book_parts.h"

#include <stdio.h>
#include <stdlib.h>

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

bool heritage_take_each(struct heritage_book *book, struct wire_reader *reader,
                        heritage_take_one *take)
{
    while (wire_has_more(reader)) {
        if (!take(book, reader))
            return false;
    }
    return wire_is_whole(reader);
}

static bool take_packet(struct heritage_book *book, uint8_t kind,
                        struct wire_reader *reader, struct wire_writer *out)
{
    if (!book->has_keys)
        return kind == WIRE_KEYS && heritage_take_keys(book, reader);
    switch (kind) {
    case WIRE_NEWS:
        return heritage_take_each(book, reader, heritage_take_news);
    case WIRE_QUESTION:
        return heritage_answer(book, reader, out);
    case WIRE_SESSIONS:
        return heritage_take_sessions(book, reader);
    default: /* a byte of the wire, no enum yet */
        return !book->is_complete && heritage_take_gift(book, kind, reader);
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
