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

/* The first two keep the places that they had in the corpus. */
static const enum sasl_mechanism mechanisms[] = {
    SASL_PLAIN,    SASL_LOGIN,       SASL_XOAUTH2,       SASL_OAUTHBEARER,
    SASL_EXTERNAL, SASL_SCRAM_SHA_1, SASL_SCRAM_SHA_256,
};

static void say_again(enum sasl_mechanism mechanism, const uint8_t *text,
                      size_t len)
{
    struct sasl_server server;

    sasl_server_start(&server, mechanism, &again);
    if (sasl_server_step(&server, text, len) != SASL_DONE)
        abort();
    assert(memcmp(&learnt, &again, sizeof(learnt)) == 0);
}

static void check_password(void)
{
    static uint8_t text[SASL_CLIENT_BASE64_MAX];
    size_t len;

    if (!sasl_client_plain(&learnt, NULL, text, &len))
        abort();
    say_again(SASL_PLAIN, text, len);
}

static void check_message(enum sasl_mechanism mechanism)
{
    static uint8_t text[SASL_CLIENT_BASE64_MAX];
    size_t len;

    sasl_client_message(&learnt, text, &len);
    say_again(mechanism, text, len);
    assert(learnt.user_len > 0 || mechanism == SASL_OAUTHBEARER);
}

static void check_round_trip(enum sasl_mechanism mechanism)
{
    if (credentials_check(&learnt) != CREDENTIALS_GOOD)
        return;
    switch (learnt.kind) {
    case CREDENTIALS_PASSWORD:
        check_password();
        break;
    case CREDENTIALS_MESSAGE:
        check_message(mechanism);
        break;
    case CREDENTIALS_CERTIFICATE:
        assert(mechanism == SASL_EXTERNAL && learnt.secret_len == 0);
        break;
    }
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
    assert(result == SASL_BAD || base64_is_strict(exact, len));
    free(exact);
    return result;
}

/* Reads the lines until the exchange is over. */
static enum sasl_result run(struct sasl_server *server, const uint8_t *bytes,
                            const uint8_t *end)
{
    enum sasl_result result = SASL_MORE;

    while (result == SASL_MORE && bytes < end) {
        const uint8_t *line_end = memchr(bytes, '\n', (size_t)(end - bytes));

        if (line_end == NULL)
            line_end = end;
        result = step(server, bytes, (size_t)(line_end - bytes));
        bytes = line_end == end ? end : line_end + 1;
    }
    return result;
}

/* A message that comes as it is, so that a fuzzer need not find base64. */
static enum sasl_result run_decoded(struct sasl_server *server,
                                    const uint8_t *bytes, size_t len)
{
    uint8_t *text = malloc(BASE64_LENGTH(len) + 1);
    enum sasl_result result =
        step(server, text, base64_encode(bytes, len, text));

    free(text);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    enum sasl_mechanism mechanism;
    enum sasl_result result;
    struct sasl_server server;

    if (len < 1)
        return 0;
    mechanism = mechanisms[(bytes[0] & 0x7f) %
                           (sizeof(mechanisms) / sizeof(mechanisms[0]))];
    sasl_server_start(&server, mechanism, &learnt);
    if (mechanism == SASL_EXTERNAL &&
        !credentials_set_user(&learnt, (const uint8_t *)"carol", 5))
        abort();
    result = bytes[0] & 0x80 ? run_decoded(&server, bytes + 1, len - 1)
                             : run(&server, bytes + 1, bytes + len);
    if (result == SASL_DONE)
        check_round_trip(mechanism);
    return 0;
}
