#include "transcript.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "imap/reader.h"

/* Whatever is fed lies in memory of its own length, so that a sanitizer sees
 * a read past its end. */
struct player {
    const uint8_t *input;
    size_t len;
    size_t at;
    struct wiped_buffer *out;
    struct wiped_buffer sent; /* to a backend; how it is cut says nothing */
};

/* Takes bytes; false when the dialogue is over. */
typedef bool take_piece(struct player *player, void *subject,
                        const uint8_t *piece, size_t len);

static void note(struct player *player, const char *text)
{
    wiped_buffer_append_text(player->out, text);
}

static void note_span(struct player *player, const char *name,
                      const uint8_t *bytes, size_t len)
{
    note(player, name);
    wiped_buffer_append_number(player->out, len);
    note(player, ":");
    wiped_buffer_append(player->out, bytes, len);
}

static void note_rest(struct player *player)
{
    note_span(player, "<rest ", player->input + player->at,
              player->len - player->at);
    note(player, ">");
}

static void play(struct player *player, void *subject, take_piece *take,
                 struct transcript_cut cut)
{
    size_t begin = 0;
    size_t size = cut.first;

    while (begin < player->len) {
        size_t left = player->len - begin;
        size_t len = size == 0 || size > left ? left : size;
        uint8_t *piece = mem_alloc(len);
        bool goes_on;

        memcpy(piece, player->input + begin, len);
        goes_on = take(player, subject, piece, len);
        free(piece);
        if (!goes_on)
            return;
        begin += len;
        size = cut.rest;
    }
}

static void note_login_output(struct player *player, struct login *login)
{
    size_t len;
    const uint8_t *bytes = login_output(login, &len);

    wiped_buffer_append(player->out, bytes, len);
    login_output_clear(login);
}

static bool user_is(const struct credentials *credentials, const char *name)
{
    return credentials->user_len == strlen(name) &&
           memcmp(credentials->user, name, credentials->user_len) == 0;
}

static void note_id(struct player *player, const struct login *login)
{
    const struct login_id *id = login_client_id(login);

    if (id->count > 0)
        note_span(player, " id ", id->pairs, id->len);
    if (login_proxy_ttl(login) != LOGIN_PROXY_TTL_NONE) {
        note(player, " ttl ");
        wiped_buffer_append_number(player->out, login_proxy_ttl(login));
    }
}

static void note_credentials(struct player *player, const struct login *login)
{
    const struct credentials *credentials = login_credentials(login);

    note(player, "<try ");
    note(player, login_tag(login));
    note(player, " ");
    note(player, login_mechanism(login));
    note_span(player, " user ", credentials->user, credentials->user_len);
    note_span(player, " authzid ", credentials->authzid,
              credentials->authzid_len);
    note_span(player, " secret ", credentials->secret, credentials->secret_len);
    note_id(player, login);
    note(player, ">\n");
}

static enum login_decision fail_try(struct login *login)
{
    const struct credentials *credentials = login_credentials(login);
    static const char code[] = "EXPIRED";
    static const char text[] = "Your password \x01 is old";

    if (user_is(credentials, "down"))
        return login_failed(login, LOGIN_ANSWER_UNAVAILABLE, NULL, 0, NULL, 0);
    if (user_is(credentials, "coded"))
        return login_failed(login, LOGIN_ANSWER_CODED, code, sizeof(code) - 1,
                            text, sizeof(text) - 1);
    return login_failed(login, LOGIN_ANSWER_BAD_CREDENTIALS, NULL, 0, NULL, 0);
}

static enum login_decision challenge(struct login *login)
{
    static const uint8_t text[] = "eyJzdGF0dXMiOiI0MDEifQ==";

    if (login_challenge(login, text, sizeof(text) - 1))
        return LOGIN_MORE;
    return login_failed(login, LOGIN_ANSWER_UNAVAILABLE, NULL, 0, NULL, 0);
}

static bool act(struct player *player, struct login *login,
                enum login_decision decision);

static bool act_on_try(struct player *player, struct login *login)
{
    const struct credentials *credentials = login_credentials(login);

    note_credentials(player, login);
    if (credentials->kind == CREDENTIALS_MESSAGE &&
        !user_is(credentials, "down"))
        return act(player, login, challenge(login));
    if (!user_is(credentials, "ok"))
        return act(player, login, fail_try(login));
    note_rest(player);
    return false;
}

static bool act_on_relay(struct player *player, struct login *login)
{
    size_t len;
    const uint8_t *line = login_relayed(login, &len);

    note_span(player, "<relayed ", line, len);
    note(player, ">\n");
    if (len == 4 && memcmp(line, "b2s=", 4) == 0) {
        note_rest(player);
        return false;
    }
    if (len == 0 || (len == 4 && memcmp(line, "AQ==", 4) == 0))
        return act(player, login, fail_try(login));
    return act(player, login, challenge(login));
}

static bool act(struct player *player, struct login *login,
                enum login_decision decision)
{
    note_login_output(player, login);
    switch (decision) {
    case LOGIN_MORE:
        return true;
    case LOGIN_STARTTLS:
        note(player, "<starttls>\n");
        login_secured(login);
        return true;
    case LOGIN_TRY:
        return act_on_try(player, login);
    case LOGIN_RELAY:
        return act_on_relay(player, login);
    case LOGIN_CANCELLED:
        note(player, "<cancelled>\n");
        return true;
    case LOGIN_END:
        note(player, "<end ");
        note(player, login_end_reason(login));
        note(player, ">");
        break;
    }
    return false;
}

static bool take_login(struct player *player, void *subject,
                       const uint8_t *piece, size_t len)
{
    struct login *login = subject;
    size_t taken = 0;

    while (taken < len) {
        size_t used;
        enum login_decision decision =
            login_feed(login, piece + taken, len - taken, &used);

        assert(used > 0 && used <= len - taken);
        taken += used;
        player->at += used;
        if (!act(player, login, decision))
            return false;
    }
    return true;
}

void transcript_of_login(const struct login_rules *rules, bool secure,
                         const uint8_t *input, size_t len,
                         struct transcript_cut cut, struct wiped_buffer *out)
{
    struct player player = {input, len, 0, out, {NULL, 0, 0}};
    struct login *login = login_new(rules, secure);

    if (rules->mechanisms & SASL_EXTERNAL)
        login_set_certificate_user(login, "carol");
    login_greet(login);
    note_login_output(&player, login);
    play(&player, login, take_login, cut);
    login_free(&login);
}

static void note_command(struct player *player,
                         const struct imap_command *command)
{
    note_span(player, " tag ", command->tag.bytes, command->tag.len);
    note(player, " name ");
    wiped_buffer_append_number(player->out, (size_t)command->name);
    note_span(player, " arguments ", command->arguments.bytes,
              command->arguments.len);
    note(player, ">\n");
}

static bool note_event(struct player *player, struct imap_reader *reader,
                       enum imap_reader_result result)
{
    struct imap_span line;

    switch (result) {
    case IMAP_READER_MORE:
        return true;
    case IMAP_READER_CONTINUE:
        note(player, "<continue");
        note_command(player, imap_reader_command(reader));
        return true;
    case IMAP_READER_COMMAND:
        note(player, "<command");
        note_command(player, imap_reader_command(reader));
        if (imap_reader_command(reader)->name == IMAP_AUTHENTICATE)
            imap_reader_expect_line(reader);
        else
            imap_reader_reset(reader);
        return true;
    case IMAP_READER_LINE:
        line = imap_reader_line(reader);
        note_span(player, "<line ", line.bytes, line.len);
        note(player, ">\n");
        imap_reader_reset(reader);
        return true;
    case IMAP_READER_BAD:
        note(player, "<bad ");
        wiped_buffer_append_number(player->out,
                                   (size_t)imap_reader_fault(reader));
        note_command(player, imap_reader_command(reader));
        imap_reader_reset(reader);
        return true;
    case IMAP_READER_CLOSE:
        note(player, "<close ");
        wiped_buffer_append_number(player->out,
                                   (size_t)imap_reader_fault(reader));
        note(player, ">");
        break;
    }
    return false;
}

static bool take_reader(struct player *player, void *subject,
                        const uint8_t *piece, size_t len)
{
    struct imap_reader *reader = subject;
    size_t taken = 0;

    while (taken < len) {
        size_t used;
        enum imap_reader_result result =
            imap_reader_feed(reader, piece + taken, len - taken, &used);

        assert(used > 0 && used <= len - taken);
        taken += used;
        if (!note_event(player, reader, result))
            return false;
    }
    return true;
}

void transcript_of_reader(size_t line_max, size_t literal_max,
                          const uint8_t *input, size_t len,
                          struct transcript_cut cut, struct wiped_buffer *out)
{
    struct player player = {input, len, 0, out, {NULL, 0, 0}};
    struct imap_reader reader;

    imap_reader_init(&reader, line_max, literal_max);
    play(&player, &reader, take_reader, cut);
    imap_reader_deinit(&reader);
}

static void note_to_backend(struct player *player, struct upstream_login *login)
{
    size_t len;
    const uint8_t *bytes = upstream_login_to_backend(login, &len);

    wiped_buffer_append(&player->sent, bytes, len);
    upstream_login_to_backend_clear(login);
}

static void note_refusal(struct player *player,
                         const struct upstream_refusal *refusal)
{
    wiped_buffer_append_number(player->out, (size_t)refusal->answer);
    note(player, refusal->is_config_fault ? " config " : " ");
    note(player, refusal->reason);
    note_span(player, " code ", (const uint8_t *)refusal->code,
              refusal->code_len);
    note_span(player, " text ", (const uint8_t *)refusal->text,
              refusal->text_len);
    note_span(player, " original ", refusal->original, refusal->original_len);
    note(player, ">");
}

static void note_to_client(struct player *player, struct upstream_login *login)
{
    size_t len;
    const uint8_t *bytes = upstream_login_to_client(login, &len);

    note_span(player, "<to client ", bytes, len);
}

static void note_challenge(struct player *player, struct upstream_login *login)
{
    size_t len;
    const uint8_t *bytes = upstream_login_challenge(login, &len);

    note_to_client(player, login);
    note_span(player, "<challenge ", bytes, len);
    if (upstream_login_answer(login, (const uint8_t *)"AQ==", 4) !=
        UPSTREAM_LOGIN_MORE)
        abort();
    note_to_backend(player, login);
}

static bool note_verdict(struct player *player, struct upstream_login *login,
                         enum upstream_login_result result)
{
    note_to_backend(player, login);
    switch (result) {
    case UPSTREAM_LOGIN_MORE:
        return true;
    case UPSTREAM_LOGIN_CHALLENGE:
        note_challenge(player, login);
        return true;
    case UPSTREAM_LOGIN_DONE:
        note_to_client(player, login);
        wiped_buffer_append_number(player->out,
                                   upstream_login_capabilities(login)->bits);
        note_rest(player);
        break;
    case UPSTREAM_LOGIN_REFUSED:
        note_to_client(player, login);
        note(player, "<refused ");
        note_refusal(player, upstream_login_refusal(login));
        break;
    case UPSTREAM_LOGIN_BROKEN:
        /* What was still unsent stays unsent, so the cut shows in it. */
        wiped_buffer_clear(&player->sent);
        note_to_client(player, login);
        note(player, "<broken ");
        note_refusal(player, upstream_login_refusal(login));
        break;
    }
    return false;
}

/* Whether a line that begins so waits for us to speak: an invitation, or the
 * answer to a command of our own. */
static bool waits_for_us(uint8_t first)
{
    return first == '+' || first == 'G' || first == 'H';
}

static size_t up_to_our_turn(const struct player *player, size_t len)
{
    const uint8_t *input = player->input + player->at;

    for (size_t i = 0; i < len; i++) {
        const uint8_t *begin = input + i;

        if (input[i] != '\n')
            continue;
        while (begin > player->input && begin[-1] != '\n')
            begin--;
        if (waits_for_us(*begin))
            return i + 1;
    }
    return len;
}

static bool take_upstream_step(struct player *player,
                               struct upstream_login *login,
                               const uint8_t *piece, size_t len)
{
    uint8_t *copy = mem_alloc(len);
    enum upstream_login_result result;
    size_t used;

    memcpy(copy, piece, len);
    result = upstream_login_feed(login, copy, len, &used);
    free(copy);
    assert(used <= len);
    assert(used == len || (result != UPSTREAM_LOGIN_MORE &&
                           result != UPSTREAM_LOGIN_CHALLENGE));
    player->at += used;
    return note_verdict(player, login, result);
}

static bool take_upstream(struct player *player, void *subject,
                          const uint8_t *piece, size_t len)
{
    while (len > 0) {
        size_t step = up_to_our_turn(player, len);

        if (!take_upstream_step(player, subject, piece, step))
            return false;
        piece += step;
        len -= step;
    }
    return true;
}

void transcript_of_upstream(const struct transcript_upstream *upstream,
                            const uint8_t *input, size_t len,
                            struct transcript_cut cut, struct wiped_buffer *out)
{
    struct player player = {input, len, 0, out, {NULL, 0, 0}};
    struct upstream_login *login = upstream_login_new();
    struct upstream_login_request request = upstream->request;
    struct imap_capabilities known;

    imap_capabilities_parse((const uint8_t *)upstream->capabilities,
                            strlen(upstream->capabilities), &known);
    request.known = &known;
    if (note_verdict(&player, login, upstream_login_start(login, &request)))
        play(&player, login, take_upstream, cut);
    note_span(&player, "<to backend ", player.sent.bytes, player.sent.len);
    wiped_buffer_deinit(&player.sent);
    upstream_login_free(&login);
}
