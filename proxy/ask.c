#include "ask.h"

#include "ops/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    READ_SIZE = 16 * 1024
};

struct ask {
    uv_pipe_t link;
    uv_timer_t patience;
    uv_write_t sending;
    unsigned handles; /* not closed yet */
    struct text question;
    struct text answer;
    size_t answer_max;
    ask_handler *handler; /* NULL: was told, or nobody hears it */
    void *owner;
    char bytes[READ_SIZE];
};

static void on_closed(uv_handle_t *handle)
{
    struct ask *ask = handle->data;

    if (--ask->handles > 0)
        return;
    text_deinit(&ask->question);
    text_deinit(&ask->answer);
    free(ask);
}

static void close_handles(struct ask *ask)
{
    ask->handler = NULL;
    uv_close((uv_handle_t *)&ask->link, on_closed);
    uv_close((uv_handle_t *)&ask->patience, on_closed);
}

static void tell(struct ask *ask, const json_t *answer)
{
    ask_handler *handler = ask->handler;
    void *owner = ask->owner;

    close_handles(ask);
    handler(answer, owner);
}

/* NULL for what is no answer, cut short, or a refusal. */
static json_t *read_answer(const struct text *answer)
{
    const char *body =
        answer->bytes == NULL ? NULL : strstr(answer->bytes, "\r\n\r\n");

    if (body == NULL || strncmp(answer->bytes, "HTTP/1.1 2", 10) != 0)
        return NULL;
    body += 4;
    return json_loadb(body, answer->len - (size_t)(body - answer->bytes), 0,
                      NULL);
}

static void tell_answer(struct ask *ask)
{
    json_t *json = read_answer(&ask->answer);

    tell(ask, json);
    json_decref(json);
}

static void on_impatience(uv_timer_t *timer)
{
    tell(timer->data, NULL);
}

static void on_sent(uv_write_t *sending, int status)
{
    struct ask *ask = sending->data;

    /* With UV_ECANCELED it was closed, and told. */
    if (status != 0 && ask->handler != NULL)
        tell(ask, NULL);
}

static void lend_bytes(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
    struct ask *ask = handle->data;

    (void)wanted;
    *out = uv_buf_init(ask->bytes, sizeof(ask->bytes));
}

/* The other side ends the connection behind its one answer. */
static void on_bytes(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct ask *ask = stream->data;

    if (len == 0)
        return;
    if (len == UV_EOF)
        tell_answer(ask);
    else if (len < 0 || (size_t)len > ask->answer_max - ask->answer.len)
        tell(ask, NULL);
    else
        text_add_bytes(&ask->answer, buf->base, (size_t)len);
}

static bool send_question(struct ask *ask)
{
    uv_buf_t buf =
        uv_buf_init(ask->question.bytes, (unsigned)ask->question.len);

    return uv_write(&ask->sending, (uv_stream_t *)&ask->link, &buf, 1,
                    on_sent) == 0 &&
           uv_read_start((uv_stream_t *)&ask->link, lend_bytes, on_bytes) == 0;
}

static struct ask *new_ask(uv_loop_t *loop, const struct ask_question *question)
{
    struct ask *ask = mem_zalloc(sizeof(*ask));

    ask->handles = 2;
    ask->answer_max = question->answer_max;
    ask->link.data = ask;
    ask->patience.data = ask;
    ask->sending.data = ask;
    text_add(&ask->question,
             "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
             "Content-Length: 0\r\n\r\n",
             question->method, question->target);
    uv_pipe_init(loop, &ask->link, 0);
    uv_timer_init(loop, &ask->patience);
    return ask;
}

struct ask *ask_start(uv_loop_t *loop, int fd,
                      const struct ask_question *question, ask_handler *handler,
                      void *owner)
{
    struct ask *ask = new_ask(loop, question);

    if (uv_pipe_open(&ask->link, fd) != 0) {
        close(fd);
        close_handles(ask);
        return NULL;
    }
    if (!send_question(ask)) {
        close_handles(ask);
        return NULL;
    }
    ask->handler = handler;
    ask->owner = owner;
    uv_timer_start(&ask->patience, on_impatience, question->wait_ms, 0);
    return ask;
}

void ask_drop(struct ask **ask)
{
    if (*ask != NULL)
        close_handles(*ask);
    *ask = NULL;
}
