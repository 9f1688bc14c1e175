#include "admin_client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    READ_SIZE = 64 * 1024,
    ANSWER_MAX = 256 * 1024 * 1024
};

/* One exchange. */
struct exchange {
    const char *socket;
    FILE *problems;
    int fd;
};

static bool complain(const struct exchange *exchange, const char *what)
{
    fprintf(exchange->problems, "gatepost: %s: %s\n", exchange->socket, what);
    return false;
}

void admin_client_add(struct text *target, const char *name, const char *value)
{
    bool is_first = target->bytes == NULL || strchr(target->bytes, '?') == NULL;

    text_add(target, "%s%s=", is_first ? "?" : "&", name);
    for (const char *at = value; *at != '\0'; at++) {
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                   "0123456789-._~",
                   *at) != NULL)
            text_add(target, "%c", *at);
        else
            text_add(target, "%%%02X", (unsigned)(unsigned char)*at);
    }
}

static const char *connect_failure(int error)
{
    switch (error) {
    case ENOENT:
        return "no such socket: is the server running, with this as its "
               "\"admin\": {\"socket\"}?";
    case ECONNREFUSED:
        return "no server listens there";
    case EACCES:
    case EPERM:
        return "no right to open it: ask as the user whom the server runs as";
    case ENOTSOCK:
    case EPROTOTYPE:
        return "not the socket of a Gatepost";
    default:
        return strerror(error);
    }
}

static bool open_exchange(struct exchange *exchange, unsigned wait_s)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval wait = {.tv_sec = (time_t)wait_s};
    size_t len = strlen(exchange->socket);

    if (len >= sizeof(address.sun_path))
        return complain(exchange, "a path of more than 107 bytes");
    memcpy(address.sun_path, exchange->socket, len + 1);
    exchange->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (exchange->fd < 0)
        return complain(exchange, strerror(errno));
    (void)setsockopt(exchange->fd, SOL_SOCKET, SO_RCVTIMEO, &wait,
                     sizeof(wait));
    (void)setsockopt(exchange->fd, SOL_SOCKET, SO_SNDTIMEO, &wait,
                     sizeof(wait));
    if (connect(exchange->fd, (const struct sockaddr *)&address,
                sizeof(address)) != 0)
        return complain(exchange, connect_failure(errno));
    return true;
}

static bool send_all(const struct exchange *exchange, const struct text *text)
{
    size_t sent = 0;

    while (sent < text->len) {
        ssize_t len = send(exchange->fd, text->bytes + sent, text->len - sent,
                           MSG_NOSIGNAL);

        if (len < 0)
            return complain(exchange, strerror(errno));
        sent += (size_t)len;
    }
    return true;
}

/* The server ends the connection behind its one answer. */
static bool receive_all(const struct exchange *exchange, struct text *answer)
{
    char bytes[READ_SIZE];
    ssize_t len;

    while ((len = recv(exchange->fd, bytes, sizeof(bytes), 0)) > 0) {
        text_add_bytes(answer, bytes, (size_t)len);
        if (answer->len > ANSWER_MAX)
            return complain(exchange, "an answer without end");
    }
    if (len < 0 && errno == EAGAIN)
        return complain(exchange, "no answer in time");
    if (len < 0)
        return complain(exchange, strerror(errno));
    return true;
}

static json_t *read_answer(const struct exchange *exchange,
                           const struct text *answer, bool *was_good_out)
{
    const char *body =
        answer->bytes == NULL ? NULL : strstr(answer->bytes, "\r\n\r\n");
    json_t *json = NULL;

    if (body != NULL && strncmp(answer->bytes, "HTTP/1.", 7) == 0 &&
        answer->len > strlen("HTTP/1.1 200")) {
        *was_good_out = answer->bytes[9] == '2';
        body += 4;
        json = json_loadb(body, answer->len - (size_t)(body - answer->bytes), 0,
                          NULL);
    }
    if (json == NULL)
        (void)complain(exchange, "what answers there is no Gatepost");
    return json;
}

static json_t *converse(struct exchange *exchange, const struct text *question,
                        unsigned wait_s, bool *was_good_out)
{
    struct text answer = {.bytes = NULL};
    json_t *json = NULL;

    if (open_exchange(exchange, wait_s) && send_all(exchange, question) &&
        receive_all(exchange, &answer))
        json = read_answer(exchange, &answer, was_good_out);
    if (exchange->fd >= 0)
        close(exchange->fd);
    text_deinit(&answer);
    return json;
}

json_t *admin_client_ask(const char *socket, const char *method,
                         const char *target, unsigned wait_s, FILE *problems,
                         bool *was_good_out)
{
    struct exchange exchange = {socket, problems, -1};
    struct text question = {.bytes = NULL};
    json_t *json;

    text_add(&question,
             "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
             "Content-Length: 0\r\n\r\n",
             method, target);
    json = converse(&exchange, &question, wait_s, was_good_out);
    text_deinit(&question);
    return json;
}
