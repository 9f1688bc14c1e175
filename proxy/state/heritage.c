#include "state/heritage.h"

#include "base/log.h"
#include "base/thread.h"
#include "state/heritage_private.h"

#include <errno.h>
#include <openssl/mem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* In real time. */
enum {
    STEP_S = 30,  /* of what is given */
    ANSWER_S = 10 /* whoever asks reads the answer */
};

static struct heritage *new_heritage(int fd, const struct handover_parts *parts)
{
    const struct timeval step = {.tv_sec = STEP_S};
    const struct timeval answer = {.tv_sec = ANSWER_S};
    struct heritage *heritage = mem_zalloc(sizeof(*heritage));

    heritage->parts = *parts;
    heritage->fd = fd;
    heritage->book = heritage_book_new(parts);
    pthread_mutex_init(&heritage->lock, NULL);
    pthread_cond_init(&heritage->stage_rang, NULL);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &step, sizeof(step));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &answer, sizeof(answer));
    return heritage;
}

static void free_heritage(struct heritage *heritage)
{
    heritage_book_free(&heritage->book);
    close(heritage->fd);
    pthread_cond_destroy(&heritage->stage_rang);
    pthread_mutex_destroy(&heritage->lock);
    free(heritage);
}

static enum heritage_stage stage_of(struct heritage *heritage)
{
    enum heritage_stage stage;

    pthread_mutex_lock(&heritage->lock);
    stage = heritage->stage;
    pthread_mutex_unlock(&heritage->lock);
    return stage;
}

static void enter_stage(struct heritage *heritage, enum heritage_stage stage,
                        const char *why)
{
    pthread_mutex_lock(&heritage->lock);
    heritage->stage = stage;
    snprintf(heritage->why, sizeof(heritage->why), "%s", why);
    pthread_cond_signal(&heritage->stage_rang);
    pthread_mutex_unlock(&heritage->lock);
}

static bool take_packet(struct heritage *heritage, const uint8_t *bytes,
                        size_t len, char *why)
{
    struct wire_writer *answer = &heritage->answer;
    bool is_good = true;

    switch (heritage_book_feed(heritage->book, bytes, len, answer, why)) {
    case HERITAGE_GOES_ON:
        break;
    case HERITAGE_ANSWERS:
        is_good =
            send(heritage->fd, answer->bytes, answer->len, MSG_NOSIGNAL) >= 0;
        if (!is_good)
            snprintf(why, HANDOVER_WHY_MAX, "an answer could not be sent");
        break;
    case HERITAGE_COMPLETE:
        enter_stage(heritage, HERITAGE_WHOLE, "");
        break;
    case HERITAGE_BAD:
        return false;
    }
    atomic_store(&heritage->held, heritage_book_held(heritage->book));
    return is_good;
}

/* Of a read that brought nothing: whether to go on. */
static bool may_wait(struct heritage *heritage, ssize_t len, char *why)
{
    bool is_whole = stage_of(heritage) == HERITAGE_WHOLE;

    if (len < 0 && (errno == EINTR || (errno == EAGAIN && is_whole)))
        return true;
    if (len < 0 && errno == EAGAIN)
        snprintf(why, HANDOVER_WHY_MAX,
                 "the running process gave nothing for %d seconds", STEP_S);
    else if (!is_whole)
        snprintf(why, HANDOVER_WHY_MAX,
                 "the running process broke the link off");
    else
        *why = '\0';
    return false;
}

static void log_broken(const char *why)
{
    struct log_entry entry;

    log_begin(&entry, LOG_ERROR, "predecessor-lost");
    log_text(&entry, "reason", why);
    log_end(&entry);
}

/* Until the predecessor is gone. */
static void *run(void *argument)
{
    struct heritage *heritage = argument;
    uint8_t *bytes = mem_alloc(WIRE_PACKET_MAX + 1);
    char why[HANDOVER_WHY_MAX] = "";
    ssize_t len;

    do {
        len = recv(heritage->fd, bytes, WIRE_PACKET_MAX + 1, 0);
    } while (len > 0 ? take_packet(heritage, bytes, (size_t)len, why)
                     : may_wait(heritage, len, why));
    OPENSSL_cleanse(bytes, WIRE_PACKET_MAX + 1);
    free(bytes);
    (void)shutdown(heritage->fd, SHUT_RDWR);
    heritage_book_free(&heritage->book);
    atomic_store(&heritage->held, 0);
    if (stage_of(heritage) == HERITAGE_WHOLE && *why != '\0')
        log_broken(why);
    enter_stage(heritage, HERITAGE_OVER, why);
    return NULL;
}

static bool wait_until_whole(struct heritage *heritage,
                             char why[HANDOVER_WHY_MAX])
{
    bool is_whole;

    pthread_mutex_lock(&heritage->lock);
    while (heritage->stage != HERITAGE_WHOLE &&
           heritage->stage != HERITAGE_OVER)
        pthread_cond_wait(&heritage->stage_rang, &heritage->lock);
    is_whole = heritage->stage == HERITAGE_WHOLE;
    memcpy(why, heritage->why, HANDOVER_WHY_MAX);
    pthread_mutex_unlock(&heritage->lock);
    return is_whole;
}

struct heritage *handover_take(int fd, const struct handover_parts *parts,
                               char why[HANDOVER_WHY_MAX])
{
    struct heritage *heritage = new_heritage(fd, parts);

    if (thread_start(&heritage->thread, run, heritage) != 0) {
        snprintf(why, HANDOVER_WHY_MAX, "no thread can be had");
        free_heritage(heritage);
        return NULL;
    }
    if (!wait_until_whole(heritage, why))
        heritage_stop(&heritage);
    return heritage;
}

bool heritage_is_over(struct heritage *heritage)
{
    return stage_of(heritage) == HERITAGE_OVER;
}

size_t heritage_held(struct heritage *heritage)
{
    return atomic_load(&heritage->held);
}

void heritage_stop(struct heritage **heritage)
{
    struct heritage *mine = *heritage;

    *heritage = NULL;
    if (mine == NULL)
        return;
    (void)shutdown(mine->fd, SHUT_RDWR);
    pthread_join(mine->thread, NULL);
    free_heritage(mine);
}
