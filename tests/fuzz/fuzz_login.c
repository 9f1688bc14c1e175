/* The dialogue before login: flags, limits, how to cut, and the bytes. */
#include "transcript.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "auth/sasl_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct login_rules rules = {.login_tries = 3,
                                .bad_commands = 5,
                                .wrong_state_commands = 20,
                                .mechanisms = SASL_PLAIN | SASL_LOGIN};
    /* A backend's challenges are passed on (transcript.h says which). */
    const unsigned relayed =
        SASL_XOAUTH2 | SASL_OAUTHBEARER | SASL_SCRAM_SHA_1 | SASL_SCRAM_SHA_256;
    struct wiped_buffer whole = {0};
    struct wiped_buffer split = {0};
    bool secure;

    if (len < 5)
        return 0;
    secure = (bytes[0] & 1) != 0;
    rules.starttls = (bytes[0] & 2) != 0;
    rules.imap4rev2 = (bytes[0] & 4) != 0;
    rules.keeps_id = (bytes[0] & 8) != 0;
    if (bytes[0] & 16)
        rules.mechanisms |= relayed;
    if (bytes[0] & 32)
        rules.mechanisms |= SASL_EXTERNAL;
    rules.line_max = 16u + bytes[1] * 64u;
    rules.literal_max = bytes[2] * 64u;
    transcript_of_login(&rules, secure, bytes + 5, len - 5,
                        (struct transcript_cut){0, 0}, &whole);
    transcript_of_login(&rules, secure, bytes + 5, len - 5,
                        (struct transcript_cut){bytes[3], 1u + bytes[4]},
                        &split);
    assert(whole.len == split.len);
    assert(memcmp(whole.bytes, split.bytes, whole.len) == 0);
    wiped_buffer_deinit(&whole);
    wiped_buffer_deinit(&split);
    return 0;
}
