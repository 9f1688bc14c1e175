#include "ops/admin_private.h"

#include "ops/admin_host.h"

#include <openssl/mem.h>
#include <string.h>
#include <strings.h>

static const char *header(const struct admin_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                       name);
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

void admin_dispatch(struct admin_request *request, bool is_plain,
                    const char *path, const char *method)
{
    const struct door *door = request->door;
    const struct admin_route *route = find_route(door, path);

    if (has_hosts(request))
        admin_refuse(request, MHD_HTTP_BAD_REQUEST, "there is one Host");
    else if (!admin_host_is_ours(&door->admin->access, header(request, "Host")))
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
