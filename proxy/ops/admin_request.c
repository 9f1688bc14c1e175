#include "ops/admin_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What the line of a request says about it before the library lets it have
 * anything that it would tell the end of. */
static char has_plain_path; /* nothing is encoded: no route needs that */
static char has_odd_path;

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
    admin_run_soon(request->door);
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
void *admin_on_line(void *owner, const char *line,
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

enum MHD_Result admin_on_request(void *owner, struct MHD_Connection *connection,
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
    admin_dispatch(request, is_plain, path, method);
    if (request->response != NULL)
        return send_answer(request);
    wait_for_answer(request);
    return MHD_YES;
}

void admin_on_completed(void *owner, struct MHD_Connection *connection,
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
