/* How long users' homes take from one process to the next in an upgrade in
 * place, how long that holds a lock, and how long logins wait meanwhile.
 * Usage: bench_handover USERS; each of them has a session, and logs in again by
 * turns while the homes are given. */
#include "state/handover.h"
#include "base/clock.h"
#include "base/thread.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BACKENDS = 16,
    LOGIN_GAP_US = 200,
    ALONE_MS = 100 /* logins before the gift */
};

struct process {
    struct handover_parts parts;
    struct backend *backends[BACKENDS];
};

/* Of the links between both processes. */
struct ends {
    int state; /* what is handed over */
    int word;  /* that it was taken; its end is the end */
};

struct logins {
    struct process *process;
    size_t users;
    atomic_bool are_over;
    size_t count;
    size_t refused;
    uint64_t longest_ns;
};

static uint64_t now_ns(void)
{
    struct timespec moment;

    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (uint64_t)moment.tv_sec * 1000000000 + (uint64_t)moment.tv_nsec;
}

static void set_up(struct process *process)
{
    struct handover_parts *parts = &process->parts;
    char name[16];

    parts->registry = backend_registry_new();
    parts->heir = heir_new(parts->registry);
    parts->homes = homes_new();
    parts->limits = limits_new();
    parts->penalties = penalties_new();
    parts->tickets = ticket_keys_new(clock_now_ms());
    handover_prepare(parts);
    for (unsigned i = 0; i < BACKENDS; i++) {
        snprintf(name, sizeof(name), "b%u", i);
        process->backends[i] =
            backend_registry_get(parts->registry, name, "host", 143);
    }
}

/* False: nobody can say where the user may go. */
static bool log_in(struct process *process, size_t number,
                   struct home_claim *claim)
{
    char user[64];
    int len = snprintf(user, sizeof(user), "user%zu@example.org", number);

    return homes_enter(process->parts.homes, (const uint8_t *)user, (size_t)len,
                       process->backends[number % BACKENDS], claim) &&
           homes_arrive(process->parts.homes, claim);
}

static void fill(struct process *process, size_t users)
{
    for (size_t i = 0; i < users; i++) {
        struct home_claim claim = {.at = NULL};

        if (!log_in(process, i, &claim))
            abort();
        homes_settle(&claim);
    }
}

/* As if to give them, and keeps them. */
static uint64_t longest_lock_ns(struct homes *homes)
{
    uint64_t longest = 0;

    for (size_t i = 0; i < HOMES_SHARDS; i++) {
        uint64_t since_ns = now_ns();
        size_t count;
        struct home_record *records = homes_give(homes, i, &count);
        uint64_t took_ns = now_ns() - since_ns;

        free(records);
        longest = took_ns > longest ? took_ns : longest;
    }
    homes_keep(homes);
    return longest;
}

static void log_in_once(struct logins *logins)
{
    uint64_t since_ns = now_ns(), took_ns;
    struct home_claim claim = {.at = NULL};

    if (!log_in(logins->process, logins->count % logins->users, &claim))
        logins->refused++;
    took_ns = now_ns() - since_ns;
    homes_leave(logins->process->parts.homes, &claim);
    logins->count++;
    if (took_ns > logins->longest_ns)
        logins->longest_ns = took_ns;
}

static void *keep_logging_in(void *argument)
{
    struct logins *logins = argument;

    while (!atomic_load(&logins->are_over)) {
        log_in_once(logins);
        usleep(LOGIN_GAP_US);
    }
    return NULL;
}

/* Until the other has all of it. */
static uint64_t give_ns(struct process *process, const struct ends *ends)
{
    uint64_t since_ns = now_ns();
    char why[HANDOVER_WHY_MAX];
    char word;

    if (!handover_give(ends->state, &process->parts, why)) {
        fprintf(stderr, "%s\n", why);
        exit(EXIT_FAILURE);
    }
    if (read(ends->word, &word, 1) != 1)
        exit(EXIT_FAILURE);
    return now_ns() - since_ns;
}

static int give(const struct ends *ends, size_t users)
{
    struct process process = {.parts = {.heir = NULL}};
    struct logins logins = {.process = &process, .users = users};
    pthread_t thread;
    uint64_t lock_ns, took_ns;

    set_up(&process);
    fill(&process, users);
    lock_ns = longest_lock_ns(process.parts.homes);
    if (thread_start(&thread, keep_logging_in, &logins) != 0)
        return EXIT_FAILURE;
    usleep(ALONE_MS * 1000);
    took_ns = give_ns(&process, ends);
    atomic_store(&logins.are_over, true);
    pthread_join(thread, NULL);
    handover_end(&process.parts);
    printf("homes %zu give_us %llu lock_us %llu logins %zu refused %zu "
           "login_us %llu\n",
           users, (unsigned long long)took_ns / 1000,
           (unsigned long long)lock_ns / 1000, logins.count, logins.refused,
           (unsigned long long)logins.longest_ns / 1000);
    return EXIT_SUCCESS;
}

/* The process that takes, until the other wants no more of it. */
static int take(const struct ends *ends)
{
    struct process process = {.parts = {.heir = NULL}};
    char why[HANDOVER_WHY_MAX];
    struct heritage *heritage;
    char word = '.';

    set_up(&process);
    heritage = handover_take(ends->state, &process.parts, why);
    if (heritage == NULL) {
        fprintf(stderr, "%s\n", why);
        return EXIT_FAILURE;
    }
    if (write(ends->word, &word, 1) != 1)
        return EXIT_FAILURE;
    return read(ends->word, &word, 1) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool link_up(struct ends ends[2])
{
    int state[2], word[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, state) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, word) != 0)
        return false;
    for (size_t i = 0; i < 2; i++)
        ends[i] = (struct ends){.state = state[i], .word = word[i]};
    return true;
}

int main(int argc, char **argv)
{
    size_t users = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    struct ends ends[2];
    int status;
    pid_t child;

    if (users == 0) {
        fprintf(stderr, "Usage: bench_handover USERS\n");
        return 2;
    }
    if (!link_up(ends) || (child = fork()) == -1) /* before threads */
        return EXIT_FAILURE;
    close(ends[child != 0].state);
    close(ends[child != 0].word);
    if (child == 0)
        return take(&ends[1]);
    status = give(&ends[0], users);
    close(ends[0].word);
    (void)waitpid(child, NULL, 0);
    return status;
}
