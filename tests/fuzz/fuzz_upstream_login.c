/* Our login at a backend: what it lists, how to cut, what kind of login, the
 * credentials, and its bytes. Whatever the credentials, the backend must read
 * one command that gives them back. */
#include "transcript.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/base64.h"
#include "auth/sasl_server.h"
#include "imap/reader.h"
#include "session/login_arguments.h"
#include "state/master_logins.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct credentials credentials;
static struct credentials learnt;
static struct sasl_server exchange;

static const uint8_t master_secret[] = "hunter2";
static const struct master_login master = {"m", master_secret, 7};

/* The first byte says which of these the backend lists, and whether a byte
 * about the login follows. */
static const char *const names[] = {"SASL-IR",  "AUTH=PLAIN",    "LITERAL+",
                                    "LITERAL-", "LOGINDISABLED", "AUTH=LOGIN",
                                    "ID"};
#define HAS_MODE 0x80

static const enum sasl_mechanism relayed[] = {
    SASL_XOAUTH2, SASL_OAUTHBEARER, SASL_SCRAM_SHA_1, SASL_SCRAM_SHA_256};

/* The byte about the login. */
#define MODE_MECHANISM 0x03
#define MODE_MESSAGE 0x04
#define MODE_CERTIFICATE 0x08
#define MODE_PASSES_UNCODED_NO 0x10

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

static void write_mechanism(uint8_t mode, char *out)
{
    strcat(out, " AUTH=");
    strcat(out, sasl_mechanism_name(relayed[mode & MODE_MECHANISM]));
}

/* One line of the exchange; false when another must follow. */
static bool learn_line(struct imap_span base64)
{
    size_t len;

    if (credentials.kind == CREDENTIALS_MESSAGE) {
        if (!base64_decode(base64.bytes, base64.len, learnt.secret,
                           sizeof(learnt.secret), &len))
            abort();
        learnt.secret_len = len;
        return true;
    }
    switch (sasl_server_step(&exchange, base64.bytes, base64.len)) {
    case SASL_MORE:
        return false;
    case SASL_DONE:
        return true;
    case SASL_BAD:
        break;
    }
    abort();
}

/* False when the backend has to wait for a line. */
static bool learn_command(const struct imap_command *command)
{
    struct login_authenticate authenticate;

    assert(command->tag.len == 1 && command->tag.bytes[0] == 't');
    credentials_wipe(&learnt);
    if (command->name == IMAP_LOGIN) {
        if (login_arguments_login(command->arguments, &learnt) !=
            LOGIN_ARGUMENTS_GOOD)
            abort();
        return true;
    }
    if (command->name != IMAP_AUTHENTICATE ||
        !login_arguments_authenticate(command->arguments, &authenticate))
        abort();
    sasl_server_start(
        &exchange,
        imap_span_is(authenticate.mechanism, "LOGIN") ? SASL_LOGIN : SASL_PLAIN,
        &learnt);
    return authenticate.has_initial && learn_line(authenticate.initial);
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
            assert(taken == len);
            if (learn_command(imap_reader_command(reader)))
                return true;
            imap_reader_expect_line(reader);
            break;
        case IMAP_READER_LINE:
            assert(taken == len);
            if (learn_line(imap_reader_line(reader)))
                return true;
            imap_reader_expect_line(reader);
            break;
        case IMAP_READER_BAD:
        case IMAP_READER_CLOSE:
            abort();
        }
    }
    return false;
}

static bool is_equal(const uint8_t *one, size_t one_len, const uint8_t *other,
                     size_t other_len)
{
    return one_len == other_len && memcmp(one, other, one_len) == 0;
}

static void check_learnt(void)
{
    const uint8_t *user = credentials.user;
    const uint8_t *secret = credentials.secret;

    if (credentials.kind == CREDENTIALS_CERTIFICATE) {
        assert(is_equal(learnt.authzid, learnt.authzid_len, user,
                        credentials.user_len));
        assert(is_equal(learnt.secret, learnt.secret_len, master.secret,
                        master.secret_len));
        return;
    }
    assert(is_equal(learnt.secret, learnt.secret_len, secret,
                    credentials.secret_len));
    assert(credentials.kind == CREDENTIALS_MESSAGE ||
           is_equal(learnt.user, learnt.user_len, user, credentials.user_len));
}

/* Without an ID before it. */
static void check_encoding(struct upstream_login_request request,
                           const char *list)
{
    struct upstream_login *login = upstream_login_new();
    struct imap_reader reader;
    struct imap_capabilities known;
    enum upstream_login_result result;

    imap_capabilities_parse((const uint8_t *)list, strlen(list), &known);
    imap_reader_init(&reader, 32768, CREDENTIALS_SECRET_MAX);
    request.known = &known;
    request.id_len = 0;
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

static void compare(const struct transcript_upstream *upstream,
                    const uint8_t *bytes, size_t len, struct transcript_cut cut)
{
    struct wiped_buffer whole = {0};
    struct wiped_buffer split = {0};

    transcript_of_upstream(upstream, bytes, len, (struct transcript_cut){0, 0},
                           &whole);
    transcript_of_upstream(upstream, bytes, len, cut, &split);
    assert(whole.len == split.len);
    assert(memcmp(whole.bytes, split.bytes, whole.len) == 0);
    wiped_buffer_deinit(&whole);
    wiped_buffer_deinit(&split);
}

static void set_kind(struct upstream_login_request *request, uint8_t mode)
{
    if (mode & MODE_MESSAGE)
        credentials.kind = CREDENTIALS_MESSAGE;
    else if (mode & MODE_CERTIFICATE)
        credentials.kind = CREDENTIALS_CERTIFICATE;
    request->sasl = relayed[mode & MODE_MECHANISM];
    request->passes_uncoded_no = (mode & MODE_PASSES_UNCODED_NO) != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const char id[] = "(\"name\" \"x\")";
    struct transcript_cut cut;
    struct transcript_upstream upstream = {
        .request = {.credentials = &credentials,
                    .tag = "t",
                    .master = &master,
                    .id = (const uint8_t *)id,
                    .id_len = sizeof(id) - 1}};
    uint8_t mode = 0;
    char list[128];

    if (len < 4)
        return 0;
    write_list(bytes[0], list);
    cut = (struct transcript_cut){bytes[1], 1u + bytes[2]};
    if (bytes[0] & HAS_MODE) {
        mode = bytes[3];
        write_mechanism(mode, list);
        bytes++;
        len--;
    }
    bytes += 3;
    len -= 3;
    credentials_wipe(&credentials);
    if (!take_field(&bytes, &len, credentials_set_user) ||
        !take_field(&bytes, &len, credentials_set_secret) ||
        !take_field(&bytes, &len, credentials_set_authzid))
        return 0;
    set_kind(&upstream.request, mode);
    upstream.capabilities = list;
    compare(&upstream, bytes, len, cut);
    check_encoding(upstream.request, list);
    return 0;
}
