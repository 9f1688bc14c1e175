#include "server_sessions.h"

#include "admin_client.h"
#include "base/log.h"
#include "question.h"
#include "server_predecessors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LIMIT_USUAL = 1000,
    LIMIT_MAX = 1000,
    OVER_MAX_S = 86400,
    /* A worker whose loop stands still, or that has just ended, does not hold
     * a page for ever. */
    PATIENCE_MS = 5000,
    PLACE_MAX = 64
};

/* One answer in the making: the workers are asked one after the other, then the
 * predecessor, which goes on in the same way. */
struct page {
    struct page *next;
    struct server_sessions *sessions;
    struct admin_request *request;
    struct worker *const *workers;
    unsigned worker_count;
    unsigned worker; /* who is asked */
    struct kick whom;
    uint64_t after;
    size_t limit;
    size_t count;
    size_t matches;
    bool is_kick;
    bool is_partial; /* some worker did not answer */
    struct text rows;
    char from[PLACE_MAX];      /* in a predecessor; empty: at its beginning */
    char following[PLACE_MAX]; /* where the next page begins; empty: nowhere */
    struct question *question;
    struct predecessor *predecessor;
    struct ask *ask;
    uv_timer_t patience;
};

struct server_sessions {
    uv_loop_t *loop;
    struct questions questions;
    struct page *first;
};

static void ask_next(struct page *page);

/* The end of a page. */

static void free_page(uv_handle_t *handle)
{
    struct page *page = handle->data;

    text_deinit(&page->rows);
    free(page->whom.backend);
    free(page);
}

static void drop_page(struct page *page)
{
    struct page **at = &page->sessions->first;

    while (*at != page)
        at = &(*at)->next;
    *at = page->next;
    if (page->question != NULL)
        page->question->asker = NULL;
    question_unref(&page->question);
    ask_drop(&page->ask);
    uv_close((uv_handle_t *)&page->patience, free_page);
}

static void answer_page(struct page *page)
{
    struct text body = {.bytes = NULL};

    if (page->is_kick) {
        text_add(&body, "{\"sessions\": %zu", page->matches);
    } else {
        text_add(&body, "{\"sessions\": [%s],\n \"next\": ",
                 page->rows.bytes == NULL ? "" : page->rows.bytes);
        text_add_json_or_null(
            &body, page->following[0] == '\0' ? NULL : page->following);
        text_add(&body, ", \"process\": %ld", (long)getpid());
    }
    text_add(&body, ", \"complete\": %s}\n",
             page->is_partial ? "false" : "true");
    admin_answer(page->request, ADMIN_OK, ADMIN_JSON, &body);
    drop_page(page);
}

/* What workers say. */

static void add_row(struct text *out, const struct session_row *row)
{
    char peer[ADDRESS_TEXT_MAX];

    address_format(&row->peer, peer, sizeof(peer));
    text_add(out,
             "\n  {\"id\": \"%u-%" PRIu64
             "\", \"process\": %ld, \"state\": \"%s\", ",
             row->worker, row->number, (long)getpid(), row->state);
    text_add(out, "\"user\": ");
    text_add_json_or_null(out, row->user);
    text_add(out, ", \"backend\": ");
    text_add_json_or_null(out, row->backend);
    text_add(out, ", \"peer\": \"%s\", \"tls\": %s, ", peer,
             row->is_secure ? "true" : "false");
    text_add(out,
             "\"seconds\": %" PRIu64 ", \"quiet_seconds\": %" PRIu64
             ", \"to_client\": %" PRIu64 ", \"to_backend\": %" PRIu64 "}",
             row->age_ms / 1000, row->quiet_ms / 1000, row->to_client,
             row->to_backend);
}

static void follow_at(struct page *page, pid_t process, unsigned worker,
                      uint64_t number)
{
    snprintf(page->following, sizeof(page->following), "%ld:%u-%" PRIu64,
             (long)process, worker, number);
}

static void take_rows(struct page *page, const struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        text_add(&page->rows, "%s", page->count++ == 0 ? "" : ",");
        add_row(&page->rows, &listing->rows[i]);
    }
    page->matches += listing->matches;
    if (listing->matches > listing->count && !page->is_kick)
        follow_at(page, getpid(), page->worker,
                  listing->rows[listing->count - 1].number);
}

static void go_on(struct page *page)
{
    page->worker++;
    page->after = 0;
    ask_next(page);
}

static void on_answer(struct question *question)
{
    struct page *page = question->asker;

    if (page == NULL) /* nobody waits for it any more */
        return;
    question_unref(&page->question);
    take_rows(page, &question->listing);
    if (page->following[0] != '\0')
        answer_page(page);
    else
        go_on(page);
}

static void on_impatience(uv_timer_t *timer)
{
    struct page *page = timer->data;

    page->question->asker = NULL;
    question_unref(&page->question);
    page->is_partial = true;
    go_on(page);
}

static void ask(struct page *page)
{
    struct listing *listing;

    page->question = question_new(&page->sessions->questions, page);
    listing = &page->question->listing;
    listing->whom = page->whom;
    listing->whom.backend = mem_strdup(page->whom.backend);
    listing->after = page->after;
    listing->limit = page->limit - page->count;
    worker_ask(page->workers[page->worker], page->question);
    if (page->is_kick)
        worker_kick(page->workers[page->worker], &page->whom);
    uv_timer_start(&page->patience, on_impatience, PATIENCE_MS, 0);
}

/* What predecessors say. */

static void add_their_row(struct page *page, const json_t *row)
{
    char *text = json_dumps(row, JSON_COMPACT);

    if (text != NULL)
        text_add(&page->rows, "%s\n  %s", page->count++ == 0 ? "" : ",", text);
    free(text);
}

static void take_answer(struct page *page, const json_t *answer)
{
    const json_t *sessions = json_object_get(answer, "sessions");
    const char *next = json_string_value(json_object_get(answer, "next"));

    page->is_partial |= !json_is_true(json_object_get(answer, "complete"));
    if (page->is_kick && json_integer_value(sessions) > 0)
        page->matches += (size_t)json_integer_value(sessions);
    for (size_t i = 0; i < json_array_size(sessions); i++)
        add_their_row(page, json_array_get(sessions, i));
    if (next != NULL)
        snprintf(page->following, sizeof(page->following), "%s", next);
}

static void on_predecessor(const json_t *answer, void *owner)
{
    struct page *page = owner;

    page->ask = NULL;
    take_answer(page, answer);
    answer_page(page);
}

static void repeat_parameter(const struct page *page, struct text *target,
                             const char *name)
{
    const char *value = admin_parameter(page->request, name);

    if (value != NULL)
        admin_client_add(target, name, value);
}

static void ask_predecessor(struct page *page)
{
    struct text target = {.bytes = NULL};

    text_add(&target, page->is_kick ? "/kick" : "/sessions");
    repeat_parameter(page, &target, "user");
    repeat_parameter(page, &target, "backend");
    repeat_parameter(page, &target, "over");
    if (page->from[0] != '\0')
        admin_client_add(&target, "after", page->from);
    if (!page->is_kick) {
        char limit[PLACE_MAX];

        snprintf(limit, sizeof(limit), "%zu", page->limit - page->count);
        admin_client_add(&target, "limit", limit);
    }
    page->ask = server_predecessors_put(
        page->sessions->loop, page->predecessor, page->request,
        page->is_kick ? "POST" : "GET", &target, on_predecessor, page);
    text_deinit(&target);
    if (page->ask == NULL)
        on_predecessor(NULL, page);
}

/* The workers have spoken. */
static void end_own(struct page *page)
{
    pid_t pid = predecessor_pid(page->predecessor);

    if (pid != 0 && (page->is_kick || page->count < page->limit)) {
        ask_predecessor(page);
        return;
    }
    if (pid != 0)
        follow_at(page, pid, 0, 0);
    answer_page(page);
}

static void ask_next(struct page *page)
{
    uv_timer_stop(&page->patience);
    if (page->worker >= page->worker_count) {
        end_own(page);
    } else if (page->count == page->limit && !page->is_kick) {
        follow_at(page, getpid(), page->worker, 0);
        answer_page(page);
    } else {
        ask(page);
    }
}

/* What is asked for. */

/* A whole number up to max. */
static bool read_number(const char *text, uint64_t max, char end,
                        uint64_t *number_out, const char **rest_out)
{
    uint64_t number = 0;
    const char *at = text;

    for (; *at >= '0' && *at <= '9'; at++) {
        if (number > (max - (uint64_t)(*at - '0')) / 10)
            return false;
        number = number * 10 + (uint64_t)(*at - '0');
    }
    if (at == text || *at != end)
        return false;
    *number_out = number;
    *rest_out = at + 1;
    return true;
}

static bool read_count(const struct admin_request *request, const char *name,
                       uint64_t max, uint64_t *out)
{
    const char *text = admin_parameter(request, name);
    const char *rest;

    return text == NULL || read_number(text, max, '\0', out, &rest);
}

static bool read_user(const struct admin_request *request,
                      const struct server_view *view, struct kick *whom)
{
    const char *user = admin_parameter(request, "user");
    struct identity identity;

    if (user == NULL)
        return true;
    if (identity_normalise(&view->snapshot->settings->auth.identity,
                           (const uint8_t *)user, strlen(user),
                           &identity) != IDENTITY_OK)
        return false;
    memcpy(whom->user, identity.user, identity.user_len + 1);
    return true;
}

/* "PROCESS:WORKER-NUMBER", of which the process is ours if it is missing.
 * Another one is behind us in the row, or has ended. */
static bool read_after(const struct admin_request *request, struct page *page)
{
    const char *after = admin_parameter(request, "after");
    const char *rest = after;
    uint64_t process = (uint64_t)getpid(), worker;

    if (after == NULL)
        return true;
    if (strchr(after, ':') != NULL &&
        !read_number(after, INT32_MAX, ':', &process, &rest))
        return false;
    if (!read_number(rest, UINT32_MAX, '-', &worker, &rest) ||
        !read_number(rest, UINT64_MAX, '\0', &page->after, &rest))
        return false;
    page->worker = (unsigned)worker;
    if (process == (uint64_t)getpid())
        return true;
    page->worker = page->worker_count;
    snprintf(page->from, sizeof(page->from), "%s", after);
    return true;
}

/* NULL, or what is wrong with the request. */
static const char *read_page(const struct admin_request *request,
                             const struct server_view *view, struct page *page)
{
    const char *backend = admin_parameter(request, "backend");
    uint64_t limit = LIMIT_USUAL, over_s = 0;

    if (!read_user(request, view, &page->whom))
        return "\"user\" is no user's name";
    if (!read_after(request, page))
        return "\"after\" is not what a page gave as \"next\"";
    if (!read_count(request, "limit", LIMIT_MAX, &limit) || limit == 0)
        return "\"limit\" is a number from 1 to 1000";
    if (!read_count(request, "over", OVER_MAX_S, &over_s))
        return "\"over\" is a number of seconds up to 86400";
    if (page->is_kick && page->whom.user[0] == '\0' && backend == NULL)
        return "\"user\" or \"backend\" says whom to end";
    page->limit = page->is_kick ? 1 : (size_t)limit;
    page->whom.spread_ms = over_s * 1000;
    page->whom.backend = backend == NULL ? NULL : mem_strdup(backend);
    return NULL;
}

static void log_kick(const struct admin_request *request)
{
    const char *user = admin_parameter(request, "user");
    const char *backend = admin_parameter(request, "backend");
    struct log_entry entry;

    log_begin(&entry, LOG_INFO, "kick");
    if (user != NULL)
        log_text(&entry, "user", user);
    if (backend != NULL)
        log_text(&entry, "backend", backend);
    log_end(&entry);
}

static void begin(struct server_sessions *sessions,
                  struct admin_request *request, const struct server_view *view,
                  bool is_kick)
{
    struct page *page = mem_zalloc(sizeof(*page));
    const char *fault;

    page->sessions = sessions;
    page->request = request;
    page->workers = view->worker_list;
    page->predecessor = view->predecessor;
    page->worker_count = view->workers;
    page->is_kick = is_kick;
    page->whom.reason = "kicked";
    fault = read_page(request, view, page);
    if (fault != NULL) {
        admin_refuse(request, ADMIN_BAD_REQUEST, fault);
        free(page);
        return;
    }
    if (is_kick)
        log_kick(request);
    page->patience.data = page;
    uv_timer_init(sessions->loop, &page->patience);
    page->next = sessions->first;
    sessions->first = page;
    ask_next(page);
}

void server_sessions_list(struct server_sessions *sessions,
                          struct admin_request *request,
                          const struct server_view *view)
{
    begin(sessions, request, view, false);
}

void server_sessions_kick(struct server_sessions *sessions,
                          struct admin_request *request,
                          const struct server_view *view)
{
    begin(sessions, request, view, true);
}

struct server_sessions *server_sessions_new(uv_loop_t *loop)
{
    struct server_sessions *sessions = mem_zalloc(sizeof(*sessions));

    sessions->loop = loop;
    if (questions_open(&sessions->questions, loop, on_answer) == 0)
        return sessions;
    free(sessions);
    return NULL;
}

void server_sessions_stop(struct server_sessions *sessions)
{
    while (sessions->first != NULL)
        drop_page(sessions->first);
    questions_close(&sessions->questions);
}

void server_sessions_free(struct server_sessions **sessions)
{
    struct server_sessions *mine = *sessions;

    *sessions = NULL;
    if (mine == NULL)
        return;
    questions_deinit(&mine->questions);
    free(mine);
}
