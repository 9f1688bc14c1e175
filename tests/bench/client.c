#include "client.h"

#include "lines.h"
#include "message.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_SIZE = 512,
    COMMAND_SIZE = 128,
    MAILBOX_SIZE = 32,
    ERROR_SIZE = 256,
    USER_SIZE = 64
};

enum client_state {
    CLIENT_GREETING,
    CLIENT_LOGIN,
    CLIENT_QUIET,
    CLIENT_COMMAND,
    CLIENT_ENDING
};

struct client {
    struct wire *wire;
    struct lines lines;
    client_handler *handler;
    void *owner;
    enum client_state state;
    struct message_out appended;
    struct message_in fetched;
    uint64_t refused; /* bytes that the backend found wrong */
    uint64_t fetch_size;
    bool is_appending;
    bool is_fetching; /* the literal, of a known size, is still to come */
    bool is_leaving;  /* LOGOUT was sent */
    bool has_bye;
    char user[USER_SIZE];
    char error[ERROR_SIZE];
};

static const char tag[] = "a ";

static void on_wire(struct wire *wire, enum wire_event event,
                    const uint8_t *bytes, size_t len, void *owner);
static void take_bytes(struct client *client, const uint8_t *bytes, size_t len);
static void take_line(struct client *client, const uint8_t *line, size_t len);
static void begin_literal(struct client *client, uint64_t size);
static bool starts_with(const uint8_t *line, size_t len, const char *start);
static void log_in(struct client *client);
static void append_to(struct client *client, const char *mailbox,
                      uint64_t position, uint64_t size);
static void send_message(struct client *client);
static void take_tagged(struct client *client, const uint8_t *line, size_t len);
static bool is_due(const struct client *client);
static bool note_refusal(struct client *client, const uint8_t *line,
                         size_t len);
static void give_up(struct client *client, const uint8_t *line, size_t len);
static void report_end(struct client *client);

struct client *client_new(struct wire_net *net,
                          const struct wire_target *target, const char *user,
                          client_handler *handler, void *owner)
{
    struct client *client = calloc(1, sizeof(*client));

    if (client == NULL)
        abort();
    client->handler = handler;
    client->owner = owner;
    snprintf(client->user, sizeof(client->user), "%s", user);
    client->wire = wire_connect(net, target, on_wire, client);
    return client;
}

void client_command(struct client *client, const char *text)
{
    char line[LINE_SIZE];

    client->state = CLIENT_COMMAND;
    client->is_leaving = strcmp(text, "LOGOUT") == 0;
    snprintf(line, sizeof(line), "%s%s", tag, text);
    client_line(client, line);
}

void client_append(struct client *client, size_t size)
{
    append_to(client, "INBOX", 0, size);
}

void client_append_at(struct client *client, uint64_t position, uint64_t size)
{
    char mailbox[MAILBOX_SIZE];

    snprintf(mailbox, sizeof(mailbox), "pattern.%" PRIu64, position);
    append_to(client, mailbox, position, size);
}

void client_fetch_at(struct client *client, uint64_t position, uint64_t size)
{
    char command[COMMAND_SIZE];

    snprintf(command, sizeof(command),
             "FETCH 1 BODY[]<%" PRIu64 ".%" PRIu64 ">", position, size);
    client_command(client, command);
    client->is_fetching = true;
    client->fetch_size = size;
    client->fetched.position = position;
}

uint64_t client_take_wrong(struct client *client)
{
    uint64_t wrong = client->fetched.wrong + client->refused;

    client->fetched.wrong = client->refused = 0;
    return wrong;
}

void client_line(struct client *client, const char *text)
{
    char line[LINE_SIZE];
    int len = snprintf(line, sizeof(line), "%s\r\n", text);

    if (len < 0 || (size_t)len >= sizeof(line))
        abort();
    wire_write(client->wire, (const uint8_t *)line, (size_t)len);
}

void client_fail(struct client *client, const char *what)
{
    snprintf(client->error, sizeof(client->error), "%s", what);
    client_close(client);
}

void client_close(struct client *client)
{
    client->state = CLIENT_ENDING;
    wire_close(client->wire);
}

const char *client_error(const struct client *client)
{
    return client->error;
}

SSL *client_ssl(const struct client *client)
{
    return wire_ssl(client->wire);
}

static void on_wire(struct wire *wire, enum wire_event event,
                    const uint8_t *bytes, size_t len, void *owner)
{
    struct client *client = owner;

    (void)wire;
    switch (event) {
    case WIRE_UP:
        break;
    case WIRE_DRAINED:
        if (client->is_appending)
            send_message(client);
        break;
    case WIRE_DATA:
        take_bytes(client, bytes, len);
        break;
    case WIRE_CLOSED:
        report_end(client);
        break;
    }
}

static void take_bytes(struct client *client, const uint8_t *bytes, size_t len)
{
    const uint8_t *line;
    size_t line_len;

    while (client->state != CLIENT_ENDING &&
           message_take(&client->fetched, &bytes, &len) &&
           lines_next(&client->lines, &bytes, &len, &line, &line_len) ==
               LINES_LINE)
        take_line(client, line, line_len);
}

static void take_line(struct client *client, const uint8_t *line, size_t len)
{
    uint64_t size;
    bool must_wait;

    if (client->state == CLIENT_GREETING) {
        if (starts_with(line, len, "* OK"))
            log_in(client);
        else
            give_up(client, line, len);
    } else if (starts_with(line, len, tag)) {
        take_tagged(client, line, len);
    } else if (starts_with(line, len, "* BYE")) {
        client->has_bye = true;
        if (!client->is_leaving)
            give_up(client, line, len);
    } else if (starts_with(line, len, "+") && client->state == CLIENT_COMMAND) {
        client->handler(client, CLIENT_CONTINUE, client->owner);
    } else if (lines_announce(line, len, &size, &must_wait)) {
        begin_literal(client, size);
    }
}

/* The backend's only message, from where it was asked for. */
static void begin_literal(struct client *client, uint64_t size)
{
    if (!client->is_fetching)
        client->fetched.position = 0;
    else if (size != client->fetch_size)
        client_fail(client, "another size than was asked for");
    client->is_fetching = false;
    client->fetched.left = size;
}

static bool starts_with(const uint8_t *line, size_t len, const char *start)
{
    return len >= strlen(start) && memcmp(line, start, strlen(start)) == 0;
}

static void log_in(struct client *client)
{
    char line[LINE_SIZE];

    client->state = CLIENT_LOGIN;
    snprintf(line, sizeof(line), "%sLOGIN %s secret", tag, client->user);
    client_line(client, line);
}

static void append_to(struct client *client, const char *mailbox,
                      uint64_t position, uint64_t size)
{
    char command[COMMAND_SIZE];

    snprintf(command, sizeof(command), "APPEND %s {%" PRIu64 "+}", mailbox,
             size);
    client_command(client, command);
    client->is_appending = true;
    client->appended.position = position;
    client->appended.left = size;
    send_message(client);
}

/* A piece; the next when it has left. */
static void send_message(struct client *client)
{
    if (message_send(&client->appended, client->wire))
        return;
    client->is_appending = false;
    client_line(client, "");
}

static void take_tagged(struct client *client, const uint8_t *line, size_t len)
{
    enum client_event event =
        client->state == CLIENT_LOGIN ? CLIENT_READY : CLIENT_DONE;

    if (!is_due(client) ||
        (!starts_with(line, len, "a OK") && !note_refusal(client, line, len))) {
        give_up(client, line, len);
        return;
    }
    client->state = CLIENT_QUIET;
    client->handler(client, event, client->owner);
}

/* An answer ends a command whose every part has come or gone before. */
static bool is_due(const struct client *client)
{
    return !client->is_fetching && !client->is_appending &&
           client->is_leaving == client->has_bye;
}

/* True when the backend found bytes of an APPEND wrong. */
static bool note_refusal(struct client *client, const uint8_t *line, size_t len)
{
    static const char refusal[] = "a NO wrong ";

    if (client->state != CLIENT_COMMAND || !starts_with(line, len, refusal))
        return false;
    client->refused += strtoull((const char *)line + strlen(refusal), NULL, 10);
    return true;
}

static void give_up(struct client *client, const uint8_t *line, size_t len)
{
    char what[ERROR_SIZE];

    snprintf(what, sizeof(what), "server said: %.*s", (int)len,
             (const char *)line);
    client_fail(client, what);
}

static void report_end(struct client *client)
{
    const char *error = wire_error(client->wire);

    if (client->error[0] == '\0')
        snprintf(client->error, sizeof(client->error), "%s", error);
    client->handler(client, CLIENT_CLOSED, client->owner);
    lines_clear(&client->lines);
    free(client);
}
