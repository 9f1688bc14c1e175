#include "control_link.h"

#include "base/clock.h"
#include "net/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct control_parcel {
    struct control_parcel *next;
    int *fds;
    size_t fd_count;
    size_t len;
    uint8_t bytes[];
};

union descriptors {
    struct cmsghdr align;
    char room[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
};

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

static void free_parcel(struct control_parcel *parcel)
{
    close_all(parcel->fds, parcel->fd_count);
    free(parcel->fds);
    free(parcel);
}

static struct control_parcel *pack(const struct control_message *message,
                                   const int *fds, size_t fd_count)
{
    uint8_t bytes[CONTROL_MESSAGE_MAX];
    size_t len = control_message_write(message, bytes);
    struct control_parcel *parcel = mem_alloc(sizeof(*parcel) + len);

    *parcel = (struct control_parcel){.len = len};
    memcpy(parcel->bytes, bytes, len);
    if (fd_count == 0)
        return parcel;
    parcel->fds = mem_realloc_array(NULL, fd_count, sizeof(int));
    for (size_t i = 0; i < fd_count; i++) {
        int copy = io_dup(fds[i]);

        if (copy >= 0) /* one less is heard of where it is missed */
            parcel->fds[parcel->fd_count++] = copy;
    }
    return parcel;
}

/* 0, UV_EAGAIN, or that nobody is there. */
static int send_parcel(int fd, const struct control_parcel *parcel)
{
    struct iovec bytes = {.iov_base = (void *)(uintptr_t)parcel->bytes,
                          .iov_len = parcel->len};
    struct msghdr packet = {.msg_iov = &bytes, .msg_iovlen = 1};
    union descriptors descriptors;
    struct cmsghdr *head;

    if (parcel->fd_count > 0) {
        memset(&descriptors, 0, sizeof(descriptors));
        packet.msg_control = descriptors.room;
        packet.msg_controllen = CMSG_SPACE(parcel->fd_count * sizeof(int));
        head = CMSG_FIRSTHDR(&packet);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(parcel->fd_count * sizeof(int));
        memcpy(CMSG_DATA(head), parcel->fds, parcel->fd_count * sizeof(int));
    }
    if (sendmsg(fd, &packet, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
        return 0;
    return errno == EAGAIN || errno == EINTR || errno == ENOBUFS
               ? UV_EAGAIN
               : uv_translate_sys_error(errno);
}

/* With the lock held. False: more than can be sent now. */
static bool send_queued(struct control_link *link)
{
    while (link->first != NULL) {
        struct control_parcel *parcel = link->first;

        /* Of one who has gone, the reader hears. */
        if (!link->is_closed && send_parcel(link->fd, parcel) == UV_EAGAIN)
            return false;
        link->first = parcel->next;
        if (link->first == NULL)
            link->last = &link->first;
        link->count--;
        free_parcel(parcel);
    }
    return true;
}

/* One packet. Its length, 0 at the end, or UV_E*. */
static ssize_t receive(int fd, uint8_t bytes[CONTROL_MESSAGE_MAX],
                       int fds[CONTROL_FDS_MAX], size_t *fd_count_out)
{
    struct iovec room = {.iov_base = bytes, .iov_len = CONTROL_MESSAGE_MAX};
    union descriptors descriptors;
    struct msghdr packet = {.msg_iov = &room,
                            .msg_iovlen = 1,
                            .msg_control = descriptors.room,
                            .msg_controllen = sizeof(descriptors.room)};
    ssize_t len = recvmsg(fd, &packet, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    struct cmsghdr *head;

    *fd_count_out = 0;
    if (len < 0)
        return errno == EINTR ? UV_EAGAIN : uv_translate_sys_error(errno);
    head = CMSG_FIRSTHDR(&packet);
    if (head != NULL && head->cmsg_level == SOL_SOCKET &&
        head->cmsg_type == SCM_RIGHTS) {
        *fd_count_out = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(head), *fd_count_out * sizeof(int));
    }
    if ((packet.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) == 0)
        return len;
    close_all(fds, *fd_count_out);
    *fd_count_out = 0;
    return UV_EMSGSIZE;
}

void control_link_init(struct control_link *link, int fd)
{
    *link = (struct control_link){.fd = fd};
    link->last = &link->first;
    if (uv_mutex_init(&link->lock) != 0)
        abort();
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* Whether there is something to read before that moment. */
static bool wait_readable(int fd, uint64_t until_ms)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    uint64_t now_ms = clock_now_ms();
    int ready;

    if (now_ms >= until_ms)
        return false;
    ready = poll(&one, 1, (int)clock_real_delay_ms(until_ms - now_ms));
    return ready > 0 || (ready < 0 && errno == EINTR);
}

bool control_link_wait(struct control_link *link, uint64_t until_ms,
                       uint8_t bytes[CONTROL_MESSAGE_MAX],
                       struct control_message *message_out,
                       int fds[CONTROL_FDS_MAX], size_t *fd_count_out,
                       const char **why_out)
{
    ssize_t len = UV_EAGAIN;

    while (len == UV_EAGAIN) {
        if (!wait_readable(link->fd, until_ms)) {
            *why_out = "silence";
            return false;
        }
        len = receive(link->fd, bytes, fds, fd_count_out);
    }
    if (len > 0 && control_message_read(bytes, (size_t)len, message_out))
        return true;
    *why_out = len == 0 ? "its end" : "nothing that makes sense";
    if (len > 0)
        close_all(fds, *fd_count_out);
    return false;
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void watch(struct control_link *link, bool wants_room)
{
    uv_poll_start(&link->poll,
                  wants_room ? UV_READABLE | UV_WRITABLE : UV_READABLE,
                  on_ready);
}

/* On the loop. */
static void flush(struct control_link *link)
{
    bool is_empty;

    uv_mutex_lock(&link->lock);
    is_empty = send_queued(link);
    uv_mutex_unlock(&link->lock);
    watch(link, !is_empty);
}

static void end(struct control_link *link)
{
    control_link_close(link);
    link->ended(link->owner);
}

/* One message; false when there is none, or no link, any more. */
static bool hear_one(struct control_link *link)
{
    uint8_t bytes[CONTROL_MESSAGE_MAX];
    int fds[CONTROL_FDS_MAX];
    struct control_message message;
    size_t fd_count;
    ssize_t len = receive(link->fd, bytes, fds, &fd_count);
    bool is_good;

    if (len == UV_EAGAIN)
        return false;
    is_good = len > 0 && control_message_read(bytes, (size_t)len, &message);
    if (is_good)
        link->handler(&message, fds, fd_count, link->owner);
    close_all(fds, fd_count);
    if (!is_good && !link->is_closed)
        end(link);
    return is_good && !link->is_closed;
}

void control_link_hear(struct control_link *link)
{
    while (!link->is_closed && hear_one(link))
        continue;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct control_link *link = poll->data;

    if (status == 0 && (events & UV_WRITABLE) != 0)
        flush(link);
    if (status != 0 || (events & UV_READABLE) != 0)
        control_link_hear(link);
}

static void on_bell(uv_async_t *bell)
{
    struct control_link *link = bell->data;

    if (!link->is_closed)
        flush(link);
}

int control_link_join(struct control_link *link, uv_loop_t *loop,
                      control_handler *handler, control_ended *ended,
                      void *owner)
{
    int result = uv_poll_init(loop, &link->poll, link->fd);

    if (result != 0)
        return result;
    link->handler = handler;
    link->ended = ended;
    link->owner = owner;
    link->poll.data = link;
    link->bell.data = link;
    result = uv_async_init(loop, &link->bell, on_bell);
    if (result != 0) {
        uv_close((uv_handle_t *)&link->poll, NULL);
        return result;
    }
    uv_mutex_lock(&link->lock);
    link->is_joined = true;
    uv_mutex_unlock(&link->lock);
    flush(link);
    return 0;
}

/* With the lock held. */
static void queue(struct control_link *link, struct control_parcel *parcel)
{
    *link->last = parcel;
    link->last = &parcel->next;
    link->count++;
    if (link->count > CONTROL_QUEUE_MAX) /* the reader hears the end */
        (void)shutdown(link->fd, SHUT_RDWR);
    if (link->is_joined)
        uv_async_send(&link->bell);
}

void control_link_send(struct control_link *link,
                       const struct control_message *message, const int *fds,
                       size_t fd_count)
{
    struct control_parcel *parcel = pack(message, fds, fd_count);

    uv_mutex_lock(&link->lock);
    if (link->is_closed ||
        (link->first == NULL && send_parcel(link->fd, parcel) != UV_EAGAIN))
        free_parcel(parcel);
    else
        queue(link, parcel);
    uv_mutex_unlock(&link->lock);
}

void control_link_send_number(struct control_link *link, enum control_kind kind,
                              uint64_t number)
{
    const struct control_message message = {.kind = kind, .number = number};

    control_link_send(link, &message, NULL, 0);
}

void control_link_close(struct control_link *link)
{
    bool was_closed;

    uv_mutex_lock(&link->lock);
    was_closed = link->is_closed;
    link->is_closed = true;
    (void)send_queued(link); /* drops it */
    uv_mutex_unlock(&link->lock);
    if (was_closed)
        return;
    uv_close((uv_handle_t *)&link->poll, NULL);
    uv_close((uv_handle_t *)&link->bell, NULL);
    close(link->fd);
    link->fd = -1;
}

void control_link_deinit(struct control_link *link)
{
    link->is_closed = true;
    (void)send_queued(link);
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
    uv_mutex_destroy(&link->lock);
}
