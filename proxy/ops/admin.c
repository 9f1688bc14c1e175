#include "ops/admin.h"

#include <assert.h>
#include <ctype.h>
#include <microhttpd.h>
#include <openssl/mem.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    DOORS_MAX = ADMIN_SOCKETS_MAX + 1, /* one more for who was handed in */
    CONNECTIONS_MAX = 16,
    CONNECTION_MEMORY = 8 * 1024,
    CONNECTION_SECONDS = 10,
    /* One ends a connection that is over its time, the next gives its place
     * back, the third listens again where all places were taken; no event
     * would bring the later ones about. */
    TURNS = 3
};

/* One listening socket, and whoever came through it; or none, for those who
 * were handed in. */
struct door {
    struct admin *admin;
    struct MHD_Daemon *http;
    uv_poll_t poll;
    uv_timer_t timer;
    int fd; /* the library's; -1: none, or given up */
    bool is_local;
};

struct admin {
    uv_loop_t *loop;
    const struct admin_route *routes;
    size_t route_count;
    void *owner;
    struct admin_access access;
    struct door doors[DOORS_MAX];
    size_t door_count;
    struct door *inner;          /* for those who are handed in; or NULL */
    struct admin_request *first; /* of those that wait for their answer */
    bool is_stopping;
};

/* From its head to its last byte; libmicrohttpd tells when that is over. */
struct admin_request {
    struct door *door;
    struct MHD_Connection *connection;
    struct admin_request *next;    /* while it is waiting */
    struct MHD_Response *response; /* until it is the connection's */
    unsigned status;
    bool is_waiting; /* suspended until the answer comes */
};

/* What the line of a request says about it before the library lets it have
 * anything that it would tell the end of. */
static char has_plain_path; /* nothing is encoded: no route needs that */
static char has_odd_path;

static void on_timer(uv_timer_t *timer);
static void run_door(struct door *door);

/* The answer. */

static const char *type_text(enum admin_type type)
{
    switch (type) {
    case ADMIN_PLAIN:
        return "text/plain; charset=utf-8";
    case ADMIN_JSON:
        return "application/json";
    case ADMIN_METRICS:
        return "text/plain; version=0.0.4; charset=utf-8";
    }
    return "";
}

static struct MHD_Response *new_response(enum admin_type type,
                                         struct text *body)
{
    struct MHD_Response *response;

    if (body->bytes == NULL)
        text_add(body, "%s", "");
    response = MHD_create_response_from_buffer(body->len, body->bytes,
                                               MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        mem_exhausted();
    text_deinit(body);
    /* No browser is to keep, guess or run any of it. */
    (void)MHD_add_response_header(response, "Content-Type", type_text(type));
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    (void)MHD_add_response_header(response, "X-Content-Type-Options",
                                  "nosniff");
    return response;
}

static void leave_waiting(struct admin_request *request)
{
    struct admin_request **at = &request->door->admin->first;

    while (*at != request)
        at = &(*at)->next;
    *at = request->next;
    request->is_waiting = false;
    MHD_resume_connection(request->connection);
    /* Of that the library tells no event; nor may it call back from here. */
    uv_timer_start(&request->door->timer, on_timer, 0, 0);
}

void admin_answer(struct admin_request *request, unsigned status,
                  enum admin_type type, struct text *body)
{
    assert(request->response == NULL);
    request->status = status;
    request->response = new_response(type, body);
    if (request->is_waiting)
        leave_waiting(request);
}

void admin_refuse(struct admin_request *request, unsigned status,
                  const char *why)
{
    struct text body = {.bytes = NULL};

    text_add(&body, "{\"error\": ");
    text_add_json(&body, why);
    text_add(&body, "}\n");
    admin_answer(request, status, ADMIN_JSON, &body);
}

const char *admin_parameter(const struct admin_request *request,
                            const char *name)
{
    const char *value;
    size_t len;

    if (MHD_lookup_connection_value_n(request->connection,
                                      MHD_GET_ARGUMENT_KIND, name, strlen(name),
                                      &value, &len) != MHD_YES ||
        value == NULL || len == 0 || strlen(value) != len)
        return NULL;
    return value;
}

/* The question. */

static const char *header(const struct admin_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                       name);
}

static size_t host_len(const char *host)
{
    const char *end =
        *host == '[' ? strchr(host, ']') : host + strcspn(host, ":");

    if (end == NULL)
        return 0;
    return (size_t)(end - host) + (*end == ']' ? 1 : 0);
}

static bool is_port(const char *text)
{
    if (*text == '\0')
        return true;
    return *text == ':' && strspn(text + 1, "0123456789") == strlen(text + 1);
}

static bool is_address(const char *host, size_t len)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[16];

    if (len > 2 && host[0] == '[') {
        host++;
        len -= 2;
    }
    if (len >= sizeof(text))
        return false;
    memcpy(text, host, len);
    text[len] = '\0';
    return uv_inet_pton(AF_INET, text, bytes) == 0 ||
           uv_inet_pton(AF_INET6, text, bytes) == 0;
}

static bool is_name(const char *name, const char *host, size_t len)
{
    return len == strlen(name) && strncasecmp(host, name, len) == 0;
}

static bool is_allowed_name(const struct admin_access *access, const char *host,
                            size_t len)
{
    for (size_t i = 0; i < access->host_count; i++) {
        if (is_name(access->hosts[i], host, len))
            return true;
    }
    return is_name("localhost", host, len);
}

/* A page in a browser can have its own name point here and then ask under that
 * name (DNS rebinding). Under an address it cannot. */
static bool host_is_ours(const struct admin_access *access, const char *host)
{
    size_t len;

    if (host == NULL)
        return false;
    len = host_len(host);
    if (len == 0 || !is_port(host + len))
        return false;
    return is_allowed_name(access, host, len) || is_address(host, len);
}

/* What stands behind "Bearer", a word in any case (RFC 9110, 11.1). */
static const char *said_token(const struct admin_request *request)
{
    const char *said = header(request, "Authorization");
    const size_t len = strlen("Bearer");

    if (said == NULL || strncasecmp(said, "Bearer", len) != 0 ||
        said[len] != ' ')
        return NULL;
    return said + len + strspn(said + len, " ");
}

/* Takes the same time wherever the first difference is. */
static bool has_token(const struct admin_request *request)
{
    const struct admin_access *access = &request->door->admin->access;
    const char *said = said_token(request);

    return said != NULL && strlen(said) == access->token_len &&
           CRYPTO_memcmp(said, access->token, access->token_len) == 0;
}

static bool may_ask(const struct admin_request *request,
                    const struct admin_route *route)
{
    return request->door->is_local || route->is_public || has_token(request);
}

static void refuse_stranger(struct admin_request *request)
{
    admin_refuse(request, MHD_HTTP_UNAUTHORIZED, "the token is missing");
    (void)MHD_add_response_header(request->response, "WWW-Authenticate",
                                  "Bearer realm=\"gatepost\"");
}

static enum MHD_Result count_host(void *count, enum MHD_ValueKind kind,
                                  const char *name, const char *value)
{
    (void)kind;
    (void)value;
    *(unsigned *)count += strcasecmp(name, "Host") == 0 ? 1 : 0;
    return MHD_YES;
}

/* More than one is to be refused (RFC 9112, 3.2). */
static bool has_hosts(const struct admin_request *request)
{
    unsigned count = 0;

    (void)MHD_get_connection_values(request->connection, MHD_HEADER_KIND,
                                    count_host, &count);
    return count > 1;
}

/* What is looked for in a query. */
struct query_check {
    const char *known; /* parted by spaces */
    uint64_t seen;     /* by the place in that list */
    const char *fault; /* NULL: none */
};

/* The place in a list of words; NULL: it is not among them. */
static const char *find_word(const char *words, const char *word, size_t len)
{
    while (*words != '\0') {
        size_t next = strcspn(words, " ");

        if (next == len && memcmp(words, word, len) == 0)
            return words;
        words += next + strspn(words + next, " ");
    }
    return NULL;
}

static enum MHD_Result check_parameter(void *state, enum MHD_ValueKind kind,
                                       const char *name, size_t name_len,
                                       const char *value, size_t len)
{
    struct query_check *check = state;
    const char *known = find_word(check->known, name, name_len);
    uint64_t bit =
        known == NULL ? 0 : UINT64_C(1) << ((known - check->known) % 64);

    (void)kind;
    if (known == NULL)
        check->fault = "a parameter is unknown here";
    else if ((check->seen & bit) != 0)
        check->fault = "a parameter is there twice";
    else if (value == NULL || len == 0 || strlen(value) != len)
        check->fault = "a parameter is empty or holds a NUL";
    check->seen |= bit;
    return check->fault == NULL ? MHD_YES : MHD_NO;
}

/* One that says nothing, or that is spelt wrong, must not count as one that is
 * missing: it may be all that narrows an order down. */
static const char *find_fault(const struct admin_request *request,
                              const struct admin_route *route)
{
    struct query_check check = {.known = route->parameters};

    if (!route->is_public)
        (void)MHD_get_connection_values_n(request->connection,
                                          MHD_GET_ARGUMENT_KIND,
                                          check_parameter, &check);
    return check.fault;
}

static bool has_body(const struct admin_request *request)
{
    const char *length = header(request, "Content-Length");

    return header(request, "Transfer-Encoding") != NULL ||
           (length != NULL && strcmp(length, "0") != 0);
}

/* Where no token opens it, what is not public is not even there. */
static const struct admin_route *find_route(const struct door *door,
                                            const char *path)
{
    const struct admin *admin = door->admin;
    bool can_be_asked = door->is_local || admin->access.token != NULL;

    for (size_t i = 0; i < admin->route_count; i++) {
        const struct admin_route *route = &admin->routes[i];

        if (strcmp(route->path, path) == 0 &&
            (can_be_asked || route->is_public))
            return route;
    }
    return NULL;
}

static bool fits_method(const struct admin_route *route, const char *method)
{
    switch (route->method) {
    case ADMIN_GET:
        return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    case ADMIN_POST:
        return strcmp(method, "POST") == 0;
    }
    return false;
}

static void refuse_method(struct admin_request *request,
                          const struct admin_route *route)
{
    admin_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED,
                 "this path wants another method, see Allow");
    (void)MHD_add_response_header(request->response, "Allow",
                                  route->method == ADMIN_GET ? "GET, HEAD"
                                                             : "POST");
}

static void dispatch(struct door *door, struct admin_request *request,
                     bool is_plain, const char *path, const char *method)
{
    const struct admin_route *route = find_route(door, path);

    if (has_hosts(request))
        admin_refuse(request, MHD_HTTP_BAD_REQUEST, "there is one Host");
    else if (!host_is_ours(&door->admin->access, header(request, "Host")))
        admin_refuse(request, MHD_HTTP_MISDIRECTED_REQUEST,
                     "Host must be \"localhost\", an address or one of "
                     "\"admin\": {\"hosts\"}");
    else if (header(request, "Origin") != NULL)
        admin_refuse(request, MHD_HTTP_FORBIDDEN, "not for web pages");
    else if (has_body(request))
        admin_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE,
                     "no request here has a body");
    else if (route == NULL || !is_plain)
        admin_refuse(request, MHD_HTTP_NOT_FOUND, "no such path");
    else if (!may_ask(request, route))
        refuse_stranger(request);
    else if (!fits_method(route, method))
        refuse_method(request, route);
    else if (find_fault(request, route) != NULL)
        admin_refuse(request, MHD_HTTP_BAD_REQUEST, find_fault(request, route));
    else if (door->admin->is_stopping)
        admin_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "the server ends");
    else
        route->handle(request, door->admin->owner);
}

static void wait_for_answer(struct admin_request *request)
{
    request->is_waiting = true;
    request->next = request->door->admin->first;
    request->door->admin->first = request;
    MHD_suspend_connection(request->connection);
}

static void drop_response(struct admin_request *request)
{
    if (request->response != NULL)
        MHD_destroy_response(request->response);
    request->response = NULL;
}

static enum MHD_Result send_answer(struct admin_request *request)
{
    /* Kept by the connection from here on. */
    enum MHD_Result result = MHD_queue_response(
        request->connection, request->status, request->response);

    drop_response(request);
    return result;
}

/* Comes first, and gives the request as it stands on the line. Who leaves
 * before the head is whole is told of by nothing: so nothing is made here. */
static void *on_line(void *owner, const char *line,
                     struct MHD_Connection *connection)
{
    (void)owner;
    (void)connection;
    return line[strcspn(line, "%?")] == '%' ? &has_odd_path : &has_plain_path;
}

static bool was_seen(const void *state)
{
    return state != &has_odd_path && state != &has_plain_path;
}

static struct admin_request *new_request(struct door *door,
                                         struct MHD_Connection *connection)
{
    struct admin_request *request = mem_zalloc(sizeof(*request));

    request->door = door;
    request->connection = connection;
    return request;
}

static enum MHD_Result on_request(void *owner,
                                  struct MHD_Connection *connection,
                                  const char *path, const char *method,
                                  const char *version, const char *upload,
                                  size_t *upload_len, void **state)
{
    struct admin_request *request;
    bool is_plain = *state == &has_plain_path;

    (void)version;
    (void)upload;
    (void)upload_len;
    if (was_seen(*state)) {
        request = *state;
        return request->response == NULL ? MHD_YES : send_answer(request);
    }
    request = new_request(owner, connection);
    *state = request;
    dispatch(request->door, request, is_plain, path, method);
    if (request->response != NULL)
        return send_answer(request);
    wait_for_answer(request);
    return MHD_YES;
}

static void on_completed(void *owner, struct MHD_Connection *connection,
                         void **state, enum MHD_RequestTerminationCode how)
{
    (void)owner;
    (void)connection;
    (void)how;
    if (was_seen(*state)) {
        /* Who left while the answer was made is not asked for it. */
        drop_response(*state);
        free(*state);
    }
    *state = NULL;
}

/* The loop. */

static void on_epoll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run_door(poll->data);
}

static void on_timer(uv_timer_t *timer)
{
    run_door(timer->data);
}

/* Lets the library do all that can be done now, and come back in time. */
static void run_door(struct door *door)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;

    for (int i = 0; i < TURNS; i++)
        (void)MHD_run(door->http);
    if (MHD_get_timeout(door->http, &wait_ms) == MHD_YES)
        uv_timer_start(&door->timer, on_timer, wait_ms, 0);
    else
        uv_timer_stop(&door->timer);
}

/* Without a descriptor it has no listening socket. */
static struct MHD_Daemon *start_http(struct door *door, int fd)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
                     (fd < 0 ? (unsigned)MHD_USE_NO_LISTEN_SOCKET : 0);
    struct MHD_OptionItem socket[] = {{MHD_OPTION_LISTEN_SOCKET, fd, NULL},
                                      {MHD_OPTION_END, 0, NULL}};

    return MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, door, MHD_OPTION_ARRAY,
        fd < 0 ? &socket[1] : socket, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        NULL, MHD_OPTION_URI_LOG_CALLBACK, on_line, door,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_SECONDS,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_END);
}

/* NULL: the library cannot; the descriptor is closed then. */
static struct door *open_door(struct admin *admin, int fd, bool is_local)
{
    struct door *door = &admin->doors[admin->door_count];
    const union MHD_DaemonInfo *info;

    assert(admin->door_count < DOORS_MAX);
    *door = (struct door){.admin = admin, .fd = fd, .is_local = is_local};
    door->http = start_http(door, fd);
    if (door->http == NULL) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    info = MHD_get_daemon_info(door->http, MHD_DAEMON_INFO_EPOLL_FD);
    door->poll.data = door;
    door->timer.data = door;
    uv_timer_init(admin->loop, &door->timer);
    if (info == NULL ||
        uv_poll_init(admin->loop, &door->poll, info->epoll_fd) != 0) {
        uv_close((uv_handle_t *)&door->timer, NULL);
        MHD_stop_daemon(door->http);
        return NULL;
    }
    admin->door_count++;
    uv_poll_start(&door->poll, UV_READABLE, on_epoll);
    return door;
}

bool admin_serve(struct admin *admin, int fd, bool is_local)
{
    return open_door(admin, fd, is_local) != NULL;
}

/* Made when somebody is handed in for the first time. */
static struct door *inner_door(struct admin *admin)
{
    if (admin->inner == NULL)
        admin->inner = open_door(admin, -1, true);
    return admin->inner;
}

bool admin_take(struct admin *admin, int fd)
{
    struct door *door = admin->is_stopping ? NULL : inner_door(admin);
    const struct sockaddr nobody = {.sa_family = AF_UNIX};

    if (door == NULL) {
        close(fd);
        return false;
    }
    /* Closes it where it fails. */
    if (MHD_add_connection(door->http, fd, &nobody, sizeof(sa_family_t)) !=
        MHD_YES)
        return false;
    run_door(door);
    return true;
}

size_t admin_sockets(const struct admin *admin, int fds_out[ADMIN_SOCKETS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < admin->door_count; i++) {
        if (admin->doors[i].fd >= 0)
            fds_out[count++] = admin->doors[i].fd;
    }
    return count;
}

void admin_retire(struct admin *admin)
{
    for (size_t i = 0; i < admin->door_count; i++) {
        struct door *door = &admin->doors[i];

        if (door->fd < 0)
            continue;
        close(MHD_quiesce_daemon(door->http));
        door->fd = -1;
    }
}

struct admin *admin_new(uv_loop_t *loop, const struct admin_route *routes,
                        size_t count, void *owner)
{
    struct admin *admin = mem_zalloc(sizeof(*admin));

    admin->loop = loop;
    admin->routes = routes;
    admin->route_count = count;
    admin->owner = owner;
    return admin;
}

void admin_set_access(struct admin *admin, const struct admin_access *access)
{
    admin->access = *access;
}

void admin_stop(struct admin *admin)
{
    admin->is_stopping = true;
    while (admin->first != NULL)
        admin_refuse(admin->first, MHD_HTTP_SERVICE_UNAVAILABLE,
                     "the server ends");
    for (size_t i = 0; i < admin->door_count; i++) {
        struct door *door = &admin->doors[i];

        /* What was just answered is still to be sent. */
        (void)MHD_run(door->http);
        uv_poll_stop(&door->poll);
        uv_close((uv_handle_t *)&door->poll, NULL);
        uv_close((uv_handle_t *)&door->timer, NULL);
        MHD_stop_daemon(door->http);
    }
    admin->door_count = 0;
    admin->inner = NULL;
}

void admin_free(struct admin **admin)
{
    free(*admin);
    *admin = NULL;
}

const char *admin_http_version(void)
{
    return MHD_get_version();
}
