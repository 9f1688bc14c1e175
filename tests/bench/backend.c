/* An IMAP server that costs next to nothing: every login succeeds. It stands
 * behind the proxies that are measured. Its only message is the pattern of
 * pattern.h, as long as the one that the session appended last, or any part
 * that is asked for: BODY[]<FROM.SIZE>. What is appended to the mailbox
 * "pattern.FROM" is checked against it, and refused when bytes differ. */
#include "control.h"
#include "lines.h"
#include "message.h"
#include "tls_setup.h"
#include "wire.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CAPABILITIES                                                           \
    "CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID IDLE NAMESPACE UNSELECT"

enum {
    BACKLOG = 4096,
    TAG_SIZE = 64,
    VERB_SIZE = 16,
    START_SIZE = 160, /* of a command: all but what clients of ours never say */
    ANSWER_SIZE = 512
};

enum session_state {
    SESSION_COMMAND,
    SESSION_ARGUMENTS, /* a literal came, the command's line goes on */
    SESSION_SASL,
    SESSION_FETCH, /* a message is on its way out */
    SESSION_IDLE
};

struct session {
    struct wire *wire;
    struct backend *backend;
    struct lines lines;
    enum session_state state;
    struct message_in literal;  /* what comes from the client */
    struct message_out fetched; /* what goes there */
    uint64_t message_len;       /* of the last literal, that is, message */
    bool is_checked;            /* the literal has to fit the pattern */
    bool is_partial;            /* what is fetched is BODY[]<FROM.SIZE> */
    char tag[TAG_SIZE];
    char verb[VERB_SIZE];
};

struct listener {
    uv_tcp_t tcp;
    struct backend *backend;
    SSL_CTX *tls; /* NULL: plain */
};

struct backend {
    uv_loop_t loop;
    struct wire_net *net;
    struct control control;
    struct listener plain;
    struct listener tls;
    unsigned open;
    unsigned long accepted;
    unsigned long logins;
    unsigned long resumed;
    bool is_corrupt;
};

struct options {
    const char *address;
    const char *chain;
    const char *key;
    bool is_corrupt; /* one byte of each FETCH is wrong */
};

struct command {
    const char *verb;
    void (*answer)(struct session *session);
};

static bool read_options(int argc, char **argv, struct options *options_out);
static bool listen_at(struct listener *listener, struct backend *backend,
                      const char *name, const struct options *options);
static void on_connection(uv_stream_t *stream, int status);
static void on_control(const char *line, void *owner);
static void on_wire(struct wire *wire, enum wire_event event,
                    const uint8_t *bytes, size_t len, void *owner);
static void take_bytes(struct session *session, const uint8_t *bytes,
                       size_t len);
static void take_line(struct session *session, const char *line, size_t len);
static void take_command(struct session *session, const char *line, size_t len);
static bool begin_literal(struct session *session, const char *line,
                          size_t len);
static void note_position(struct session *session, const char *start);
static bool begin_sasl(struct session *session, const char *line, size_t len);
static void answer_command(struct session *session);
static void answer(struct session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void answer_login(struct session *session);
static void answer_capability(struct session *session);
static void answer_ok(struct session *session);
static void answer_id(struct session *session);
static void answer_idle(struct session *session);
static void answer_select(struct session *session);
static void answer_append(struct session *session);
static void answer_fetch(struct session *session);
static void corrupt(struct session *session);
static void send_message(struct session *session);
static void answer_logout(struct session *session);

static const struct command commands[] = {
    {"LOGIN", answer_login},   {"AUTHENTICATE", answer_login},
    {"NOOP", answer_ok},       {"CAPABILITY", answer_capability},
    {"IDLE", answer_idle},     {"ID", answer_id},
    {"SELECT", answer_select}, {"APPEND", answer_append},
    {"FETCH", answer_fetch},   {"LOGOUT", answer_logout},
};

int main(int argc, char **argv)
{
    struct backend backend = {0};
    struct options options;

    if (!read_options(argc, argv, &options) || uv_loop_init(&backend.loop) != 0)
        return EXIT_FAILURE;
    backend.is_corrupt = options.is_corrupt;
    backend.net = wire_net_new(&backend.loop);
    if (!listen_at(&backend.plain, &backend, "plain", &options))
        return EXIT_FAILURE;
    if (options.chain != NULL) {
        backend.tls.tls = tls_server_context(options.chain, options.key);
        if (backend.tls.tls == NULL) {
            fprintf(stderr, "bench_backend: %s\n", tls_error_text());
            return EXIT_FAILURE;
        }
        if (!listen_at(&backend.tls, &backend, "tls", &options))
            return EXIT_FAILURE;
    }
    control_start(&backend.control, &backend.loop, on_control, &backend);
    control_say("ready");
    uv_run(&backend.loop, UV_RUN_DEFAULT);
    return EXIT_SUCCESS;
}

static bool read_options(int argc, char **argv, struct options *options_out)
{
    static const struct option known[] = {
        {"address", required_argument, NULL, 'a'},
        {"chain", required_argument, NULL, 'c'},
        {"key", required_argument, NULL, 'k'},
        {"corrupt", no_argument, NULL, 'w'},
        {NULL, 0, NULL, 0},
    };
    struct options options = {.address = "127.0.0.1"};
    int letter;

    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (letter == 'a')
            options.address = optarg;
        else if (letter == 'c')
            options.chain = optarg;
        else if (letter == 'k')
            options.key = optarg;
        else if (letter == 'w')
            options.is_corrupt = true;
        else
            return false;
    }
    if (optind < argc || (options.chain == NULL) != (options.key == NULL)) {
        fprintf(stderr, "usage: bench_backend [--address IP] "
                        "[--chain FILE --key FILE] [--corrupt]\n");
        return false;
    }
    *options_out = options;
    return true;
}

/* The kernel chooses the port, and the line "NAME PORT" tells it. */
static bool listen_at(struct listener *listener, struct backend *backend,
                      const char *name, const struct options *options)
{
    struct sockaddr_in address;
    int len = sizeof(address);
    int error = uv_ip4_addr(options->address, 0, &address);

    listener->backend = backend;
    if (error == 0)
        error = uv_tcp_init(&backend->loop, &listener->tcp);
    if (error == 0)
        error =
            uv_tcp_bind(&listener->tcp, (const struct sockaddr *)&address, 0);
    if (error == 0)
        error =
            uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, on_connection);
    if (error == 0)
        error = uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&address,
                                   &len);
    if (error != 0) {
        fprintf(stderr, "bench_backend: %s: %s\n", options->address,
                uv_strerror(error));
        return false;
    }
    control_say("%s %u", name, (unsigned)ntohs(address.sin_port));
    return true;
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *listener = (struct listener *)stream;
    struct backend *backend = listener->backend;
    struct session *session;

    if (status != 0)
        return;
    session = calloc(1, sizeof(*session));
    if (session == NULL)
        abort();
    session->backend = backend;
    backend->accepted++;
    backend->open++;
    if (wire_accept(backend->net, stream, listener->tls, on_wire, session) ==
        NULL) {
        backend->open--;
        free(session);
    }
}

static void on_control(const char *line, void *owner)
{
    struct backend *backend = owner;
    uint64_t received;
    uint64_t sent;

    if (line == NULL)
        exit(EXIT_SUCCESS);
    if (strcmp(line, "counts") != 0) {
        control_say("unknown");
        return;
    }
    wire_net_count(backend->net, &received, &sent);
    control_say("open %u accepted %lu logins %lu resumed %lu in %" PRIu64
                " out %" PRIu64,
                backend->open, backend->accepted, backend->logins,
                backend->resumed, received, sent);
}

static void on_wire(struct wire *wire, enum wire_event event,
                    const uint8_t *bytes, size_t len, void *owner)
{
    struct session *session = owner;

    session->wire = wire;
    switch (event) {
    case WIRE_UP:
        if (wire_ssl(wire) != NULL && SSL_session_reused(wire_ssl(wire)))
            session->backend->resumed++;
        answer(session, "* OK [" CAPABILITIES " AUTH=PLAIN] ready");
        break;
    case WIRE_DATA:
        take_bytes(session, bytes, len);
        break;
    case WIRE_DRAINED:
        if (session->state == SESSION_FETCH)
            send_message(session);
        break;
    case WIRE_CLOSED:
        session->backend->open--;
        lines_clear(&session->lines);
        free(session);
        break;
    }
}

static void take_bytes(struct session *session, const uint8_t *bytes,
                       size_t len)
{
    const uint8_t *line;
    size_t line_len;

    for (;;) {
        enum lines_result result;

        if (!message_take(&session->literal, &bytes, &len))
            return;
        result = lines_next(&session->lines, &bytes, &len, &line, &line_len);
        if (result == LINES_TOO_LONG)
            wire_close(session->wire);
        if (result != LINES_LINE)
            return;
        take_line(session, (const char *)line, line_len);
    }
}

static void take_line(struct session *session, const char *line, size_t len)
{
    switch (session->state) {
    case SESSION_COMMAND:
        take_command(session, line, len);
        break;
    case SESSION_ARGUMENTS:
        if (!begin_literal(session, line, len))
            answer_command(session);
        break;
    case SESSION_SASL:
        answer_command(session);
        break;
    case SESSION_FETCH:
        wire_close(session->wire); /* no client of ours pipelines here */
        break;
    case SESSION_IDLE:
        session->state = SESSION_COMMAND;
        answer(session, "%s OK done", session->tag);
        break;
    }
}

static void take_command(struct session *session, const char *line, size_t len)
{
    char start[START_SIZE];

    snprintf(start, sizeof(start), "%.*s", (int)len, line);
    if (sscanf(start, "%63s %15s", session->tag, session->verb) != 2) {
        answer(session, "* BAD no command");
        return;
    }
    note_position(session, start);
    if (!begin_literal(session, line, len) && !begin_sasl(session, line, len))
        answer_command(session);
}

static bool begin_literal(struct session *session, const char *line, size_t len)
{
    uint64_t size;
    bool must_wait;

    if (!lines_announce((const uint8_t *)line, len, &size, &must_wait))
        return false;
    session->literal.left = session->message_len = size;
    session->state = SESSION_ARGUMENTS;
    if (must_wait)
        answer(session, "+ go on");
    return true;
}

/* Where in the pattern the message is that a FETCH or an APPEND speaks of. */
static void note_position(struct session *session, const char *start)
{
    const char *part = strstr(start, "BODY[]<");
    const char *mailbox = strstr(start, "pattern.");

    session->literal = (struct message_in){0};
    session->fetched = (struct message_out){0};
    session->is_partial =
        part != NULL &&
        sscanf(part, "BODY[]<%" SCNu64 ".%" SCNu64 ">",
               &session->fetched.position, &session->fetched.left) == 2;
    session->is_checked =
        mailbox != NULL &&
        sscanf(mailbox, "pattern.%" SCNu64, &session->literal.position) == 1;
}

/* AUTHENTICATE PLAIN without an initial response asks for one line more. */
static bool begin_sasl(struct session *session, const char *line, size_t len)
{
    size_t mechanism = strlen(session->tag) + 1 + strlen(session->verb) + 1;

    if (strcasecmp(session->verb, "AUTHENTICATE") != 0 || mechanism > len ||
        memchr(line + mechanism, ' ', len - mechanism) != NULL)
        return false;
    session->state = SESSION_SASL;
    answer(session, "+ ");
    return true;
}

static void answer_command(struct session *session)
{
    session->state = SESSION_COMMAND;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcasecmp(session->verb, commands[i].verb) == 0) {
            commands[i].answer(session);
            return;
        }
    }
    answer(session, "%s BAD %s is unknown", session->tag, session->verb);
}

/* Sends one answer, which may hold several lines, and the CRLF at its end. */
static void answer(struct session *session, const char *format, ...)
{
    char text[ANSWER_SIZE];
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(text, sizeof(text) - 2, format, arguments);
    va_end(arguments);
    if (len < 0 || (size_t)len >= sizeof(text) - 2)
        abort();
    text[len] = '\r';
    text[len + 1] = '\n';
    wire_write(session->wire, (const uint8_t *)text, (size_t)len + 2);
}

static void answer_login(struct session *session)
{
    session->backend->logins++;
    answer(session, "%s OK [" CAPABILITIES "] logged in", session->tag);
}

static void answer_capability(struct session *session)
{
    answer(session, "* " CAPABILITIES " AUTH=PLAIN\r\n%s OK done",
           session->tag);
}

static void answer_ok(struct session *session)
{
    answer(session, "%s OK done", session->tag);
}

static void answer_id(struct session *session)
{
    answer(session, "* ID NIL\r\n%s OK done", session->tag);
}

static void answer_idle(struct session *session)
{
    session->state = SESSION_IDLE;
    answer(session, "+ idling");
}

static void answer_select(struct session *session)
{
    answer(session,
           "* 0 EXISTS\r\n* FLAGS (\\Seen \\Deleted)\r\n"
           "* OK [UIDVALIDITY 1]\r\n* OK [UIDNEXT 1]\r\n"
           "%s OK [READ-WRITE] done",
           session->tag);
}

static void answer_append(struct session *session)
{
    if (session->is_checked && session->literal.wrong > 0)
        answer(session, "%s NO wrong %" PRIu64, session->tag,
               session->literal.wrong);
    else
        answer(session, "%s OK done", session->tag);
}

static void answer_fetch(struct session *session)
{
    session->state = SESSION_FETCH;
    if (session->is_partial) {
        answer(session, "* 1 FETCH (BODY[]<%" PRIu64 "> {%" PRIu64 "}",
               session->fetched.position, session->fetched.left);
    } else {
        session->fetched.left = session->message_len;
        answer(session, "* 1 FETCH (BODY[] {%" PRIu64 "}",
               session->fetched.left);
    }
    if (session->backend->is_corrupt && session->fetched.left > 0)
        corrupt(session);
    send_message(session);
}

static void corrupt(struct session *session)
{
    static const uint8_t wrong = '\n'; /* the pattern has none */

    wire_write(session->wire, &wrong, sizeof(wrong));
    session->fetched.position++;
    session->fetched.left--;
}

/* A piece; the next when it has left. */
static void send_message(struct session *session)
{
    if (message_send(&session->fetched, session->wire))
        return;
    session->state = SESSION_COMMAND;
    answer(session, ")\r\n%s OK done", session->tag);
}

static void answer_logout(struct session *session)
{
    answer(session, "* BYE\r\n%s OK done", session->tag);
    wire_close(session->wire);
}
