#include "state/heir.h"

#include "backend/backend_memory.h"
#include "base/thread.h"
#include "state/heir_private.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* In real time: a login that waits blocks its loop. */
enum {
    ANSWER_MS = 1000,
    LOOK_MS = 100, /* at sessions, and for answers that came late */
    YIELD_US = 100,
    YIELDS = 100, /* then whoever waits does so for others, too */
    NEWS_SIZE = 1 + 8 + 8 + 4,
    FIRST_NEWS_SIZE = 64 * NEWS_SIZE
};

/* Asked, and not answered in time. */
struct unanswered {
    bool is_set;
    uint32_t sequence;
    enum heir_verb verb;
    uint64_t key;
};

/* What the successor knows of a backend's sessions; never 0. */
struct told_sessions {
    struct backend *backend;
    uint32_t count;
};

struct heir {
    struct backend_registry *registry;
    atomic_bool is_open;
    atomic_bool was_silent;
    atomic_uint waiting; /* for the lock */

    pthread_mutex_t lock; /* of questions */
    int fd;
    uint32_t sequence;
    struct unanswered unanswered;
    struct wire_writer question;

    pthread_mutex_t news_lock;
    uint8_t *news;
    size_t news_len;
    size_t news_size;

    int bell; /* there are news, or the thread is to end */
    pthread_t thread;
    bool has_thread;
    bool is_patient; /* all was given: whoever is slow is waited for */
    atomic_bool is_ending;
    struct told_sessions *told;
    size_t told_count;
    struct wire_writer packet; /* the thread's */
};

struct heir *heir_new(struct backend_registry *registry)
{
    struct heir *heir = mem_zalloc(sizeof(*heir));

    heir->registry = registry;
    heir->fd = -1;
    heir->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&heir->lock, NULL);
    pthread_mutex_init(&heir->news_lock, NULL);
    return heir;
}

void heir_free(struct heir **heir)
{
    struct heir *mine = *heir;

    *heir = NULL;
    if (mine == NULL)
        return;
    heir_close(mine);
    if (mine->bell >= 0)
        close(mine->bell);
    pthread_mutex_destroy(&mine->lock);
    pthread_mutex_destroy(&mine->news_lock);
    free(mine);
}

static bool is_open(const struct heir *heir)
{
    return atomic_load_explicit(&heir->is_open, memory_order_acquire);
}

/* The other side shall see it, too: two who both decide would be worse. */
static void break_link(struct heir *heir)
{
    if (atomic_exchange(&heir->is_open, false))
        (void)shutdown(heir->fd, SHUT_RDWR);
}

void heir_open(struct heir *heir, int fd)
{
    assert(heir->fd < 0);
    pthread_mutex_lock(&heir->lock);
    heir->fd = fd;
    heir->unanswered.is_set = false;
    heir->is_patient = false;
    atomic_store(&heir->is_open, true);
    pthread_mutex_unlock(&heir->lock);
}

static void ring(struct heir *heir)
{
    const uint64_t one = 1;

    if (heir->bell >= 0 && write(heir->bell, &one, sizeof(one)) < 0)
        return; /* it rings already */
}

static void forget_news(struct heir *heir)
{
    pthread_mutex_lock(&heir->news_lock);
    free(heir->news);
    heir->news = NULL;
    heir->news_len = 0;
    heir->news_size = 0;
    pthread_mutex_unlock(&heir->news_lock);
}

static void forget_told(struct heir *heir)
{
    for (size_t i = 0; i < heir->told_count; i++)
        backend_unref(&heir->told[i].backend);
    free(heir->told);
    heir->told = NULL;
    heir->told_count = 0;
}

void heir_close(struct heir *heir)
{
    if (heir->fd < 0)
        return;
    break_link(heir);
    atomic_store(&heir->is_ending, true);
    ring(heir);
    if (heir->has_thread)
        pthread_join(heir->thread, NULL);
    heir->has_thread = false;
    atomic_store(&heir->is_ending, false);
    pthread_mutex_lock(&heir->lock);
    close(heir->fd);
    heir->fd = -1;
    atomic_store(&heir->was_silent, false);
    pthread_mutex_unlock(&heir->lock);
    forget_news(heir);
    forget_told(heir);
}

/* Real time, whatever base/clock's scale. */
static int left_ms(const struct timespec *until)
{
    struct timespec now;
    int64_t left;

    clock_gettime(CLOCK_MONOTONIC, &now);
    left = (int64_t)(until->tv_sec - now.tv_sec) * 1000 +
           (until->tv_nsec - now.tv_nsec) / 1000000;
    return left < 0 ? 0 : (int)left;
}

enum transfer {
    TRANSFER_DONE,
    TRANSFER_LATE,
    TRANSFER_BROKEN
};

/* Nothing of a packet is sent, or all of it. */
static enum transfer send_until(struct heir *heir,
                                const struct wire_writer *packet,
                                const struct timespec *until)
{
    struct pollfd poller = {.fd = heir->fd, .events = POLLOUT};

    for (;;) {
        if (send(heir->fd, packet->bytes, packet->len,
                 MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return TRANSFER_DONE;
        if (errno != EAGAIN && errno != EINTR)
            return TRANSFER_BROKEN;
        if (left_ms(until) == 0 || atomic_load(&heir->is_ending))
            return TRANSFER_LATE;
        (void)poll(&poller, 1, left_ms(until));
    }
}

bool heir_send(struct heir *heir, const struct wire_writer *packet)
{
    enum transfer transfer = TRANSFER_LATE;

    do {
        const struct timespec until = thread_deadline(HEIR_SEND_MS);

        if (is_open(heir))
            transfer = send_until(heir, packet, &until);
    } while (transfer == TRANSFER_LATE && heir->is_patient && is_open(heir));
    if (transfer != TRANSFER_DONE)
        break_link(heir);
    return transfer == TRANSFER_DONE;
}

bool heir_send_until(struct heir *heir, const struct wire_writer *packet,
                     const struct timespec *until)
{
    bool is_sent =
        is_open(heir) && send_until(heir, packet, until) == TRANSFER_DONE;

    if (!is_sent)
        break_link(heir);
    return is_sent;
}

/* --- news --- */

static void keep_news(struct heir *heir, const uint8_t *news)
{
    if (heir->news_len + NEWS_SIZE > heir->news_size) {
        heir->news_size =
            heir->news_size == 0 ? FIRST_NEWS_SIZE : 2 * heir->news_size;
        heir->news = mem_realloc(heir->news, heir->news_size);
    }
    memcpy(heir->news + heir->news_len, news, NEWS_SIZE);
    heir->news_len += NEWS_SIZE;
}

void heir_tell(struct heir *heir, enum heir_news news, uint64_t key,
               uint64_t user, uint32_t secret)
{
    uint8_t bytes[NEWS_SIZE] = {(uint8_t)news};
    bool is_first;

    if (heir == NULL || !is_open(heir))
        return;
    memcpy(bytes + 1, &key, sizeof(key));
    memcpy(bytes + 9, &user, sizeof(user));
    memcpy(bytes + 17, &secret, sizeof(secret));
    pthread_mutex_lock(&heir->news_lock);
    is_first = heir->news_len == 0;
    keep_news(heir, bytes);
    if (is_first)
        ring(heir);
    pthread_mutex_unlock(&heir->news_lock);
}

static uint8_t *take_news(struct heir *heir, size_t *len_out)
{
    uint8_t *news;

    pthread_mutex_lock(&heir->news_lock);
    news = heir->news;
    *len_out = heir->news_len;
    heir->news = NULL;
    heir->news_len = 0;
    heir->news_size = 0;
    pthread_mutex_unlock(&heir->news_lock);
    return news;
}

bool heir_send_news(struct heir *heir)
{
    size_t len;
    uint8_t *news = take_news(heir, &len);
    bool is_sent = true;
    size_t at = 0;

    while (is_sent && at < len) {
        wire_start(&heir->packet, WIRE_NEWS);
        for (; at < len && wire_has_room(&heir->packet, NEWS_SIZE);
             at += NEWS_SIZE)
            wire_put(&heir->packet, news + at, NEWS_SIZE);
        is_sent = heir_send(heir, &heir->packet);
    }
    free(news);
    return is_sent;
}

/* --- questions --- */

void heir_lock(struct heir *heir)
{
    atomic_fetch_add(&heir->waiting, 1);
    pthread_mutex_lock(&heir->lock);
    atomic_fetch_sub(&heir->waiting, 1);
}

/* A mutex is had by who asks for it first after it was given back, which is
 * the one that gave it back. */
void heir_lock_behind(struct heir *heir)
{
    for (unsigned i = 0; i < YIELDS && atomic_load(&heir->waiting) > 0; i++)
        usleep(YIELD_US);
    pthread_mutex_lock(&heir->lock);
}

void heir_unlock(struct heir *heir)
{
    pthread_mutex_unlock(&heir->lock);
}

bool heir_was_silent(const struct heir *heir)
{
    return atomic_load(&heir->was_silent);
}

struct answer {
    uint32_t sequence;
    enum heir_answer answer;
    struct backend *at;
};

static bool read_answer(struct heir *heir, const uint8_t *bytes, size_t len,
                        struct answer *out)
{
    struct wire_reader reader;
    uint8_t kind = wire_open(&reader, bytes, len);
    uint8_t answer;

    out->sequence = wire_get_u32(&reader);
    answer = wire_get_u8(&reader);
    out->at = wire_get_place(&reader, heir->registry);
    if (kind == WIRE_ANSWER && wire_is_whole(&reader) && answer >= HEIR_YES &&
        answer <= HEIR_WAIT) {
        out->answer = (enum heir_answer)answer;
        return true;
    }
    backend_unref(&out->at);
    return false;
}

static enum transfer receive_until(struct heir *heir, struct answer *out,
                                   const struct timespec *until)
{
    struct pollfd poller = {.fd = heir->fd, .events = POLLIN};
    uint8_t bytes[1024];
    ssize_t len;

    for (;;) {
        len = recv(heir->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (len > 0 && read_answer(heir, bytes, (size_t)len, out))
            return TRANSFER_DONE;
        if (len >= 0 || (errno != EAGAIN && errno != EINTR))
            return TRANSFER_BROKEN;
        if (left_ms(until) == 0 || atomic_load(&heir->is_ending))
            return TRANSFER_LATE;
        (void)poll(&poller, 1, left_ms(until));
    }
}

/* Of a question whose asker has gone on without the answer. A move need not be
 * undone: its claim follows the home. */
static void undo(struct heir *heir, enum heir_answer answer)
{
    const struct unanswered *unanswered = &heir->unanswered;

    switch (unanswered->verb) {
    case HEIR_ENTER:
        if (answer == HEIR_YES)
            heir_tell(heir, HEIR_LEFT_EARLY, unanswered->key, 0, 0);
        break;
    case HEIR_MOVE:
        break;
    case HEIR_ARRIVE:
        /* Where it says WAIT it has given the claim up itself. */
        if (answer != HEIR_WAIT)
            heir_tell(heir, answer == HEIR_YES ? HEIR_LEFT : HEIR_LEFT_EARLY,
                      unanswered->key, 0, 0);
        break;
    case HEIR_COUNT:
        if (answer == HEIR_YES)
            heir_tell(heir, HEIR_UNCOUNTED, unanswered->key, 0, 0);
        break;
    }
}

/* Whether nothing is owed to us any more. */
static bool catch_up(struct heir *heir)
{
    const struct timespec now = thread_deadline(0);
    struct answer answer = {.at = NULL};

    if (!heir->unanswered.is_set)
        return true;
    switch (receive_until(heir, &answer, &now)) {
    case TRANSFER_DONE:
        break;
    case TRANSFER_LATE:
        return false;
    case TRANSFER_BROKEN:
        break_link(heir);
        return false;
    }
    backend_unref(&answer.at);
    if (answer.sequence != heir->unanswered.sequence) {
        break_link(heir);
        return false;
    }
    undo(heir, answer.answer);
    heir->unanswered.is_set = false;
    return true;
}

static void write_question(struct heir *heir,
                           const struct heir_question *question)
{
    struct wire_writer *packet = &heir->question;

    wire_start(packet, WIRE_QUESTION);
    wire_put_u32(packet, ++heir->sequence);
    wire_put_u8(packet, (uint8_t)question->verb);
    wire_put_u64(packet, question->key);
    wire_put_u32(packet, question->max);
    wire_put_place(packet, question->at);
    wire_put_place(packet, question->wanted);
}

/* Whether an answer may be given to this question. */
static bool is_fit(const struct heir_question *question,
                   const struct answer *answer)
{
    bool needs_place = answer->answer != HEIR_WAIT;

    switch (question->verb) {
    case HEIR_ENTER:
        needs_place = answer->answer == HEIR_YES;
        break;
    case HEIR_MOVE:
    case HEIR_ARRIVE:
        break;
    case HEIR_COUNT:
        needs_place = false;
        break;
    }
    return !needs_place || answer->at != NULL;
}

static enum heir_answer broken(struct heir *heir)
{
    break_link(heir);
    return HEIR_NOBODY;
}

static enum heir_answer await(struct heir *heir,
                              const struct heir_question *question,
                              const struct timespec *until,
                              struct backend **at_out)
{
    struct answer answer = {.at = NULL};

    switch (receive_until(heir, &answer, until)) {
    case TRANSFER_DONE:
        break;
    case TRANSFER_LATE:
        atomic_store(&heir->was_silent, true);
        heir->unanswered = (struct unanswered){.is_set = true,
                                               .sequence = heir->sequence,
                                               .verb = question->verb,
                                               .key = question->key};
        return HEIR_SILENT;
    case TRANSFER_BROKEN:
        return broken(heir);
    }
    *at_out = answer.at;
    if (answer.sequence == heir->sequence && is_fit(question, &answer))
        return answer.answer;
    backend_unref(at_out);
    return broken(heir);
}

/* It was not asked: who meant to arrive gives up. */
static enum heir_answer say_nothing(struct heir *heir,
                                    const struct heir_question *question)
{
    if (!is_open(heir))
        return HEIR_NOBODY;
    atomic_store(&heir->was_silent, true);
    if (question->verb == HEIR_ARRIVE)
        heir_tell(heir, HEIR_LEFT_EARLY, question->key, 0, 0);
    return HEIR_SILENT;
}

enum heir_answer heir_ask(struct heir *heir,
                          const struct heir_question *question,
                          struct backend **at_out)
{
    const struct timespec until = thread_deadline(ANSWER_MS);

    *at_out = NULL;
    if (heir == NULL || !is_open(heir))
        return HEIR_NOBODY;
    if (!catch_up(heir))
        return say_nothing(heir, question);
    write_question(heir, question);
    switch (send_until(heir, &heir->question, &until)) {
    case TRANSFER_DONE:
        break;
    case TRANSFER_LATE:
        return say_nothing(heir, question);
    case TRANSFER_BROKEN:
        return broken(heir);
    }
    return await(heir, question, &until, at_out);
}

/* --- the thread --- */

static struct told_sessions *find_told(struct heir *heir,
                                       const struct backend *backend)
{
    for (size_t i = 0; i < heir->told_count; i++) {
        if (heir->told[i].backend == backend)
            return &heir->told[i];
    }
    return NULL;
}

static struct told_sessions *add_told(struct heir *heir,
                                      struct backend *backend)
{
    heir->told = mem_realloc_array(heir->told, heir->told_count + 1,
                                   sizeof(*heir->told));
    heir->told[heir->told_count] =
        (struct told_sessions){.backend = backend_ref(backend)};
    return &heir->told[heir->told_count++];
}

/* With the reference that kept the facts until the successor knew of the last
 * one's end. */
static void drop_told(struct heir *heir, struct told_sessions *told)
{
    backend_unref(&told->backend);
    *told = heir->told[--heir->told_count];
}

/* Ends of sessions are many, and a login that picks a backend can do with a
 * number of a moment ago. */
static bool tell_sessions_of(struct heir *heir, struct backend *backend)
{
    struct told_sessions *told = find_told(heir, backend);
    uint32_t count = backend_sessions(backend);

    if (count == (told == NULL ? 0 : told->count))
        return true;
    if (told == NULL)
        told = add_told(heir, backend);
    told->count = count;
    wire_start(&heir->packet, WIRE_SESSIONS);
    wire_put_place(&heir->packet, backend);
    wire_put_u32(&heir->packet, count);
    if (count == 0)
        drop_told(heir, told);
    return heir_send(heir, &heir->packet);
}

bool heir_send_sessions(struct heir *heir)
{
    size_t count;
    struct backend **list = backend_registry_list(heir->registry, &count);
    bool is_sent = true;

    for (size_t i = 0; i < count; i++) {
        is_sent = is_sent && tell_sessions_of(heir, list[i]);
        backend_unref(&list[i]);
    }
    free(list);
    return is_sent;
}

/* An answer that came late is undone also where nobody asks again. */
static void look_for_answer(struct heir *heir)
{
    if (pthread_mutex_trylock(&heir->lock) != 0)
        return;
    (void)catch_up(heir);
    pthread_mutex_unlock(&heir->lock);
}

/* False: the successor is gone. */
static bool wait_for_bell(struct heir *heir)
{
    struct pollfd pollers[] = {{.fd = heir->bell, .events = POLLIN},
                               {.fd = heir->fd}};
    uint64_t rung;

    (void)poll(pollers, 2, LOOK_MS);
    if ((pollers[0].revents & POLLIN) != 0 &&
        read(heir->bell, &rung, sizeof(rung)) < 0)
        return true;
    return pollers[1].revents == 0;
}

static void *run(void *argument)
{
    struct heir *heir = argument;

    while (is_open(heir) && heir_send_sessions(heir) && wait_for_bell(heir) &&
           heir_send_news(heir))
        look_for_answer(heir);
    break_link(heir);
    return NULL;
}

bool heir_run(struct heir *heir)
{
    if (heir->bell < 0)
        return false;
    heir->is_patient = true;
    heir->has_thread = thread_start(&heir->thread, run, heir) == 0;
    return heir->has_thread;
}
