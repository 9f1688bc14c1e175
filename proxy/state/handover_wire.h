/* The packets of a state link (state/handover.h): written, and read with all
 * bounds. Numbers stand in the byte order of the host, which both ends share.
 * The first byte tells the kind; what follows stands in handover_wire.c beside
 * whoever writes it, and each kind is read to its last byte. */
#ifndef STATE_HANDOVER_WIRE_H
#define STATE_HANDOVER_WIRE_H

#include "backend/backend.h"
#include "config/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_VERSION = 1,
    WIRE_PACKET_MAX = 60 * 1024,
    WIRE_TEXT_MAX = 255 /* of a backend's name, its host, a reason */
};

enum wire_kind {
    WIRE_HELLO = 1, /* the version: stays as it is in every version */
    WIRE_KEYS,
    WIRE_TICKETS,
    WIRE_BACKEND,
    WIRE_FAILING_ADDRESSES,
    WIRE_FAILING_USERS,
    WIRE_KNOWN,
    WIRE_COUNTS,
    WIRE_HOMES,
    WIRE_END, /* of what is given */
    WIRE_NEWS,
    WIRE_QUESTION,
    WIRE_ANSWER,
    WIRE_SESSIONS
};

struct wire_writer {
    size_t len;
    uint8_t bytes[WIRE_PACKET_MAX];
};

/* An empty packet of this kind. */
void wire_start(struct wire_writer *writer, enum wire_kind kind);

/* Whether so many bytes more have room; who puts more has asserted it. */
MUST_USE bool wire_has_room(const struct wire_writer *writer, size_t len);

void wire_put(struct wire_writer *writer, const void *bytes, size_t len);
void wire_put_u8(struct wire_writer *writer, uint8_t value);
void wire_put_u32(struct wire_writer *writer, uint32_t value);
void wire_put_u64(struct wire_writer *writer, uint64_t value);
/* Up to its NUL, WIRE_TEXT_MAX bytes at most. */
void wire_put_text(struct wire_writer *writer, const char *text);
/* A backend's name, host and port; backend may be NULL. */
void wire_put_place(struct wire_writer *writer, const struct backend *backend);

/* Lends from the packet. Whatever is not there, or not as it should be, is read
 * as zero and makes the whole bad. */
struct wire_reader {
    const uint8_t *at;
    size_t left;
    bool is_bad;
};

/* Returns the kind as it stands there, 0 for an empty packet. */
uint8_t wire_open(struct wire_reader *reader, const uint8_t *bytes, size_t len);

void wire_get(struct wire_reader *reader, void *out, size_t len);
uint8_t wire_get_u8(struct wire_reader *reader);
uint32_t wire_get_u32(struct wire_reader *reader);
uint64_t wire_get_u64(struct wire_reader *reader);
/* Something that is counted: not more than a billion. */
uint32_t wire_get_count(struct wire_reader *reader);
bool wire_get_bool(struct wire_reader *reader);
/* Cut where size, with its NUL, is less. */
void wire_get_text(struct wire_reader *reader, char *out, size_t size);
/* A reference; NULL where none was named. */
struct backend *wire_get_place(struct wire_reader *reader,
                               struct backend_registry *registry);

/* Of a bundle: whether there is one more. */
bool wire_has_more(const struct wire_reader *reader);

/* Whether all was as it should be, and nothing stands behind it. */
MUST_USE bool wire_is_whole(const struct wire_reader *reader);

#endif
