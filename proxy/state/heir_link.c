#include "state/heir_parts.h"

#include "base/thread.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

static uint64_t to_ms(const struct timespec *moment)
{
    return (uint64_t)moment->tv_sec * 1000 +
           (uint64_t)moment->tv_nsec / 1000000;
}

uint64_t heir_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return to_ms(&now);
}

int heir_left_ms(const struct timespec *until)
{
    uint64_t now_ms = heir_now_ms();

    return to_ms(until) < now_ms ? 0 : (int)(to_ms(until) - now_ms);
}

enum transfer heir_transfer(struct heir *heir, const struct wire_writer *packet,
                            const struct timespec *until)
{
    struct pollfd poller = {.fd = heir->fd, .events = POLLOUT};

    for (;;) {
        if (send(heir->fd, packet->bytes, packet->len,
                 MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
            atomic_store(&heir->unsent_since_ms, 0);
            return TRANSFER_DONE;
        }
        if (errno != EAGAIN && errno != EINTR)
            return TRANSFER_BROKEN;
        if (heir_left_ms(until) == 0 || atomic_load(&heir->is_ending))
            return TRANSFER_LATE;
        (void)poll(&poller, 1, heir_left_ms(until));
    }
}

bool heir_send(struct heir *heir, const struct wire_writer *packet)
{
    enum transfer transfer = TRANSFER_LATE;

    do {
        const struct timespec until = thread_deadline(HEIR_SEND_MS);

        if (heir_is_open(heir))
            transfer = heir_transfer(heir, packet, &until);
    } while (transfer == TRANSFER_LATE && heir->is_patient &&
             heir_is_open(heir));
    if (transfer != TRANSFER_DONE)
        heir_break(heir);
    return transfer == TRANSFER_DONE;
}

bool heir_send_until(struct heir *heir, const struct wire_writer *packet,
                     const struct timespec *until)
{
    bool is_sent = heir_is_open(heir) &&
                   heir_transfer(heir, packet, until) == TRANSFER_DONE;

    if (!is_sent)
        heir_break(heir);
    return is_sent;
}
