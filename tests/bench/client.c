#include "client.h"

#include "lines.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_SIZE = 512,
    ERROR_SIZE = 256,
    USER_SIZE = 64,
    CHUNK_SIZE = 32 * 1024
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
    size_t append_left;
    bool is_leaving; /* LOGOUT was sent */
    bool has_bye;
    char user[USER_SIZE];
    char error[ERROR_SIZE];
};

static const char tag[] = "a ";

static void on_wire(struct wire *wire, enum wire_event event,
                    const uint8_t *bytes, size_t len, void *owner);
static void take_bytes(struct client *client, const uint8_t *bytes, size_t len);
static void take_line(struct client *client, const uint8_t *line, size_t len);
static bool starts_with(const uint8_t *line, size_t len, const char *start);
static void log_in(struct client *client);
static void send_message(struct client *client);
static void take_tagged(struct client *client, const uint8_t *line, size_t len);
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
    char command[LINE_SIZE / 2];

    snprintf(command, sizeof(command), "APPEND INBOX {%zu+}", size);
    client_command(client, command);
    client->append_left = size;
    send_message(client);
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
        if (client->append_left > 0)
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
           lines_next(&client->lines, &bytes, &len, &line, &line_len) ==
               LINES_LINE)
        take_line(client, line, line_len);
}

static void take_line(struct client *client, const uint8_t *line, size_t len)
{
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
    }
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

/* As much as the socket takes; the rest when it has drained. */
static void send_message(struct client *client)
{
    static const uint8_t chunk[CHUNK_SIZE] = {'m'};

    while (client->append_left > 0 && wire_queued(client->wire) == 0) {
        size_t len = client->append_left < sizeof(chunk) ? client->append_left
                                                         : sizeof(chunk);

        client->append_left -= len;
        wire_write(client->wire, chunk, len);
    }
    if (client->append_left == 0)
        client_line(client, "");
}

static void take_tagged(struct client *client, const uint8_t *line, size_t len)
{
    enum client_event event =
        client->state == CLIENT_LOGIN ? CLIENT_READY : CLIENT_DONE;

    if (!starts_with(line, len, "a OK") ||
        client->is_leaving != client->has_bye) {
        give_up(client, line, len);
        return;
    }
    client->state = CLIENT_QUIET;
    client->handler(client, event, client->owner);
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
