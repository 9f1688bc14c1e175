#include "mailbox.h"

#include "state/quota.h"

#include <stdlib.h>
#include <unistd.h>

static struct letter *take_all_in_order(struct mailbox *mailbox)
{
    struct letter *latest = atomic_exchange(&mailbox->letters, NULL);
    struct letter *ordered = NULL;

    while (latest != NULL) {
        struct letter *next = latest->next;

        latest->next = ordered;
        ordered = latest;
        latest = next;
    }
    return ordered;
}

static void on_bell(uv_async_t *bell)
{
    struct mailbox *mailbox = bell->data;
    struct letter *letter = take_all_in_order(mailbox);

    atomic_store(&mailbox->is_knocked, false);
    while (letter != NULL) {
        struct letter *next = letter->next;

        mailbox->reader(letter, mailbox->owner);
        free(letter);
        letter = next;
    }
}

static void drop_arrival(struct arrival *arrival)
{
    close(arrival->fd);
    if (arrival->quota != NULL)
        quota_give(arrival->quota);
}

static void drop_all(struct mailbox *mailbox)
{
    struct letter *letter = take_all_in_order(mailbox);

    while (letter != NULL) {
        struct letter *next = letter->next;

        snapshot_unref(&letter->snapshot);
        if (letter->kind == LETTER_LISTEN)
            close(letter->fd);
        if (letter->kind == LETTER_CONNECTION)
            drop_arrival(&letter->arrival);
        snapshot_unref(&letter->arrival.snapshot);
        socket_call_unref(&letter->call);
        kick_free(&letter->kick);
        if (letter->question != NULL) /* nobody is here: that is an answer */
            question_answer(letter->question);
        free(letter);
        letter = next;
    }
}

int mailbox_open(struct mailbox *mailbox, uv_loop_t *loop,
                 mailbox_reader *reader, void *owner)
{
    atomic_init(&mailbox->letters, NULL);
    atomic_init(&mailbox->is_knocked, false);
    mailbox->reader = reader;
    mailbox->owner = owner;
    mailbox->bell.data = mailbox;
    if (uv_mutex_init(&mailbox->bell_lock) != 0)
        return UV_ENOMEM;
    return uv_async_init(loop, &mailbox->bell, on_bell);
}

static void put_in(struct mailbox *mailbox, const struct letter *letter)
{
    struct letter *mine = mem_alloc(sizeof(*mine));

    *mine = *letter;
    mine->next = atomic_load(&mailbox->letters);
    while (!atomic_compare_exchange_weak(&mailbox->letters, &mine->next, mine))
        continue;
}

void mailbox_put(struct mailbox *mailbox, const struct letter *letter)
{
    put_in(mailbox, letter);
    uv_mutex_lock(&mailbox->bell_lock);
    if (mailbox->is_closed)
        drop_all(mailbox);
    else
        uv_async_send(&mailbox->bell);
    uv_mutex_unlock(&mailbox->bell_lock);
}

bool mailbox_offer(struct mailbox *mailbox, const struct letter *letter)
{
    bool is_open;

    uv_mutex_lock(&mailbox->bell_lock);
    is_open = !mailbox->is_closed;
    if (is_open) {
        put_in(mailbox, letter);
        uv_async_send(&mailbox->bell);
    }
    uv_mutex_unlock(&mailbox->bell_lock);
    return is_open;
}

bool mailbox_knock(struct mailbox *mailbox)
{
    bool was_heard = true;

    uv_mutex_lock(&mailbox->bell_lock);
    if (!mailbox->is_closed) {
        was_heard = !atomic_exchange(&mailbox->is_knocked, true);
        uv_async_send(&mailbox->bell);
    }
    uv_mutex_unlock(&mailbox->bell_lock);
    return was_heard;
}

/* Who was handed over and not taken up is let go now: the process may live for
 * long yet. */
void mailbox_close(struct mailbox *mailbox)
{
    uv_mutex_lock(&mailbox->bell_lock);
    mailbox->is_closed = true;
    uv_mutex_unlock(&mailbox->bell_lock);
    uv_close((uv_handle_t *)&mailbox->bell, NULL);
    drop_all(mailbox);
}

void mailbox_deinit(struct mailbox *mailbox)
{
    drop_all(mailbox);
    uv_mutex_destroy(&mailbox->bell_lock);
}
