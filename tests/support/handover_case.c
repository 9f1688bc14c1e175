#include "handover_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LOOK_US = 1000,
    LOOKS = 5000
};

void process_init(struct process *process)
{
    struct handover_parts *parts = &process->parts;
    char name[16];

    memset(process, 0, sizeof(*process));
    parts->registry = backend_registry_new();
    parts->heir = heir_new(parts->registry);
    parts->homes = homes_new();
    parts->limits = limits_new();
    parts->penalties = penalties_new();
    parts->tickets = ticket_keys_new(clock_now_ms());
    handover_prepare(parts);
    for (unsigned i = 0; i < PROCESS_BACKENDS; i++) {
        snprintf(name, sizeof(name), "b%u", i);
        process->backends[i] =
            backend_registry_get(parts->registry, name, "host", 143);
    }
}

void process_deinit(struct process *process)
{
    struct handover_parts *parts = &process->parts;

    handover_end(parts);
    heritage_stop(&process->heritage);
    heir_free(&parts->heir);
    homes_free(&parts->homes);
    limits_free(&parts->limits);
    penalties_free(&parts->penalties);
    ticket_keys_unref(&parts->tickets);
    for (size_t i = 0; i < PROCESS_BACKENDS; i++)
        backend_unref(&process->backends[i]);
    backend_registry_free(&parts->registry);
}

void process_link(int ends[2])
{
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

struct gift {
    const struct handover_parts *parts;
    int fd;
    bool is_given;
    char why[HANDOVER_WHY_MAX];
};

static void *give(void *argument)
{
    struct gift *gift = argument;

    gift->is_given = handover_give(gift->fd, gift->parts, gift->why);
    return NULL;
}

void process_upgrade(struct process *from, struct process *to)
{
    struct gift gift = {.parts = &from->parts};
    char why[HANDOVER_WHY_MAX] = "";
    pthread_t thread;
    int ends[2];

    process_link(ends);
    gift.fd = ends[0];
    pthread_create(&thread, NULL, give, &gift);
    to->heritage = handover_take(ends[1], &to->parts, why);
    pthread_join(thread, NULL);
    assert_string_equal(why, "");
    assert_string_equal(gift.why, "");
    assert_true(gift.is_given);
    assert_non_null(to->heritage);
}

struct home_claim process_enter(struct process *process, const char *user,
                                size_t backend)
{
    struct home_claim claim = {.at = NULL};

    assert_true(homes_enter(process->parts.homes, (const uint8_t *)user,
                            strlen(user), process->backends[backend], &claim));
    return claim;
}

struct home_claim process_log_in(struct process *process, const char *user,
                                 size_t backend)
{
    struct home_claim claim = process_enter(process, user, backend);

    assert_true(homes_arrive(process->parts.homes, &claim));
    return claim;
}

size_t process_index(const struct process *process, const struct backend *at)
{
    size_t i = 0;

    while (i < PROCESS_BACKENDS && process->backends[i] != at)
        i++;
    return i;
}

size_t process_await_homes(struct process *process, size_t count)
{
    for (unsigned i = 0;
         i < LOOKS && homes_count(process->parts.homes) != count; i++)
        usleep(LOOK_US);
    return homes_count(process->parts.homes);
}
