/* SASL exchanges: the mechanism, then the client's lines. What is understood
 * must survive being said again to a backend. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/sasl_client.h"
#include "auth/sasl_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct credentials learnt;
static struct credentials again;

static void check_round_trip(void)
{
    static uint8_t text[SASL_CLIENT_BASE64_MAX];
    struct sasl_server server;
    size_t len;

    if (credentials_check(&learnt) != CREDENTIALS_GOOD)
        return;
    if (!sasl_client_plain(&learnt, NULL, text, &len))
        abort();
    sasl_server_start(&server, SASL_PLAIN, &again);
    if (sasl_server_step(&server, text, len) != SASL_DONE)
        abort();
    assert(memcmp(&learnt, &again, sizeof(learnt)) == 0);
}

/* Copies the line to memory of its own length, where a read behind it shows. */
static enum sasl_result step(struct sasl_server *server, const uint8_t *line,
                             size_t len)
{
    uint8_t *exact = malloc(len);
    enum sasl_result result;

    if (len > 0)
        memcpy(exact, line, len);
    result = sasl_server_step(server, exact, len);
    free(exact);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    enum sasl_result result = SASL_MORE;
    struct sasl_server server;
    const uint8_t *end = bytes + len;

    if (len < 1)
        return 0;
    sasl_server_start(&server, bytes[0] & 1 ? SASL_LOGIN : SASL_PLAIN, &learnt);
    bytes++;
    while (result == SASL_MORE && bytes < end) {
        const uint8_t *line_end = memchr(bytes, '\n', (size_t)(end - bytes));

        if (line_end == NULL)
            line_end = end;
        result = step(&server, bytes, (size_t)(line_end - bytes));
        bytes = line_end == end ? end : line_end + 1;
    }
    if (result == SASL_DONE)
        check_round_trip();
    return 0;
}
