/* Any packets as a predecessor's: each is taken or refused, and at the end
 * nothing is held, whatever came. An input is packets, each behind its length
 * in two bytes, the higher one first. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "state/heritage_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct wire_writer answer;

/* The answer to a question is one that an heir would read. */
static void check_answer(void)
{
    struct wire_reader reader;
    uint8_t kind = wire_open(&reader, answer.bytes, answer.len);

    assert(kind == WIRE_ANSWER);
    (void)wire_get_u32(&reader);
    assert(wire_get_u8(&reader) <= HEIR_WAIT);
}

static bool feed(struct heritage_book *book, const uint8_t *bytes, size_t len)
{
    char why[HANDOVER_WHY_MAX] = "";

    switch (heritage_book_feed(book, bytes, len, &answer, why)) {
    case HERITAGE_GOES_ON:
    case HERITAGE_COMPLETE:
        return true;
    case HERITAGE_ANSWERS:
        check_answer();
        return true;
    case HERITAGE_BAD:
        break;
    }
    assert(*why != '\0');
    return false;
}

static void feed_all(struct heritage_book *book, const uint8_t *bytes,
                     size_t len)
{
    while (len >= 2) {
        size_t size = (size_t)bytes[0] << 8 | bytes[1];

        bytes += 2;
        len -= 2;
        if (size > len)
            size = len;
        if (!feed(book, bytes, size))
            return;
        bytes += size;
        len -= size;
    }
}

/* Freeing homes and limits asserts that they hold nothing. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct handover_parts parts = {.registry = backend_registry_new()};
    struct heritage_book *book;

    log_set(LOG_ERROR, LOG_TEXT);
    parts.heir = heir_new(parts.registry);
    parts.homes = homes_new();
    parts.limits = limits_new();
    parts.penalties = penalties_new();
    parts.tickets = ticket_keys_new(clock_now_ms());
    handover_prepare(&parts);
    book = heritage_book_new(&parts);
    feed_all(book, bytes, len);
    heritage_book_free(&book);
    heir_free(&parts.heir);
    homes_free(&parts.homes);
    limits_free(&parts.limits);
    penalties_free(&parts.penalties);
    ticket_keys_unref(&parts.tickets);
    backend_registry_free(&parts.registry);
    return 0;
}
