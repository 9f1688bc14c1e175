/* An IMAP server that costs next to nothing: every login succeeds, and the only
 * message is as long as the one that the session appended last. It stands
 * behind the proxies that are measured. */
#include "control.h"
#include "lines.h"
#include "tls_setup.h"
#include "wire.h"

#include <ctype.h>
#include <getopt.h>
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
    ANSWER_SIZE = 512,
    CHUNK_SIZE = 32768
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
    size_t literal_left; /* still to come from the client */
    size_t message_len;  /* of the last literal, that is, message */
    size_t message_left; /* of a FETCH, still to be sent */
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
};

struct options {
    const char *address;
    const char *chain;
    const char *key;
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
static bool skip_literal(struct session *session, const uint8_t **bytes,
                         size_t *len);
static void take_line(struct session *session, const char *line, size_t len);
static void take_command(struct session *session, const char *line, size_t len);
static bool begin_literal(struct session *session, const char *line,
                          size_t len);
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
static void answer_fetch(struct session *session);
static void send_message(struct session *session);
static void answer_logout(struct session *session);

static const struct command commands[] = {
    {"LOGIN", answer_login},   {"AUTHENTICATE", answer_login},
    {"NOOP", answer_ok},       {"CAPABILITY", answer_capability},
    {"IDLE", answer_idle},     {"ID", answer_id},
    {"SELECT", answer_select}, {"APPEND", answer_ok},
    {"FETCH", answer_fetch},   {"LOGOUT", answer_logout},
};

int main(int argc, char **argv)
{
    struct backend backend = {0};
    struct options options;

    if (!read_options(argc, argv, &options) || uv_loop_init(&backend.loop) != 0)
        return EXIT_FAILURE;
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
        else
            return false;
    }
    if (optind < argc || (options.chain == NULL) != (options.key == NULL)) {
        fprintf(stderr, "usage: bench_backend [--address IP] "
                        "[--chain FILE --key FILE]\n");
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

    if (line == NULL)
        exit(EXIT_SUCCESS);
    if (strcmp(line, "counts") == 0)
        control_say("open %u accepted %lu logins %lu", backend->open,
                    backend->accepted, backend->logins);
    else
        control_say("unknown");
}

static void on_wire(struct wire *wire, enum wire_event event,
                    const uint8_t *bytes, size_t len, void *owner)
{
    struct session *session = owner;

    session->wire = wire;
    switch (event) {
    case WIRE_UP:
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

        if (skip_literal(session, &bytes, &len))
            return;
        result = lines_next(&session->lines, &bytes, &len, &line, &line_len);
        if (result == LINES_TOO_LONG)
            wire_close(session->wire);
        if (result != LINES_LINE)
            return;
        take_line(session, (const char *)line, line_len);
    }
}

/* True when the input ends within the literal. */
static bool skip_literal(struct session *session, const uint8_t **bytes,
                         size_t *len)
{
    size_t skipped =
        session->literal_left < *len ? session->literal_left : *len;

    session->literal_left -= skipped;
    *bytes += skipped;
    *len -= skipped;
    return session->literal_left > 0;
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
    char start[TAG_SIZE + VERB_SIZE];

    snprintf(start, sizeof(start), "%.*s", (int)len, line);
    if (sscanf(start, "%63s %15s", session->tag, session->verb) != 2) {
        answer(session, "* BAD no command");
        return;
    }
    if (!begin_literal(session, line, len) && !begin_sasl(session, line, len))
        answer_command(session);
}

/* A line that ends in {n} or {n+} has n bytes behind it, then goes on. */
static bool begin_literal(struct session *session, const char *line, size_t len)
{
    size_t digits = len;
    bool must_wait = true;

    if (len < 3 || line[len - 1] != '}')
        return false;
    digits--;
    if (line[digits - 1] == '+') {
        digits--;
        must_wait = false;
    }
    while (digits > 0 && isdigit((unsigned char)line[digits - 1]))
        digits--;
    if (digits == 0 || line[digits - 1] != '{')
        return false;
    session->literal_left = strtoul(line + digits, NULL, 10);
    session->message_len = session->literal_left;
    session->state = SESSION_ARGUMENTS;
    if (must_wait)
        answer(session, "+ go on");
    return true;
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

static void answer_fetch(struct session *session)
{
    session->state = SESSION_FETCH;
    session->message_left = session->message_len;
    answer(session, "* 1 FETCH (BODY[] {%zu}", session->message_len);
    send_message(session);
}

/* As much as the socket takes; the rest when it has drained. */
static void send_message(struct session *session)
{
    static uint8_t chunk[CHUNK_SIZE];

    if (chunk[0] == 0) {
        for (size_t i = 0; i < sizeof(chunk); i++)
            chunk[i] = i % 64 == 63 ? '\n' : 'x';
    }
    while (session->message_left > 0 && wire_queued(session->wire) == 0) {
        size_t len = session->message_left < sizeof(chunk)
                         ? session->message_left
                         : sizeof(chunk);

        session->message_left -= len;
        wire_write(session->wire, chunk, len);
    }
    if (session->message_left > 0)
        return;
    session->state = SESSION_COMMAND;
    answer(session, ")\r\n%s OK done", session->tag);
}

static void answer_logout(struct session *session)
{
    answer(session, "* BYE\r\n%s OK done", session->tag);
    wire_close(session->wire);
}
