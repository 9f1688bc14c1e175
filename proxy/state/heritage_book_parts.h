/* What a heritage's book is made of, for the files that it is written in:
 * heritage_book.c has its life and opens the packets, heritage_gifts.c takes
 * what is given, heritage_news.c what is told, heritage_answers.c answers.
 * Nobody else's. All want the book on one thread. */
#ifndef STATE_HERITAGE_BOOK_PARTS_H
#define STATE_HERITAGE_BOOK_PARTS_H

#include "state/handover_wire.h"
#include "state/heritage_private.h"
#include "state/tally.h"

/* A backend by the predecessor's number. */
struct place {
    uint32_t number;
    struct backend *backend;
};

struct inherited_sessions {
    struct backend *backend;
    uint32_t count;
};

enum {
    HERITAGE_PLACES_MAX = 1000 * 1000
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

/* Takes one record out of a packet; false: it is not as it should be. */
typedef bool heritage_take_one(struct heritage_book *book,
                               struct wire_reader *reader);

/* All records of a packet. False: one is not as it should be. */
MUST_USE bool heritage_take_each(struct heritage_book *book,
                                 struct wire_reader *reader,
                                 heritage_take_one *take);

/* The packet that comes before all that its keys are for, and those of what is
 * given, up to the end of that; kind is a byte of the wire. False: it is not
 * as it should be. */
MUST_USE bool heritage_take_keys(struct heritage_book *book,
                                 struct wire_reader *reader);
MUST_USE bool heritage_take_gift(struct heritage_book *book, uint8_t kind,
                                 struct wire_reader *reader);

/* What is told: how many sessions a backend has (a packet), and that a home was
 * left, a user counted, a login refused (a record). */
heritage_take_one heritage_take_sessions;
heritage_take_one heritage_take_news;

/* One question. False: it is not as it should be, and whatever out says must
 * not be sent. */
MUST_USE bool heritage_answer(struct heritage_book *book,
                              struct wire_reader *reader,
                              struct wire_writer *out);

#endif
