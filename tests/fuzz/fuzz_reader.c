/* A client's bytes before its login: limits, how to cut, and the bytes. */
#include "transcript.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct wiped_buffer whole = {0};
    struct wiped_buffer split = {0};
    size_t line_max;
    size_t literal_max;

    if (len < 4)
        return 0;
    line_max = 16u + bytes[0] * 64u;
    literal_max = bytes[1] * 64u;
    transcript_of_reader(line_max, literal_max, bytes + 4, len - 4,
                         (struct transcript_cut){0, 0}, &whole);
    transcript_of_reader(line_max, literal_max, bytes + 4, len - 4,
                         (struct transcript_cut){bytes[2], 1u + bytes[3]},
                         &split);
    assert(whole.len == split.len);
    assert(whole.len == 0 || memcmp(whole.bytes, split.bytes, whole.len) == 0);
    wiped_buffer_deinit(&whole);
    wiped_buffer_deinit(&split);
    return 0;
}
