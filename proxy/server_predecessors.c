#include "server_predecessors.h"

#include "admin_client.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    /* How long the last process of a row is waited for, and how much less each
     * one before it. */
    WAIT_MAX_MS = 8000,
    WAIT_MIN_MS = 500,
    WAIT_STEP_MS = 500,
    /* A page of a thousand sessions, each of the longest names. */
    ANSWER_MAX = 16 * 1024 * 1024,
    NUMBER_MAX = 24
};

/* Who waits for the list. */
struct inquiry {
    struct inquiry *next;
    struct server_predecessors *predecessors;
    struct admin_request *request;
    predecessors_handler *handler;
    void *owner;
    struct ask *ask;
    pid_t pid; /* of the one that is asked */
};

static uint64_t wait_of(const struct admin_request *request)
{
    const char *text = admin_parameter(request, "wait");
    unsigned long wait_ms =
        text == NULL ? WAIT_MAX_MS : strtoul(text, NULL, 10);

    if (wait_ms > WAIT_MAX_MS)
        return WAIT_MAX_MS;
    return wait_ms < WAIT_MIN_MS + WAIT_STEP_MS ? WAIT_MIN_MS
                                                : wait_ms - WAIT_STEP_MS;
}

struct ask *server_predecessors_put(uv_loop_t *loop,
                                    struct predecessor *predecessor,
                                    struct admin_request *request,
                                    const char *method, struct text *target,
                                    ask_handler *handler, void *owner)
{
    struct ask_question question = {.method = method,
                                    .wait_ms = wait_of(request),
                                    .answer_max = ANSWER_MAX};
    char wait[NUMBER_MAX];
    int fd;

    if (predecessor_pid(predecessor) == 0)
        return NULL;
    fd = predecessor_connect(predecessor);
    if (fd < 0)
        return NULL;
    snprintf(wait, sizeof(wait), "%" PRIu64, question.wait_ms);
    admin_client_add(target, "wait", wait);
    question.target = target->bytes;
    return ask_start(loop, fd, &question, handler, owner);
}

static void add_object(struct text *list, const json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);

    if (text != NULL)
        text_add(list, "%s\n  %s", list->len == 0 ? "" : ",", text);
    free(text);
}

static void add_answer(struct text *list, const json_t *answer, pid_t pid)
{
    const json_t *processes = json_object_get(answer, "processes");

    if (json_array_size(processes) == 0)
        text_add(list, "\n  {\"pid\":%ld,\"state\":\"silent\"}", (long)pid);
    for (size_t i = 0; i < json_array_size(processes); i++)
        add_object(list, json_array_get(processes, i));
}

static void leave_list(struct inquiry *inquiry)
{
    struct inquiry **at = &inquiry->predecessors->first;

    while (*at != inquiry)
        at = &(*at)->next;
    *at = inquiry->next;
}

static void tell(const struct inquiry *inquiry, const json_t *answer)
{
    struct text list = {.bytes = NULL};

    add_answer(&list, answer, inquiry->pid);
    inquiry->handler(inquiry->request, &list, inquiry->owner);
    text_deinit(&list);
}

static void on_answer(const json_t *answer, void *owner)
{
    struct inquiry *inquiry = owner;

    leave_list(inquiry);
    tell(inquiry, answer);
    free(inquiry);
}

static void start(struct inquiry *inquiry, struct predecessor *predecessor)
{
    struct server_predecessors *predecessors = inquiry->predecessors;
    struct text target = {.bytes = NULL};

    text_add(&target, "/processes");
    inquiry->ask = server_predecessors_put(predecessors->loop, predecessor,
                                           inquiry->request, "GET", &target,
                                           on_answer, inquiry);
    text_deinit(&target);
    if (inquiry->ask == NULL) {
        tell(inquiry, NULL);
        free(inquiry);
        return;
    }
    inquiry->next = predecessors->first;
    predecessors->first = inquiry;
}

void server_predecessors_ask(struct server_predecessors *predecessors,
                             struct predecessor *predecessor,
                             struct admin_request *request,
                             predecessors_handler *handler, void *owner)
{
    const struct text none = {.bytes = NULL};
    pid_t pid = predecessor_pid(predecessor);
    struct inquiry *inquiry;

    if (pid == 0) {
        handler(request, &none, owner);
        return;
    }
    inquiry = mem_zalloc(sizeof(*inquiry));
    *inquiry = (struct inquiry){.predecessors = predecessors,
                                .request = request,
                                .handler = handler,
                                .owner = owner,
                                .pid = pid};
    start(inquiry, predecessor);
}

void server_predecessors_stop(struct server_predecessors *predecessors)
{
    while (predecessors->first != NULL) {
        struct inquiry *inquiry = predecessors->first;

        predecessors->first = inquiry->next;
        ask_drop(&inquiry->ask);
        free(inquiry);
    }
}
