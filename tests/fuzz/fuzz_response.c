/* A backend's lines: how to cut, and the bytes. Spans must lie in their line,
 * and a filtered list must stay as it is when it is filtered again. */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "imap/capability.h"
#include "imap/response.h"
#include "imap/response_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_inside(struct imap_span span, struct imap_span line)
{
    assert(span.len == 0 || (span.bytes >= line.bytes &&
                             span.bytes + span.len <= line.bytes + line.len));
}

static void check_list(struct imap_span list)
{
    struct wiped_buffer once = {0};
    struct wiped_buffer twice = {0};
    struct imap_capabilities known;
    struct imap_capabilities seen;

    imap_capabilities_filter(list.bytes, list.len, &once, &seen);
    imap_capabilities_parse(list.bytes, list.len, &known);
    assert(seen.bits == known.bits);
    imap_capabilities_filter(once.bytes, once.len, &twice, &seen);
    assert(once.len == twice.len);
    assert(once.len == 0 || memcmp(once.bytes, twice.bytes, once.len) == 0);
    imap_capabilities_parse(once.bytes, once.len, &known);
    assert(!imap_capabilities_has(&known, IMAP_CAPABILITY_STARTTLS));
    assert(!imap_capabilities_has(&known, IMAP_CAPABILITY_AUTH_PLAIN));
    wiped_buffer_deinit(&once);
    wiped_buffer_deinit(&twice);
}

static void check_line(struct imap_span line, struct wiped_buffer *transcript)
{
    struct imap_response response;
    struct imap_span list;

    imap_response_parse(line, &response);
    check_inside(response.tag, line);
    check_inside(response.code, line);
    check_inside(response.code_data, line);
    check_inside(response.text, line);
    check_inside(response.data, line);
    if (imap_response_capabilities(&response, &list)) {
        check_inside(list, line);
        check_list(list);
    }
    wiped_buffer_append_number(transcript, (size_t)response.kind);
    wiped_buffer_append_number(transcript, (size_t)response.status);
    wiped_buffer_append(transcript, line.bytes, line.len);
    wiped_buffer_append_text(transcript, "\n");
}

/* Feeds one piece; false when the dialogue broke. */
static bool take(struct imap_response_reader *reader, const uint8_t *bytes,
                 size_t len, struct wiped_buffer *transcript)
{
    size_t taken = 0;
    size_t used;

    while (taken < len) {
        enum imap_line_result result = imap_response_reader_feed(
            reader, bytes + taken, len - taken, &used);

        taken += used;
        if (result == IMAP_LINE_BROKEN) {
            wiped_buffer_append_text(transcript,
                                     imap_response_reader_fault(reader));
            return false;
        }
        if (result == IMAP_LINE_READY)
            check_line(imap_response_reader_line(reader), transcript);
    }
    return true;
}

static void play(const uint8_t *bytes, size_t len, size_t piece,
                 struct wiped_buffer *transcript)
{
    struct imap_response_reader reader;
    bool goes_on = true;

    imap_response_reader_init(&reader);
    while (goes_on && len > 0) {
        size_t taken = piece < len ? piece : len;

        goes_on = take(&reader, bytes, taken, transcript);
        bytes += taken;
        len -= taken;
    }
    imap_response_reader_deinit(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct wiped_buffer whole = {0};
    struct wiped_buffer split = {0};

    if (len < 2)
        return 0;
    play(bytes + 1, len - 1, len, &whole);
    play(bytes + 1, len - 1, 1u + bytes[0], &split);
    assert(whole.len == split.len);
    assert(whole.len == 0 || memcmp(whole.bytes, split.bytes, whole.len) == 0);
    wiped_buffer_deinit(&whole);
    wiped_buffer_deinit(&split);
    return 0;
}
