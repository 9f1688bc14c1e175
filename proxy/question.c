#include "question.h"

#include <stdlib.h>

static struct question *take_all(struct questions *box)
{
    struct question *first;

    uv_mutex_lock(&box->lock);
    first = box->answered;
    box->answered = NULL;
    uv_mutex_unlock(&box->lock);
    return first;
}

static void on_bell(uv_async_t *bell)
{
    struct questions *box = bell->data;
    struct question *question = take_all(box);

    while (question != NULL) {
        struct question *next = question->next;

        box->handler(question);
        question_unref(&question);
        question = next;
    }
}

int questions_open(struct questions *box, uv_loop_t *loop,
                   question_handler *handler)
{
    int result;

    box->handler = handler;
    box->bell.data = box;
    result = uv_mutex_init(&box->lock);
    return result == 0 ? uv_async_init(loop, &box->bell, on_bell) : result;
}

void questions_close(struct questions *box)
{
    uv_mutex_lock(&box->lock);
    box->is_closed = true;
    uv_mutex_unlock(&box->lock);
    uv_close((uv_handle_t *)&box->bell, NULL);
}

void questions_deinit(struct questions *box)
{
    struct question *question = take_all(box);

    while (question != NULL) {
        struct question *next = question->next;

        question_unref(&question);
        question = next;
    }
    uv_mutex_destroy(&box->lock);
}

struct question *question_new(struct questions *box, void *asker)
{
    struct question *question = mem_zalloc(sizeof(*question));

    atomic_init(&question->refs, 1);
    question->box = box;
    question->asker = asker;
    return question;
}

struct question *question_ref(struct question *question)
{
    atomic_fetch_add(&question->refs, 1);
    return question;
}

void question_unref(struct question **question)
{
    struct question *mine = *question;

    *question = NULL;
    if (mine == NULL || atomic_fetch_sub(&mine->refs, 1) > 1)
        return;
    listing_deinit(&mine->listing);
    free(mine);
}

void question_answer(struct question *question)
{
    struct questions *box = question->box;

    uv_mutex_lock(&box->lock);
    question->next = box->answered;
    box->answered = question;
    if (!box->is_closed)
        uv_async_send(&box->bell);
    uv_mutex_unlock(&box->lock);
}
