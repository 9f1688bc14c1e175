/* Our login at a backend: what it lists, how to cut, the credentials, and its
 * bytes. Whatever the credentials, the backend must read one command that
 * gives them back. */
#include "transcript.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/sasl_server.h"
#include "imap/reader.h"
#include "session/login_arguments.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct credentials credentials;
static struct credentials learnt;

static const char *const names[] = {"SASL-IR",  "AUTH=PLAIN",    "LITERAL+",
                                    "LITERAL-", "LOGINDISABLED", "AUTH=LOGIN"};

static void write_list(uint8_t bits, char *out)
{
    out[0] = '\0';
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (bits & (1u << i)) {
            strcat(out, " ");
            strcat(out, names[i]);
        }
    }
}

static void learn_plain(struct imap_span base64)
{
    struct sasl_server server;

    sasl_server_start(&server, SASL_PLAIN, &learnt);
    if (sasl_server_step(&server, base64.bytes, base64.len) != SASL_DONE)
        abort();
}

static void learn_command(const struct imap_command *command,
                          struct imap_reader *reader)
{
    struct login_authenticate authenticate;

    assert(command->tag.len == 1 && command->tag.bytes[0] == 't');
    credentials_wipe(&learnt);
    if (command->name == IMAP_LOGIN) {
        if (login_arguments_login(command->arguments, &learnt) !=
            LOGIN_ARGUMENTS_GOOD)
            abort();
        return;
    }
    if (command->name != IMAP_AUTHENTICATE ||
        !login_arguments_authenticate(command->arguments, &authenticate))
        abort();
    if (authenticate.has_initial)
        learn_plain(authenticate.initial);
    else
        imap_reader_expect_line(reader);
}

/* Plays a backend that invites all that is announced. True when the login is
 * understood, with nothing left behind it. */
static bool hear_out(struct upstream_login *login, struct imap_reader *reader)
{
    size_t len;
    const uint8_t *bytes = upstream_login_to_backend(login, &len);
    size_t taken = 0;

    while (taken < len) {
        size_t used;
        enum imap_reader_result result =
            imap_reader_feed(reader, bytes + taken, len - taken, &used);

        taken += used;
        switch (result) {
        case IMAP_READER_MORE:
        case IMAP_READER_CONTINUE:
            break;
        case IMAP_READER_COMMAND:
            learn_command(imap_reader_command(reader), reader);
            if (reader->wants_line)
                break;
            assert(taken == len);
            return true;
        case IMAP_READER_LINE:
            learn_plain(imap_reader_line(reader));
            assert(taken == len);
            return true;
        case IMAP_READER_BAD:
        case IMAP_READER_CLOSE:
            abort();
        }
    }
    return false;
}

static void check_learnt(void)
{
    assert(learnt.user_len == credentials.user_len);
    assert(memcmp(learnt.user, credentials.user, learnt.user_len) == 0);
    assert(learnt.secret_len == credentials.secret_len);
    assert(memcmp(learnt.secret, credentials.secret, learnt.secret_len) == 0);
}

static void check_encoding(const char *list)
{
    struct upstream_login *login = upstream_login_new();
    struct imap_reader reader;
    struct imap_capabilities known;
    const struct upstream_login_request request = {
        .credentials = &credentials,
        .tag = "t",
        .known = &known,
    };
    enum upstream_login_result result;

    imap_capabilities_parse((const uint8_t *)list, strlen(list), &known);
    imap_reader_init(&reader, 32768, CREDENTIALS_SECRET_MAX);
    result = upstream_login_start(login, &request);
    while (result == UPSTREAM_LOGIN_MORE) {
        size_t used;

        if (hear_out(login, &reader)) {
            check_learnt();
            break;
        }
        upstream_login_to_backend_clear(login);
        result = upstream_login_feed(login, (const uint8_t *)"+\r\n", 3, &used);
        assert(result == UPSTREAM_LOGIN_MORE);
    }
    imap_reader_deinit(&reader);
    upstream_login_free(&login);
}

/* Takes a field of at most 255 octets, its length before it. */
static bool take_field(const uint8_t **bytes, size_t *len,
                       bool (*set)(struct credentials *, const uint8_t *,
                                   size_t))
{
    size_t field_len = *len > 0 ? **bytes : 0;

    if (*len < 1 + field_len || !set(&credentials, *bytes + 1, field_len))
        return false;
    *bytes += 1 + field_len;
    *len -= 1 + field_len;
    return true;
}

static void compare(const char *list, const uint8_t *bytes, size_t len,
                    struct transcript_cut cut)
{
    struct transcript_upstream upstream = {&credentials, NULL, "t", list};
    struct wiped_buffer whole = {0};
    struct wiped_buffer split = {0};

    transcript_of_upstream(&upstream, bytes, len, (struct transcript_cut){0, 0},
                           &whole);
    transcript_of_upstream(&upstream, bytes, len, cut, &split);
    assert(whole.len == split.len);
    assert(memcmp(whole.bytes, split.bytes, whole.len) == 0);
    wiped_buffer_deinit(&whole);
    wiped_buffer_deinit(&split);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct transcript_cut cut;
    char list[128];

    if (len < 3)
        return 0;
    write_list(bytes[0], list);
    cut = (struct transcript_cut){bytes[1], 1u + bytes[2]};
    bytes += 3;
    len -= 3;
    credentials_wipe(&credentials);
    if (!take_field(&bytes, &len, credentials_set_user) ||
        !take_field(&bytes, &len, credentials_set_secret) ||
        !take_field(&bytes, &len, credentials_set_authzid))
        return 0;
    compare(list, bytes, len, cut);
    check_encoding(list);
    return 0;
}
