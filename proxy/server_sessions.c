#include "server_sessions.h"

#include "base/log.h"
#include "question.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    HTTP_OK = 200,
    HTTP_BAD_REQUEST = 400,
    LIMIT_USUAL = 1000,
    LIMIT_MAX = 1000,
    OVER_MAX_S = 86400,
    /* A worker whose loop stands still, or that has just ended, does not hold
     * a page for ever. */
    PATIENCE_MS = 5000
};

/* One answer in the making: the workers are asked one after the other. */
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
    char following[64]; /* where the next page begins; empty: nowhere */
    struct question *question;
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
    }
    text_add(&body, ", \"complete\": %s}\n",
             page->is_partial ? "false" : "true");
    admin_answer(page->request, HTTP_OK, ADMIN_JSON, &body);
    drop_page(page);
}

/* What workers say. */

static void add_row(struct text *out, const struct session_row *row)
{
    char peer[ADDRESS_TEXT_MAX];

    address_format(&row->peer, peer, sizeof(peer));
    text_add(out, "\n  {\"id\": \"%u-%" PRIu64 "\", \"state\": \"%s\", ",
             row->worker, row->number, row->state);
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

static void take_rows(struct page *page, const struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        text_add(&page->rows, "%s", page->count++ == 0 ? "" : ",");
        add_row(&page->rows, &listing->rows[i]);
    }
    page->matches += listing->matches;
    if (listing->matches > listing->count && !page->is_kick)
        snprintf(page->following, sizeof(page->following), "%u-%" PRIu64,
                 page->worker, listing->rows[listing->count - 1].number);
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

static void ask_next(struct page *page)
{
    uv_timer_stop(&page->patience);
    if (page->worker >= page->worker_count) {
        answer_page(page);
    } else if (page->count == page->limit && !page->is_kick) {
        snprintf(page->following, sizeof(page->following), "%u-0",
                 page->worker);
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

static bool read_after(const struct admin_request *request, struct page *page)
{
    const char *after = admin_parameter(request, "after");
    const char *rest;
    uint64_t worker;

    if (after == NULL)
        return true;
    if (!read_number(after, UINT32_MAX, '-', &worker, &rest) ||
        !read_number(rest, UINT64_MAX, '\0', &page->after, &rest))
        return false;
    page->worker = (unsigned)worker;
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

static void begin(struct server_sessions *sessions,
                  struct admin_request *request, const struct server_view *view,
                  bool is_kick)
{
    struct page *page = mem_zalloc(sizeof(*page));
    const char *fault;

    page->sessions = sessions;
    page->request = request;
    page->workers = view->worker_list;
    page->worker_count = view->workers;
    page->is_kick = is_kick;
    page->whom.reason = "kicked";
    fault = read_page(request, view, page);
    if (fault != NULL) {
        admin_refuse(request, HTTP_BAD_REQUEST, fault);
        free(page);
        return;
    }
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
    const char *user = admin_parameter(request, "user");
    const char *backend = admin_parameter(request, "backend");
    struct log_entry entry;

    log_begin(&entry, LOG_INFO, "kick");
    if (user != NULL)
        log_text(&entry, "user", user);
    if (backend != NULL)
        log_text(&entry, "backend", backend);
    log_end(&entry);
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
